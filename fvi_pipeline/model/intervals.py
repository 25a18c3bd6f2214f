"""Intervals of scores: how far the probability of mines like this one, in the year that the score is for, may lie
from the score.

They are made of what moves a score although nothing about the mine has changed: the mines that happened to be fitted
on (`spread`), and what was peculiar to the years of the outcomes (forward predictions beside what came). No test year
is among them. Making the table and looking up in it are here; fits and forward predictions are not.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, model_validator

from fvi_pipeline.model.calibration import sigmoid

if TYPE_CHECKING:
    from fvi_pipeline.model.spread import Spread

FloatVector = NDArray[np.float64]

_DECIMALS = 6
_GRID = np.arange(-8.0, 10.01, 0.5)
"""Log-odds at which the table is kept; wide steps, since its limits are smooth."""
# Trees flatten the safe end: their leaves cannot tell mines apart of which next to none closed, so that among the
# safest the truth rises faster than the score. Where that begins and by how much is that of simulated panels, whose
# truth is known.
_SAFE_FROM_QUANTILE = 0.8
_SAFE_RISE = 0.5
# the part of the calibration's correction that may be wrong (a standard deviation): few closures tell of it
_DOUBTFUL_CORRECTION = 0.5
# the shift of a year that is expected before any is seen, which counts as one year
_USUAL_YEAR_DEVIATION = 0.15
_USUAL_YEARS = 1


class IntervalKnot(BaseModel):
    """A score and its limits, all in log-odds; between two knots the limits are straight lines."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    score: float
    low: float
    high: float


class IntervalTable(BaseModel):
    """Knots by horizon, with the nominal confidence and the variance of a year's shift (log-odds) that is in them, but
    for horizons that only older fits reach.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    confidence: float
    year_variance: float
    knots: dict[int, list[IntervalKnot]] = {}

    @model_validator(mode="before")
    @classmethod
    def _from_bins(cls, values: Any) -> Any:
        # versions from before 2026-11 have bins, each with its greatest probability: a champion among them is read
        if isinstance(values, dict) and "bins" in values:
            others = {name: value for name, value in values.items() if name != "bins"}
            knots = {
                horizon: [
                    {"score": _log_odds(b["upper"]), "low": _log_odds(b["low"]), "high": _log_odds(b["high"])}
                    for b in bins
                ]
                for horizon, bins in values["bins"].items()
            }
            return {**others, "knots": knots}
        return values

    def is_measured(self, horizon_years: int) -> bool:
        """Whether forward predictions reach this horizon."""
        return bool(self.knots.get(horizon_years))

    def interval(self, probability: float, horizon_years: int) -> tuple[float, float]:
        """Low and high in 0-1, containing the probability; (0, 1) for a horizon without a measurement."""
        knots = self.knots.get(horizon_years)
        if not knots:
            return 0.0, 1.0
        x = _log_odds(probability)
        right = bisect_left(knots, x, key=lambda knot: knot.score)
        start, end = knots[max(right - 1, 0)], knots[min(right, len(knots) - 1)]
        # beyond the first and the last knot the limits keep their distance
        share = (x - start.score) / (end.score - start.score) if end is not start else 0.0
        beyond = x - start.score if end is start else 0.0
        low = _probability(beyond + start.low + share * (end.low - start.low))
        high = _probability(beyond + start.high + share * (end.high - start.high))
        return min(low, probability), max(high, probability)

    def coverage(
        self,
        probability: FloatVector,
        viable: NDArray[np.int8],
        horizon_years: NDArray[np.int64],
        as_of_year: NDArray[np.int64] | None = None,
        minimum_rows: int = 50,
    ) -> dict[int, tuple[int, int]]:
        """For each horizon (groups of other rows whose viable share their mean interval holds, groups).

        A group is a bin of like probability, of one as-of year where the years are given. Its share is itself a draw
        of its few rows; the interval is widened by that noise (in quadrature), so that an honest table covers the
        stated confidence.
        """
        years = np.zeros(len(viable), dtype=np.int64) if as_of_year is None else as_of_year
        result: dict[int, tuple[int, int]] = {}
        for horizon in sorted(int(h) for h in np.unique(horizon_years)):
            if not self.is_measured(horizon):
                continue
            covered = groups = 0
            for year in np.unique(years[horizon_years == horizon]):
                of_cell = (horizon_years == horizon) & (years == year)
                p, y = probability[of_cell], viable[of_cell]
                for rows in quantile_bins(p, maximum_bins=10, minimum_rows=minimum_rows):
                    limits = np.array([self.interval(float(value), horizon) for value in p[rows]])
                    low, high = limits.mean(axis=0)
                    groups += 1
                    covered += _holds(low, high, p[rows], float(y[rows].mean()), self.confidence)
            result[horizon] = (covered, groups)
        return result


def fit_intervals(
    log_odds: FloatVector,
    viable: NDArray[np.int8],
    horizon_years: NDArray[np.int64],
    as_of_year: NDArray[np.int64],
    comparable: NDArray[np.bool_],
    spread: Spread,
    *,
    confidence: float = 0.9,
    minimum_rows: int = 60,
) -> IntervalTable:
    """Intervals by horizon and score, for the horizons that forward predictions reach.

    A limit is away from the score, in log-odds, by the normal quantile of errors in quadrature: how far scores like
    this one moved between fits on other mines; the shift of a year, common to all its mines; and, on the side of the
    margin, half of what the calibration corrected. The upper limit is further out among the safest (`_SAFE_RISE`). For
    one score the upper limit never is higher at a longer horizon, nor the lower one, and both rise with the score.

    Args:
        log_odds: calibrated, of forward predictions [n].
        viable: what came of them, 0 or 1 [n].
        horizon_years: their horizons [n].
        as_of_year: their as-of years [n].
        comparable: whether their fit tells of the level of the served one [n]. A horizon that has none such gets the
            shift of all of them, the older and ruder ones included.
        spread: of the served model's scores between fits.
        confidence: the share of truths that the intervals are to hold.
        minimum_rows: a horizon with fewer forward predictions stays without a measurement.
    """
    horizons, counts = np.unique(horizon_years, return_counts=True)
    measured = [int(horizon) for horizon, count in zip(horizons, counts, strict=True) if count >= minimum_rows]

    def shift_variance(rows: NDArray[np.bool_]) -> float:
        known = year_variance(log_odds[rows], viable[rows], horizon_years[rows], as_of_year[rows])
        return known * _student_factor(max(len(np.unique(as_of_year[rows])), 1), confidence)

    of_all = shift_variance(np.ones(len(viable), dtype=bool))
    of_comparable = shift_variance(comparable) if comparable.any() else of_all
    variances = {h: of_comparable if comparable[horizon_years == h].any() else of_all for h in measured}
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    lows, highs = [], []
    for horizon in measured:
        common = spread.deviation_at(_GRID, horizon) ** 2 + variances[horizon]
        doubt = _DOUBTFUL_CORRECTION * spread.correction_at(_GRID, horizon)
        below = z * np.sqrt(common + np.maximum(doubt, 0.0) ** 2)
        above = z * np.sqrt(common + np.minimum(doubt, 0.0) ** 2)
        lows.append(_GRID - below)
        safe_from = spread.score_quantile(_SAFE_FROM_QUANTILE, horizon)
        highs.append(_GRID + above + _SAFE_RISE * np.maximum(_GRID - safe_from, 0.0))
    knots: dict[int, list[IntervalKnot]] = {}
    if measured:
        # never rising with the horizon, then rising with the score
        low = np.maximum.accumulate(np.minimum.accumulate(np.array(lows), axis=0), axis=1)
        high = np.maximum.accumulate(np.maximum.accumulate(np.array(highs)[::-1], axis=0)[::-1], axis=1)
        rounded = np.round(np.stack([np.broadcast_to(_GRID, low.shape), low, high], axis=2), _DECIMALS).tolist()
        knots = {
            horizon: [IntervalKnot(score=x, low=lowest, high=highest) for x, lowest, highest in limits]
            for horizon, limits in zip(measured, rounded, strict=True)
        }
    return IntervalTable(confidence=confidence, year_variance=round(of_comparable, _DECIMALS), knots=knots)


def year_variance(
    log_odds: FloatVector,
    viable: NDArray[np.int8],
    horizon_years: NDArray[np.int64],
    as_of_year: NDArray[np.int64],
) -> float:
    """Variance (log-odds) of what lies between scores and outcomes of one as-of year and horizon, beyond the chance of
    single mines.

    The moment estimate of DerSimonian and Laird about zero: what all years have in common counts as an error too. A
    few years tell little of a variance, so it is drawn towards a usual one.
    """
    years, (cells, cell) = (
        np.unique(as_of_year),
        np.unique(np.stack([as_of_year, horizon_years]), axis=1, return_inverse=True),
    )
    probability = sigmoid(log_odds)
    information = np.bincount(cell, weights=probability * (1 - probability), minlength=cells.shape[1])
    residual = np.bincount(cell, weights=viable - probability, minlength=cells.shape[1])
    # the shift of a cell is residual / information (one Newton step), and 1 / information what chance makes of it
    excess = residual**2 / np.maximum(information, 1e-9) - 1
    measured = max(0.0, float(excess.sum() / information.sum())) if len(cells.T) else 0.0
    return (len(years) * measured + _USUAL_YEARS * _USUAL_YEAR_DEVIATION**2) / (len(years) + _USUAL_YEARS)


def _student_factor(years: int, confidence: float) -> float:
    """By how much a variance known from so many years counts as larger: Student's quantile beside the normal one."""
    from scipy.stats import t as student_t

    tail = 0.5 + confidence / 2
    return float(student_t.ppf(tail, years) / NormalDist().inv_cdf(tail)) ** 2


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


def _holds(low: float, high: float, probability: FloatVector, share: float, confidence: float) -> bool:
    # each side by itself, since the interval need not lie evenly about the scores
    centre, rows = float(probability.mean()), len(probability)
    noise = NormalDist().inv_cdf(0.5 + confidence / 2) * math.sqrt(centre * (1 - centre) / rows)
    return centre - math.hypot(centre - low, noise) <= share <= centre + math.hypot(high - centre, noise)


def _log_odds(probability: float) -> float:
    inside = min(max(probability, 1e-9), 1 - 1e-9)
    return math.log(inside / (1 - inside))


def _probability(log_odds: float) -> float:
    small = math.exp(-abs(log_odds))
    return (1.0 if log_odds >= 0 else small) / (1.0 + small)
