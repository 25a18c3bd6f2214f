"""Next year's production on a panel whose law is known."""

import numpy as np
import polars as pl
import polars.selectors as cs
import pytest
from pydantic import ValidationError

from fvi_pipeline.model.companions.boosting import QuantileParameters
from fvi_pipeline.model.companions.graph import tree_node
from fvi_pipeline.model.companions.predictor import CompanionModel
from fvi_pipeline.model.companions.production import ProductionCandidate, conformal_widening
from fvi_pipeline.model.companions.rows import make_rows, next_year_frame, split_rows
from fvi_pipeline.model.dataset import SplitPolicy
from fvi_pipeline.model.errors import DatasetError, ParityError, ScoringError
from fvi_pipeline.model.gate import judge
from fvi_pipeline.model.gate_criteria import Champion
from fvi_pipeline.model.leak_check import LeakReport

from .conftest import FEATURES, fit_production, with_law

NO_LEAKS = LeakReport([], {}, features=4, rows=5000)


def test_intervals_hold_what_they_say_and_follow_each_mines_own_spread(
    production: ProductionCandidate, next_years: pl.DataFrame
) -> None:
    law = with_law(production, next_years)
    low, median, high = np.log1p(production.test_prediction).T
    assert len(law) > 1000
    assert production.metrics()["coverage"] == pytest.approx(0.9, abs=0.025)
    assert np.abs(median - law["median"].to_numpy()).mean() < 0.06
    width = (high - low) / 2 / 1.645
    calm, wild = (law["spread"].to_numpy() < 0.2), (law["spread"].to_numpy() > 0.35)
    assert width[wild].mean() > 1.4 * width[calm].mean()


def test_the_model_beats_this_years_output_and_one_spread_for_all(production: ProductionCandidate) -> None:
    rivals = {rival.rival: rival for rival in production.rivals()}
    assert rivals["this year's output"].own < 0.75 * rivals["this year's output"].rivals
    assert rivals["the spread of all mines"].own < 0.8 * rivals["the spread of all mines"].rivals


def test_the_graph_gives_lightgbms_numbers_also_at_thresholds_and_where_values_are_missing(
    production: ProductionCandidate,
) -> None:
    parity = production.parity
    assert parity.passed
    assert parity.threshold_rows > 500
    assert parity.missing_rows > 0
    assert parity.maximum_difference < 1e-5


def test_the_next_year_of_a_mine_is_told_only_if_it_goes_on(production: ProductionCandidate) -> None:
    # zeros are neither learned from nor tested on: whether a mine goes on is another model's question
    assert production.split.final_fit.outcome.min() > 0
    assert production.split.test.outcome.min() > 0


def test_outcomes_after_t_and_the_order_of_rows_change_nothing(
    production: ProductionCandidate, next_years: pl.DataFrame
) -> None:
    until = production.files.metadata.train_until_year
    assert until == 2013
    later = pl.col("outcome_year") > until
    changed = next_years.with_columns(
        production_short_tons_next=pl.when(later).then(3.0).otherwise("production_short_tons_next"),
        trend=pl.when(later).then(9.0).otherwise("trend"),
    ).sample(fraction=1.0, shuffle=True, seed=1)
    # nor do columns that are no features: of the year's own status, or of the law itself, nothing is read
    other = fit_production(changed.drop("median", "spread", "status_next", cs.starts_with("p_")))
    assert other.files.booster_texts == production.files.booster_texts
    assert other.widening == production.widening
    assert fit_production(next_years).files.onnx_model == production.files.onnx_model


def test_no_part_sees_what_lies_after_its_year(next_years: pl.DataFrame) -> None:
    rows = make_rows(next_years, FEATURES, "production_short_tons_next")
    split = split_rows(rows, SplitPolicy(), 2010)
    last = {name: int(getattr(split, name).keys["outcome_year"].to_numpy().max()) for name in split.counts()}
    assert last == {"tuning_fit": 2005, "stopping": 2010, "calibration": 2010, "final_fit": 2010, "test": 2016}
    assert split.test.keys["as_of_year"].to_numpy().min() == 2011
    assert not set(split.stopping.keys["mine_id"]) & set(split.calibration.keys["mine_id"])


def test_the_gate_passes_it_once_and_refuses_one_whose_intervals_are_too_narrow(
    production: ProductionCandidate,
) -> None:
    assert judge(production, None, leaks=NO_LEAKS).decision == "promoted"
    reigning = Champion("1", production.files.onnx_sha256, FEATURES, production.predictor(production.files.onnx_model))
    assert judge(production, reigning, leaks=NO_LEAKS).decision == "kept"
    narrow = _Narrow(**{name: getattr(production, name) for name in production.__dataclass_fields__})
    verdict = judge(narrow, None, leaks=NO_LEAKS)
    assert verdict.refused_for == ["coverage"]
    assert "and say 90%" in verdict.reason


def test_a_version_is_served_from_its_bytes_alone(production: ProductionCandidate, tmp_path) -> None:
    production.files.write(tmp_path)
    model = CompanionModel((tmp_path / "model.onnx").read_bytes())
    assert model.features == FEATURES
    assert model.outputs == ["low", "median", "high"]
    test = production.split.test.features
    assert np.array_equal(model.predict(test), production.test_prediction)
    assert model.predict(test[:0]).shape == (0, 3)
    assert (np.diff(model.predict(test), axis=1) >= 0).all()
    with pytest.raises(ScoringError, match="infinite"):
        model.predict(np.full((1, 4), np.inf, dtype=np.float32))
    production.write_plots(tmp_path / "plots")
    assert (tmp_path / "plots" / "production.png").stat().st_size > 1000


@pytest.mark.parametrize("mode", [{"linear_tree": True}, {"zero_as_missing": True}, {"boosting": "rf"}, {"oob": 1}])
def test_modes_that_onnx_gets_wrong_are_refused(mode: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        QuantileParameters.model_validate({"alpha": 0.5, **mode})


def test_a_forest_is_not_exported(next_years: pl.DataFrame) -> None:
    import lightgbm

    features = next_years.select(FEATURES).to_numpy().astype(np.float32)
    label = next_years["median"].to_numpy()
    forest = {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5, "verbose": -1}
    for objective in ({"objective": "quantile", "alpha": 0.5}, {"objective": "regression"}):
        booster = lightgbm.train({**forest, **objective}, lightgbm.Dataset(features, label), num_boost_round=3)
        with pytest.raises(ParityError, match="silently wrong"):
            tree_node(booster, "margin")


def test_the_widening_is_the_smallest_that_holds_the_share() -> None:
    outcome = np.arange(1.0, 20.0)
    low, high = np.zeros(19), np.full(19, 10.0)
    # 18 of the 19 rows are wanted for 90%: all but the farthest
    assert conformal_widening(low, high, outcome, 0.9) == 8.0
    assert conformal_widening(low - 100, high + 100, outcome, 0.9) < 0


def test_a_training_set_without_its_next_year_is_refused(next_years: pl.DataFrame) -> None:
    ahead = next_years.select("mine_id", "as_of_year", "outcome_year", "trend").with_columns(horizon_years=1)
    told = next_years.select("mine_id", "as_of_year", "outcome_year", "production_short_tons_next")
    two = pl.concat([ahead, ahead.with_columns(horizon_years=2, outcome_year=pl.col("as_of_year") + 2)])
    assert next_year_frame(two, told).height == next_years.height
    with pytest.raises(DatasetError, match="1 of"):
        next_year_frame(two, told[1:])
    with pytest.raises(DatasetError, match="year after"):
        make_rows(next_years.with_columns(outcome_year=pl.col("as_of_year")), FEATURES, "production_short_tons_next")


class _Narrow(ProductionCandidate):
    """Says 90%, and gives intervals of half the width."""

    def predictor(self, onnx_model: bytes) -> CompanionModel:
        """Narrowed around the median."""
        return _NarrowModel(onnx_model)


class _NarrowModel(CompanionModel):
    def predict(self, inputs):
        wide = super().predict(inputs)
        return (wide + wide[:, 1:2]) / 2
