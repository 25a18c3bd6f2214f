"""One training from frame to challenger: split, trials, calibration, final fit, intervals, ONNX, parity, test.

No store and no registry belong here. The order is the protocol: trials, calibration and intervals see outcomes up to T
only, and the test is predicted by the ONNX bytes that would be served.
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

from fvi_pipeline.model.calibration import fit_calibration
from fvi_pipeline.model.dataset import (
    Part,
    Split,
    SplitPolicy,
    data_hash,
    make_dataset,
    split_by_time,
)
from fvi_pipeline.model.errors import DatasetError
from fvi_pipeline.model.evaluation import Evaluation, evaluate, predictions_frame
from fvi_pipeline.model.forward import predict_forward
from fvi_pipeline.model.intervals import FloatVector, fit_intervals
from fvi_pipeline.model.onnx_export import ParityReport, check_parity, to_onnx
from fvi_pipeline.model.scoring import ModelFiles, ModelMetadata
from fvi_pipeline.model.spread import measure_spread
from fvi_pipeline.model.training import TrainingSettings, Tuned, fit
from fvi_pipeline.model.tuning import Say, tune

if TYPE_CHECKING:
    import lightgbm

HORIZONS = (1, 2, 3, 5, 10, 20)
_SHAPING_MODULES = (
    "calibration",
    "challenger",
    "dataset",
    "forward",
    "intervals",
    "onnx_export",
    "scoring",
    "spread",
    "training",
    "tuning",
)


@dataclass(frozen=True)
class FittedModel:
    """What would be served, the booster that it was made from, the rows, and the search for its parameters."""

    files: ModelFiles
    booster: lightgbm.Booster
    dataset: Part
    split: Split
    settings: TrainingSettings
    tuned: Tuned


@dataclass(frozen=True)
class Challenger:
    """A fitted model with everything that was measured on it."""

    files: ModelFiles
    split: Split
    settings: TrainingSettings
    tuned: Tuned
    parity: ParityReport
    evaluation: Evaluation
    test_probability: FloatVector
    test_size: FloatVector
    """Production of the test rows; -1 where it is missing, which ranks last."""
    interval_coverage: dict[int, tuple[int, int]]
    importance: dict[str, float]

    def backtest_predictions(self) -> pl.DataFrame:
        """Rows for mart.backtest_predictions."""
        return predictions_frame(self.split.test, self.test_probability, self.split.train_until_year)

    def parameters(self) -> dict[str, str]:
        """What the model was made with, for the run's parameters."""
        counted = ("tuning_fit", "stopping", "calibration", "final_fit", "test")
        recipe = ("seed", "fits", "horizon_weights", "earlier_cohort_weight")
        return {
            **{name: str(getattr(self.settings, name)) for name in recipe},
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
    tuning_processes: int = 1,
    say: Say | None = None,
) -> Challenger:
    """Train one model as `fit_model` does, compare its bytes with LightGBM and test them.

    Args:
        frame: as for `fit_model`.
        feature_names: as for `fit_model`.
        size_feature: the feature that ranks mines by production (any rising function of it), for the
            size-only rival.
        feature_service: as for `fit_model`, and so are all others.
        storage_url: of Optuna's storage.
        settings: seed and search.
        policy: how the years are split.
        train_until_year: T.
        horizons: that the model answers for.
        tuning_processes: that search for parameters.
        say: told how the search goes on.

    Raises:
        DatasetError: the frame cannot be used; the message says why.
    """
    names = list(feature_names)
    if size_feature not in names:
        raise DatasetError(
            f"The size feature {size_feature} is not among the features. Name one that ranks by production."
        )
    fitted = fit_model(
        frame,
        names,
        feature_service=feature_service,
        storage_url=storage_url,
        settings=settings,
        policy=policy,
        train_until_year=train_until_year,
        horizons=horizons,
        tuning_processes=tuning_processes,
        say=say,
    )
    return _examine(fitted, size_column=names.index(size_feature))


def fit_model(
    frame: pl.DataFrame | pd.DataFrame,
    feature_names: Sequence[str],
    *,
    feature_service: str,
    storage_url: str | None = None,
    settings: TrainingSettings | None = None,
    policy: SplitPolicy | None = None,
    train_until_year: int | None = None,
    horizons: Sequence[int] = HORIZONS,
    tuning_processes: int = 1,
    say: Say | None = None,
) -> FittedModel:
    """Search, fit, calibrate and export one model from rows with outcomes up to T.

    Args:
        frame: see `dataset.make_dataset`; rows of other horizons than `horizons` are refused.
        feature_names: the features in the order of the model.
        feature_service: name of the feature service that the features came from, for the lineage.
        storage_url: SQLAlchemy URL of Optuna's storage; None: in memory.
        settings: seed and search; the defaults when None.
        policy: how the years are split; the defaults when None.
        train_until_year: T; None: the last outcome year less the policy's test years.
        horizons: the horizons in years that the model answers for.
        tuning_processes: how many processes of this machine search for parameters; the result is the same.
        say: told how the search goes on.

    Raises:
        DatasetError: the frame cannot be used; the message says why.
    """
    settings, policy = settings or TrainingSettings(), policy or SplitPolicy()
    names = list(feature_names)
    dataset = _dataset(frame, names, horizons)
    split = split_by_time(dataset, policy, train_until_year)
    lineage = data_hash(dataset, names)
    tuned = _tune(split, names, settings, lineage, storage_url, tuning_processes, say)
    forward = predict_forward(dataset, split, policy, tuned, names, settings, horizons)
    known = forward.comparable
    calibration = fit_calibration(known.margin, known.viable, known.horizon_years, known.as_of_year, horizons)
    booster = fit(split.final_fit, names, tuned.parameters, tuned.rounds, settings)
    intervals = fit_intervals(
        calibration.log_odds(forward.margin, forward.horizon_years),
        forward.viable,
        forward.horizon_years,
        forward.as_of_year,
        forward.is_comparable,
        measure_spread(dataset, split, booster, calibration, tuned, names, settings, horizons),
    )
    metadata = ModelMetadata(
        features=names,
        horizons=sorted(horizons),
        train_until_year=split.train_until_year,
        data_hash=lineage,
        code_version=code_version(),
        feature_service=feature_service,
        calibration=calibration,
        intervals=intervals,
    )
    files = ModelFiles(to_onnx(booster, metadata), booster.model_to_string(), metadata)
    return FittedModel(files, booster, dataset, split, settings, tuned)


def tune_only(
    frame: pl.DataFrame | pd.DataFrame,
    feature_names: Sequence[str],
    *,
    storage_url: str,
    settings: TrainingSettings,
    processes: int = 1,
    say: Say | None = None,
) -> Tuned:
    """The search of `train_challenger` on the same frame and nothing after it; whoever does it first, the other reads.

    Raises:
        DatasetError: the frame cannot be used; the message says why.
    """
    names = list(feature_names)
    dataset = _dataset(frame, names, HORIZONS)
    split = split_by_time(dataset, SplitPolicy())
    return _tune(split, names, settings, data_hash(dataset, names), storage_url, processes, say)


@lru_cache(maxsize=1)
def code_version() -> str:
    """Short hash of the modules and libraries that shape a model: the same code gives the same value."""
    digest = hashlib.sha256()
    for module in _SHAPING_MODULES:
        digest.update((Path(__file__).parent / f"{module}.py").read_bytes())
    for library in ("lightgbm", "numpy", "onnx", "onnxmltools", "optuna", "scipy"):
        digest.update(f"{library}=={version(library)}".encode())
    return digest.hexdigest()[:16]


def _dataset(frame: pl.DataFrame | pd.DataFrame, names: list[str], horizons: Sequence[int]) -> Part:
    dataset = make_dataset(frame, names)
    strange = sorted(set(dataset.horizons) - set(horizons))
    if strange:
        raise DatasetError(f"The frame has rows with horizons {strange}, which the model is not made for. Drop them.")
    return dataset


def _tune(
    split: Split,
    names: list[str],
    settings: TrainingSettings,
    data: str,
    storage_url: str | None,
    processes: int,
    say: Say | None,
) -> Tuned:
    lineage = f"{data} {code_version()}"
    return tune(split, names, settings, storage_url=storage_url, lineage=lineage, processes=processes, say=say)


def _examine(fitted: FittedModel, size_column: int) -> Challenger:
    files, booster, split = fitted.files, fitted.booster, fitted.split
    model = files.model()
    test = split.test
    probability = model.probabilities_by_row(test.features[:, :-1], test.horizon_years)
    size = test.features[:, size_column].astype(np.float64)
    return Challenger(
        files=files,
        split=split,
        settings=fitted.settings,
        tuned=fitted.tuned,
        parity=check_parity(files.onnx_model, booster, fitted.dataset.features),
        evaluation=evaluate(
            split,
            probability,
            size=size,
            final_fit_size=split.final_fit.features[:, size_column].astype(np.float64),
            horizons=model.horizons,
        ),
        test_probability=probability,
        test_size=np.nan_to_num(size, nan=-1.0),
        interval_coverage=model.metadata.intervals.coverage(
            probability, test.viable, test.horizon_years, test.keys["as_of_year"].to_numpy()
        ),
        importance=dict(
            zip(
                booster.feature_name(),
                booster.feature_importance(importance_type="gain").tolist(),
                strict=True,
            )
        ),
    )
