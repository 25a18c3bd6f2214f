"""Companions as they are served: ONNX bytes with their description, from features to tons or to probabilities.

Imports stay light: ONNX Runtime when a model is loaded, nothing of LightGBM. Fitting does not belong here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from fvi_pipeline.model.errors import ScoringError
from fvi_pipeline.model.scoring import BOOSTER_FILE, INPUT_NAME, METADATA_FILE, METADATA_KEY, ONNX_FILE

PRODUCTION_MODEL = "fvi_production"
STATUS_MODEL = "fvi_next_status"
OUTPUT_NAME = "prediction"
STATUSES = ("active", "not_producing", "temporarily_closed", "permanently_closed", "not_listed")
"""The classes of the next status, in the order of the model's output; gold_mine_next_year says what they mean."""


class CompanionMetadata(BaseModel):
    """The description that the ONNX file of a companion carries."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    features: list[str]
    outputs: list[str]
    train_until_year: int
    data_hash: str
    code_version: str
    feature_service: str
    confidence: float | None = None
    """Of the interval, where the model has one."""


class CompanionModel:
    """A loaded companion of any version: features in, one row of numbers out for each mine."""

    def __init__(self, onnx_model: bytes) -> None:
        """Load from bytes.

        Raises:
            ScoringError: the bytes carry no description of a companion.
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.onnx_sha256 = hashlib.sha256(onnx_model).hexdigest()
        self._session = onnxruntime.InferenceSession(onnx_model, options, providers=["CPUExecutionProvider"])
        description = self._session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
        if description is None:
            raise ScoringError("The ONNX file carries no description of a model. Use one that `fvi run` registered.")
        self.metadata = CompanionMetadata.model_validate_json(description)

    @property
    def features(self) -> list[str]:
        """Names of the features, in the order of the columns."""
        return self.metadata.features

    @property
    def input_columns(self) -> list[str]:
        """The columns of the graph's input: the features."""
        return self.metadata.features

    @property
    def outputs(self) -> list[str]:
        """What the columns of a prediction are: low, median, high, or the statuses."""
        return self.metadata.outputs

    def predict(self, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
        """Predictions [n, K] of features [n, F], missing as NaN.

        Raises:
            ScoringError: the number of columns is not the model's, or a value is infinite.
        """
        if inputs.ndim != 2 or inputs.shape[1] != len(self.features):
            raise ScoringError(f"Features must be an array [n, {len(self.features)}], not {list(inputs.shape)}.")
        if np.isinf(inputs).any():
            raise ScoringError("A feature is infinite. Leave it missing (NaN) instead.")
        if not len(inputs):
            return np.empty((0, len(self.outputs)))
        rows = np.ascontiguousarray(inputs, dtype=np.float32)
        return np.asarray(self._session.run([OUTPUT_NAME], {INPUT_NAME: rows})[0], dtype=np.float64)


@dataclass(frozen=True)
class CompanionFiles:
    """What is stored of a companion: the bytes that are served, LightGBM's texts, and the description."""

    onnx_model: bytes
    booster_texts: Sequence[str]
    metadata: CompanionMetadata

    @property
    def onnx_sha256(self) -> str:
        """Hash of the served bytes (hex)."""
        return hashlib.sha256(self.onnx_model).hexdigest()

    def write(self, folder: Path) -> None:
        """Write model.onnx, metadata.json and LightGBM's texts; of several trees model.txt holds all, one below the
        other.
        """
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ONNX_FILE).write_bytes(self.onnx_model)
        (folder / BOOSTER_FILE).write_text("\n".join(self.booster_texts))
        description: dict[str, Any] = {**self.metadata.model_dump(mode="json"), "onnx_sha256": self.onnx_sha256}
        (folder / METADATA_FILE).write_text(json.dumps(description, indent=2, sort_keys=True) + "\n")
