import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from fvi_pipeline.model.challenger import Challenger, train_challenger
from fvi_pipeline.model.errors import DatasetError
from fvi_pipeline.model.evaluation import calibration_error
from fvi_pipeline.model.scoring import OnnxClassifier

from .conftest import POLICY, SETTINGS
from .panel import FEATURES, HORIZONS


def test_ranks_nearly_as_well_as_the_truth(challenger: Challenger, panel: pl.DataFrame) -> None:
    test = challenger.split.test
    truth = test.keys.join(panel, on=["mine_id", "as_of_year", "horizon_years"], maintain_order="left")[
        "truth"
    ].to_numpy()
    for horizon in (1, 2, 3):
        rows = test.horizon_years == horizon
        oracle = roc_auc_score(test.viable[rows], truth[rows])
        assert roc_auc_score(test.viable[rows], challenger.test_probability[rows]) > oracle - 0.03
    assert np.abs(challenger.test_probability - truth).mean() < 0.08


def test_is_measured_beside_the_rivals_and_silent_where_nothing_was_tested(challenger: Challenger) -> None:
    evaluation = challenger.evaluation
    assert evaluation.untested_horizons == [10, 20]
    assert [measures.horizon_years for measures in evaluation.by_horizon] == [1, 2, 3, 5]
    assert evaluation.brier < evaluation.size_brier < evaluation.base_rate_brier
    assert evaluation.auc is not None
    assert evaluation.size_auc is not None
    assert evaluation.auc > evaluation.size_auc
    assert not [name for name in evaluation.as_metrics() if name.endswith(("h10", "h20"))]
    assert set(challenger.interval_coverage) == {1, 2, 3, 5}


def test_tested_predictions_come_from_the_served_bytes(challenger: Challenger) -> None:
    predictions = challenger.backtest_predictions()
    model = challenger.files.model()
    test = challenger.split.test
    again = model.probabilities_by_row(test.features[:, :-1], test.horizon_years)
    assert (predictions["viability_probability"].to_numpy() == again).all()
    assert predictions["train_until_year"].unique().to_list() == [2013]
    assert predictions["as_of_year"].min() == 2014
    assert predictions["viable"].dtype == pl.Boolean


def test_parity_holds_on_all_rows_at_thresholds_and_with_values_missing(
    challenger: Challenger, panel: pl.DataFrame
) -> None:
    parity = challenger.parity
    assert parity.passed
    assert parity.rows == panel.height + parity.threshold_rows + parity.missing_rows
    assert parity.threshold_rows > 150
    assert parity.missing_rows > 0
    assert parity.maximum_difference < 1e-6


def test_description_travels_in_the_bytes(challenger: Challenger) -> None:
    metadata = challenger.files.model().metadata
    assert metadata == challenger.files.metadata
    assert metadata.features == FEATURES
    assert metadata.horizons == [1, 2, 3, 5, 10, 20]
    assert (metadata.train_until_year, metadata.feature_service) == (2013, "fvi_v1")
    assert len(metadata.data_hash) == 64


def test_the_same_frame_gives_the_same_bytes(challenger: Challenger, panel: pl.DataFrame) -> None:
    again = train_challenger(
        panel.sample(fraction=1, shuffle=True, seed=2).to_pandas(),
        FEATURES,
        size_feature="log_size",
        feature_service="fvi_v1",
        settings=SETTINGS,
        policy=POLICY,
        horizons=(*HORIZONS, 20),
    )
    assert again.files.onnx_sha256 == challenger.files.onnx_sha256
    assert again.metrics() == challenger.metrics()


def test_outcomes_after_t_change_nothing_that_is_fitted_at_t(challenger: Challenger, panel: pl.DataFrame) -> None:
    until = challenger.split.train_until_year
    other = panel.with_columns(
        viable=pl.when(pl.col("outcome_year") > until).then(1 - pl.col("viable")).otherwise("viable")
    )
    elsewhere = train_challenger(
        other,
        FEATURES,
        size_feature="log_size",
        feature_service="fvi_v1",
        settings=SETTINGS,
        policy=POLICY,
        horizons=(*HORIZONS, 20),
    )
    assert elsewhere.tuned == challenger.tuned
    assert elsewhere.files.booster_text == challenger.files.booster_text
    # calibration and intervals among them; only the hash of the whole training set tells the two apart
    same_data = {"data_hash": challenger.files.metadata.data_hash}
    assert elsewhere.files.metadata != challenger.files.metadata
    assert elsewhere.files.metadata.model_copy(update=same_data) == challenger.files.metadata
    assert elsewhere.metrics() != challenger.metrics()


@settings(max_examples=100, deadline=None)
@given(
    rows=arrays(
        np.float32,
        (8, len(FEATURES)),
        elements=st.floats(-10, 10, width=32) | st.just(np.float32(np.nan)) | st.sampled_from([-1e30, 0.0, 1e30]),
    )
)
def test_served_viability_never_rises_with_the_horizon(challenger: Challenger, rows: NDArray[np.float32]) -> None:
    model = challenger.files.model()
    by_horizon = np.array([model.probabilities(rows, horizon) for horizon in model.horizons])
    assert ((by_horizon > 0) & (by_horizon < 1)).all()
    assert (np.diff(by_horizon, axis=0) <= 0).all()


def test_the_graph_itself_refuses_a_horizon_that_the_model_does_not_have(challenger: Challenger) -> None:
    from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

    rows = challenger.split.test.features[:1].copy()
    rows[:, -1] = 21
    with pytest.raises(InvalidArgument):
        OnnxClassifier(challenger.files.onnx_model).probabilities(rows)


def test_frame_that_does_not_fit_the_model_is_refused(panel: pl.DataFrame) -> None:
    with pytest.raises(DatasetError, match=r"horizons \[10\]"):
        train_challenger(panel, FEATURES, size_feature="log_size", feature_service="s", horizons=(1, 2, 3, 5))
    with pytest.raises(DatasetError, match="size feature"):
        train_challenger(panel, FEATURES, size_feature="production", feature_service="s")


def test_calibration_error_of_known_cases() -> None:
    viable = np.array([0, 1] * 50, dtype=np.int8)
    assert calibration_error(viable, np.full(100, 0.5)) == pytest.approx(0.0)
    assert calibration_error(viable, np.full(100, 0.8)) == pytest.approx(0.3)
