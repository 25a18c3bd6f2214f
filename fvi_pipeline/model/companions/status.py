"""The status of a mine at the end of the next year: a calibrated probability of each class, which sum to one.

The classes are those of gold_mine_next_year. The status of the as-of year itself is no feature: it may have been noted
after the year's end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from fvi_pipeline.model.candidate import Contest, Rival
from fvi_pipeline.model.companions.boosting import (
    BoostingSettings,
    ClassParameters,
    code_version,
    fit_trees,
    margins,
    stopped_rounds,
)
from fvi_pipeline.model.companions.fitted import FittedCompanion
from fvi_pipeline.model.companions.graph import check_parity, to_onnx, tree_node
from fvi_pipeline.model.companions.predictor import (
    OUTPUT_NAME,
    STATUS_MODEL,
    STATUSES,
    CompanionFiles,
    CompanionMetadata,
    CompanionModel,
)
from fvi_pipeline.model.companions.rows import Rows, TimeSplit, last_training_year, make_rows, rows_hash, split_rows
from fvi_pipeline.model.dataset import SplitPolicy
from fvi_pipeline.model.errors import DatasetError

if TYPE_CHECKING:
    import lightgbm

NEXT_STATUS = "status_next"
_CLASS = "status_class"
_TOLERANCE = 1e-5
_FLOOR = 0.001
"""Shared by all classes: no status is impossible, also one that the years of the fit do not have."""
_ROW_WEIGHT = 0.1
"""A row counts for so much in the calibration: mines of one year move together, and the next year has its own shift."""
_SLOPE_DEVIATION = 0.25
_INTERCEPT_DEVIATION = 0.1

Floats = NDArray[np.float64]


class StatusSettings(BaseModel):
    """How the status model is fitted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trees: ClassParameters = ClassParameters(learning_rate=0.05, num_leaves=7, max_bin=255, num_class=len(STATUSES))
    boosting: BoostingSettings = BoostingSettings()


class ClassCalibration(BaseModel):
    """P = softmax(slope * margins + intercepts), with a small floor under each class."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    slope: float = Field(default=1.0, gt=0)
    intercepts: list[float] = [0.0] * len(STATUSES)

    def probabilities(self, margin: Floats) -> Floats:
        """Of margins [n, K]."""
        scaled = self.slope * margin + np.array(self.intercepts)
        powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        return np.asarray((1 - _FLOOR) * powers / powers.sum(axis=1, keepdims=True) + _FLOOR / len(self.intercepts))


@dataclass(frozen=True)
class StatusCandidate(FittedCompanion):
    """A fitted status model with what was measured on it; fulfils `candidate.Candidate`."""

    settings: StatusSettings
    rounds: int
    calibration: ClassCalibration
    rates: Floats

    def parameters(self) -> dict[str, str]:
        """What it was made with."""
        return {
            **{name: str(value) for name, value in self.settings.trees.model_dump().items()},
            "rounds": str(self.rounds),
            "seed": str(self.settings.boosting.seed),
            "slope": str(self.calibration.slope),
            "intercepts": str(self.calibration.intercepts),
            **self.split_parameters(),
        }

    def metrics(self) -> dict[str, float]:
        """What was measured on the test rows."""
        prediction, outcome = self.test_prediction, self.split.test.outcome
        happened = _one_hot(outcome)
        return {
            **self.shared_metrics(self.rivals()),
            **{
                f"calibration_error_{name}": calibration_error(prediction[:, k], happened[:, k])
                for k, name in enumerate(STATUSES)
            },
            **{f"mean_predicted_{name}": float(prediction[:, k].mean()) for k, name in enumerate(STATUSES)},
            **{f"mean_observed_{name}": float(happened[:, k].mean()) for k, name in enumerate(STATUSES)},
        }

    def write_plots(self, folder: Path) -> None:
        """Calibration of each class on the test rows."""
        from fvi_pipeline.model.companions.plots import plot_statuses

        plot_statuses(self.test_prediction, _one_hot(self.split.test.outcome), folder / "statuses.png")

    def contest(self) -> Contest:
        """Versions are compared by their log loss, and each class is calibrated."""
        return Contest(losses={"log loss": _log_loss}, probabilities=True)

    def rivals(self) -> list[Rival]:
        """The shares of the classes until T, and for the Brier score that every mine stays active as it is."""
        own, outcome = self.test_prediction, self.split.test.outcome
        rates = np.tile(self.rates, (len(outcome), 1))
        stays = np.tile(np.eye(len(STATUSES))[STATUSES.index("active")], (len(outcome), 1))
        return [
            Rival(
                "log loss", "the base rates", float(_log_loss(own, outcome).mean()), _mean(_log_loss(rates, outcome))
            ),
            Rival("Brier score", "the status staying", _mean(_brier(own, outcome)), _mean(_brier(stays, outcome))),
        ]


def train_status(
    frame: pl.DataFrame,
    feature_names: Sequence[str],
    *,
    feature_service: str,
    settings: StatusSettings | None = None,
    policy: SplitPolicy | None = None,
    train_until_year: int | None = None,
) -> StatusCandidate:
    """Fit, export and test a model of the next status.

    Args:
        frame: as `rows.next_year_frame` joins it, with status_next; rows without one are not learned from.
        feature_names: the features in the order of the model.
        feature_service: name of the feature service that the features came from, for the lineage.
        settings: parameters and seed; the defaults when None.
        policy: how the years are split; the defaults when None.
        train_until_year: T; None: the last outcome year less the policy's test years.

    Raises:
        DatasetError: the frame cannot be used; the message says why.
    """
    settings, policy, names = settings or StatusSettings(), policy or SplitPolicy(), list(feature_names)
    strange = sorted(set(frame[NEXT_STATUS].drop_nulls().unique()) - set(STATUSES))
    if strange:
        raise DatasetError(f"The next statuses {strange} are not among {list(STATUSES)}.")
    numbers = {status: float(number) for number, status in enumerate(STATUSES)}
    classes = pl.col(NEXT_STATUS).replace_strict(numbers, default=None, return_dtype=pl.Float64)
    rows = make_rows(frame.with_columns(classes.alias(_CLASS)), names, _CLASS)
    split = split_rows(rows, policy, last_training_year(rows, policy, train_until_year))
    _, rounds = stopped_rounds(split.tuning_fit, split.stopping, names, settings.trees, settings.boosting)
    calibration = _calibrate(rows, split, names, rounds, settings)
    booster = fit_trees(split.final_fit, names, settings.trees, rounds, settings.boosting)
    metadata = CompanionMetadata(
        name=STATUS_MODEL,
        features=names,
        outputs=list(STATUSES),
        train_until_year=split.train_until_year,
        data_hash=rows_hash(rows, names, NEXT_STATUS),
        code_version=code_version(),
        feature_service=feature_service,
    )
    onnx_model = _graph(booster, calibration, metadata)
    model = CompanionModel(onnx_model)
    return StatusCandidate(
        files=CompanionFiles(onnx_model, [booster.model_to_string()], metadata),
        split=split,
        settings=settings,
        rounds=rounds,
        calibration=calibration,
        parity=check_parity(
            model.predict,
            lambda features: calibration.probabilities(margins(booster, features)),
            [booster],
            split.test.features,
            _TOLERANCE,
        ),
        # one more of each class than there were, so that none is impossible
        rates=(_one_hot(split.final_fit.outcome).sum(axis=0) + 1) / (len(split.final_fit) + len(STATUSES)),
    )


def fit_calibration(margin: Floats, outcome: Floats) -> ClassCalibration:
    """The slope and the intercepts of least log loss on rows that their fit has not seen, drawn towards no correction.

    Args:
        margin: of the trees [n, K].
        outcome: numbers of the classes that came [n].
    """
    from scipy.optimize import minimize

    classes = margin.shape[1]
    happened = np.eye(classes)[outcome.astype(int)]
    precision = np.array([_SLOPE_DEVIATION**-2, *[_INTERCEPT_DEVIATION**-2] * classes])
    expected = np.array([1.0, *[0.0] * classes])

    def loss(parameters: Floats) -> tuple[float, Floats]:
        scaled = parameters[0] * margin + parameters[1:]
        scaled = scaled - scaled.max(axis=1, keepdims=True)
        logarithm = np.log(np.exp(scaled).sum(axis=1, keepdims=True))
        error = np.exp(scaled - logarithm) - happened
        prior = parameters - expected
        value = -_ROW_WEIGHT * ((scaled - logarithm) * happened).sum() + (precision * prior**2).sum() / 2
        gradient = _ROW_WEIGHT * np.array([(error * margin).sum(), *error.sum(axis=0)]) + precision * prior
        return float(value), gradient

    bounds = [(0.05, 20.0), *[(None, None)] * classes]
    found = minimize(loss, expected, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-14, "gtol": 1e-8})
    # rounded, so that the last bits of a library's sums are not in the served bytes
    slope, *intercepts = (np.round(found.x, 6) + 0.0).tolist()
    return ClassCalibration(slope=slope, intercepts=intercepts)


def calibration_error(probability: Floats, happened: Floats, bins: int = 10) -> float:
    """Expected calibration error of one class, in bins of equal size."""
    parts = np.array_split(np.argsort(probability, kind="stable"), bins)
    gaps = [abs(float(probability[part].sum() - happened[part].sum())) for part in parts]
    return sum(gaps) / max(len(probability), 1)


def _calibrate(
    rows: Rows, split: TimeSplit, names: list[str], rounds: int, settings: StatusSettings
) -> ClassCalibration:
    # each as-of year before T is predicted by a fit on the outcomes known then
    predicted, outcomes = [], []
    for origin in range(split.tuning_until_year, split.train_until_year):
        known, later = rows.until(origin), rows.where(pl.col("as_of_year") == origin)
        if len(known) and len(later):
            booster = fit_trees(known, names, settings.trees, rounds, settings.boosting)
            predicted.append(margins(booster, later.features))
            outcomes.append(later.outcome)
    return fit_calibration(np.concatenate(predicted), np.concatenate(outcomes))


def _graph(booster: lightgbm.Booster, calibration: ClassCalibration, metadata: CompanionMetadata) -> bytes:
    from onnx import TensorProto
    from onnx.helper import make_node

    nodes = [
        tree_node(booster, "margins"),
        make_node("Cast", ["margins"], ["margins_double"], to=TensorProto.DOUBLE),
        make_node("Mul", ["margins_double", "slope"], ["sloped"]),
        make_node("Add", ["sloped", "intercepts"], ["log_odds"]),
        make_node("Softmax", ["log_odds"], ["shares"], axis=1),
        make_node("Mul", ["shares", "above_floor"], ["shrunk"]),
        make_node("Add", ["shrunk", "floor"], [OUTPUT_NAME]),
    ]
    constants = {
        "slope": np.array(calibration.slope, dtype=np.float64),
        "intercepts": np.array(calibration.intercepts, dtype=np.float64),
        "above_floor": np.array(1 - _FLOOR, dtype=np.float64),
        "floor": np.array(_FLOOR / len(STATUSES), dtype=np.float64),
    }
    return to_onnx(nodes, constants, metadata)


def _one_hot(outcome: Floats) -> Floats:
    return np.asarray(np.eye(len(STATUSES))[outcome.astype(int)])


def _log_loss(prediction: Floats, outcome: NDArray[np.floating] | NDArray[np.integer]) -> Floats:
    return np.asarray(-np.log(prediction[np.arange(len(outcome)), outcome.astype(int)]))


def _brier(prediction: Floats, outcome: Floats) -> Floats:
    return np.asarray(((prediction - _one_hot(outcome)) ** 2).sum(axis=1))


def _mean(losses: Floats) -> float:
    return float(losses.mean())
