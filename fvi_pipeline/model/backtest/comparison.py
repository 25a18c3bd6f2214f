"""What the folds say: measures of every model by fold and horizon, and how far each lies from the product.

Only predictions are read. How the table looks belongs in `report`, the pictures in `pictures`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from fvi_pipeline.model.backtest.store import PRODUCT
from fvi_pipeline.model.dataset import HORIZON
from fvi_pipeline.model.errors import DatasetError
from fvi_pipeline.model.evaluation import brier, calibration_error, log_loss
from fvi_pipeline.model.intervals import FloatVector

FOLD = "train_until_year"
HIGHER_IS_BETTER = {"auc": True, "closure_average_precision": True, "brier": False, "log_loss": False}
"""The measures whose difference to the product has an interval."""
MEASURES = (*HIGHER_IS_BETTER, "calibration_error")
_KEYS = ["mine_id", "as_of_year", HORIZON, FOLD]


class ComparisonPolicy(BaseModel):
    """How differences are told from noise, and what is asked of the calibration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    draws: int = Field(default=400, ge=20)
    """Draws of the bootstrap; whole mines are drawn, the same for every model and fold."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    seed: int = 7
    largest_calibration_error: float = 0.03
    calibration_rows: int = 1000
    """A fold's horizon with fewer rows than this is not held to it: its bins are mostly noise."""


@dataclass(frozen=True)
class Comparison:
    """Three tables.

    by_fold: model, train_until_year, horizon_years, rows, viable_share and the measures (null where the rows have one
    outcome only). by_horizon: the same over the folds, each weighted by its rows. differences: model,
    train_until_year (null: over the folds), horizon_years, measure, difference (model less product) with its interval,
    low to high.
    """

    by_fold: pl.DataFrame
    by_horizon: pl.DataFrame
    differences: pl.DataFrame
    policy: ComparisonPolicy
    served_until_year: int | None = None
    """T of the fold that the served model answered for itself; None: none did."""

    @property
    def rivals(self) -> list[str]:
        """The models beside the product."""
        return [model for model in self.by_horizon["model"].unique(maintain_order=True) if model != PRODUCT]

    @property
    def horizons(self) -> list[int]:
        """The horizons that a fold tests, ascending."""
        return sorted(int(h) for h in self.by_horizon[HORIZON].unique())

    @property
    def folds(self) -> list[int]:
        """T of the folds, ascending."""
        return sorted(int(until) for until in self.by_fold[FOLD].unique())

    def calibration(self) -> pl.DataFrame:
        """The product's folds that are held to the calibration error: by_fold and `holds`."""
        held = self.by_fold.filter(pl.col("model") == PRODUCT, pl.col("rows") >= self.policy.calibration_rows)
        return held.with_columns(holds=pl.col("calibration_error") <= self.policy.largest_calibration_error)

    def difference(
        self, model: str, horizon: int, measure: str, until: int | None = None
    ) -> tuple[float, float, float] | None:
        """Model less product with its interval, over the folds or in one; None where one outcome only came."""
        found = self.differences.filter(
            pl.col("model") == model,
            pl.col(HORIZON) == horizon,
            pl.col("measure") == measure,
            pl.col(FOLD).eq_missing(pl.lit(until, pl.Int64)),
        ).select("difference", "low", "high")
        return found.row(0) if found.height else None

    def better_beyond_noise(self, model: str, horizon: int, measure: str, until: int | None = None) -> bool | None:
        """Whether the product is better than a model beyond the noise (True), worse (False), or neither (None)."""
        found = self.difference(model, horizon, measure, until)
        if found is None or found[1] <= 0 <= found[2]:
            return None
        return (found[2] < 0) == HIGHER_IS_BETTER[measure]


def compare(
    predictions: pl.DataFrame, policy: ComparisonPolicy | None = None, *, served_until_year: int | None = None
) -> Comparison:
    """Measure every model on the rows of the product.

    Args:
        predictions: as `store.read_predictions` gives them.
        policy: the defaults when None.
        served_until_year: the fold to show by itself.

    Raises:
        DatasetError: there is no prediction of the product, or a model was asked for other rows than it.
    """
    policy = policy or ComparisonPolicy()
    wide = _side_by_side(predictions)
    models = [PRODUCT, *(name for name in wide.columns if name not in (*_KEYS, "viable", PRODUCT))]
    by_fold = pl.DataFrame(
        [
            {"model": model, FOLD: until, HORIZON: horizon, **_measures(part, model)}
            for (until, horizon), part in _cells(wide)
            for model in models
        ],
        infer_schema_length=None,
    )
    return Comparison(by_fold, _over_folds(by_fold), _differences(wide, models, policy), policy, served_until_year)


def _side_by_side(predictions: pl.DataFrame) -> pl.DataFrame:
    product = predictions.filter(pl.col("model") == PRODUCT)
    if product.is_empty():
        raise DatasetError("There is no backtest to compare with. Materialise mart/backtest_predictions first.")
    wide = product.select(*_KEYS, "viable", pl.col("viability_probability").alias(PRODUCT))
    for (model,), part in predictions.filter(pl.col("model") != PRODUCT).group_by("model", maintain_order=True):
        answers = part.select(*_KEYS, pl.col("viability_probability").alias(str(model)))
        joined = wide.join(answers, on=_KEYS, how="inner", validate="1:1")
        if joined.height != wide.height or answers.height != wide.height:
            raise DatasetError(
                f"{model} answered for other rows than the product ({answers.height} and {wide.height}). "
                "Run `fvi backtest` to bring both up to date."
            )
        wide = joined
    return wide.sort(FOLD, HORIZON, "mine_id", "as_of_year")


def _cells(wide: pl.DataFrame) -> Iterator[tuple[tuple[int, int], pl.DataFrame]]:
    for (until, horizon), part in wide.group_by(FOLD, HORIZON, maintain_order=True):
        yield (int(str(until)), int(str(horizon))), part


def _measures(part: pl.DataFrame, model: str) -> dict[str, float | int | None]:
    from sklearn.metrics import average_precision_score, roc_auc_score

    viable, probability = part["viable"].to_numpy().astype(np.int8), part[model].to_numpy()
    both = 0 < viable.mean() < 1
    return {
        "rows": len(viable),
        "viable_share": float(viable.mean()),
        "auc": float(roc_auc_score(viable, probability)) if both else None,
        "closure_average_precision": float(average_precision_score(1 - viable, 1 - probability)) if both else None,
        "brier": brier(viable, probability),
        "log_loss": log_loss(viable, probability),
        "calibration_error": calibration_error(viable, probability),
    }


def _over_folds(by_fold: pl.DataFrame) -> pl.DataFrame:
    weighted = [
        ((pl.col(name) * pl.col("rows")).sum() / pl.col("rows").filter(pl.col(name).is_not_null()).sum()).alias(name)
        for name in ("viable_share", *MEASURES)
    ]
    return (
        by_fold.group_by("model", HORIZON, maintain_order=True)
        .agg(pl.len().alias("folds"), *weighted, pl.col("rows").sum())
        .sort(HORIZON, maintain_order=True)
    )


def _differences(wide: pl.DataFrame, models: list[str], policy: ComparisonPolicy) -> pl.DataFrame:
    """Model less product over the folds and in each, by horizon and measure, with the bootstrap's interval."""
    _, mine_numbers = np.unique(wide["mine_id"].to_numpy(), return_inverse=True)
    mines = int(mine_numbers.max()) + 1
    generator = np.random.default_rng(policy.seed)
    drawn = generator.multinomial(mines, np.full(mines, 1 / mines), size=policy.draws)
    # the rows as they are come first, then the draws
    counts = np.vstack([np.ones(mines), drawn]).astype(np.float32)
    numbered = wide.with_columns(pl.Series("mine", mine_numbers))
    totals: dict[tuple[str, int | None, int, str], FloatVector] = {}
    rows_of: dict[tuple[int | None, int], int] = {}
    for (until, horizon), part in _cells(numbered):
        viable = part["viable"].to_numpy()
        if not 0 < viable.mean() < 1:
            continue
        weights = counts[:, part["mine"].to_numpy()]
        for place in (None, until):
            rows_of[place, horizon] = rows_of.get((place, horizon), 0) + len(viable)
        for model in models:
            for measure, values in _drawn_measures(viable, part[model].to_numpy(), weights).items():
                for place in (None, until):
                    key = (model, place, horizon, measure)
                    totals[key] = totals.get(key, np.zeros(len(counts))) + len(viable) * values
    tail = (1 - policy.confidence) / 2
    records = []
    for (model, place, horizon, measure), total in totals.items():
        if model != PRODUCT:
            difference = (total - totals[PRODUCT, place, horizon, measure]) / rows_of[place, horizon]
            low, high = np.nanquantile(difference[1:], [tail, 1 - tail])
            records.append((model, place, horizon, measure, float(difference[0]), float(low), float(high)))
    names = ("model", FOLD, HORIZON, "measure", "difference", "low", "high")
    types = (pl.String, pl.Int64, pl.Int64, pl.String, pl.Float64, pl.Float64, pl.Float64)
    schema = dict(zip(names, types, strict=True))
    return pl.DataFrame(records, schema=schema, orient="row").sort(FOLD, HORIZON, nulls_last=False, maintain_order=True)


def _drawn_measures(
    viable: NDArray[np.bool_], probability: FloatVector, weights: NDArray[np.float32], at_once: int = 50
) -> dict[str, FloatVector]:
    """The measures under each row of `weights` [draws, n]: how often each row of the fold was drawn."""
    order = np.argsort(probability, kind="stable")
    ranked, outcome = probability[order], viable[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    of_outcome = np.clip(np.where(outcome, ranked, 1 - ranked), 1e-12, 1.0)
    losses = np.column_stack([(ranked - outcome) ** 2, -np.log(of_outcome), np.ones(len(ranked))])
    blocks: list[NDArray[np.float64]] = []
    for first in range(0, len(weights), at_once):
        # whole numbers far below 2^24: single precision holds them and their sums
        drawn = weights[first : first + at_once, order]
        summed = drawn.astype(np.float64) @ losses
        auc, average_precision = _rankings(_steps(drawn * outcome, starts), _steps(drawn * ~outcome, starts))
        blocks.append(np.vstack([auc, average_precision, summed[:, 0] / summed[:, 2], summed[:, 1] / summed[:, 2]]))
    return dict(zip(("auc", "closure_average_precision", "brier", "log_loss"), np.hstack(blocks), strict=True))


def _steps(drawn: NDArray[np.float32], starts: NDArray[np.int64]) -> NDArray[np.float32]:
    # rows of one probability are one step of the ranking
    return drawn if len(starts) == drawn.shape[1] else np.add.reduceat(drawn, starts, axis=1)


def _rankings(open_: NDArray[np.float32], closed: NDArray[np.float32]) -> tuple[FloatVector, FloatVector]:
    """Area under the ROC curve, and average precision of closure, of steps in rising order of P(viable)."""
    found, passed = np.cumsum(closed, axis=1), np.cumsum(open_, axis=1)
    shown = found + passed
    precision = np.divide(found, shown, out=np.zeros_like(found), where=shown > 0)
    with np.errstate(invalid="ignore", divide="ignore"):  # a draw may hold one outcome only: not a number
        pairs = passed[:, -1].astype(np.float64) * found[:, -1]
        auc = (open_ * (found - closed / 2)).sum(axis=1, dtype=np.float64) / pairs
        return auc, (closed * precision).sum(axis=1, dtype=np.float64) / found[:, -1]
