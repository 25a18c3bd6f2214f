"""Does the index with dynamic weights tell viable mines from the others better than with fixed ones? Measured on years
that the weights never saw. Tables and pictures of it belong to `separation_report`.

For each as-of year the weights are those that the nights had come to when the year's metrics became known: of outcomes
known by then, and of nothing later. The marks of quality of those nights were not kept; every metric counts as of full
quality, so that no mark of today, which knows more, goes into them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import narwhals.stable.v2 as nw
import numpy as np
import polars as pl
from numpy.typing import NDArray

from fvi_pipeline.features.catalogue import IndexMetric
from fvi_pipeline.weights.dynamic_weights import settled_weights
from fvi_pipeline.weights.errors import WeightsError
from fvi_pipeline.weights.history import rows_to_measure
from fvi_pipeline.weights.index import KEYS, compute_index
from fvi_pipeline.weights.information_gain import information_gain
from fvi_pipeline.weights.normalisation import percentiles_by_year

DYNAMIC, EQUAL, BASE, GAIN_ALONE = "dynamic", "equal", "base", "gain alone"
WEIGHTINGS = (DYNAMIC, EQUAL, BASE, GAIN_ALONE)
COMPARED = ((DYNAMIC, EQUAL), (DYNAMIC, BASE), (GAIN_ALONE, EQUAL))
CHOSEN_UNTIL_YEAR = 2000
"""Settings of the weights were chosen on as-of years up to this; the later ones judge them."""
_DRAWS = 1000
_LEVEL = 0.95

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Separated:
    """AUC of a weighting over the as-of years `first_year` to `last_year`, or by how much it is above that of
    `compared_with`; the interval is the bootstrap's, of whole mines. Over several years only mines of the same year are
    compared with each other.
    """

    first_year: int
    last_year: int
    weighting: str
    compared_with: str
    rows: int
    auc: float
    low: float
    high: float


@dataclass(frozen=True)
class _Year:
    year: int
    mines: _Ints
    viable: NDArray[np.bool_]
    scores: Mapping[str, _Floats]

    @property
    def pairs(self) -> int:
        return int(self.viable.sum()) * int((~self.viable).sum())


def separation(
    history: pl.DataFrame, metrics: Sequence[IndexMetric], *, seed: int = 0, draws: int = _DRAWS
) -> list[Separated]:
    """AUC of every weighting, year by year and over years, each with its interval.

    Args:
        history: of `history.metric_history`.
        metrics: of the index.
        seed: of the bootstrap.
        draws: of the bootstrap.

    Raises:
        WeightsError: there is no year whose metrics became known after some outcome.
    """
    years = [year for year in _years(history, metrics) if year.pairs]
    if not years:
        raise WeightsError(
            f"No as-of year has both its outcome and weights of earlier outcomes: {history.height} rows are not enough."
        )
    mines = 1 + max(int(year.mines.max()) for year in years)
    drawn = np.random.default_rng(seed).multinomial(mines, np.full(mines, 1 / mines), size=draws)
    found = {
        (weighting, year.year): _auc(year, year.scores[weighting], drawn) for weighting in WEIGHTINGS for year in years
    }
    spans = [[year] for year in years]
    chosen = [year for year in years if year.year <= CHOSEN_UNTIL_YEAR]
    spans += [span for span in (chosen, [y for y in years if y.year > CHOSEN_UNTIL_YEAR]) if len(span) > 1]
    return [each for span in spans for each in _of_span(span, found)]


def _of_span(span: Sequence[_Year], found: Mapping[tuple[str, int], _Floats]) -> list[Separated]:
    pairs = np.array([year.pairs for year in span], dtype=np.float64)
    # a draw may leave a year without a mine of one kind: the year counts in the others
    over = {
        weighting: _mean_over_years(np.array([found[weighting, year.year] for year in span]), pairs)
        for weighting in WEIGHTINGS
    }
    rows = sum(len(year.viable) for year in span)

    def said(weighting: str, compared_with: str, values: _Floats) -> Separated:
        low, high = np.nanquantile(values[1:], [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
        return Separated(
            span[0].year, span[-1].year, weighting, compared_with, rows, float(values[0]), float(low), float(high)
        )

    return [said(weighting, "", over[weighting]) for weighting in WEIGHTINGS] + [
        said(weighting, rival, over[weighting] - over[rival]) for weighting, rival in COMPARED
    ]


def _mean_over_years(aucs: _Floats, pairs: _Floats) -> _Floats:
    weight = np.where(np.isnan(aucs), 0.0, pairs[:, None])
    return np.asarray((np.nan_to_num(aucs) * weight).sum(axis=0) / weight.sum(axis=0))


def _years(history: pl.DataFrame, metrics: Sequence[IndexMetric]) -> list[_Year]:
    names = [metric.name for metric in metrics]
    normalised = nw.from_native(percentiles_by_year(history, names).lazy())
    numbers = {mine: number for number, mine in enumerate(history["mine_id"].unique(maintain_order=True))}
    years = []
    for (year,), rows in history.group_by("as_of_year", maintain_order=True):
        # the first moment at which a row of the year was known: nothing that came later is used for any of them
        known_at = rows["created_timestamp"].min()
        learned = rows_to_measure(normalised, known_at).collect("polars").to_native()  # type: ignore[arg-type]
        if learned.is_empty():
            continue
        told = information_gain(learned, names)
        gains = dict(zip(told["metric"], told["information_gain"], strict=True))
        years.append(
            _Year(
                year=int(str(year)),
                mines=np.array([numbers[mine] for mine in rows["mine_id"]]),
                viable=rows["viable"].to_numpy(),
                scores={
                    weighting: _scores(rows, metrics, weights)
                    for weighting, weights in _weightings(metrics, gains).items()
                },
            )
        )
    return sorted(years, key=lambda each: each.year)


def _weightings(metrics: Sequence[IndexMetric], gains: Mapping[str, float | None]) -> dict[str, Mapping[str, float]]:
    full_quality = {metric.name: 1.0 for metric in metrics}
    return {
        DYNAMIC: settled_weights(metrics, full_quality, gains),
        EQUAL: full_quality,
        BASE: {metric.name: metric.base_weight for metric in metrics},
        GAIN_ALONE: {metric.name: gains[metric.name] or 0.0 for metric in metrics},
    }


def _scores(rows: pl.DataFrame, metrics: Sequence[IndexMetric], weights: Mapping[str, float]) -> _Floats:
    keyed = rows.with_columns(pl.col("created_timestamp").alias(key) for key in KEYS if key not in rows.columns)
    # a mine without any weighted metric stands in the middle: the index says nothing of it
    scores: _Floats = compute_index(keyed, metrics, weights)["index_score"].fill_null(50.0).to_numpy()
    return scores


def _auc(year: _Year, scores: _Floats, drawn: _Ints) -> _Floats:
    """The AUC of the rows, then that of each draw of mines (NaN where it has one kind only)."""
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf))
    times = np.vstack([np.ones(len(scores), dtype=np.int64), drawn[:, year.mines]])[:, order]
    viable = year.viable[order]
    # weights of the viable and of the others at each different score, equal scores counting half
    positive = np.add.reduceat(times * viable, starts, axis=1).astype(np.float64)
    negative = np.add.reduceat(times * ~viable, starts, axis=1).astype(np.float64)
    below = np.cumsum(negative, axis=1) - negative
    total = positive.sum(axis=1) * negative.sum(axis=1)
    won = (positive * (below + negative / 2)).sum(axis=1)
    aucs: _Floats = np.divide(won, total, out=np.full(len(won), np.nan), where=total > 0)
    return aucs
