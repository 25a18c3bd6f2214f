"""How the values of features lie in one frame. Comparing two frames belongs to `drift`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray


@dataclass(frozen=True)
class FeatureStatistics:
    """One feature in one frame; None where there are too few values to say it."""

    feature: str
    rows: int
    null_rate: float | None
    minimum: float | None
    maximum: float | None
    mean: float | None
    deviation: float | None


def known_values(column: pl.Series) -> NDArray[np.float64]:
    """The values that are there, in the column's order; NaN means missing, as null does."""
    return column.cast(pl.Float64).fill_nan(None).drop_nulls().to_numpy()


def statistics(frame: pl.DataFrame, features: Sequence[str]) -> list[FeatureStatistics]:
    """Statistics of each feature, in the given order; the deviation is the sample's (n - 1)."""
    return [_statistics(frame[feature]) for feature in features]


def _statistics(column: pl.Series) -> FeatureStatistics:
    values, rows = known_values(column), column.len()
    some, several = len(values) > 0, len(values) > 1
    return FeatureStatistics(
        feature=column.name,
        rows=rows,
        null_rate=1 - len(values) / rows if rows else None,
        minimum=float(values.min()) if some else None,
        maximum=float(values.max()) if some else None,
        mean=float(values.mean()) if some else None,
        deviation=float(values.std(ddof=1)) if several else None,
    )
