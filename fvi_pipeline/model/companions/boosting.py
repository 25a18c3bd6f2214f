"""Fitting the trees of a companion: LightGBM with fixed parameters, stopped on later years, the same bytes for the
same data and seed.

Which rows are fitted on belongs in `rows`, what the trees mean in the companions themselves.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from fvi_pipeline.model.companions.rows import Rows
from fvi_pipeline.model.training import with_float32_thresholds

if TYPE_CHECKING:
    import lightgbm

_SHAPING = ("boosting", "graph", "predictor", "production", "rows", "status")
_SHARED = ("dataset", "training")  # what of them shapes trees and rows


class TreeParameters(BaseModel):
    """What LightGBM is told. Modes that its ONNX form gets silently wrong are not values of these types."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    boosting: Literal["gbdt"] = "gbdt"
    linear_tree: Literal[False] = False
    zero_as_missing: Literal[False] = False
    # with use_missing off, LightGBM reads NaN as zero
    use_missing: Literal[True] = True
    learning_rate: float = Field(default=0.1, gt=0, le=1)
    num_leaves: int = Field(default=15, ge=2, le=255)
    min_data_in_leaf: int = Field(default=100, ge=1)
    max_bin: int = Field(default=63, ge=2, le=255)
    feature_fraction: float = Field(default=0.6, gt=0, le=1)
    bagging_fraction: float = Field(default=0.7, gt=0, le=1)
    bagging_freq: int = Field(default=1, ge=0)
    lambda_l2: float = Field(default=10.0, ge=0)


class QuantileParameters(TreeParameters):
    """Trees for one quantile of a number; the objective's leaf values follow from order, not from a gradient."""

    objective: Literal["quantile"] = "quantile"
    metric: Literal["quantile"] = "quantile"
    alpha: float = Field(gt=0, lt=1)


class ClassParameters(TreeParameters):
    """Trees for one of several classes, a margin for each."""

    objective: Literal["multiclass"] = "multiclass"
    metric: Literal["multi_logloss"] = "multi_logloss"
    num_class: int = Field(ge=3)


class BoostingSettings(BaseModel):
    """How long is boosted, and with which seed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = 20240401
    maximum_rounds: int = Field(default=400, ge=1)
    stopping_rounds: int = Field(default=30, ge=1)


def stopped_rounds(
    fit: Rows, stopping: Rows, feature_names: list[str], parameters: TreeParameters, settings: BoostingSettings
) -> tuple[lightgbm.Booster, int]:
    """Boost on `fit` until the later years of `stopping` get no better: the trees up to there, and their rounds."""
    import lightgbm

    data = _dataset(fit, feature_names)
    booster = lightgbm.train(
        _told(parameters, settings),
        data,
        num_boost_round=settings.maximum_rounds,
        valid_sets=[data.create_valid(stopping.features, label=stopping.outcome)],
        callbacks=[lightgbm.early_stopping(settings.stopping_rounds, verbose=False)],
    )
    return booster, int(booster.best_iteration)


def fit_trees(
    rows: Rows, feature_names: list[str], parameters: TreeParameters, rounds: int, settings: BoostingSettings
) -> lightgbm.Booster:
    """Boost `rounds` rounds; thresholds are rounded down to float32, which makes the ONNX form exact."""
    import lightgbm

    booster = lightgbm.train(_told(parameters, settings), _dataset(rows, feature_names), num_boost_round=rounds)
    return with_float32_thresholds(booster)


def margins(booster: lightgbm.Booster, features: NDArray[np.float32]) -> NDArray[np.float64]:
    """The bare sums of the trees [n] or [n, K]."""
    return np.asarray(booster.predict(features, raw_score=True, num_threads=1), dtype=np.float64)


@lru_cache(maxsize=1)
def code_version() -> str:
    """Short hash of the modules and libraries that shape a companion: the same code gives the same value."""
    digest = hashlib.sha256()
    here = Path(__file__).parent
    for path in (*(here / f"{name}.py" for name in _SHAPING), *(here.parent / f"{name}.py" for name in _SHARED)):
        digest.update(path.read_bytes())
    for library in ("lightgbm", "numpy", "onnxmltools", "scipy"):
        digest.update(f"{library}=={version(library)}".encode())
    return digest.hexdigest()[:16]


def _dataset(rows: Rows, feature_names: list[str]) -> lightgbm.Dataset:
    import lightgbm

    return lightgbm.Dataset(
        rows.features,
        label=rows.outcome,
        feature_name=feature_names,
        params={"feature_pre_filter": False, "verbose": -1},
    )


def _told(parameters: TreeParameters, settings: BoostingSettings) -> dict[str, Any]:
    return {
        **parameters.model_dump(),
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "seed": settings.seed,
        "feature_pre_filter": False,
        "verbose": -1,
    }
