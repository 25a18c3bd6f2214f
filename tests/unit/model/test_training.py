from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from fvi_pipeline.model import training
from fvi_pipeline.model.calibration import Calibration
from fvi_pipeline.model.dataset import HORIZON, Part, make_dataset, split_by_time
from fvi_pipeline.model.errors import DatasetError, ParityError
from fvi_pipeline.model.intervals import IntervalTable
from fvi_pipeline.model.onnx_export import check_parity, to_onnx
from fvi_pipeline.model.scoring import ModelMetadata
from fvi_pipeline.model.training import BoosterParameters, fit, float32_floor

from .conftest import POLICY, SETTINGS
from .panel import FEATURES, HORIZONS

METADATA = ModelMetadata(
    features=FEATURES,
    horizons=[*HORIZONS, 20],
    train_until_year=2013,
    data_hash="",
    code_version="",
    feature_service="",
    intervals=IntervalTable(confidence=0.9, year_variance=0.0),
)


@pytest.fixture(scope="module")
def split(panel: pl.DataFrame):  # type: ignore[no-untyped-def]
    return split_by_time(make_dataset(panel, FEATURES), POLICY)


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        ({"boosting": "rf"}, "boosting.*'gbdt'"),
        ({"boosting": "dart"}, "boosting.*'gbdt'"),
        ({"objective": "regression"}, "objective.*'binary'"),
        ({"linear_tree": True}, "linear_tree.*False"),
        ({"zero_as_missing": True}, "zero_as_missing.*False"),
        ({"use_missing": False}, "use_missing.*True"),
        ({"categorical_feature": "state"}, "categorical_feature.*not permitted"),
        ({"monotone_constraints": [0]}, "monotone_constraints.*not permitted"),
        ({"num_threads": 2}, "num_threads.*not permitted"),
    ],
)
def test_modes_that_onnx_gets_wrong_cannot_be_configured(mode: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=f"(?s){message}"):
        BoosterParameters.model_validate(mode)


def test_a_category_as_text_is_refused(panel: pl.DataFrame) -> None:
    with pytest.raises(DatasetError, match=r"\['trend'\] are not numbers. Encode them"):
        make_dataset(panel.with_columns(trend=pl.col("trend").cast(pl.String)), FEATURES)


def test_the_trees_tell_all_horizons_apart(split) -> None:  # type: ignore[no-untyped-def]
    trees = fit(split.final_fit, FEATURES, BoosterParameters(), 60, SETTINGS).trees_to_dataframe()
    cuts = trees.loc[trees["split_feature"] == HORIZON, "threshold"]
    between = set(pairwise(split.final_fit.horizons))
    assert {(low, high) for low, high in between if ((low < cuts) & (cuts < high)).any()} == between


def test_same_data_and_seed_give_the_same_bytes(split) -> None:  # type: ignore[no-untyped-def]
    texts = {fit(split.final_fit, FEATURES, BoosterParameters(), 30, SETTINGS).model_to_string() for _ in range(2)}
    other_seed = SETTINGS.model_copy(update={"seed": 4})
    assert len(texts) == 1
    assert fit(split.final_fit, FEATURES, BoosterParameters(), 30, other_seed).model_to_string() not in texts


def test_trees_do_not_depend_on_the_number_of_threads(split) -> None:  # type: ignore[no-untyped-def]
    texts = [
        fit(
            split.final_fit,
            FEATURES,
            BoosterParameters(),
            5,
            SETTINGS.model_copy(update={"threads": threads, "fits": 1}),
        )
        .model_to_string()
        .split("\nparameters:")[0]
        for threads in (1, 2)
    ]
    assert texts[0] == texts[1]


def test_probability_never_rises_with_the_horizon(split) -> None:  # type: ignore[no-untyped-def]
    booster = fit(split.final_fit, FEATURES, BoosterParameters(), 60, SETTINGS)
    rows = split.test.features[:300]
    by_horizon = []
    for horizon in (1, 2, 3, 5, 10, 20):
        rows = rows.copy()
        rows[:, -1] = horizon
        by_horizon.append(booster.predict(rows))
    assert (np.diff(by_horizon, axis=0) <= 1e-12).all()


def test_thresholds_become_float32_and_decide_as_before(split) -> None:  # type: ignore[no-untyped-def]
    import lightgbm

    data = lightgbm.Dataset(split.final_fit.features, label=split.final_fit.viable)
    parameters = {"objective": "binary", "verbose": -1, "min_data_in_leaf": 5, "num_threads": 1}
    booster = lightgbm.train(parameters, data, num_boost_round=40)
    rounded = training.with_float32_thresholds(booster)

    lines = [line for line in rounded.model_to_string().splitlines() if line.startswith("threshold=")]
    thresholds = np.array(" ".join(line.removeprefix("threshold=") for line in lines).split(), dtype=np.float64)
    assert len(thresholds) > 100
    assert (thresholds == thresholds.astype(np.float32)).all()
    rows = np.concatenate([split.final_fit.features, split.test.features])
    assert (rounded.predict(rows) == booster.predict(rows)).all()


def test_a_split_of_negative_values_from_zero_is_the_same_in_onnx() -> None:
    import lightgbm

    value = np.repeat(np.array([-1.0, 0.0, 1.0], dtype=np.float32), 500)
    rows = np.stack([value, np.ones_like(value)], axis=1)
    parameters = {"objective": "binary", "verbose": -1, "num_leaves": 3, "min_data_in_leaf": 5}
    data = lightgbm.Dataset(rows, label=value < 0, feature_name=["change", HORIZON])
    booster = training.with_float32_thresholds(lightgbm.train(parameters, data, num_boost_round=3))
    metadata = METADATA.model_copy(update={"features": ["change"], "horizons": [1]})

    parity = check_parity(to_onnx(booster, metadata), booster, rows)

    assert parity.threshold_rows > 0
    assert parity.passed


def test_parity_notices_a_threshold_just_below_a_value_and_rounding_down_cures_it(split) -> None:  # type: ignore[no-untyped-def]
    import lightgbm

    metadata = METADATA.model_copy(
        update={"calibration": Calibration(slope=1.2, pivot=0.5, steepenings={1: 0.8, 3: 0.1}, intercepts={1: 0.2})}
    )
    booster = fit(split.final_fit, FEATURES, BoosterParameters(), 10, SETTINGS)
    lines = []
    for line in booster.model_to_string().splitlines():
        if line.startswith("threshold="):
            values = np.array(line.removeprefix("threshold=").split(), dtype=np.float64)
            # not those beside zero, which LightGBM reads in a way of its own
            planted_values = np.where(np.abs(values) > 1e-30, np.nextafter(values, -np.inf), values)
            line = "threshold=" + " ".join(repr(float(value)) for value in planted_values)
        if not line.startswith("tree_sizes="):
            lines.append(line)
    planted = lightgbm.Booster(model_str="\n".join(lines) + "\n")
    rows = split.test.features[:2000]

    before = check_parity(to_onnx(planted, metadata), planted, rows)
    assert before.rows_over_tolerance > 0
    rounded = training.with_float32_thresholds(planted)
    assert check_parity(to_onnx(rounded, metadata), rounded, rows).passed
    assert (rounded.predict(rows) == planted.predict(rows)).all()


def test_float32_floor_never_rounds_up() -> None:
    values = np.array([0.1, 1 / 3, -0.1, 1e-35, 16777217.0, 0.0, -2.5])
    floored = float32_floor(values)
    assert (floored <= values).all()
    assert (floored == floored.astype(np.float32)).all()
    assert (np.nextafter(floored.astype(np.float32), np.float32(np.inf)) > values).all()


def test_a_merged_model_is_the_mean_of_its_fits_to_people_and_in_onnx(split) -> None:  # type: ignore[no-untyped-def]
    alone = [
        fit(split.final_fit, FEATURES, BoosterParameters(), 30, SETTINGS.model_copy(update={"seed": seed, "fits": 1}))
        for seed in (3, 4, 5)
    ]
    together = fit(split.final_fit, FEATURES, BoosterParameters(), 30, SETTINGS.model_copy(update={"fits": 3}))
    rows = split.test.features
    mean = np.mean([booster.predict(rows, raw_score=True) for booster in alone], axis=0)

    assert together.num_trees() == 90
    assert together.predict(rows, raw_score=True) == pytest.approx(mean, abs=1e-12)
    contributions = np.mean([booster.predict(rows[:50], pred_contrib=True) for booster in alone], axis=0)
    assert together.predict(rows[:50], pred_contrib=True) == pytest.approx(contributions, abs=1e-9)
    assert check_parity(to_onnx(together, METADATA), together, rows).passed


def test_a_weight_counts_as_so_many_rows(split) -> None:  # type: ignore[no-untyped-def]
    rows = split.final_fit
    often = np.concatenate([np.arange(len(rows)), np.repeat(np.flatnonzero(rows.horizon_years == 1), 3)])
    copied = Part(rows.keys[often], rows.features[often], rows.viable[often])
    # without draws of rows, and leaves as large as the copies make them
    parameters = BoosterParameters(bagging_fraction=1.0, feature_fraction=1.0, min_data_in_leaf=1, extra_trees=False)
    weighted = fit(rows, FEATURES, parameters, 20, SETTINGS.model_copy(update={"horizon_weights": {1: 4.0}}))
    repeated = fit(copied, FEATURES, parameters, 20, SETTINGS.model_copy(update={"horizon_weights": {}}))
    of_weighted, of_repeated = weighted.predict(split.test.features), repeated.predict(split.test.features)
    assert np.abs(of_weighted - of_repeated).mean() < 0.01


@pytest.mark.parametrize("objective", ["regression", "poisson"])
def test_nothing_but_two_outcomes_is_exported(split, objective: str) -> None:  # type: ignore[no-untyped-def]
    import lightgbm

    data = lightgbm.Dataset(split.final_fit.features, label=split.final_fit.viable, feature_name=[*FEATURES, HORIZON])
    booster = lightgbm.train({"objective": objective, "verbose": -1, "num_threads": 1}, data, num_boost_round=2)
    with pytest.raises(ParityError, match="two outcomes"):
        to_onnx(booster, METADATA)
