"""What became of past mines of the same kind: rows of earlier cohorts, as first known, placed by today's centres.

The outcomes have no part in making the segments, and nothing here is given to a model. Reading the rows belongs to
`store`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from fvi_pipeline.segments.fit import KEY, assign
from fvi_pipeline.segments.scaling import FloatArray, Scaling

HORIZONS_YEARS = (1, 3, 5)
_DEVIATIONS = 1.96
YEARS = 5
"""As many cohorts are looked at: the newest of which every one of the horizons is known."""


@dataclass(frozen=True)
class PastViability:
    """Of past mines of a segment: how many rows were judged at a horizon, the part of them that was viable with its
    95 % interval, the part of all past mines, and the as-of years.
    """

    horizon_years: int
    rows: int
    viable_share: float | None
    low: float | None
    high: float | None
    viable_share_of_all: float
    first_year: int
    last_year: int

    @property
    def in_words(self) -> str:
        """`52% (48-56%)`."""
        if self.viable_share is None or self.low is None or self.high is None:
            return "none"
        return f"{self.viable_share:.0%} ({100 * self.low:.0f}-{self.high:.0%})"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> PastViability:
        """From `as_dict`."""
        return cls(**stored)


def past_viability(rows: pl.DataFrame, scaling: Scaling, centres: FloatArray) -> dict[int, tuple[PastViability, ...]]:
    """For each segment what became of past mines like its own, by horizon; empty without past rows.

    `rows` has a row per mine, as-of year and horizon: mine_id, as_of_year, horizon_years, viable, and the features as
    first known.
    """
    if rows.is_empty():
        return {segment: () for segment in range(1, len(centres) + 1)}
    placed = rows.with_columns(assign(rows, scaling, centres)["segment"])
    first, last = placed.select(first=pl.col("as_of_year").min(), last=pl.col("as_of_year").max()).row(0)
    of_all = {horizon: _viable(part) for (horizon,), part in placed.group_by("horizon_years")}
    found: dict[int, tuple[PastViability, ...]] = {}
    for segment in range(1, len(centres) + 1):
        of_segment = placed.filter(pl.col("segment") == segment)
        found[segment] = tuple(
            _judged(of_segment.filter(pl.col("horizon_years") == horizon), horizon, of_all[horizon], (first, last))
            for horizon in sorted(of_all)
        )
    return found


def _judged(rows: pl.DataFrame, horizon: int, of_all: float, years: tuple[int, int]) -> PastViability:
    share, margin = None, 0.0
    if rows.height:
        share = _viable(rows)
        # a mine's years stand and fall together: the spread is that of whole mines
        apart = rows.group_by(KEY).agg((pl.col("viable").cast(pl.Float64) - share).sum())["viable"].to_numpy()
        margin = _DEVIATIONS * float(np.sqrt((apart**2).sum())) / rows.height
    return PastViability(
        horizon_years=int(horizon),
        rows=rows.height,
        viable_share=share,
        low=None if share is None else max(share - margin, 0.0),
        high=None if share is None else min(share + margin, 1.0),
        viable_share_of_all=of_all,
        first_year=int(years[0]),
        last_year=int(years[1]),
    )


def _viable(rows: pl.DataFrame) -> float:
    return float(rows["viable"].cast(pl.Float64).sum()) / rows.height
