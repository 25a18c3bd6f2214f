"""What the registry and the gate need of any model, whatever it predicts: its files, where they came from, its test
rows, and what a contest between two of its versions is decided by.

Fitting and measuring belong to the models themselves, deciding to `gate`, storing to `registry`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fvi_pipeline.model.onnx_export import ParityReport

Prediction = NDArray[np.float64]
"""Of n rows: one number each [n], or several [n, K]."""
Outcome = NDArray[Any]
RowLoss = Callable[[Prediction, Outcome], NDArray[np.floating[Any]]]
"""(predictions, outcomes [n]) -> the loss of each row [n], lower being better."""


class CandidateFiles(Protocol):
    """The files of one version: model.onnx, which is served, and what lies beside it."""

    @property
    def onnx_model(self) -> bytes:
        """The bytes that are served."""

    @property
    def onnx_sha256(self) -> str:
        """Their hash (hex); a version is told from others by it."""

    def write(self, folder: Path) -> None:
        """Write model.onnx, model.txt, metadata.json and what else there is into `folder`."""


class Predictor(Protocol):
    """A loaded version, of this candidate or an earlier one."""

    @property
    def features(self) -> Sequence[str]:
        """The features that it reads."""

    @property
    def input_columns(self) -> Sequence[str]:
        """The columns of its input, in order."""

    def predict(self, inputs: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
        """Predictions of the rows of `inputs` [n, C]."""


@dataclass(frozen=True)
class TestRows:
    """The rows that a candidate was tested on; no outcome of theirs was seen in its fit.

    `groups` are what must not be mixed when ranking and calibration are measured: the horizon, where there are several.
    """

    __test__ = False  # for pytest

    inputs: NDArray[np.float32]
    columns: Sequence[str]
    mine_ids: Sequence[str]
    groups: NDArray[np.int64]
    outcome: Outcome
    group_name: str = "horizon"

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.outcome)

    def columns_of(self, names: Sequence[str]) -> NDArray[np.float32] | None:
        """The inputs [n, len(names)] of a model with these columns; None if the rows lack one."""
        if not set(names) <= set(self.columns):
            return None
        order = [list(self.columns).index(name) for name in names]
        return np.ascontiguousarray(self.inputs[:, order])


@dataclass(frozen=True)
class Contest:
    """What two versions of one model are compared by on the same rows."""

    losses: Mapping[str, RowLoss]
    """Named as in a sentence ("Brier score"). Worse in one of them, beyond the noise, is refused."""
    probabilities: bool = False
    """Predictions are P(outcome = 1) [n], ranked and calibrated, or P(outcome = k) [n, K], calibrated."""
    covered: RowLoss | None = None
    """1 where the prediction's interval holds the outcome, else 0."""
    nominal_coverage: float | None = None
    minimum_rows: int = 1000
    """Calibration and coverage of a group with fewer test rows than this are measured and bind nobody."""


@dataclass(frozen=True)
class Rival:
    """A simple way of predicting that a candidate has to beat on its test rows, in one measure.

    Where `prediction` is given, few test rows do not count against the candidate: it is refused only where the rival is
    better beyond the noise. The measure is then AUC or one of the contest's losses.
    """

    measure: str
    rival: str
    own: float
    rivals: float
    higher_is_better: bool = False
    prediction: Prediction | None = None
    """The rival's, of the test rows."""

    @property
    def beaten(self) -> bool:
        """Whether the candidate is strictly better; what could not be measured (NaN) is not."""
        return self.own > self.rivals if self.higher_is_better else self.own < self.rivals


class Candidate(Protocol):
    """A fitted model with what was measured on it, ready to be registered and judged."""

    @property
    def name(self) -> str:
        """Of the registered model, such as fvi_viability."""

    @property
    def files(self) -> CandidateFiles:
        """What is stored."""

    @property
    def features(self) -> Sequence[str]:
        """The features that it reads; a successor may not lack one."""

    @property
    def input_columns(self) -> Sequence[str]:
        """The columns of the ONNX input in order: the features and what is appended to them."""

    @property
    def parity(self) -> ParityReport:
        """ONNX beside LightGBM."""

    def tags(self) -> Mapping[str, str]:
        """Where it came from: data_hash, code_version, feature_service and train_until_year at least."""

    def parameters(self) -> Mapping[str, str]:
        """What it was made with."""

    def metrics(self) -> Mapping[str, float]:
        """What was measured."""

    def write_plots(self, folder: Path) -> None:
        """Write pictures for the registry; none is as good."""

    def test_rows(self) -> TestRows:
        """The rows that it is judged on."""

    def predictor(self, onnx_model: bytes) -> Predictor:
        """Any version of this model from its bytes, its own included."""

    def contest(self) -> Contest:
        """What its versions are compared by."""

    def rivals(self) -> Sequence[Rival]:
        """What it has to beat to be of any use, champion or not."""


REQUIRED_TAGS = ("data_hash", "code_version", "feature_service", "train_until_year")
