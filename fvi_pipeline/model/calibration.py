"""Calibration: from the margin of the trees to the log-odds that are served, horizon by horizon.

The form, its fit and its lookup are here, over arrays and light to import, since scoring reads it. What it is fitted
on belongs in `forward`, its place in the served file in `onnx_export`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator

FloatVector = NDArray[np.float64]

# How far the corrections may be expected to go, in log-odds
_SLOPE_DEVIATION = 0.05
_STEEPENING_DEVIATION = 0.25
_INTERCEPT_DEVIATION = 0.1
# and how far a year shifts by itself all mines of a horizon: thousands of rows of one year tell little of the next
_YEAR_DEVIATION = 0.3
_PIVOT_QUANTILE = 0.5
_DECIMALS = 6


class Calibration(BaseModel):
    """log-odds = slope * margin + steepening(horizon) * max(margin - pivot, 0) + intercept(horizon); the identity
    unless fitted.

    The slope is positive, the steepening is not negative, and neither it nor the intercept rises with the horizon: so
    P(viable) rises with the margin and never with the horizon, whatever the margins are.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    slope: float = Field(default=1.0, gt=0)
    pivot: float = 0.0
    steepenings: dict[int, float] = {}
    """By horizon in years: how much steeper the safe end is. One between two of them has that of the shorter, as in
    the served graph."""
    intercepts: dict[int, float] = {}
    """By horizon in years, as above."""

    @field_validator("steepenings", "intercepts")
    @classmethod
    def _never_rising(cls, by_horizon: dict[int, float]) -> dict[int, float]:
        ordered = dict(sorted(by_horizon.items()))
        if any(longer > shorter for shorter, longer in pairwise(ordered.values())):
            raise ValueError("must not rise with the horizon, else viability could")
        return ordered

    @field_validator("steepenings")
    @classmethod
    def _not_negative(cls, by_horizon: dict[int, float]) -> dict[int, float]:
        if any(value < 0 for value in by_horizon.values()):
            raise ValueError("must not be negative, else viability could fall where the margin rises")
        return by_horizon

    def steepening(self, horizon_years: int) -> float:
        """What is added to the slope above the pivot at one horizon."""
        return _step(self.steepenings, horizon_years)

    def intercept(self, horizon_years: int) -> float:
        """What is added at one horizon."""
        return _step(self.intercepts, horizon_years)

    def log_odds(self, margin: FloatVector, horizon_years: NDArray[np.int64]) -> FloatVector:
        """Calibrated log-odds [n] of margins [n], each at its horizon [n]."""
        found, numbers = np.unique(horizon_years, return_inverse=True)
        steepening = np.array([self.steepening(int(horizon)) for horizon in found], dtype=np.float64)[numbers]
        intercept = np.array([self.intercept(int(horizon)) for horizon in found], dtype=np.float64)[numbers]
        x = np.asarray(margin, dtype=np.float64)
        return self.slope * x + steepening * np.maximum(x - self.pivot, 0.0) + intercept

    def probabilities(self, margin: FloatVector, horizon_years: NDArray[np.int64]) -> FloatVector:
        """Calibrated P(viable) [n] of margins [n], each at its horizon [n]."""
        return sigmoid(self.log_odds(margin, horizon_years))


def sigmoid(log_odds: FloatVector) -> FloatVector:
    """Probability of log-odds, without overflow at either end."""
    small = np.exp(-np.abs(log_odds))
    return np.asarray(np.where(log_odds >= 0, 1.0, small) / (1.0 + small), dtype=np.float64)


def fit_calibration(
    margin: FloatVector,
    viable: NDArray[np.int8],
    horizon_years: NDArray[np.int64],
    as_of_year: NDArray[np.int64],
    horizons: Sequence[int],
) -> Calibration:
    """The calibration of least log loss, drawn towards no correction, beside a shift of each as-of year and horizon.

    The shifts take what is of one year and are not part of the result: a level is known from the number of years, not
    of rows.

    Args:
        margin: of the trees [n], for rows that they were not fitted on.
        viable: what came, 0 or 1 [n].
        horizon_years: the horizon of each row [n].
        as_of_year: the as-of year of each row [n].
        horizons: all that the model answers for; one without rows goes with its neighbours.
    """
    from scipy.optimize import minimize

    if not len(viable):
        return Calibration()
    ordered = np.array(sorted(horizons))
    count = len(ordered)
    x = np.asarray(margin, dtype=np.float64)
    y = np.asarray(viable, dtype=np.float64)
    # rounded, here and below, so that the last bits of a library's sums are not in the served bytes
    pivot = round(float(np.quantile(x, _PIVOT_QUANTILE)), _DECIMALS)
    above = np.maximum(x - pivot, 0.0)[:, None]
    # the slope; what each horizon adds to the steepening of the next longer one, and to the intercept of the next
    # shorter one: with bounds on single parameters neither rises with the horizon
    design = np.hstack(
        [
            x[:, None],
            above * (horizon_years[:, None] <= ordered),
            horizon_years[:, None] >= ordered,
        ]
    )
    cells, cell = np.unique(np.stack([as_of_year, horizon_years]), axis=1, return_inverse=True)
    shifts = cells.shape[1]
    expected = np.array([1.0] + [0.0] * (2 * count + shifts))
    deviation = np.repeat(
        [_SLOPE_DEVIATION, _STEEPENING_DEVIATION, _INTERCEPT_DEVIATION, _YEAR_DEVIATION], [1, count, count, shifts]
    )
    free = (None, None)
    bounds = [(0.05, 20.0), *[(0.0, None)] * count, free, *[(None, 0.0)] * (count - 1), *[free] * shifts]
    # what is drawn towards the expected: the slope, both levels of each horizon, the shift of each year
    levels = np.eye(len(expected))
    levels[1 : 1 + count, 1 : 1 + count] = np.triu(np.ones((count, count)))
    levels[1 + count : 1 + 2 * count, 1 + count : 1 + 2 * count] = np.tril(np.ones((count, count)))

    def loss(parameters: FloatVector) -> tuple[float, FloatVector]:
        log_odds = np.einsum("ij,j->i", design, parameters[:-shifts]) + parameters[-shifts:][cell]
        away = ((levels * parameters).sum(axis=1) - expected) / deviation
        value = np.logaddexp(0.0, log_odds).sum() - (y * log_odds).sum() + (away**2).sum() / 2
        error = sigmoid(log_odds) - y
        of_years = np.bincount(cell, weights=error, minlength=shifts)
        gradient = np.concatenate([np.einsum("ij,i->j", design, error), of_years])
        return float(value), gradient + (levels * (away / deviation)[:, None]).sum(axis=0)

    options = {"ftol": 1e-13, "gtol": 1e-7, "maxiter": 1000}
    found = minimize(loss, expected, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    steepenings = np.cumsum(np.maximum(found[count:0:-1], 0.0))[::-1]
    intercepts = np.cumsum([found[count + 1], *np.minimum(found[count + 2 : 2 * count + 1], 0.0)])

    def by_horizon(values: FloatVector) -> dict[int, float]:
        rounded = np.round(values, _DECIMALS) + 0.0
        return dict(zip(ordered.tolist(), rounded.tolist(), strict=True))

    return Calibration(
        slope=round(float(found[0]), _DECIMALS),
        pivot=pivot,
        steepenings=by_horizon(steepenings),
        intercepts=by_horizon(intercepts),
    )


def _step(by_horizon: dict[int, float], horizon_years: int) -> float:
    position = bisect_right(list(by_horizon), horizon_years)
    return list(by_horizon.values())[max(position - 1, 0)] if by_horizon else 0.0
