"""Which features the segments are made of: a rule over the catalogue and the cohort's values, no list of names.

How their values are scaled belongs to `scaling`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fvi_pipeline.features.catalogue import FeatureColumn
from fvi_pipeline.features.groups import OWN, TRACKER, groups_of
from fvi_pipeline.trace.sources import parse_source


@dataclass(frozen=True)
class FeatureRule:
    """When a feature of the mine itself counts: how many of the mines must have a value, and how like an earlier
    feature (Spearman's correlation) it may be.
    """

    least_known_share: float = 0.7
    greatest_likeness: float = 0.9


@dataclass(frozen=True)
class FeatureChoice:
    """The features that count, in the catalogue's order, and why each of the others does not."""

    features: tuple[str, ...]
    left_out: dict[str, str]


def choose_features(
    columns: Iterable[FeatureColumn], cohort: pl.DataFrame, rule: FeatureRule | None = None
) -> FeatureChoice:
    """The features that say what a mine is: its own facts, of the year or of its whole past, known for most mines.

    What others do (operator, county, state, prices) and what happened between two years is left out: the first is of
    the neighbours, the second is mostly chance. Of two features that rank the mines alike the first one counts.
    """
    rule = rule or FeatureRule()
    kept: list[str] = []
    ranks: list[NDArray[np.float64]] = []
    left_out: dict[str, str] = {}
    for column in columns:
        if column.role != "feature":
            continue
        reason = _not_of_the_mine(column) or _not_telling(cohort[column.name], rule)
        if reason is None:
            ranked = _ranks(cohort[column.name])
            alike = [
                name
                for name, other in zip(kept, ranks, strict=True)
                if _likeness(ranked, other) >= rule.greatest_likeness
            ]
            reason = f"ranks the mines as {alike[0]} does" if alike else None
        if reason is None:
            kept.append(column.name)
            ranks.append(ranked)
        else:
            left_out[column.name] = reason
    return FeatureChoice(tuple(kept), left_out)


def _not_of_the_mine(column: FeatureColumn) -> str | None:
    if not {group.name for group in groups_of(column)} <= {OWN.name, TRACKER.name}:
        return "is not of the mine alone"
    periods = [parse_source(source).period for source in column.sources]
    # at the anchor itself, or everything up to it
    if not all(period is None or (period.last == 0 and period.first in (0, None)) for period in periods):
        return "is about an earlier year or a change"
    return None


def _not_telling(values: pl.Series, rule: FeatureRule) -> str | None:
    known = values.cast(pl.Float64).fill_nan(None).drop_nulls()
    share = known.len() / max(values.len(), 1)
    if share < rule.least_known_share:
        return f"is known for {share:.0%} of the mines"
    if known.n_unique() < 2:
        return "is the same for all mines"
    return None


def _ranks(values: pl.Series) -> NDArray[np.float64]:
    known = values.cast(pl.Float64).fill_nan(None)
    ranked = known.fill_null(known.median()).rank("average").to_numpy()
    return np.asarray((ranked - ranked.mean()) / ranked.std(), dtype=np.float64)


def _likeness(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(abs((one * other).mean()))
