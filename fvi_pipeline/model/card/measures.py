"""How well predictions hold in groups of mines, each figure with its bootstrap interval; whole mines are drawn, since
the years of one mine resemble each other. Which groups there are belongs to `groups`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fvi_pipeline.model.intervals import quantile_bins

Floats = NDArray[np.float64]
Resampled = Callable[[Floats], Floats]
"""Weights of rows [draws, n] -> the statistic in each draw [draws]; nan where a draw does not define it."""

OTHER = "other"
LEAST_ROWS = 100
"""A group with fewer rows of a horizon is pooled with the others of its kind."""
CONFIDENCE = 0.9
_ROWS_OF_BIN = 50
_BINS = 10


@dataclass(frozen=True)
class Estimate:
    """A figure and its interval; the interval is None where too few draws define the figure."""

    value: float
    low: float | None
    high: float | None

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of zero."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


@dataclass(frozen=True)
class GroupMeasures:
    """The rows of one group and horizon; AUC is None where they have one outcome only."""

    group: str
    horizon_years: int
    rows: int
    mines: int
    closed: int
    mean_predicted: float
    observed: Estimate
    auc: Estimate | None
    brier: Estimate
    calibration_error: Estimate
    calibration_error_by_chance: float
    """What a model without any error would show on as many rows, in the mean."""


@dataclass(frozen=True)
class Draws:
    """How often each row counts in each bootstrap draw [draws, n], all rows of a mine alike."""

    weights: Floats

    def estimate(self, statistic: Resampled) -> Estimate:
        """The statistic of the rows themselves, with the interval of the draws."""
        value = float(statistic(np.ones((1, self.weights.shape[1])))[0])
        drawn = statistic(self.weights)
        known = drawn[~np.isnan(drawn)]
        if len(known) < len(drawn) / 2:
            return Estimate(value, None, None)
        tail = (1 - CONFIDENCE) / 2
        low, high = np.quantile(known, [tail, 1 - tail])
        return Estimate(value, float(low), float(high))

    def of(self, rows: NDArray[np.int64]) -> Draws:
        """The same draws for some of the rows."""
        return Draws(self.weights[:, rows])


def draw_mines(mine_ids: list[str], *, draws: int, seed: int) -> Draws:
    """Draws of whole mines, with replacement."""
    _, numbers = np.unique(np.asarray(mine_ids), return_inverse=True)
    mines = int(numbers.max()) + 1
    counts = np.random.default_rng(seed).multinomial(mines, np.full(mines, 1 / mines), size=draws)
    return Draws(counts[:, numbers].astype(np.float64))


def quotient(above: Floats, below: Floats) -> Floats:
    """Of two arrays [draws]; nan where the lower one is zero."""
    undefined = np.full(len(below), np.nan)
    return np.asarray(np.divide(above, below, out=undefined, where=below > 0), dtype=np.float64)


def weighted_mean(values: Floats) -> Resampled:
    """The mean of the values [n]."""

    def statistic(weights: Floats) -> Floats:
        total = weights.sum(axis=1)
        return quotient(weights @ values, total)

    return statistic


def weighted_auc(probability: Floats, viable: Floats) -> Resampled:
    """The chance that a viable row has the higher probability of two; ties count half."""
    order = np.argsort(probability, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(probability[order]) > 0])
    outcome = viable[order]

    def statistic(weights: Floats) -> Floats:
        ordered = weights[:, order]
        viable_at = np.add.reduceat(ordered * outcome, starts, axis=1)
        closed_at = np.add.reduceat(ordered * (1 - outcome), starts, axis=1)
        below = np.cumsum(closed_at, axis=1) - closed_at / 2
        pairs = viable_at.sum(axis=1) * closed_at.sum(axis=1)
        won = (viable_at * below).sum(axis=1)
        return quotient(won, pairs)

    return statistic


def weighted_calibration_error(probability: Floats, viable: Floats) -> Resampled:
    """Mean distance of predicted and observed share over bins of like probability, weighted by rows."""
    bins = list(quantile_bins(probability, _BINS, _ROWS_OF_BIN))
    gap = probability - viable

    def statistic(weights: Floats) -> Floats:
        distances = sum((np.abs(weights[:, rows] @ gap[rows]) for rows in bins), start=np.zeros(len(weights)))
        total = weights.sum(axis=1)
        return quotient(distances, total)

    return statistic


def measure_groups(
    rows: pl.DataFrame, grouping: str, *, draws: int = 400, seed: int = 7, least_rows: int = LEAST_ROWS
) -> list[GroupMeasures]:
    """Measures by horizon and group; groups with fewer than `least_rows` rows of a horizon are pooled into 'other'.

    Args:
        rows: mine_id, horizon_years, viability_probability, viable and the column `grouping`.
        grouping: the column to group by.
        draws: bootstrap draws.
        seed: of the draws.
        least_rows: fewer rows than this make no group of their own.
    """
    found = []
    for (horizon,), of_horizon in sorted(rows.group_by("horizon_years"), key=lambda item: item[0]):
        pooled = pool_thin(of_horizon, grouping, least_rows).sort("mine_id", "as_of_year")
        sampled = draw_mines(pooled["mine_id"].to_list(), draws=draws, seed=seed)
        names = pooled[grouping].to_numpy()
        counts = pooled[grouping].value_counts().sort(["count", grouping], descending=[True, False])
        for name in sorted(counts[grouping].to_list(), key=lambda each: each == OTHER):
            members = np.flatnonzero(names == name)
            found.append(_measure(name, horizon, pooled[members.tolist()], sampled.of(members), seed))
    return found


def pool_thin(rows: pl.DataFrame, grouping: str, least_rows: int = LEAST_ROWS) -> pl.DataFrame:
    """The rows with the names of thin groups replaced by 'other'; one thin group alone keeps its name."""
    counts = rows[grouping].value_counts()
    thin = counts.filter(pl.col("count") < least_rows)[grouping].to_list()
    if len(thin) < 2:
        return rows
    return rows.with_columns(
        pl.when(pl.col(grouping).is_in(thin)).then(pl.lit(OTHER)).otherwise(pl.col(grouping)).alias(grouping)
    )


def _measure(name: str, horizon: int, rows: pl.DataFrame, sampled: Draws, seed: int) -> GroupMeasures:
    probability = rows["viability_probability"].to_numpy()
    viable = rows["viable"].cast(pl.Float64).to_numpy()
    auc = sampled.estimate(weighted_auc(probability, viable)) if 0 < viable.mean() < 1 else None
    # outcomes drawn from the predictions: the bins of few rows are off even then
    drawn = np.random.default_rng(seed).random((200, len(rows))) < probability
    by_chance = [
        weighted_calibration_error(probability, outcome.astype(np.float64))(np.ones((1, len(rows))))[0]
        for outcome in drawn
    ]
    return GroupMeasures(
        group=name,
        horizon_years=horizon,
        rows=len(rows),
        mines=rows["mine_id"].n_unique(),
        closed=int((viable == 0).sum()),
        mean_predicted=float(probability.mean()),
        observed=sampled.estimate(weighted_mean(viable)),
        auc=auc,
        brier=sampled.estimate(weighted_mean((probability - viable) ** 2)),
        calibration_error=sampled.estimate(weighted_calibration_error(probability, viable)),
        calibration_error_by_chance=float(np.mean(by_chance)),
    )
