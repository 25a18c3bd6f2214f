"""How far the values of features have moved from reference rows: population stability index and Kolmogorov-Smirnov
statistic. Which rows are compared is chosen elsewhere; what is one value for all mines of a year is judged in
`year_drift`.

The index (PSI, Siddiqi 2006, "Credit Risk Scorecards", ch. 9) is the sum over bins of (q - p) ln(q / p), p and q being
the shares of the reference's and of the current rows in a bin. Its usual thresholds are 0.1 and 0.25. They know nothing
of the number of rows: without any move, the index is distributed like (1/n + 1/m) chi-square with bins - 1 degrees of
freedom (Yurdakul 2018, "Statistical Properties of Population Stability Index", Western Michigan University), and with
100 rows it often passes 0.1. Nor do they know that mines of one year share its weather, strikes and prices, and that a
series that grows (years of production) is always ahead of its past: in the reference too a year lies apart from those
before it. So a level above `stable` needs all three: the threshold, more than chance gives once in a thousand times,
and on top of that more than any later year of the reference lay from the years before it.
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
FEWEST_YEARS = 3
"""A year is compared with those before it if there are so many, and half of the years are before it."""
_CHANCE = 0.001

Level = Literal["stable", "moderate", "large"]
_Floats = NDArray[np.float64]
_Counts = NDArray[np.int64]


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

    def places(self, values: _Floats) -> _Counts:
        """The number of each value's bin."""
        passed = np.searchsorted(self.upper_ends, values, side="left")
        reached = np.searchsorted(self.single_values, values, side="right")
        return np.asarray(passed + reached, dtype=np.int64)

    def counts(self, values: _Floats) -> _Counts:
        """How many of the values are in each bin, ascending."""
        return np.bincount(self.places(values), minlength=len(self))


@dataclass(frozen=True)
class Drift:
    """One feature's move.

    `psi_by_chance` is what the index exceeds once in a thousand times when nothing moved, `psi_of_years` by how much
    more than chance a year of the reference, of its second half, lay from those before it at most. `ks` is None when
    either side has no value at all, `outside` is the part of the current values beyond the reference's extremes. The
    shares are those of the bins, the last one of the rows without a value.
    """

    feature: str
    psi: float
    psi_by_chance: float
    psi_of_years: float
    ks: float | None
    outside: float | None
    bins: Bins
    reference_shares: tuple[float, ...]
    current_shares: tuple[float, ...]

    @property
    def level(self) -> Level:
        """How the index is judged."""
        return level_of(self.psi, self.psi_by_chance + self.psi_of_years)


def level_of(psi: float, usual: float) -> Level:
    """The level of an index, `usual` being what it has to exceed in any case."""
    if psi < MODERATE_PSI or psi <= usual:
        return "stable"
    return "moderate" if psi < LARGE_PSI else "large"


def drift(
    reference: pl.DataFrame, current: pl.DataFrame, features: Sequence[str], year: str | None = None
) -> list[Drift]:
    """The move of each feature from `reference` to `current`, in the given order.

    Args:
        reference: the rows that are compared with, one per mine and year.
        current: the rows of now.
        features: numeric columns of both; null and NaN mean missing.
        year: the reference's column of years, to know how far one usually lies from the others. Years in which no row
            has a value, though others do, are left out: it was not published yet.

    Raises:
        ValueError: one of the frames has no row.
    """
    if reference.is_empty() or current.is_empty():
        raise ValueError("Drift needs rows on both sides. Compare nothing while one side is empty.")
    years = None if year is None else reference[year].to_numpy()
    return [drift_of(reference[feature], current[feature], years) for feature in features]


def drift_of(reference: pl.Series, current: pl.Series, years: _Counts | None = None) -> Drift:
    """The move of one feature; `years` are those of the reference's rows."""
    from scipy.stats import ks_2samp

    before = with_nan(reference)
    if years is not None:
        before, years = published(before, years)
    known, now = before[~np.isnan(before)], known_values(current)
    bins = deciles(known)
    of_rows = np.where(np.isnan(before), len(bins), bins.places(before))
    reference_counts = np.bincount(of_rows, minlength=len(bins) + 1)
    current_counts = np.append(bins.counts(now), current.len() - len(now))
    both = len(known) > 0 and len(now) > 0
    return Drift(
        feature=reference.name,
        psi=stability_index(reference_counts, current_counts),
        psi_by_chance=index_by_chance(reference_counts, current_counts),
        psi_of_years=0.0 if years is None else index_of_years(of_rows, years, len(bins) + 1),
        # only the statistic is used; the exact p-value of the default method would cost more than all the rest
        ks=float(ks_2samp(known, now, method="asymp").statistic) if both else None,
        outside=float(((now < known.min()) | (now > known.max())).mean()) if both else None,
        bins=bins,
        reference_shares=tuple((reference_counts / len(before)).tolist()),
        current_shares=tuple((current_counts / current.len()).tolist()),
    )


def with_nan(column: pl.Series) -> _Floats:
    """All values in the column's order, NaN for those that are missing."""
    return column.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def published(values: _Floats, years: _Counts) -> tuple[_Floats, _Counts]:
    """The rows of the years in which some row has a value; all rows when there is no such year."""
    with_values = np.unique(years[~np.isnan(values)])
    kept = np.isin(years, with_values) if len(with_values) else np.ones(len(values), dtype=bool)
    return values[kept], years[kept]


def deciles(values: _Floats) -> Bins:
    """Bins that hold about a tenth of the values each; a value that fills more than one (a flag, a count) is single."""
    if not len(values):
        return Bins((), ())
    # of existing values, not interpolated: flags stay 0 and 1
    found = np.quantile(values, np.arange(1, BINS) / BINS, method="inverted_cdf")
    ends, times = np.unique(found, return_counts=True)
    return Bins(tuple(ends.tolist()), tuple(ends[times > 1].tolist()))


def stability_index(reference: _Counts, current: _Counts) -> float:
    """The index of the rows counted in each bin; bins that are empty on both sides do not count."""
    occupied = (reference + current) > 0
    p, q = _smoothed(reference[occupied]), _smoothed(current[occupied])
    return float(((q - p) * np.log(q / p)).sum())


def index_by_chance(reference: _Counts, current: _Counts) -> float:
    """What the index exceeds once in a thousand times though both sides are draws from one distribution."""
    from scipy.stats import chi2

    freedom = int(((reference + current) > 0).sum()) - 1
    return float(chi2.ppf(1 - _CHANCE, freedom) * _noise(reference, current)) if freedom > 0 else 0.0


def index_of_years(places: _Counts, years: _Counts, bins: int) -> float:
    """The largest index of one year beside those before it, less what chance gives in the mean; 0 with few years.

    The first half is only compared with: a panel that begins is full of firsts, and its years look like no other.

    Args:
        places: the bin of each row.
        years: the year of each row.
        bins: number of bins.
    """
    found, numbers = np.unique(years, return_inverse=True)
    by_year = np.bincount(numbers * bins + places, minlength=len(found) * bins).reshape(len(found), bins)
    before = by_year.cumsum(axis=0)
    judged = range(max(FEWEST_YEARS, (len(found) + 1) // 2), len(found))
    return max((_beyond_noise(before[number - 1], by_year[number]) for number in judged), default=0.0)


def _beyond_noise(reference: _Counts, current: _Counts) -> float:
    freedom = int(((reference + current) > 0).sum()) - 1
    return max(0.0, stability_index(reference, current) - freedom * _noise(reference, current))


def _noise(reference: _Counts, current: _Counts) -> float:
    return float(1 / reference.sum() + 1 / current.sum())


def _smoothed(counts: _Counts) -> _Floats:
    # Laplace: one more row in each bin, so that an empty one gives a large index and not an infinite one
    return np.asarray((counts + 1) / (counts.sum() + len(counts)), dtype=np.float64)
