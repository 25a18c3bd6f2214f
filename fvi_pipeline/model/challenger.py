"""One training from frame to challenger: split, trials, intervals, final fit, ONNX, parity, test. No store,
no registry.

The order is the protocol: trials and intervals see outcomes up to T only, and the test is predicted by the
ONNX bytes that would be served.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import polars as pl

from fvi_pipeline.model.dataset import (
    HORIZON,
    Part,
    Split,
    SplitPolicy,
    data_hash,
    fit_rows,
    make_dataset,
    split_by_time,
)
from fvi_pipeline.model.errors import DatasetError
from fvi_pipeline.model.evaluation import Evaluation, evaluate, predictions_frame
from fvi_pipeline.model.intervals import FloatVector, IntervalTable, fit_intervals
from fvi_pipeline.model.onnx_export import ParityReport, check_parity, to_onnx
from fvi_pipeline.model.scoring import ModelFiles, ModelMetadata
from fvi_pipeline.model.training import TrainingSettings, Tuned, fit, tune

if TYPE_CHECKING:
    import lightgbm

HORIZONS = (1, 2, 3, 5, 10, 20)
_SHAPING_MODULES = ("challenger", "dataset", "intervals", "onnx_export", "scoring", "training")


@dataclass(frozen=True)
class Challenger:
    """A fitted model with everything that was measured on it."""

    files: ModelFiles
    split: Split
    tuned: Tuned
    parity: ParityReport
    evaluation: Evaluation
    test_probability: FloatVector
    interval_coverage: dict[int, tuple[int, int]]
    importance: dict[str, float]

    def backtest_predictions(self) -> pl.DataFrame:
        """Rows for mart.backtest_predictions."""
        return predictions_frame(self.split.test, self.test_probability, self.split.train_until_year)

    def parameters(self) -> dict[str, str]:
        """What the model was made with, for the run's parameters."""
        counted = ("tuning_fit", "stopping", "calibration", "final_fit", "test")
        return {
            **{name: str(value) for name, value in self.tuned.parameters.model_dump().items()},
            "rounds": str(self.tuned.rounds),
            "trials": str(self.tuned.trials),
            "train_until_year": str(self.split.train_until_year),
            "tuning_until_year": str(self.split.tuning_until_year),
            **{f"rows_{name}": str(len(getattr(self.split, name))) for name in counted},
            "untested_horizons": str(self.evaluation.untested_horizons),
        }

    def metrics(self) -> dict[str, float]:
        """What was measured, as flat numbers."""
        covered = sum(inside for inside, _ in self.interval_coverage.values())
        bins = sum(total for _, total in self.interval_coverage.values())
        by_horizon = {
            f"interval_coverage_h{h}": inside / total for h, (inside, total) in self.interval_coverage.items()
        }
        return {
            **self.evaluation.as_metrics(),
            **{f"parity_{name}": float(value) for name, value in self.parity.as_dict().items()},
            **by_horizon,
            **({"interval_coverage": covered / bins} if bins else {}),
            "stopping_log_loss": self.tuned.stopping_log_loss,
        }


def train_challenger(
    frame: pl.DataFrame | pd.DataFrame,
    feature_names: Sequence[str],
    *,
    size_feature: str,
    feature_service: str,
    storage_url: str | None = None,
    settings: TrainingSettings | None = None,
    policy: SplitPolicy | None = None,
    train_until_year: int | None = None,
    horizons: Sequence[int] = HORIZONS,
) -> Challenger:
    """Train, export and test one model.

    Args:
        frame: see `dataset.make_dataset`; rows of other horizons than `horizons` are refused.
        feature_names: the features in the order of the model.
        size_feature: the feature that ranks mines by production (any rising function of it), for the
            size-only rival.
        feature_service: name of the feature service that the features came from, for the lineage.
        storage_url: SQLAlchemy URL of Optuna's storage; None: in memory.
        settings: seed and search; the defaults when None.
        policy: how the years are split; the defaults when None.
        train_until_year: T; None: the last outcome year less the policy's test years.
        horizons: the horizons in years that the model answers for.

    Raises:
        DatasetError: the frame cannot be used; the message says why.
    """
    settings, policy = settings or TrainingSettings(), policy or SplitPolicy()
    names = list(feature_names)
    if size_feature not in names:
        raise DatasetError(
            f"The size feature {size_feature} is not among the features. Name one that ranks by production."
        )
    dataset = make_dataset(frame, names)
    strange = sorted(set(dataset.horizons) - set(horizons))
    if strange:
        raise DatasetError(f"The frame has rows with horizons {strange}, which the model is not made for. Drop them.")
    split = split_by_time(dataset, policy, train_until_year)
    lineage = data_hash(dataset, names)
    tuned = tune(split, names, settings, storage_url=storage_url, lineage=f"{lineage} {code_version()}")
    intervals = _calibrate(dataset, split, policy, tuned, names, settings, horizons)
    booster = fit(split.final_fit, names, tuned.parameters, tuned.rounds, settings)
    metadata = ModelMetadata(
        features=names,
        horizons=sorted(horizons),
        train_until_year=split.train_until_year,
        data_hash=lineage,
        code_version=code_version(),
        feature_service=feature_service,
        intervals=intervals,
    )
    files = ModelFiles(to_onnx(booster, metadata), booster.model_to_string(), metadata)
    return _examine(files, booster, split, tuned, dataset, size_column=names.index(size_feature))


@lru_cache(maxsize=1)
def code_version() -> str:
    """Short hash of the modules and libraries that shape a model: the same code gives the same value."""
    digest = hashlib.sha256()
    for module in _SHAPING_MODULES:
        digest.update((Path(__file__).parent / f"{module}.py").read_bytes())
    for library in ("lightgbm", "numpy", "onnxmltools", "optuna"):
        digest.update(f"{library}=={version(library)}".encode())
    return digest.hexdigest()[:16]


def _calibrate(
    dataset: Part,
    split: Split,
    policy: SplitPolicy,
    tuned: Tuned,
    names: list[str],
    settings: TrainingSettings,
    horizons: Sequence[int],
) -> IntervalTable:
    # The validation years reach horizons up to their number. A longer horizon h is measured from an earlier
    # origin: a fit
    # on outcomes up to T - h predicts the cohort of T - h, whose outcome is that of T; if that fit knows
    # the horizon at all.
    parts = [split.calibration]
    predictions = [_out_of_sample(split.tuning_fit, split.calibration, names, tuned, settings)]
    for horizon in sorted(h for h in horizons if h > policy.validation_years):
        origin = split.train_until_year - horizon
        fit_part = fit_rows(dataset, origin, policy)
        later = dataset.where((pl.col("as_of_year") == origin) & (pl.col(HORIZON) == horizon))
        known = fit_part.viable[fit_part.horizon_years == horizon]
        if len(later) and len(known) >= policy.minimum_comparable_rows and 0 < known.mean() < 1:
            parts.append(later)
            predictions.append(_out_of_sample(fit_part, later, names, tuned, settings))
    return fit_intervals(
        np.concatenate(predictions),
        np.concatenate([part.viable for part in parts]),
        np.concatenate([part.horizon_years for part in parts]),
        np.concatenate([part.keys["as_of_year"].to_numpy() for part in parts]),
    )


def _out_of_sample(
    fit_part: Part, later: Part, names: list[str], tuned: Tuned, settings: TrainingSettings
) -> FloatVector:
    return np.asarray(fit(fit_part, names, tuned.parameters, tuned.rounds, settings).predict(later.features))


def _examine(
    files: ModelFiles, booster: lightgbm.Booster, split: Split, tuned: Tuned, dataset: Part, size_column: int
) -> Challenger:
    model = files.model()
    test = split.test
    probability = model.probabilities_by_row(test.features[:, :-1], test.horizon_years)
    return Challenger(
        files=files,
        split=split,
        tuned=tuned,
        parity=check_parity(files.onnx_model, booster, dataset.features),
        evaluation=evaluate(
            split,
            probability,
            size=test.features[:, size_column].astype(np.float64),
            final_fit_size=split.final_fit.features[:, size_column].astype(np.float64),
            horizons=model.horizons,
        ),
        test_probability=probability,
        interval_coverage=model.metadata.intervals.coverage(probability, test.viable, test.horizon_years),
        importance=dict(
            zip(
                booster.feature_name(),
                booster.feature_importance(importance_type="gain").tolist(),
                strict=True,
            )
        ),
    )
