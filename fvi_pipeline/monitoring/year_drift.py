"""How far a value that all mines of a year share (a price, a figure of the country) has moved: judged against the
values of the reference's years, since beside the mines it is one point and any index of shares calls it a move.

What differs from mine to mine is judged in `drift`.

`moderate`: the value lies beyond those of all years, and further from their mean than one more year of the same kind
would in 19 of 20 cases; `large`: than in 999 of 1000 (the prediction interval of Student's t). Trees answer there as at
the nearest value that they have seen. Which mines have the value (some figures hold for a kind of mine) is an index of
two shares, judged as any other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fvi_pipeline.monitoring.drift import (
    Drift,
    Level,
    drift_of,
    index_by_chance,
    index_of_years,
    level_of,
    published,
    stability_index,
    with_nan,
)

_UNUSUAL, _BEYOND_CHANCE = 0.05, 0.001
_ORDER: tuple[Level, ...] = ("stable", "moderate", "large")


@dataclass(frozen=True)
class YearDrift:
    """One value's move; None: not known.

    `years` are the reference's years with their values. `beyond` is the distance from the nearest of them for a value
    that lies outside their range, in standard deviations of theirs (0 within; None when they do not differ),
    `by_chance` the probability that one more year lies as far from their mean. `absent` is how the part of mines
    without it moved.
    """

    feature: str
    value: float | None
    years: tuple[tuple[int, float], ...]
    below: int
    beyond: float | None
    by_chance: float | None
    absent: Level

    @property
    def is_outside(self) -> bool:
        """Whether no year has a value as small, or as large."""
        return self.value is not None and bool(self.years) and self.below in (0, len(self.years)) and self.beyond != 0

    @property
    def level(self) -> Level:
        """How the move is judged."""
        return max(self._level_of_value, self.absent, key=_ORDER.index)

    @property
    def _level_of_value(self) -> Level:
        if not self.is_outside or self.by_chance is None or self.by_chance >= _UNUSUAL:
            return "stable"
        return "large" if self.by_chance < _BEYOND_CHANCE else "moderate"


Move = Drift | YearDrift


def moves(reference: pl.DataFrame, current: pl.DataFrame, features: Sequence[str], year: str) -> list[Move]:
    """The move of each feature, judged against the reference's mines or, if all mines of a year share it, its years.

    Args:
        reference: the rows that are compared with, one per mine and year.
        current: the rows of now, all of one year.
        features: numeric columns of both; null and NaN mean missing.
        year: the reference's column of years.

    Raises:
        ValueError: one of the frames has no row.
    """
    if reference.is_empty() or current.is_empty():
        raise ValueError("Drift needs rows on both sides. Compare nothing while one side is empty.")
    years = reference[year].to_numpy()
    shared = _shared_by_a_year(reference, current, features, year)
    return [
        year_drift_of(reference[name], current[name], years)
        if name in shared
        else drift_of(reference[name], current[name], years)
        for name in features
    ]


def year_drift_of(reference: pl.Series, current: pl.Series, years: NDArray[np.int64]) -> YearDrift:
    """The move of a value that all mines of a year share; `years` are those of the reference's rows."""
    before, kept = published(with_nan(reference), years)
    known = ~np.isnan(before)
    # the rows of a year have one value
    numbers, first = np.unique(kept[known], return_index=True)
    values = before[known][first]
    now = with_nan(current)
    here = now[~np.isnan(now)]
    value = float(here[0]) if len(here) else None
    lack, lack_now = (np.array([present.sum(), (~present).sum()]) for present in (known, ~np.isnan(now)))
    usual = index_by_chance(lack, lack_now) + index_of_years((~known).astype(np.int64), kept, 2)
    return YearDrift(
        feature=reference.name,
        value=value,
        years=tuple((int(number), float(each)) for number, each in zip(numbers, values, strict=True)),
        below=0 if value is None else int((values < value).sum()),
        beyond=None if value is None else _beyond(values, value),
        by_chance=None if value is None else _by_chance(values, value),
        absent=level_of(stability_index(lack, lack_now), usual),
    )


def _beyond(values: NDArray[np.float64], value: float) -> float | None:
    if not len(values):
        return None
    distance = max(values.min() - value, value - values.max(), 0.0)
    if distance == 0:
        return 0.0
    deviation = values.std(ddof=1) if len(values) > 1 else 0.0
    return float(distance / deviation) if deviation > 0 else None


def _by_chance(values: NDArray[np.float64], value: float) -> float | None:
    from scipy.stats import t

    if len(values) < 2:
        return None
    deviation = values.std(ddof=1) * math.sqrt(1 + 1 / len(values))
    if deviation == 0:
        return 1.0 if value == values[0] else 0.0
    return float(2 * t.sf(abs(value - values.mean()) / deviation, len(values) - 1))


def _shared_by_a_year(
    reference: pl.DataFrame, current: pl.DataFrame, features: Sequence[str], year: str
) -> frozenset[str]:
    """The features of which no year has two values, but one differs from another: a flag that is set or missing, or a
    value that nobody has, tells nothing of years.
    """
    if reference.height == reference[year].n_unique():
        return frozenset()
    known = [pl.col(name).cast(pl.Float64).fill_nan(None).drop_nulls() for name in features]
    in_a_year = reference.group_by(year).agg(each.n_unique() for each in known).drop(year).max()
    now = current.select(each.n_unique() for each in known)
    both = pl.concat([reference.select(features), current.select(features)], how="vertical_relaxed")
    in_all = both.select(each.n_unique() for each in known)
    return frozenset(name for name in features if in_a_year[name][0] <= 1 and now[name][0] <= 1 < in_all[name][0])
