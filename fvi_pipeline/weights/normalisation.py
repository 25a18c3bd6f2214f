"""How a metric is put on a common scale: its percentile among the mines of the same time. No weighting here.

A percentile is robust: no outlier moves the others, and no unit or skew is left. It says where a mine stands among the
mines that it is compared with, so these are the ones that are known at that time, and never later ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

_Floats = NDArray[np.float64]


def percentiles(frame: pl.DataFrame, reference: pl.DataFrame, metrics: Sequence[str]) -> pl.DataFrame:
    """Each metric of `frame` as the part of the reference's values below it, equal ones counted half (0 to 1).

    A value is null where the metric is missing (null or NaN), or the reference has no value of it.

    Args:
        frame: rows to place; columns beside `metrics` are kept.
        reference: the mines of the same time, with `metrics`.
        metrics: numeric columns of both.
    """
    placed = [
        pl.Series(
            metric, _percentiles(_values(frame[metric]), _values(reference[metric])), pl.Float64, nan_to_null=True
        )
        for metric in metrics
    ]
    return frame.with_columns(placed)


def percentiles_by_year(frame: pl.DataFrame, metrics: Sequence[str]) -> pl.DataFrame:
    """Each metric as its percentile among the rows of the same `as_of_year`; the order of rows is kept."""
    years = [percentiles(year, year, metrics) for year in frame.with_row_index("_row").partition_by("as_of_year")]
    return pl.concat(years).sort("_row").drop("_row") if years else frame


def _values(column: pl.Series) -> _Floats:
    return column.cast(pl.Float64).to_numpy()


def _percentiles(values: _Floats, reference: _Floats) -> _Floats:
    known = np.sort(reference[~np.isnan(reference)])
    if not len(known):
        return np.full(len(values), np.nan)
    below, up_to = np.searchsorted(known, values, "left"), np.searchsorted(known, values, "right")
    # NaN sorts after everything: it would be the best of all
    return np.where(np.isnan(values), np.nan, (below + up_to) / (2 * len(known)))
