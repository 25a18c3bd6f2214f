"""A simulated world in which mines begin to close by other coefficients: what is published looks as before, so no
feature has moved, and scores of what was learned before come true less often than promised.
"""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from fvi_pipeline.model.evaluation import brier
from fvi_pipeline.monitoring.measurements import Measurement
from fvi_pipeline.monitoring.performance import Promise, by_year, measure_performance, worse_in_words
from fvi_pipeline.monitoring.retraining import Thresholds, reasons
from fvi_pipeline.monitoring.year_drift import moves
from fvi_pipeline.simulator import RegimeChange, SimulatedTruth, SimulationConfig, SurvivalCoefficients, simulate_truth

_YEAR = 2016
_KEYS = ["mine_id", "as_of_year", "horizon_years"]
_BEFORE = SimulationConfig(
    mines=800, first_year=2001, last_year=_YEAR + 3, defects=False, oracle_paths=20, share_open_in_first_year=0.8
)
# large and productive mines close now, small ones go on
_TURNED = SurvivalCoefficients(intercept=-1.5, log_production=1.5, productivity=0.8, production_to_peak=0.6)


@pytest.fixture(scope="module")
def usual() -> SimulatedTruth:
    return simulate_truth(_BEFORE)


@pytest.fixture(scope="module")
def turned() -> SimulatedTruth:
    return simulate_truth(replace(_BEFORE, regime_change=RegimeChange(_YEAR, _TURNED)))


def _known_before(usual: SimulatedTruth) -> pl.DataFrame:
    """What the best model of the old regime says: the oracle, who does not know what is to come."""
    return usual.oracle.filter(pl.col("horizon_years").is_in([1, 3])).with_columns(pl.col(_KEYS[1:]).cast(pl.Int64))


def _promises(scores: pl.DataFrame) -> dict[tuple[str, int], Promise]:
    test = scores.filter(pl.col("as_of_year").is_between(_YEAR - 8, _YEAR - 4))
    years = by_year(test)
    found = {}
    for (horizon,), rows in test.group_by("horizon_years"):
        probability, viable = rows["viability_probability"].to_numpy(), rows["viable"].cast(pl.Int8).to_numpy()
        found["1", horizon] = Promise({"brier": brier(viable, probability)}, years[horizon])
    return found


def _performance(scores: pl.DataFrame, world: SimulatedTruth) -> list[Measurement]:
    came = world.oracle.select(*(pl.col(name) for name in _KEYS), "viable").with_columns(
        pl.col(_KEYS[1:]).cast(pl.Int64)
    )
    served = scores.filter(pl.col("as_of_year") == _YEAR).drop("viable").join(came, on=_KEYS).drop_nulls("viable")
    rows = served.with_columns(
        model_version=pl.lit("1"), interval_low=pl.lit(0.0), interval_high=pl.lit(1.0), was_public=pl.lit(False)
    )
    return measure_performance(rows, _promises(scores), "1")


def test_scores_of_the_old_regime_are_worse_than_promised_in_the_new_one(
    usual: SimulatedTruth, turned: SimulatedTruth
) -> None:
    scores = _known_before(usual)
    assert worse_in_words(_performance(scores, usual)) == []
    found = _performance(scores, turned)
    assert {text.split(" is ")[0] for text in worse_in_words(found)} == {"brier of v1 h1", "brier of v1 h3"}
    assert [each.kind for each in reasons(found, Thresholds())] == ["performance", "performance"]


def test_no_feature_tells_of_it(usual: SimulatedTruth, turned: SimulatedTruth) -> None:
    names = ["production_short_tons", "average_employees", "labor_hours"]
    past = usual.panel.filter("in_cohort", pl.col("as_of_year") < _YEAR - 2)
    for world in (usual, turned):
        now = world.panel.filter("in_cohort", pl.col("as_of_year") == _YEAR)
        assert {each.level for each in moves(past, now, names, "as_of_year")} == {"stable"}
