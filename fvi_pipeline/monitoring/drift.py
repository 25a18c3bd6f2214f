"""How far the values of features have moved from reference rows: population stability index and Kolmogorov-Smirnov
statistic. Which rows are compared is chosen elsewhere.

The index (PSI, Siddiqi 2006, "Credit Risk Scorecards", ch. 9) is the sum over bins of (q - p) ln(q / p), p and q being
the shares of the reference's and of the current rows in a bin. Its usual thresholds are 0.1 and 0.25. They know nothing
of the number of rows: without any move, the index is distributed like (1/n + 1/m) chi-square with bins - 1 degrees of
freedom (Yurdakul 2018, "Statistical Properties of Population Stability Index", Western Michigan University), and with
100 rows it often passes 0.1. So a level above `stable` needs both: the threshold, and more than chance gives once in a
thousand times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fvi_pipeline.monitoring.statistics import known_values

BINS = 10
MODERATE_PSI = 0.1
LARGE_PSI = 0.25
_CHANCE = 0.001

Level = Literal["stable", "moderate", "large"]
_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Bins:
    """Bins of values: each ends with one of the `upper_ends`, the last one is open. The `single_values` among these
    have a bin of their own, so that nothing just below them is taken for the same.
    """

    upper_ends: tuple[float, ...]
    single_values: tuple[float, ...]

    def __len__(self) -> int:
        """Number of bins."""
        return len(self.upper_ends) + len(self.single_values) + 1

    def counts(self, values: _Floats) -> NDArray[np.int64]:
        """How many of the values are in each bin, ascending."""
        passed = np.searchsorted(self.upper_ends, values, side="left")
        reached = np.searchsorted(self.single_values, values, side="right")
        return np.bincount(passed + reached, minlength=len(self))


@dataclass(frozen=True)
class Drift:
    """One feature's move.

    `psi_by_chance` is what the index exceeds once in a thousand times when nothing moved. `ks` is None when either
    side has no value at all, `outside` is the part of the current values beyond the reference's extremes. The shares
    are those of the bins, the last one of the rows without a value.
    """

    feature: str
    psi: float
    psi_by_chance: float
    ks: float | None
    outside: float | None
    bins: Bins
    reference_shares: tuple[float, ...]
    current_shares: tuple[float, ...]

    @property
    def level(self) -> Level:
        """How the index is judged."""
        if self.psi < MODERATE_PSI or self.psi <= self.psi_by_chance:
            return "stable"
        return "moderate" if self.psi < LARGE_PSI else "large"


def drift(reference: pl.DataFrame, current: pl.DataFrame, features: Sequence[str]) -> list[Drift]:
    """The move of each feature from `reference` to `current`, in the given order.

    Args:
        reference: the rows that are compared with, one per mine and year.
        current: the rows of now.
        features: numeric columns of both; null and NaN mean missing.

    Raises:
        ValueError: one of the frames has no row.
    """
    if reference.is_empty() or current.is_empty():
        raise ValueError("Drift needs rows on both sides. Compare nothing while one side is empty.")
    return [_drift(reference[feature], current[feature]) for feature in features]


def _drift(reference: pl.Series, current: pl.Series) -> Drift:
    from scipy.stats import chi2, ks_2samp

    before, now = known_values(reference), known_values(current)
    bins = deciles(before)
    counts = [
        np.append(bins.counts(values), rows - len(values))
        for values, rows in ((before, reference.len()), (now, current.len()))
    ]
    occupied = (counts[0] + counts[1]) > 0
    p, q = (_smoothed(of_side[occupied]) for of_side in counts)
    both = len(before) > 0 and len(now) > 0
    noise = 1 / reference.len() + 1 / current.len()
    freedom = int(occupied.sum()) - 1
    return Drift(
        feature=reference.name,
        psi=float(((q - p) * np.log(q / p)).sum()),
        psi_by_chance=float(chi2.ppf(1 - _CHANCE, freedom) * noise) if freedom else 0.0,
        # only the statistic is used; the exact p-value of the default method would cost more than all the rest
        ks=float(ks_2samp(before, now, method="asymp").statistic) if both else None,
        outside=float(((now < before.min()) | (now > before.max())).mean()) if both else None,
        bins=bins,
        reference_shares=tuple((counts[0] / reference.len()).tolist()),
        current_shares=tuple((counts[1] / current.len()).tolist()),
    )


def deciles(values: _Floats) -> Bins:
    """Bins that hold about a tenth of the values each; a value that fills more than one (a flag, a count) is single."""
    if not len(values):
        return Bins((), ())
    # of existing values, not interpolated: flags stay 0 and 1
    found = np.quantile(values, np.arange(1, BINS) / BINS, method="inverted_cdf")
    ends, times = np.unique(found, return_counts=True)
    return Bins(tuple(ends.tolist()), tuple(ends[times > 1].tolist()))


def _smoothed(counts: NDArray[np.int64]) -> _Floats:
    # Laplace: one more row in each bin, so that an empty one gives a large index and not an infinite one
    return np.asarray((counts + 1) / (counts.sum() + len(counts)), dtype=np.float64)
