"""The next status on a panel whose probabilities are known."""

import numpy as np
import polars as pl
import pytest
from scipy.special import softmax

from fvi_pipeline.model.companions.predictor import STATUSES, CompanionModel
from fvi_pipeline.model.companions.status import StatusCandidate, calibration_error, fit_calibration
from fvi_pipeline.model.errors import DatasetError
from fvi_pipeline.model.gate import judge
from fvi_pipeline.model.leak_check import LeakReport

from .conftest import fit_status, with_law

NO_LEAKS = LeakReport([], {}, features=4, rows=5000)


def test_probabilities_sum_to_one_are_calibrated_and_near_the_truth(
    status: StatusCandidate, next_years: pl.DataFrame
) -> None:
    prediction = status.test_prediction
    truth = with_law(status, next_years).select(f"p_{name}" for name in STATUSES).to_numpy()
    assert len(truth) > 1000
    assert prediction.sum(axis=1) == pytest.approx(1.0, abs=1e-12)
    assert prediction.min() > 0
    assert np.abs(prediction - truth).mean() < 0.03
    metrics = status.metrics()
    assert max(metrics[f"calibration_error_{name}"] for name in STATUSES) < 0.03


def test_the_gate_passes_it_because_it_beats_the_rates_and_the_status_staying(status: StatusCandidate) -> None:
    assert all(rival.beaten for rival in status.rivals())
    verdict = judge(status, None, leaks=NO_LEAKS)
    assert verdict.decision == "promoted", verdict.reason
    assert {f"gate_calibration_error_of_{number}" for number in range(len(STATUSES))} <= set(verdict.metrics)


def test_the_graph_gives_lightgbms_probabilities(status: StatusCandidate, tmp_path) -> None:
    assert status.parity.passed
    assert status.parity.threshold_rows > 500
    status.files.write(tmp_path)
    model = CompanionModel((tmp_path / "model.onnx").read_bytes())
    assert model.outputs == list(STATUSES)
    assert np.array_equal(model.predict(status.split.test.features), status.test_prediction)
    status.write_plots(tmp_path / "plots")
    assert (tmp_path / "plots" / "statuses.png").stat().st_size > 1000


def test_outcomes_after_t_change_nothing_and_the_same_rows_give_the_same_bytes(
    status: StatusCandidate, next_years: pl.DataFrame
) -> None:
    later = pl.col("outcome_year") > status.files.metadata.train_until_year
    changed = next_years.with_columns(
        status_next=pl.when(later).then(pl.lit("not_listed")).otherwise("status_next")
    ).sample(fraction=1.0, shuffle=True, seed=1)
    other = fit_status(changed)
    assert other.files.booster_texts == status.files.booster_texts
    assert other.calibration == status.calibration
    assert fit_status(next_years).files.onnx_model == status.files.onnx_model


def test_rows_without_a_status_are_left_out_and_an_unknown_one_is_refused(next_years: pl.DataFrame) -> None:
    unusable = pl.when(pl.col("outcome_year") >= 2001).then("status_next")
    kept = fit_status(next_years.with_columns(status_next=unusable))
    assert kept.split.final_fit.keys["outcome_year"].to_numpy().min() == 2001
    with pytest.raises(DatasetError, match="sleeping"):
        fit_status(next_years.with_columns(status_next=pl.lit("sleeping")))


def test_a_class_that_no_year_of_the_fit_has_is_unlikely_and_not_impossible(next_years: pl.DataFrame) -> None:
    early = pl.col("outcome_year") <= 2013
    never = pl.when(early & (pl.col("status_next") == "not_listed")).then(pl.lit("active")).otherwise("status_next")
    candidate = fit_status(next_years.with_columns(status_next=never))
    assert candidate.test_prediction[:, STATUSES.index("not_listed")] == pytest.approx(0.0002, abs=1e-4)
    assert np.isfinite(candidate.metrics()["log_loss"])
    assert candidate.parity.passed


def test_margins_that_are_too_sure_are_calibrated() -> None:
    generator = np.random.default_rng(2)
    margins = generator.normal(size=(20_000, 5))
    chance = softmax(margins, axis=1)
    outcome = (chance.cumsum(axis=1) < generator.random((len(chance), 1))).sum(axis=1)
    fitted = fit_calibration(2 * margins, outcome)
    assert fitted.slope == pytest.approx(0.5, abs=0.03)
    happened = np.eye(5)[outcome]
    before = calibration_error(softmax(2 * margins, axis=1)[:, 0], happened[:, 0])
    after = calibration_error(fitted.probabilities(2 * margins)[:, 0], happened[:, 0])
    assert after < 0.02 < before
