"""Next year's production of a mine that still produces: median and interval, as trees of three quantiles.

The trees learn the change from this year to the next on a log scale. The interval is conformalised (CQR) on later years
than its fit. Whether the mine will produce at all is the viability model's question, at a horizon of one year.
"""

from __future__ import annotations

import math
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
    QuantileParameters,
    code_version,
    fit_trees,
    margins,
    stopped_rounds,
)
from fvi_pipeline.model.companions.fitted import FittedCompanion
from fvi_pipeline.model.companions.graph import check_parity, to_onnx, tree_node
from fvi_pipeline.model.companions.predictor import (
    OUTPUT_NAME,
    PRODUCTION_MODEL,
    CompanionFiles,
    CompanionMetadata,
    CompanionModel,
)
from fvi_pipeline.model.companions.rows import Rows, TimeSplit, last_training_year, make_rows, rows_hash, split_rows
from fvi_pipeline.model.dataset import FloatArray, SplitPolicy
from fvi_pipeline.model.errors import DatasetError
from fvi_pipeline.model.scoring import INPUT_NAME

if TYPE_CHECKING:
    import lightgbm

NEXT_PRODUCTION = "production_short_tons_next"
OUTPUTS = ["low", "median", "high"]
_TOLERANCE = 1e-5  # of the log: a hundred-thousandth of the tons
_THIRDS = ("smallest", "middle", "largest")

Floats = NDArray[np.float64]


class ProductionSettings(BaseModel):
    """How the production model is fitted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    confidence: float = Field(default=0.9, gt=0, lt=1)
    window_years: int = Field(default=20, ge=1)
    """As-of years before T that are learned from. Older ones than the usable statuses are among them: how output goes
    on hardly depends on how the cohort is drawn, and more years predict better."""
    boosting: BoostingSettings = BoostingSettings()

    @property
    def levels(self) -> tuple[float, float, float]:
        """The quantiles of low, median and high."""
        tail = (1 - self.confidence) / 2
        return tail, 0.5, 1 - tail


@dataclass(frozen=True)
class ProductionCandidate(FittedCompanion):
    """A fitted production model with what was measured on it; fulfils `candidate.Candidate`."""

    settings: ProductionSettings
    rounds: list[int]
    widening: float
    constant_quantiles: Floats
    size_column: int

    def parameters(self) -> dict[str, str]:
        """What it was made with."""
        told = QuantileParameters(alpha=0.5).model_dump(exclude={"alpha"})
        return {
            **{name: str(value) for name, value in told.items()},
            "levels": str(self.settings.levels),
            "rounds": str(self.rounds),
            "seed": str(self.settings.boosting.seed),
            "window_years": str(self.settings.window_years),
            "widening": str(self.widening),
            **self.split_parameters(),
        }

    def metrics(self) -> dict[str, float]:
        """What was measured on the test rows; log errors are of log(1 + tons)."""
        test, prediction = self.split.test, self.test_prediction
        tons, now = test.outcome, _tons_now(test, self.size_column)
        inside = _covered(prediction, tons)
        thirds = np.array_split(np.argsort(now, kind="stable"), len(_THIRDS))
        return {
            **self.shared_metrics(self.rivals()),
            "weighted_absolute_error": float(np.abs(prediction[:, 1] - tons).sum() / tons.sum()),
            "weighted_absolute_error_this_year": float(np.abs(now - tons).sum() / tons.sum()),
            "coverage": float(inside.mean()),
            **{f"coverage_{name}": float(inside[rows].mean()) for name, rows in zip(_THIRDS, thirds, strict=True)},
            "share_below": float((tons < prediction[:, 0]).mean()),
            "share_above": float((tons > prediction[:, 2]).mean()),
            "median_width_factor": float(np.median((1 + prediction[:, 2]) / (1 + prediction[:, 0]))),
        }

    def write_plots(self, folder: Path) -> None:
        """Predicted and produced tons of the test rows."""
        from fvi_pipeline.model.companions.plots import plot_production

        plot_production(self.test_prediction, self.split.test.outcome, folder / "production.png")

    def contest(self) -> Contest:
        """Versions are compared by the errors of the median and of all three quantiles, and by coverage."""
        return Contest(
            losses={"absolute error": _absolute_error, "pinball loss": self._pinball_loss},
            covered=_covered,
            nominal_coverage=self.settings.confidence,
        )

    def rivals(self) -> list[Rival]:
        """As much as this year, and around it the spread that all mines had until T."""
        test = self.split.test
        now = _tons_now(test, self.size_column)
        spread = np.expm1(np.log1p(now)[:, None] + self.constant_quantiles)
        own, outcome = self.test_prediction, test.outcome
        as_now = np.tile(now[:, None], len(OUTPUTS))
        return [
            Rival(
                "absolute error",
                "this year's output",
                float(_absolute_error(own, outcome).mean()),
                float(_absolute_error(as_now, outcome).mean()),
            ),
            Rival(
                "pinball loss",
                "the spread of all mines",
                float(self._pinball_loss(own, outcome).mean()),
                float(self._pinball_loss(spread, outcome).mean()),
                prediction=spread,
            ),
        ]

    def _pinball_loss(self, prediction: Floats, outcome: Floats) -> Floats:
        error = np.log1p(outcome)[:, None] - np.log1p(prediction)
        levels = np.array(self.settings.levels)
        return np.asarray(np.maximum(levels * error, (levels - 1) * error).mean(axis=1))


def train_production(
    frame: pl.DataFrame,
    feature_names: Sequence[str],
    *,
    size_feature: str,
    feature_service: str,
    settings: ProductionSettings | None = None,
    policy: SplitPolicy | None = None,
    train_until_year: int | None = None,
) -> ProductionCandidate:
    """Fit, export and test a model of next year's production.

    Args:
        frame: as `rows.next_year_frame` joins it, with production_short_tons_next.
        feature_names: the features in the order of the model.
        size_feature: the feature that holds this year's production in short tons.
        feature_service: name of the feature service that the features came from, for the lineage.
        settings: levels, window and seed; the defaults when None.
        policy: how the years are split; the defaults when None.
        train_until_year: T; None: the last outcome year less the policy's test years.

    Raises:
        DatasetError: the frame cannot be used; the message says why.
    """
    settings, policy, names = settings or ProductionSettings(), policy or SplitPolicy(), list(feature_names)
    if size_feature not in names:
        raise DatasetError(f"The size feature {size_feature} is not among the features.")
    size_column = names.index(size_feature)
    everything = make_rows(frame, names, NEXT_PRODUCTION)
    until = last_training_year(everything, policy, train_until_year)
    producing = _in_window(everything, until - settings.window_years)
    if not (_tons_now(producing, size_column) > 0).all():
        raise DatasetError(f"{size_feature} must be above 0 in every row: the cohort is of mines that produce.")
    split = split_rows(producing, policy, until)
    boosters, rounds, widening = _fit(split, names, size_column, settings)
    metadata = CompanionMetadata(
        name=PRODUCTION_MODEL,
        features=names,
        outputs=OUTPUTS,
        train_until_year=split.train_until_year,
        data_hash=rows_hash(producing, names, NEXT_PRODUCTION),
        code_version=code_version(),
        feature_service=feature_service,
        confidence=settings.confidence,
    )
    onnx_model = _graph(boosters, widening, size_column, metadata)
    texts = [booster.model_to_string() for booster in boosters]
    model = CompanionModel(onnx_model)
    parity = check_parity(
        lambda rows: np.log1p(model.predict(rows)),
        lambda rows: _log_tons(boosters, widening, size_column, rows),
        boosters,
        split.test.features,
        _TOLERANCE,
    )
    return ProductionCandidate(
        files=CompanionFiles(onnx_model, texts, metadata),
        split=split,
        settings=settings,
        rounds=rounds,
        widening=widening,
        parity=parity,
        constant_quantiles=np.quantile(_as_change(split.final_fit, size_column).outcome, settings.levels),
        size_column=size_column,
    )


def conformal_widening(low: Floats, high: Floats, outcome: Floats, confidence: float) -> float:
    """By how much both bounds move out so that the interval holds its share of rows that the fit has not seen (CQR);
    negative where it was too wide.
    """
    scores = np.sort(np.maximum(low - outcome, outcome - high))
    rank = min(math.ceil((len(scores) + 1) * confidence), len(scores))
    return float(scores[rank - 1])


def _fit(
    split: TimeSplit, names: list[str], size_column: int, settings: ProductionSettings
) -> tuple[list[lightgbm.Booster], list[int], float]:
    fit, stopping, calibration, final = (
        _as_change(part, size_column) for part in (split.tuning_fit, split.stopping, split.calibration, split.final_fit)
    )
    boosters, rounds, earlier = [], [], []
    for level in settings.levels:
        parameters = QuantileParameters(alpha=level)
        stopped, count = stopped_rounds(fit, stopping, names, parameters, settings.boosting)
        earlier.append(margins(stopped, calibration.features))
        rounds.append(count)
        boosters.append(fit_trees(final, names, parameters, count, settings.boosting))
    low, _, high = _in_order(np.stack(earlier, axis=1)).T
    # rounded, so that the last bits of a library's sums are not in the served bytes
    widening = round(conformal_widening(low, high, calibration.outcome, settings.confidence), 6)
    return boosters, rounds, widening


def _graph(
    boosters: Sequence[lightgbm.Booster], widening: float, size_column: int, metadata: CompanionMetadata
) -> bytes:
    from onnx import TensorProto
    from onnx.helper import make_node

    nodes = [tree_node(booster, name) for booster, name in zip(boosters, OUTPUTS, strict=True)]
    nodes += [make_node("Cast", [name], [f"{name}_change"], to=TensorProto.DOUBLE) for name in OUTPUTS]
    nodes += [
        make_node("Min", ["low_change", "median_change"], ["ordered_low"]),
        make_node("Max", ["high_change", "median_change"], ["ordered_high"]),
        make_node("Sub", ["ordered_low", "widening"], ["wider_low"]),
        make_node("Add", ["ordered_high", "widening"], ["wider_high"]),
        make_node("Min", ["wider_low", "median_change"], ["final_low"]),
        make_node("Max", ["wider_high", "median_change"], ["final_high"]),
        make_node("Concat", ["final_low", "median_change", "final_high"], ["changes"], axis=1),
        make_node("Gather", [INPUT_NAME, "size_column"], ["size"], axis=1),
        make_node("Cast", ["size"], ["tons_now"], to=TensorProto.DOUBLE),
        make_node("Add", ["tons_now", "one"], ["more_than_now"]),
        make_node("Exp", ["changes"], ["factors"]),
        make_node("Mul", ["factors", "more_than_now"], ["more_than_next"]),
        make_node("Sub", ["more_than_next", "one"], ["tons_next"]),
        make_node("Max", ["tons_next", "nothing"], [OUTPUT_NAME]),
    ]
    constants = {
        "widening": np.array(widening, dtype=np.float64),
        "size_column": np.array([size_column], dtype=np.int64),
        "one": np.array(1.0, dtype=np.float64),
        "nothing": np.array(0.0, dtype=np.float64),
    }
    return to_onnx(nodes, constants, metadata)


def _log_tons(boosters: Sequence[lightgbm.Booster], widening: float, size_column: int, features: FloatArray) -> Floats:
    """What the graph computes, as log(1 + tons) [n, 3], from LightGBM's own sums."""
    low, median, high = _in_order(np.stack([margins(booster, features) for booster in boosters], axis=1)).T
    changes = np.stack([np.minimum(low - widening, median), median, np.maximum(high + widening, median)], axis=1)
    now = np.log1p(features[:, size_column].astype(np.float64))
    return np.asarray(np.maximum(changes + now[:, None], 0.0))


def _in_order(changes: Floats) -> Floats:
    """Quantiles [n, 3] that were fitted apart, with none beyond the median."""
    low, median, high = changes.T
    return np.stack([np.minimum(low, median), median, np.maximum(high, median)], axis=1)


def _in_window(rows: Rows, after_year: int) -> Rows:
    kept = rows.where(pl.col("as_of_year") > after_year)
    produced = kept.outcome > 0
    return Rows(kept.keys.filter(pl.Series(produced)), kept.features[produced], kept.outcome[produced])


def _tons_now(rows: Rows, size_column: int) -> Floats:
    return rows.features[:, size_column].astype(np.float64)


def _as_change(rows: Rows, size_column: int) -> Rows:
    """The rows with the change of log(1 + tons) as their outcome."""
    return Rows(rows.keys, rows.features, np.log1p(rows.outcome) - np.log1p(_tons_now(rows, size_column)))


def _absolute_error(prediction: Floats, outcome: Floats) -> Floats:
    return np.asarray(np.abs(np.log1p(outcome) - np.log1p(prediction[:, 1])))


def _covered(prediction: Floats, outcome: Floats) -> Floats:
    return np.asarray(((prediction[:, 0] <= outcome) & (outcome <= prediction[:, 2])).astype(np.float64))
