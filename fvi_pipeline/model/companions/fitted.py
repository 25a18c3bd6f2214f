"""What the fitted companions share as candidates for the registry and the gate.

What each predicts, and what it is judged by, belongs to the companion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fvi_pipeline.model.candidate import Rival, TestRows
from fvi_pipeline.model.companions.predictor import CompanionFiles, CompanionModel
from fvi_pipeline.model.companions.rows import TimeSplit
from fvi_pipeline.model.onnx_export import ParityReport


@dataclass(frozen=True)
class FittedCompanion:
    """A companion as it came from its training: its files, the rows it was made from and tested on, its parity."""

    files: CompanionFiles
    split: TimeSplit
    parity: ParityReport

    @property
    def name(self) -> str:
        """Of the registered model."""
        return self.files.metadata.name

    @property
    def features(self) -> Sequence[str]:
        """The features that it reads."""
        return self.files.metadata.features

    @property
    def input_columns(self) -> Sequence[str]:
        """The columns of the ONNX input: the features."""
        return self.files.metadata.features

    @cached_property
    def test_prediction(self) -> NDArray[np.float64]:
        """What the served bytes predict for the test rows [n, K]."""
        return CompanionModel(self.files.onnx_model).predict(self.split.test.features)

    def tags(self) -> dict[str, str]:
        """Where it came from."""
        described = self.files.metadata
        return {
            "data_hash": described.data_hash,
            "code_version": described.code_version,
            "feature_service": described.feature_service,
            "train_until_year": str(described.train_until_year),
        }

    def test_rows(self) -> TestRows:
        """The test rows, in one group."""
        test = self.split.test
        return TestRows(
            inputs=test.features,
            columns=self.input_columns,
            mine_ids=test.keys["mine_id"].to_list(),
            groups=np.zeros(len(test), dtype=np.int64),
            outcome=test.outcome,
        )

    def predictor(self, onnx_model: bytes) -> CompanionModel:
        """Any version from its bytes."""
        return CompanionModel(onnx_model)

    def split_parameters(self) -> dict[str, str]:
        """The years and the rows of the split, for the run's parameters."""
        return {
            "train_until_year": str(self.split.train_until_year),
            "tuning_until_year": str(self.split.tuning_until_year),
            **{f"rows_{name}": str(count) for name, count in self.split.counts().items()},
        }

    def shared_metrics(self, rivals: Sequence[Rival]) -> dict[str, float]:
        """The measures beside those of the rivals, and parity."""
        return {
            **{_key(rival.measure): rival.own for rival in rivals},
            **{_key(f"{rival.measure} {rival.rival}"): rival.rivals for rival in rivals},
            **{f"parity_{name}": float(value) for name, value in self.parity.as_dict().items()},
        }


def _key(words: str) -> str:
    return words.lower().replace("'", "").replace(" ", "_")
