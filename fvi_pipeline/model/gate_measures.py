"""The arithmetic of the gate: bootstrap over mines of losses and of AUC, calibration beside what chance alone would do,
and the time that one row takes. What follows from the figures is decided in `gate`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fvi_pipeline.model.candidate import Predictor

Floats = NDArray[np.float64]
_ROWS_AT_ONCE = 4_000_000  # entries of a matrix of rows by draws


@dataclass(frozen=True)
class Interval:
    """A difference and where its bootstrap lies."""

    value: float
    low: float
    high: float


class MineDraws:
    """Bootstrap samples of whole mines: the rows of one mine resemble each other and stay together."""

    def __init__(self, mine_ids: Sequence[str], draws: int, confidence: float, seed: int) -> None:
        """Draw; `confidence` is that of every interval."""
        _, self.numbers = np.unique(np.asarray(mine_ids), return_inverse=True)
        self.mines = int(self.numbers.max()) + 1 if len(self.numbers) else 0
        self._confidence = confidence
        self._draws, self._seed = draws, seed

    @cached_property
    def counts(self) -> Floats:
        """How often each mine is in each sample [draws, mines]."""
        generator = np.random.default_rng(self._seed)
        share = np.full(self.mines, 1 / self.mines)
        return generator.multinomial(self.mines, share, size=self._draws).astype(np.float64)

    def interval(self, value: float, drawn: Floats, tests: int = 1) -> Interval:
        """The interval of drawn values; each of `tests` intervals is wider, so that all hold together."""
        tail = (1 - self._confidence) / 2 / tests
        known = drawn[np.isfinite(drawn)]
        low, high = np.quantile(known, [tail, 1 - tail]) if len(known) else (np.nan, np.nan)
        return Interval(value, float(low), float(high))

    def mean(self, values: Floats, rows: NDArray[np.bool_] | None = None, tests: int = 1) -> Interval:
        """The mean of values [n], of some rows or of all."""
        chosen = slice(None) if rows is None else rows
        of_mine, kept = self.numbers[chosen], values[chosen]
        sums = np.bincount(of_mine, weights=kept, minlength=self.mines)
        sizes = np.bincount(of_mine, minlength=self.mines).astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            drawn = (self.counts @ sums) / (self.counts @ sizes)
        return self.interval(float(kept.mean()), drawn, tests)

    def aucs(self, score: Floats, positive: NDArray[np.bool_], rows: NDArray[np.bool_]) -> tuple[float, Floats]:
        """The AUC of some rows, and that of each sample [draws]; ties count half."""
        order = np.flatnonzero(rows)[np.argsort(score[rows], kind="stable")]
        ordered = score[order]
        starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        is_positive = positive[order]
        of_mine = self.numbers[order]
        step = max(1, _ROWS_AT_ONCE // max(len(order), 1))
        drawn = [
            _weighted_auc(self.counts[first : first + step].T[of_mine], is_positive, starts)
            for first in range(0, len(self.counts), step)
        ]
        own = _weighted_auc(np.ones((len(order), 1)), is_positive, starts)
        return float(own[0]), np.concatenate(drawn)


@dataclass(frozen=True)
class CalibrationBins:
    """Predictions in bins of equal size, each with its gap to the outcomes summed by mine [bins, mines]."""

    gaps: Floats
    sizes: Floats

    @property
    def error(self) -> float:
        """Expected calibration error: mean gap of the bins, weighted by rows."""
        return float(np.abs(self.gaps.sum(axis=1)).sum() / self.sizes.sum())

    def drawn(self, counts: Floats) -> Floats:
        """The same of each sample of mines [draws]."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.abs(counts @ self.gaps.T).sum(axis=1) / (counts @ self.sizes.sum(axis=0)))


def calibration_bins(
    probability: Floats, happened: NDArray[np.bool_], mines: NDArray[np.int64], mine_count: int, bins: int = 10
) -> CalibrationBins:
    """Sort rows into bins by their probability; equal probabilities stay together."""
    numbers, count = _bin_numbers(probability, bins)
    place = numbers * mine_count + mines
    length = count * mine_count
    gaps = np.bincount(place, weights=probability - happened, minlength=length).astype(np.float64)
    sizes = np.bincount(place, minlength=length).astype(np.float64)
    return CalibrationBins(gaps.reshape(count, mine_count), sizes.reshape(count, mine_count))


def chance_calibration_errors(
    probability: Floats, mines: NDArray[np.int64], mine_count: int, *, draws: int, seed: int, bins: int = 10
) -> Floats:
    """Calibration errors [draws] that a perfect model with these probabilities would show.

    Outcomes are drawn from the probabilities themselves. A mine has one luck for all its rows: the outcomes of its
    years overlap, and a mine that closes early closes in all of them.
    """
    generator = np.random.default_rng(seed)
    numbers, count = _bin_numbers(probability, bins)
    errors = np.empty(draws)
    for draw in range(draws):
        happened = generator.random(mine_count)[mines] < probability
        errors[draw] = np.abs(np.bincount(numbers, weights=probability - happened, minlength=count)).sum()
    return errors / len(probability)


def one_row_milliseconds(
    predictors: Sequence[Predictor], rows: Sequence[NDArray[np.float32]], *, rounds: int, calls: int
) -> list[float]:
    """The 95th percentile of the time of one row, for each predictor: the best of several rounds in turn.

    Time of the processor and not of the clock: a model in a session of one thread waits for nothing, and what else the
    machine does is not its fault. The best round is that in which others had emptied the caches least.
    """
    best = [np.inf] * len(predictors)
    for predictor, one in zip(predictors, rows, strict=True):
        predictor.predict(one)
    for _ in range(rounds):
        for number, (predictor, one) in enumerate(zip(predictors, rows, strict=True)):
            taken = np.empty(calls)
            for call in range(calls):
                started = time.thread_time_ns()
                predictor.predict(one)
                taken[call] = time.thread_time_ns() - started
            best[number] = min(best[number], float(np.quantile(taken, 0.95)) / 1e6)
    return best


def _bin_numbers(probability: Floats, bins: int) -> tuple[NDArray[np.int64], int]:
    edges = np.unique(np.quantile(probability, np.linspace(0, 1, bins + 1)[1:-1]))
    return np.searchsorted(edges, probability, side="left"), len(edges) + 1


def _weighted_auc(weights: Floats, positive: NDArray[np.bool_], starts: NDArray[np.int64]) -> Floats:
    # weights [rows, draws], rows ascending by score; `starts` are the first rows of each score
    of_positive = np.add.reduceat(np.where(positive[:, None], weights, 0.0), starts, axis=0)
    of_negative = np.add.reduceat(np.where(positive[:, None], 0.0, weights), starts, axis=0)
    below = np.cumsum(of_negative, axis=0) - of_negative / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(
            (of_positive * below).sum(axis=0) / (of_positive.sum(axis=0) * of_negative.sum(axis=0)), dtype=np.float64
        )
