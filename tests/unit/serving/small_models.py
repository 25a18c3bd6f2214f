"""Two small real models in folders, as a registry or a Bento store holds them."""

from __future__ import annotations

from pathlib import Path

import lightgbm
import numpy as np

from fvi_pipeline.model.intervals import IntervalTable
from fvi_pipeline.model.onnx_export import to_onnx
from fvi_pipeline.model.scoring import ModelFiles, ModelMetadata
from fvi_pipeline.serving.arms import MineFields, ServedModel
from fvi_pipeline.serving.errors import StoreUnavailableError
from fvi_pipeline.serving.feature_reader import CONTEXT
from fvi_pipeline.serving.standing_note import Reign, VersionRef

FEATURES = ["production_short_tons", "average_employees"]
_NAMES = (*FEATURES, *CONTEXT)
FIELDS = MineFields(
    "fvi", "mine_id", _NAMES, tuple(bytes([n]) for n in range(len(_NAMES))), {"average_employees": "INT64"}
)


def small_model(seed: int) -> ModelFiles:
    generator = np.random.default_rng(seed)
    rows = generator.random((300, len(FEATURES) + 1)) * [2e6, 200, 20]
    viable = (rows[:, 1] + generator.normal(0, 30, 300) > 5 * rows[:, 2]).astype(int)
    booster = lightgbm.train(
        {"objective": "binary", "num_leaves": 5, "verbose": -1, "num_threads": 1, "seed": seed},
        lightgbm.Dataset(rows.astype(np.float32), viable, feature_name=[*FEATURES, "horizon_years"]),
        num_boost_round=5,
    )
    metadata = ModelMetadata(
        features=FEATURES,
        horizons=[1, 5],
        train_until_year=2013,
        data_hash="0",
        code_version="0",
        feature_service="fvi_v1",
        intervals=IntervalTable(confidence=0.9, year_variance=0.0, knots={}),
    )
    return ModelFiles(to_onnx(booster, metadata), booster.model_to_string(), metadata)


def stored(files: ModelFiles, folder: Path, version: str) -> VersionRef:
    """Write the files and return the version as the registry would name it."""
    files.write(folder)
    return VersionRef(version, files.onnx_sha256, folder.as_uri())


class Registry:
    """A ReignSource whose answer a test changes; None: it does not answer."""

    def __init__(self, reign: Reign | None) -> None:
        self.reign = reign

    def read(self, model_name: str) -> Reign:
        if self.reign is None:
            raise StoreUnavailableError("The model registry does not answer.")
        return self.reign


class Layouts:
    """Where features are; `down` as while PostgreSQL does not answer."""

    def __init__(self) -> None:
        self.down = False

    def served(self, model, version, arm, since) -> ServedModel:
        if self.down:
            raise StoreUnavailableError("The feature registry does not answer.")
        return ServedModel(model, version, arm, FIELDS, since)
