"""The model as it is served: ONNX bytes with their description, from probabilities to scores, intervals and
reasons.

The batch scores and the HTTP service both score through `ViabilityModel`, so that they agree. Imports stay
light: ONNX Runtime when a model is loaded, LightGBM only when reasons are asked for. Registries and tables
do not belong here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from fvi_pipeline.model.calibration import Calibration
from fvi_pipeline.model.errors import ScoringError
from fvi_pipeline.model.intervals import IntervalTable

if TYPE_CHECKING:
    import lightgbm

MODEL_NAME = "fvi_viability"
INPUT_NAME = "features"
METADATA_KEY = "fvi"
ONNX_FILE = "model.onnx"
BOOSTER_FILE = "model.txt"
METADATA_FILE = "metadata.json"


class ModelMetadata(BaseModel):
    """The description that the ONNX file carries: what goes in, where it came from, calibration and intervals."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = MODEL_NAME
    features: list[str]
    horizons: list[int]
    train_until_year: int
    data_hash: str
    code_version: str
    feature_service: str
    calibration: Calibration = Calibration()
    """As the graph has it; versions from before it have none."""
    intervals: IntervalTable

    @property
    def columns(self) -> list[str]:
        """The columns of the input: the features and, last, the horizon."""
        return [*self.features, "horizon_years"]


@dataclass(frozen=True)
class Score:
    """One score: probability and interval in 0–1; `fvi_score` and its interval are 100 times these."""

    horizon_years: int
    viability_probability: float
    interval_low: float
    interval_high: float

    @property
    def fvi_score(self) -> float:
        """100 × P(viable)."""
        return 100.0 * self.viability_probability


@dataclass(frozen=True)
class Contribution:
    """What one feature adds to the log-odds of viability for one mine and horizon; value None: missing."""

    feature: str
    value: float | None
    contribution: float


@dataclass(frozen=True)
class Explanation:
    """What each feature adds to the log-odds of viability at one horizon: base [n] + the sum of a row of
    contributions [n, F] is the log-odds of the served probability.
    """

    contributions: NDArray[np.float64]
    base: NDArray[np.float64]


class OnnxClassifier:
    """ONNX bytes of a binary classifier in a session of ONNX Runtime with one thread."""

    def __init__(self, onnx_model: bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(onnx_model, options, providers=["CPUExecutionProvider"])
        self._output = self._session.get_outputs()[1].name

    def probabilities(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """P(viable) [n] of float32 features [n, F + 1]."""
        if not len(features):
            return np.empty(0)
        output = self._session.run([self._output], {INPUT_NAME: np.ascontiguousarray(features, dtype=np.float32)})[0]
        return np.asarray(output, dtype=np.float64)[:, 1]

    @property
    def properties(self) -> dict[str, str]:
        """The entries of the file's `metadata_props`."""
        return dict(self._session.get_modelmeta().custom_metadata_map)


class ViabilityModel:
    """A loaded model: probabilities, scores with intervals, and the features that matter most for a mine."""

    def __init__(self, onnx_model: bytes, booster_text: str | None = None) -> None:
        """Load from bytes; `booster_text` (LightGBM) is needed for contributions only.

        Raises:
            ScoringError: the bytes carry no description of the model.
        """
        self.onnx_sha256 = hashlib.sha256(onnx_model).hexdigest()
        self._classifier = OnnxClassifier(onnx_model)
        self._booster_text = booster_text
        description = self._classifier.properties.get(METADATA_KEY)
        if description is None:
            raise ScoringError(
                "The ONNX file carries no description of an FVI model. Use a model that `fvi run` registered."
            )
        self.metadata = ModelMetadata.model_validate_json(description)

    @classmethod
    def load(cls, folder: Path) -> ViabilityModel:
        """Load from a folder that `ModelFiles.write` made; without model.txt there are no contributions."""
        booster = folder / BOOSTER_FILE
        return cls((folder / ONNX_FILE).read_bytes(), booster.read_text() if booster.exists() else None)

    @property
    def features(self) -> list[str]:
        """Names of the features, in the order of the columns."""
        return self.metadata.features

    @property
    def horizons(self) -> list[int]:
        """The horizons in years that the model answers for, ascending."""
        return self.metadata.horizons

    def probabilities(self, features: NDArray[np.float32], horizon_years: int) -> NDArray[np.float64]:
        """P(viable) [n] at one horizon; features float32 [n, F] in the order of `features`, missing as NaN.

        Raises:
            ScoringError: the number of columns or the horizon is not the model's, or a value is infinite.
        """
        return self._classifier.probabilities(self.with_horizon(features, horizon_years))

    def probabilities_by_row(
        self, features: NDArray[np.float32], horizon_years: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """P(viable) [n] of features [n, F], each row at its own horizon [n]."""
        probability = np.empty(len(features))
        for horizon in np.unique(horizon_years):
            rows = horizon_years == horizon
            probability[rows] = self.probabilities(features[rows], int(horizon))
        return probability

    def score(self, features: NDArray[np.float32]) -> list[list[Score]]:
        """For each of n mines (features float32 [n, F]) its scores at every horizon, shortest first."""
        by_horizon = [self.probabilities(features, horizon).tolist() for horizon in self.horizons]
        return [self._scores_of_mine(row, self.horizons) for row in zip(*by_horizon, strict=True)]

    def score_at(self, features: NDArray[np.float32], horizon_years: int) -> list[Score]:
        """The scores of n mines (features float32 [n, F]) at one horizon: those of `score`, with less work."""
        intervals = self.metadata.intervals
        # a horizon that nothing was measured for takes its upper limit from the shorter ones
        shorter = [] if intervals.is_measured(horizon_years) else [h for h in self.horizons if intervals.is_measured(h)]
        horizons = [*(h for h in shorter if h < horizon_years), horizon_years]
        by_horizon = [self.probabilities(features, horizon).tolist() for horizon in horizons]
        return [self._scores_of_mine(row, horizons)[-1] for row in zip(*by_horizon, strict=True)]

    @cached_property
    def training_ranges(self) -> dict[str, tuple[float, float]]:
        """Least and greatest value of each feature that the trees were grown on; without those of one value only.

        Raises:
            ScoringError: the model was loaded without its LightGBM text.
        """
        if self._booster_text is None:
            raise ScoringError("The model was loaded without model.txt, which has the ranges of its features.")
        told = next(line for line in self._booster_text.splitlines() if line.startswith("feature_infos="))
        infos = told.removeprefix("feature_infos=").split(" ")
        return {
            name: (float(low), float(high))
            for name, info in zip(self.metadata.columns, infos, strict=True)
            if name in set(self.features) and info.startswith("[")
            for low, _, high in [info.strip("[]").partition(":")]
        }

    def interval(self, probability: float, horizon_years: int) -> tuple[float, float]:
        """Low and high in 0–1 around a probability of the model; (0, 1) where nothing was measured for the
        horizon.
        """
        return self.metadata.intervals.interval(probability, horizon_years)

    def top_contributions(self, row: NDArray[np.float32], horizon_years: int, k: int = 5) -> list[Contribution]:
        """The k features that move one mine's log-odds most; `row` is float32 [F]."""
        return self.contributions(row.reshape(1, -1), horizon_years, k)[0]

    def explain(self, features: NDArray[np.float32], horizon_years: int) -> Explanation:
        """The contribution (TreeSHAP) of every feature for n mines (features float32 [n, F]) at one horizon.

        The base is what the calibration makes of the margin without the features: it holds what the horizon itself
        contributes, which is the same question for every mine. The calibration is not one line, so all contributions of
        a row are scaled by the slope between that and the row's margin.

        Raises:
            ScoringError: the model was loaded without its LightGBM text.
        """
        matrix = self.with_horizon(features, horizon_years)
        count, calibration = len(self.features), self.metadata.calibration
        if not len(matrix):
            return Explanation(np.empty((0, count)), np.empty(0))
        shares = np.asarray(self._booster.predict(matrix, pred_contrib=True, num_threads=1), dtype=np.float64)
        base, margin = shares[:, count:].sum(axis=1), shares.sum(axis=1)
        at_horizon = np.full(len(matrix), horizon_years)
        calibrated_base = calibration.log_odds(base, at_horizon)
        apart = np.abs(margin - base) > 1e-9
        rise = calibration.log_odds(margin, at_horizon) - calibrated_base
        scale = np.where(apart, rise / np.where(apart, margin - base, 1.0), calibration.slope)
        return Explanation(shares[:, :count] * scale[:, None], calibrated_base)

    def contributions(self, features: NDArray[np.float32], horizon_years: int, k: int = 5) -> list[list[Contribution]]:
        """For each of n mines the k largest contributions, largest in absolute value first; see `explain`."""
        contributions = self.explain(features, horizon_years).contributions
        order = np.argsort(-np.abs(contributions), axis=1, kind="stable")[:, :k]
        return [
            [
                Contribution(
                    feature=self.features[column],
                    value=None if np.isnan(features[row, column]) else float(features[row, column]),
                    contribution=float(contributions[row, column]),
                )
                for column in columns
            ]
            for row, columns in enumerate(order)
        ]

    def with_horizon(self, features: NDArray[np.float32], horizon_years: int) -> NDArray[np.float32]:
        """The input [n, F + 1] of the trees for features [n, F] at one horizon."""
        if horizon_years not in self.horizons:
            raise ScoringError(f"The model has no horizon of {horizon_years} years. Ask for one of {self.horizons}.")
        if features.ndim != 2 or features.shape[1] != len(self.features):
            raise ScoringError(f"Features must be an array [n, {len(self.features)}], not {list(features.shape)}.")
        if np.isinf(features).any():
            raise ScoringError("A feature is infinite. Leave it missing (NaN) instead.")
        horizon = np.full((len(features), 1), horizon_years, dtype=np.float32)
        return np.hstack([features.astype(np.float32, copy=False), horizon])

    @cached_property
    def _booster(self) -> lightgbm.Booster:
        import lightgbm

        if self._booster_text is None:
            raise ScoringError("The model was loaded without model.txt, which the reasons are computed from.")
        return lightgbm.Booster(model_str=self._booster_text)

    def _scores_of_mine(self, probabilities: Sequence[float], horizons: Sequence[int]) -> list[Score]:
        scores: list[Score] = []
        ceiling = 1.0
        for horizon, probability in zip(horizons, probabilities, strict=True):
            low, high = self.interval(probability, horizon)
            if self.metadata.intervals.is_measured(horizon):
                ceiling = min(ceiling, high)
            else:
                # nothing measured this far out, but viability never rises with the horizon
                high = max(min(high, ceiling), probability)
            scores.append(Score(horizon, probability, low, high))
        return scores


@dataclass(frozen=True)
class ModelFiles:
    """The three files of a model: what is served, what explains it, and its description for people."""

    onnx_model: bytes
    booster_text: str
    metadata: ModelMetadata

    @property
    def onnx_sha256(self) -> str:
        """Hash of the served bytes (hex)."""
        return hashlib.sha256(self.onnx_model).hexdigest()

    def model(self) -> ViabilityModel:
        """The model that these files hold."""
        return ViabilityModel(self.onnx_model, self.booster_text)

    def write(self, folder: Path) -> None:
        """Write model.onnx, model.txt and metadata.json into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ONNX_FILE).write_bytes(self.onnx_model)
        (folder / BOOSTER_FILE).write_text(self.booster_text)
        description: dict[str, Any] = {
            **self.metadata.model_dump(mode="json"),
            "onnx_sha256": self.onnx_sha256,
        }
        (folder / METADATA_FILE).write_text(json.dumps(description, indent=2, sort_keys=True) + "\n")
