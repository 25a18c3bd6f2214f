from pathlib import Path

import numpy as np
import optuna
import polars as pl
import pytest
from pydantic import ValidationError

from fvi_pipeline.model import training
from fvi_pipeline.model.dataset import HORIZON, make_dataset, split_by_time
from fvi_pipeline.model.intervals import IntervalTable
from fvi_pipeline.model.onnx_export import check_parity, to_onnx
from fvi_pipeline.model.scoring import ModelMetadata
from fvi_pipeline.model.training import BoosterParameters, fit, float32_floor, tune

from .conftest import POLICY, SETTINGS
from .panel import FEATURES


@pytest.fixture(scope="module")
def split(panel: pl.DataFrame):  # type: ignore[no-untyped-def]
    return split_by_time(make_dataset(panel, FEATURES), POLICY)


@pytest.mark.parametrize(
    "mode",
    [
        {"boosting": "rf"},
        {"boosting": "dart"},
        {"linear_tree": True},
        {"zero_as_missing": True},
        {"use_missing": False},
    ],
)
def test_modes_that_onnx_gets_wrong_cannot_be_configured(mode: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        BoosterParameters.model_validate(mode)


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
            30,
            SETTINGS.model_copy(update={"threads": threads}),
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
    parameters = {"objective": "binary", "verbose": -1, "min_data_in_leaf": 5, "num_threads": 2}
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
    metadata = ModelMetadata(
        features=["change"],
        horizons=[1],
        train_until_year=2013,
        data_hash="",
        code_version="",
        feature_service="",
        intervals=IntervalTable(confidence=0.9, year_variance=0.0, bins={}),
    )

    parity = check_parity(to_onnx(booster, metadata), booster, rows)

    assert parity.threshold_rows > 0
    assert parity.passed


def test_float32_floor_never_rounds_up() -> None:
    values = np.array([0.1, 1 / 3, -0.1, 1e-35, 16777217.0, 0.0, -2.5])
    floored = float32_floor(values)
    assert (floored <= values).all()
    assert (floored == floored.astype(np.float32)).all()
    assert (np.nextafter(floored.astype(np.float32), np.float32(np.inf)) > values).all()


def test_an_interrupted_search_ends_as_an_undisturbed_one(split, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    settings = SETTINGS.model_copy(update={"trials": 7, "maximum_rounds": 25})
    undisturbed = tune(split, FEATURES, settings, storage_url=None, lineage="a")
    url = f"sqlite:///{tmp_path / 'optuna.db'}"

    class Killed(BaseException):
        """As a kill -9 does, it leaves the trial that runs without an end."""

    original, calls = training._stopped_fit, 0

    def dying_fit(*arguments):  # type: ignore[no-untyped-def]
        nonlocal calls
        calls += 1
        if calls in (1, 4, 8):
            raise Killed
        return original(*arguments)

    monkeypatch.setattr(training, "_stopped_fit", dying_fit)
    for _ in range(3):
        with pytest.raises(Killed):
            tune(split, FEATURES, settings, storage_url=url, lineage="a")
    resumed = tune(split, FEATURES, settings, storage_url=url, lineage="a")

    assert resumed == undisturbed
    assert calls == 10
    assert tune(split, FEATURES, settings, storage_url=url, lineage="a") == undisturbed
    assert calls == 10, "a finished search is read, not repeated"
    studies = optuna.get_all_study_summaries(optuna.storages.RDBStorage(url))
    assert len(studies) == 1
