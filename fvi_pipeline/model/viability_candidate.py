"""The viability model as registry and gate see it: a challenger behind `candidate.Candidate`, any version's bytes
behind `candidate.Predictor`.

How it is fitted and measured is in `challenger`; what it is judged by, here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fvi_pipeline.model.candidate import Contest, Outcome, Prediction, Rival, TestRows
from fvi_pipeline.model.challenger import Challenger
from fvi_pipeline.model.onnx_export import ParityReport
from fvi_pipeline.model.scoring import MODEL_NAME, ModelFiles, ViabilityModel


@dataclass(frozen=True)
class ViabilityPredictor:
    """P(viable) of rows whose last column is the horizon."""

    model: ViabilityModel

    @property
    def features(self) -> Sequence[str]:
        """The features that it reads."""
        return self.model.features

    @property
    def input_columns(self) -> Sequence[str]:
        """The features and, last, the horizon."""
        return self.model.metadata.columns

    def predict(self, inputs: NDArray[np.float32]) -> Prediction:
        """P(viable) [n] of inputs [n, F + 1]."""
        return self.model.probabilities_by_row(inputs[:, :-1], inputs[:, -1].astype(np.int64))


@dataclass(frozen=True)
class ViabilityCandidate:
    """A challenger, ready to be registered and judged."""

    challenger: Challenger

    @property
    def name(self) -> str:
        """Of the registered model."""
        return MODEL_NAME

    @property
    def files(self) -> ModelFiles:
        """What is stored."""
        return self.challenger.files

    @property
    def features(self) -> Sequence[str]:
        """The features that it reads."""
        return self.challenger.files.metadata.features

    @property
    def input_columns(self) -> Sequence[str]:
        """The features and, last, the horizon."""
        return self.challenger.files.metadata.columns

    @property
    def parity(self) -> ParityReport:
        """ONNX beside LightGBM and its calibration."""
        return self.challenger.parity

    def tags(self) -> Mapping[str, str]:
        """Where it came from."""
        metadata = self.challenger.files.metadata
        return {
            "data_hash": metadata.data_hash,
            "feature_service": metadata.feature_service,
            "train_until_year": str(metadata.train_until_year),
            "code_version": metadata.code_version,
        }

    def parameters(self) -> Mapping[str, str]:
        """What it was made with."""
        return self.challenger.parameters()

    def metrics(self) -> Mapping[str, float]:
        """What was measured."""
        return self.challenger.metrics()

    def write_plots(self, folder: Path) -> None:
        """Calibration and importance."""
        from fvi_pipeline.model.plots import write_plots

        write_plots(self.challenger, folder)

    def test_rows(self) -> TestRows:
        """The as-of years after T."""
        test = self.challenger.split.test
        return TestRows(
            inputs=test.features,
            columns=self.input_columns,
            mine_ids=test.keys["mine_id"].to_list(),
            groups=test.horizon_years,
            outcome=test.viable,
        )

    def predictor(self, onnx_model: bytes) -> ViabilityPredictor:
        """Any version of the model."""
        return ViabilityPredictor(ViabilityModel(onnx_model))

    def contest(self) -> Contest:
        """Brier score, ranking and calibration at each horizon."""
        return Contest(losses={"Brier score": _squared_error}, probabilities=True)

    def rivals(self) -> Sequence[Rival]:
        """The share of the training years, and production alone."""
        measured = self.challenger.evaluation
        return [
            Rival("Brier score", "the training rate", measured.brier, measured.base_rate_brier),
            Rival(
                "AUC",
                "production alone",
                _or_nan(measured.auc),
                _or_nan(measured.size_auc),
                higher_is_better=True,
                prediction=self.challenger.test_size,
            ),
        ]


def _squared_error(prediction: Prediction, outcome: Outcome) -> NDArray[np.float64]:
    return np.asarray((prediction - outcome) ** 2, dtype=np.float64)


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value
