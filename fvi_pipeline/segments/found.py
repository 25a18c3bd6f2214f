"""From gold to segments in one call: the cohort, the features that count, the fit, the profiles, the past of the kind.

Storing them belongs to `store`, when to look for them to `defs`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl
import psycopg

from fvi_pipeline.features.catalogue import FeatureColumn
from fvi_pipeline.segments import store
from fvi_pipeline.segments.errors import TooFewMinesError
from fvi_pipeline.segments.features import FeatureChoice, choose_features
from fvi_pipeline.segments.fit import SegmentFit, SegmentSettings, fit_segments
from fvi_pipeline.segments.past import PastViability, past_viability
from fvi_pipeline.segments.profile import SegmentProfile, profile_segments
from fvi_pipeline.segments.scaling import raw_values


@dataclass(frozen=True)
class FoundSegments:
    """The segments of a cohort with everything that is told of them."""

    cohort: pl.DataFrame
    choice: FeatureChoice
    fit: SegmentFit
    profiles: tuple[SegmentProfile, ...]
    past: dict[int, tuple[PastViability, ...]]

    @property
    def as_of_year(self) -> int:
        """The cohort's year."""
        return int(self.cohort["as_of_year"][0])

    @property
    def missing(self) -> dict[str, int]:
        """Of how many mines each feature that counts has no value, where there are such mines."""
        values = raw_values(self.cohort, self.fit.features)
        counts = np.isnan(values).sum(axis=0)
        return {name: int(count) for name, count in zip(self.fit.features, counts, strict=True) if count}


def find_segments(
    connection: psycopg.Connection,
    columns: Sequence[FeatureColumn],
    *,
    size_feature: str,
    settings: SegmentSettings,
    known_by: datetime,
) -> FoundSegments:
    """The segments of the newest cohort; nothing is written.

    Raises:
        TooFewMinesError: gold has too few mines of the newest year, or too little that tells them apart.
    """
    features = [column for column in columns if column.role == "feature"]
    cohort = store.newest_cohort(connection, [column.name for column in features])
    if cohort.is_empty():
        raise TooFewMinesError("Gold has no cohort, so there are no segments. Add EIA files.")
    choice = choose_features(features, cohort)
    fit = fit_segments(cohort, choice.features, size_feature=size_feature, settings=settings)
    past = past_viability(store.past_rows(connection, fit.features, known_by), fit.scaling, fit.centres)
    profiles = profile_segments(fit, cohort, {column.name: column for column in features})
    return FoundSegments(cohort, choice, fit, profiles, past)
