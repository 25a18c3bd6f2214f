"""Values of features on one scale: skew taken out, one unit of spread, outliers held, gaps filled. What is done with
them belongs to `fit`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
_FARTHEST = 3.0
"""Standard deviations: farther out a value counts as if it were there, so that no single mine makes a segment."""


@dataclass(frozen=True)
class Scaling:
    """What was learned from the cohort: per feature the power of Yeo and Johnson that takes its skew out, the mean and
    the deviation after it, and the median that stands for a missing value.
    """

    features: tuple[str, ...]
    powers: tuple[float, ...]
    means: tuple[float, ...]
    deviations: tuple[float, ...]
    medians: tuple[float, ...]

    def apply(self, frame: pl.DataFrame) -> FloatArray:
        """Scaled values [n, F] of a frame that has the features; a gap has the cohort's median."""
        values = _filled(raw_values(frame, self.features), np.array(self.medians))
        return self._scaled(values)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "features": list(self.features),
            "powers": list(self.powers),
            "means": list(self.means),
            "deviations": list(self.deviations),
            "medians": list(self.medians),
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Scaling:
        """From `as_dict`."""
        return cls(**{name: tuple(values) for name, values in stored.items()})

    def _scaled(self, values: FloatArray) -> FloatArray:
        scaled = (_powered(values, self.powers) - np.array(self.means)) / np.array(self.deviations)
        return np.asarray(np.clip(scaled, -_FARTHEST, _FARTHEST), dtype=np.float64)


def fit_scaling(frame: pl.DataFrame, features: Sequence[str]) -> Scaling:
    """Learn the scale from a cohort in which every feature has at least two values."""
    from scipy.stats import yeojohnson_normmax

    raw = raw_values(frame, features)
    medians = np.nanmedian(raw, axis=0)
    # on what is known: a gap that was filled must not make the middle look crowded
    powers = tuple(float(yeojohnson_normmax(column[~np.isnan(column)])) for column in raw.T)
    moved = _powered(raw, powers)
    return Scaling(
        features=tuple(features),
        powers=powers,
        means=tuple(map(float, np.nanmean(moved, axis=0))),
        deviations=tuple(map(float, np.nanstd(moved, axis=0))),
        medians=tuple(map(float, medians)),
    )


def raw_values(frame: pl.DataFrame, features: Sequence[str]) -> FloatArray:
    """The values [n, F] as they are, NaN where one is missing."""
    columns = [frame[name].cast(pl.Float64).fill_null(float("nan")).to_numpy() for name in features]
    return np.column_stack(columns).astype(np.float64)


def _filled(values: FloatArray, medians: FloatArray) -> FloatArray:
    return np.where(np.isnan(values), medians, values)


def _powered(values: FloatArray, powers: Sequence[float]) -> FloatArray:
    from scipy.stats import yeojohnson

    columns = []
    for column, power in zip(values.T, powers, strict=True):
        moved, known = np.full(len(column), np.nan), ~np.isnan(column)
        moved[known] = yeojohnson(column[known], lmbda=power)
        columns.append(moved)
    return np.column_stack(columns)
