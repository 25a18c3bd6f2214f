"""Candidates whose predictions are given: the inputs of their test rows hold what each version predicts."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fvi_pipeline.model.candidate import Contest, Prediction, Rival, TestRows
from fvi_pipeline.model.gate_criteria import Champion
from fvi_pipeline.model.onnx_export import ParityReport


@dataclass(frozen=True)
class GivenFiles:
    """Bytes that name the columns of the inputs which hold the predictions."""

    onnx_model: bytes

    @property
    def onnx_sha256(self) -> str:
        return hashlib.sha256(self.onnx_model).hexdigest()

    def write(self, folder: Path) -> None:
        raise NotImplementedError


@dataclass(frozen=True)
class GivenPredictor:
    input_columns: Sequence[str]
    features: Sequence[str] = ("size", "trend")
    milliseconds: float = 0.0

    def predict(self, inputs: NDArray[np.float32]) -> Prediction:
        if self.milliseconds and len(inputs) == 1:
            until = time.thread_time() + self.milliseconds / 1000
            while time.thread_time() < until:
                pass
        given = inputs.astype(np.float64)
        return given[:, 0] if inputs.shape[1] == 1 else given


@dataclass(frozen=True)
class GivenCandidate:
    """Its version is told by `version`; `own` and `champions` are predictions of the same rows, [n] or [n, K]."""

    mine_ids: Sequence[str]
    groups: NDArray[np.int64]
    outcome: NDArray[np.float64]
    own: Prediction
    champions: Prediction
    given_contest: Contest
    given_rivals: Sequence[Rival] = ()
    features: Sequence[str] = ("size", "trend")
    parity: ParityReport = field(default_factory=lambda: ParityReport(1000, 300, 50, 0, 2e-7))
    milliseconds: float = 0.0
    name: str = "fvi_viability"

    @property
    def files(self) -> GivenFiles:
        return GivenFiles(self.own.tobytes())

    @property
    def input_columns(self) -> Sequence[str]:
        return [f"own_{k}" for k in range(np.atleast_2d(self.own.T).shape[0])]

    def tags(self) -> Mapping[str, str]:
        return {}

    def parameters(self) -> Mapping[str, str]:
        return {}

    def metrics(self) -> Mapping[str, float]:
        return {}

    def write_plots(self, folder: Path) -> None:
        raise NotImplementedError

    def test_rows(self) -> TestRows:
        both = np.column_stack([self.own, self.champions]).astype(np.float32)
        columns = [*self.input_columns, *(name.replace("own", "champions") for name in self.input_columns)]
        return TestRows(both, columns, self.mine_ids, self.groups, self.outcome)

    def predictor(self, onnx_model: bytes) -> GivenPredictor:
        return GivenPredictor(self.input_columns, self.features, self.milliseconds)

    def contest(self) -> Contest:
        return self.given_contest

    def rivals(self) -> Sequence[Rival]:
        return self.given_rivals

    def champion(self, milliseconds: float = 0.0) -> Champion:
        """The reigning version, 1, that predicted `champions`."""
        columns = [name.replace("own", "champions") for name in self.input_columns]
        predictor = GivenPredictor(columns, milliseconds=milliseconds)
        return Champion("1", "of another model", predictor.features, predictor)

    def predicting(self, own: Prediction) -> "GivenCandidate":
        """The same with other predictions."""
        return replace(self, own=own)
