"""Intervals of scores: for each horizon, where the share of viable mines lay among mines with a like
probability.

Measured on calibration years that neither the fit nor the early stopping has seen, and never on the test
years. Fitting and looking up are here; the model that predicts is not.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

FloatVector = NDArray[np.float64]


class IntervalBin(BaseModel):
    """Probabilities up to `upper` (and above the bin before): the interval of the viable share, and what it
    rests on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    upper: float
    low: float
    high: float
    rows: int


class IntervalTable(BaseModel):
    """Bins by horizon, with the nominal confidence and the variance between years (log-odds) that widened
    them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    confidence: float
    year_variance: float
    bins: dict[int, list[IntervalBin]]

    def is_measured(self, horizon_years: int) -> bool:
        """Whether calibration years reach this horizon."""
        return horizon_years in self.bins

    def interval(self, probability: float, horizon_years: int) -> tuple[float, float]:
        """Low and high in 0–1, containing the probability; (0, 1) for a horizon without a measurement."""
        bins = self.bins.get(horizon_years)
        if not bins:
            return 0.0, 1.0
        found = bins[min(bisect_left(bins, probability, key=lambda b: b.upper), len(bins) - 1)]
        return min(found.low, probability), max(found.high, probability)

    def coverage(
        self,
        probability: FloatVector,
        viable: NDArray[np.int8],
        horizon_years: NDArray[np.int64],
        minimum_rows: int = 50,
    ) -> dict[int, tuple[int, int]]:
        """For each horizon (bins of other rows whose viable share their mean interval holds, bins).

        The share of a bin is itself a draw of its few rows; the interval is widened by that noise (in
        quadrature), so that an honest table covers the stated confidence.
        """
        result: dict[int, tuple[int, int]] = {}
        for horizon in sorted(int(h) for h in np.unique(horizon_years)):
            if not self.is_measured(horizon):
                continue
            of_horizon = horizon_years == horizon
            p, y = probability[of_horizon], viable[of_horizon]
            covered = bins = 0
            for rows in quantile_bins(p, maximum_bins=10, minimum_rows=minimum_rows):
                limits = np.array([self.interval(float(value), horizon) for value in p[rows]])
                low, high = limits.mean(axis=0)
                bins += 1
                covered += _holds(low, high, float(y[rows].mean()), len(rows), self.confidence)
            result[horizon] = (covered, bins)
        return result


def fit_intervals(
    probability: FloatVector,
    viable: NDArray[np.int8],
    horizon_years: NDArray[np.int64],
    as_of_year: NDArray[np.int64],
    *,
    confidence: float = 0.9,
    maximum_bins: int = 10,
    minimum_rows: int = 60,
) -> IntervalTable:
    """Measure the viable share in quantile bins of the predicted probability, horizon by horizon.

    Each bin has at least `minimum_rows` rows (thin ones are pooled with their neighbours) unless the
    horizon has fewer in all. The interval is Wilson's, widened by the variance between as-of years: mines
    of one year close together, and the year that a score is for will have its own shift. Limits are widened
    until they rise with the probability.
    """
    cells = [
        (int(horizon), np.flatnonzero(horizon_years == horizon)[rows])
        for horizon in np.unique(horizon_years)
        for rows in quantile_bins(probability[horizon_years == horizon], maximum_bins, minimum_rows)
    ]
    year_variance = _year_variance(cells, viable, as_of_year, confidence)
    by_horizon: dict[int, list[IntervalBin]] = {}
    for horizon, rows in cells:
        low, high = wilson_interval(float(viable[rows].sum()), len(rows), confidence, year_variance)
        upper = float(probability[rows].max())
        by_horizon.setdefault(horizon, []).append(IntervalBin(upper=upper, low=low, high=high, rows=len(rows)))
    return IntervalTable(
        confidence=confidence,
        year_variance=year_variance,
        bins={horizon: _rising(bins) for horizon, bins in by_horizon.items()},
    )


def wilson_interval(successes: float, rows: int, confidence: float, year_variance: float = 0.0) -> tuple[float, float]:
    """Wilson's interval of a share in a year to come.

    `year_variance` is the variance of a year's shift in log-odds. It does not shrink with the rows: it
    bounds the effective number of rows. The share in it is drawn towards one half, so that a bin without a
    closure has it too.
    """
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = successes / rows
    drawn = (successes + 1) / (rows + 2)
    n = rows / (1 + rows * year_variance * drawn * (1 - drawn))
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == rows else min(1.0, centre + half)
    return low, high


def quantile_bins(probability: FloatVector, maximum_bins: int, minimum_rows: int) -> Iterator[NDArray[np.int64]]:
    """Row numbers by bin, bins of near-equal size and ascending probability; equal probabilities share a
    bin.
    """
    order = np.argsort(probability, kind="stable")
    bins = max(1, min(maximum_bins, len(order) // max(1, minimum_rows)))
    start = 0
    for number in range(1, bins + 1):
        end = len(order) if number == bins else round(len(order) * number / bins)
        while start < end < len(order) and probability[order[end]] == probability[order[end - 1]]:
            end += 1
        last = len(order) - end < len(order) // bins // 2
        end = len(order) if last else end
        if end > start:
            yield order[start:end]
        start = max(start, end)


def _year_variance(
    cells: list[tuple[int, NDArray[np.int64]]],
    viable: NDArray[np.int8],
    as_of_year: NDArray[np.int64],
    confidence: float,
) -> float:
    from scipy.stats import t as student_t

    # DerSimonian and Laird's moment estimate over the shifts of single years in log-odds, pooled over
    # horizons. The shift
    # of a year is that of all its mines from the shares of their bins, one Newton step.
    chi_square = degrees = weights = 0.0
    longest = 1
    for horizon in {horizon for horizon, _ in cells}:
        rows = np.concatenate([rows for of_horizon, rows in cells if of_horizon == horizon])
        share = np.concatenate(
            [np.full(len(rows), viable[rows].mean()) for of_horizon, rows in cells if of_horizon == horizon]
        )
        years, numbers = np.unique(as_of_year[rows], return_inverse=True)
        information = np.bincount(numbers, weights=share * (1 - share))
        if len(years) < 2 or not (information > 0).all():
            continue
        shift = np.bincount(numbers, weights=viable[rows] - share) / information
        mean = np.average(shift, weights=information)
        chi_square += float((information * (shift - mean) ** 2).sum())
        degrees += len(years) - 1
        longest = max(longest, len(years))
        weights += float(information.sum() - (information**2).sum() / information.sum())
    if not weights:
        return 0.0
    between_years = max(0.0, (chi_square - degrees) / weights)
    # the mean of the years is uncertain too, and their variance is known from few of them: Student's quantile
    tail = 0.5 + confidence / 2
    inflation = (float(student_t.ppf(tail, degrees)) / NormalDist().inv_cdf(tail)) ** 2
    return between_years * (1 + 1 / longest) * inflation


def _holds(low: float, high: float, share: float, rows: int, confidence: float) -> bool:
    centre = (low + high) / 2
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    half = math.hypot((high - low) / 2, z * math.sqrt(centre * (1 - centre) / rows))
    return bool(abs(share - centre) <= half)


def _rising(bins: list[IntervalBin]) -> list[IntervalBin]:
    lows = np.minimum.accumulate([b.low for b in reversed(bins)])[::-1]
    highs = np.maximum.accumulate([b.high for b in bins])
    return [
        b.model_copy(update={"low": float(low), "high": float(high)})
        for b, low, high in zip(bins, lows, highs, strict=True)
    ]
