"""Weights where the truth is known: the simulator says which metrics matter, and when that changes."""

from __future__ import annotations

from datetime import UTC, datetime

import narwhals.stable.v2 as nw
import polars as pl
import pytest

from fvi_pipeline.features.catalogue import IndexMetric
from fvi_pipeline.simulator import RegimeChange, SimulationConfig, SurvivalCoefficients
from fvi_pipeline.weights.dynamic_weights import OLD_SHARE, Weight, dynamic_weights, settled_weights
from fvi_pipeline.weights.history import GAIN_HORIZON_YEARS, GAIN_YEARS, rows_to_measure
from fvi_pipeline.weights.information_gain import information_gain
from fvi_pipeline.weights.normalisation import percentiles_by_year
from fvi_pipeline.weights.separation import BASE, DYNAMIC, EQUAL, separation

from .simulated_history import INFORMATIVE, NOISE, simulated_history

METRICS = tuple(IndexMetric(name, "economics", True, 1.0, f"The {name}.", "") for name in (*INFORMATIVE, *NOISE))
NAMES = [metric.name for metric in METRICS]
QUALITY = dict.fromkeys(NAMES, 0.9)
SIZE_ALONE = SurvivalCoefficients(productivity=0, production_to_peak=0, employees_change=0, coal_price_change=0)
PRODUCTIVITY_ALONE = SurvivalCoefficients(
    log_production=0, productivity=-1.5, production_to_peak=0, employees_change=0, coal_price_change=0
)
CHANGE = RegimeChange(2005, PRODUCTIVITY_ALONE)


def gains_in(history: pl.DataFrame, year: int) -> dict[str, float | None]:
    """What a night of a year measures, of what is known by then."""
    rows = rows_to_measure(nw.from_native(history.lazy()), datetime(year, 12, 1, tzinfo=UTC))
    told = information_gain(rows, NAMES)
    return dict(zip(told["metric"], told["information_gain"], strict=True))


@pytest.fixture(scope="module")
def changing() -> pl.DataFrame:
    config = SimulationConfig(mines=2500, survival=SIZE_ALONE, regime_change=CHANGE)
    return percentiles_by_year(simulated_history(config), NAMES)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_informative_metric_weighs_more_than_every_noise_metric(seed):
    history = percentiles_by_year(simulated_history(SimulationConfig(seed=seed, mines=2500)), NAMES)
    weights = settled_weights(METRICS, QUALITY, gains_in(history, 2020))
    assert min(weights[name] for name in INFORMATIVE) > max(weights[name] for name in NOISE), weights


def test_after_a_change_of_regime_the_weights_follow_within_the_nights_that_the_blend_implies(changing):
    settled = {w.metric: w.bounded_weight for w in dynamic_weights(METRICS, QUALITY, gains_in(changing, 2007), {})}
    assert settled["production_short_tons"] == max(settled.values())
    # the first year in which every cohort that is measured lived in the new regime, and its outcome is known
    gains = gains_in(changing, CHANGE.from_year + GAIN_YEARS + GAIN_HORIZON_YEARS)
    before, nights = settled, []
    for _ in range(20):
        weights = dynamic_weights(METRICS, QUALITY, gains, before)
        before = {weight.metric: weight.bounded_weight for weight in weights}
        nights.append(weights)
    for number, weights in enumerate(nights, start=1):
        for weight in weights:
            gap = settled[weight.metric] - weight.target_weight
            assert weight.bounded_weight - weight.target_weight == pytest.approx(OLD_SHARE**number * gap)
    # 0.8 ^ 14 leaves less than a twentieth of the way
    heaviest = max(nights[13], key=lambda weight: weight.weight)
    assert heaviest.metric == "productivity_short_tons_per_hour"
    assert production(nights[13]) < 0.7 * settled["production_short_tons"]


def test_a_night_knows_no_outcome_of_its_future(changing):
    moment = datetime(2007, 12, 1, tzinfo=UTC)
    later = pl.col("outcome_known_at") > moment
    other = changing.with_columns(viable=pl.when(later).then(~pl.col("viable")).otherwise("viable"))
    assert gains_in(changing, 2007) == gains_in(other, 2007)


def test_dynamic_weights_separate_better_where_most_metrics_are_noise():
    history = simulated_history(SimulationConfig(mines=1500, survival=SIZE_ALONE))
    measured = separation(history, METRICS, draws=200)
    over_years = {(each.weighting, each.compared_with): each for each in measured if each.last_year > each.first_year}
    assert over_years[DYNAMIC, EQUAL].low > 0.01
    # the base weights of these metrics are equal
    assert over_years[BASE, ""].auc == over_years[EQUAL, ""].auc


def test_the_weights_of_a_year_never_saw_it():
    """What becomes known after a year's release moves no weight of it: its AUC can only change by its outcomes."""
    history = simulated_history(SimulationConfig(mines=600, survival=SIZE_ALONE))
    year = 2009
    release = datetime(year + 1, 10, 1, tzinfo=UTC)
    unknown = (pl.col("outcome_known_at") > release) & (pl.col("as_of_year") != year)
    other = history.with_columns(viable=pl.when(unknown).then(~pl.col("viable")).otherwise("viable"))
    first, second = (
        [each for each in separation(rows, METRICS, draws=20) if each.first_year == each.last_year == year]
        for rows in (history, other)
    )
    assert first == second


def production(weights: list[Weight]) -> float:
    return next(weight.bounded_weight for weight in weights if weight.metric == "production_short_tons")
