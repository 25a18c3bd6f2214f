"""A second registered version of the champion, which says something else: what promotions are tested with."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import lightgbm

from fvi_pipeline.model.onnx_export import to_onnx
from fvi_pipeline.model.registry import RegisteredVersion, open_registry
from fvi_pipeline.model.scoring import BOOSTER_FILE, MODEL_NAME, ONNX_FILE, ModelFiles, ViabilityModel


@dataclass(frozen=True)
class Candidate:
    """As much of a candidate as the registry asks for."""

    files: ModelFiles
    name: str = MODEL_NAME

    @property
    def input_columns(self) -> list[str]:
        return self.files.metadata.columns

    def tags(self) -> dict[str, str]:
        metadata = self.files.metadata
        return {
            "data_hash": metadata.data_hash,
            "code_version": metadata.code_version,
            "feature_service": metadata.feature_service,
            "train_until_year": str(metadata.train_until_year),
        }

    def metrics(self) -> dict[str, float]:
        return {"trees": 1.0}

    def parameters(self) -> dict[str, str]:
        return {}

    def write_plots(self, folder: Path) -> None:
        folder.mkdir()


def register_copy(environment: dict[str, str], other: dict[str, str]) -> RegisteredVersion:
    """Register the champion in the registry of another environment."""
    registry = open_registry(environment["MLFLOW_TRACKING_URI"], Path(environment["FVI_HOME"]))
    champion = registry.champion()
    assert champion is not None
    with tempfile.TemporaryDirectory() as folder:
        files = registry.files(champion.version, Path(folder))
        onnx, text = (files / ONNX_FILE).read_bytes(), (files / BOOSTER_FILE).read_text()
    copied = ModelFiles(onnx, text, ViabilityModel(onnx).metadata)
    return open_registry(other["MLFLOW_TRACKING_URI"], Path(other["FVI_HOME"])).register(Candidate(copied))


def register_another(environment: dict[str, str], trees_kept: float = 0.5) -> RegisteredVersion:
    """Register the champion with so many of its trees, and return the version; nothing reigns because of it."""
    registry = open_registry(environment["MLFLOW_TRACKING_URI"], Path(environment["FVI_HOME"]))
    champion = registry.champion()
    assert champion is not None
    with tempfile.TemporaryDirectory() as folder:
        files = registry.files(champion.version, Path(folder))
        metadata = ViabilityModel.load(files).metadata
        booster = lightgbm.Booster(model_str=(files / BOOSTER_FILE).read_text())
    trees = max(1, int(booster.num_trees() * trees_kept))
    fewer = lightgbm.Booster(model_str=booster.model_to_string(num_iteration=trees))
    return registry.register(Candidate(ModelFiles(to_onnx(fewer, metadata), fewer.model_to_string(), metadata)))
