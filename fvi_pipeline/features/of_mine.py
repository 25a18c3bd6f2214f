"""One mine's features as people ask for them: what is served now or was known at a moment, and how old each value is.

The age of a value is told by the times of knowing that accompany the features (`groups`). Printing belongs to `cli`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from fvi_pipeline.features.catalogue import FeatureColumn
from fvi_pipeline.features.errors import UnknownMineError
from fvi_pipeline.features.groups import groups_of
from fvi_pipeline.features.store import historical_features, online_features
from fvi_pipeline.features.views import EVENT_TIMESTAMP, JOIN_KEY, SEGMENT_VIEW, VINTAGE

if TYPE_CHECKING:
    from feast import FeatureStore

    from fvi_pipeline.features.versions import FeatureVersion


@dataclass(frozen=True)
class ValueAge:
    """Since when the newest fact behind a value is known, and how long before the moment that was; None where no fact
    of the feature's groups was used.
    """

    known_at: datetime | None
    age: timedelta | None

    @property
    def days(self) -> float | None:
        """The age in days."""
        return None if self.age is None else self.age / timedelta(days=1)


@dataclass(frozen=True)
class MineFeature:
    """A feature of a mine: what it is, its value (None: missing) and the value's age."""

    column: FeatureColumn
    value: float | None
    age: ValueAge


@dataclass(frozen=True)
class MineSegmentName:
    """The segment of like mines that a mine was in, and the as-of year of the cohort."""

    number: int
    name: str
    as_of_year: int


@dataclass(frozen=True)
class MineFeatures:
    """A mine's features at a moment, the as-of year and vintage that they are of, and the service that has them; with
    its segment, if any was known of it.
    """

    mine_id: str
    as_of_year: int
    vintage: datetime
    service: str
    moment: datetime
    is_online: bool
    features: tuple[MineFeature, ...]
    segment: MineSegmentName | None


def value_ages(values: Mapping[str, Any], columns: Iterable[FeatureColumn], moment: datetime) -> dict[str, ValueAge]:
    """For each feature of a row with its context: the newest time of knowing of its groups of facts, and its age then.

    Args:
        values: a row of a feature view, the times of knowing included.
        columns: the columns of the view; only features have an age.
        moment: when the value is used; with a time zone.
    """
    ages = {}
    for column in columns:
        if column.role == "feature":
            times = [values.get(group.known_at_column) for group in groups_of(column)]
            known_at = max((time for time in times if time is not None), default=None)
            ages[column.name] = ValueAge(known_at, None if known_at is None else moment - known_at)
    return ages


def features_of_mine(
    store: FeatureStore, version: FeatureVersion, mine_id: str, as_of: datetime | None = None
) -> MineFeatures:
    """The features of a mine as served now, or as known at `as_of`, read through Feast.

    Raises:
        UnknownMineError: there are none of the mine.
        FeatureStoreError: the version is frozen and was asked for a moment of the past.
    """
    if as_of is None:
        moment = datetime.now(UTC)
        rows = online_features(store, [mine_id], version.serving_service)
    else:
        moment = as_of
        asked = pl.DataFrame(
            {JOIN_KEY: [mine_id], EVENT_TIMESTAMP: [as_of]},
            schema={JOIN_KEY: pl.String, EVENT_TIMESTAMP: pl.Datetime("us", "UTC")},
        )
        rows = historical_features(store, asked, version.serving_service)
    row = rows.row(0, named=True)
    if row["as_of_year"] is None:
        when = "online" if as_of is None else f"known by {as_of:%Y-%m-%d %H:%M} UTC"
        raise UnknownMineError(
            f"{mine_id} has no features {when}. Mines of the panel have them (msha: and seven digits), from the day on "
            "which their first year became known; others have an index only."
        )
    ages = value_ages(row, version.store_columns, moment)
    return MineFeatures(
        mine_id=mine_id,
        as_of_year=int(row["as_of_year"]),
        vintage=row[VINTAGE],
        service=version.service,
        moment=moment,
        is_online=as_of is None,
        features=tuple(
            MineFeature(column, row[column.name], ages[column.name])
            for column in version.store_columns
            if column.name in ages
        ),
        segment=_segment(store, mine_id, as_of),
    )


def _segment(store: FeatureStore, mine_id: str, as_of: datetime | None) -> MineSegmentName | None:
    names = ("segment", "segment_name", "segment_as_of_year")
    if SEGMENT_VIEW not in {view.name for view in store.list_feature_views()}:
        return None  # a registry that was last written before there were segments
    references = [f"{SEGMENT_VIEW}:{name}" for name in names]
    if as_of is None:
        answer = store.get_online_features(features=references, entity_rows=[{JOIN_KEY: mine_id}]).to_dict()
        number, name, year = (answer[name][0] for name in names)
    else:
        asked = pl.DataFrame(
            {JOIN_KEY: [mine_id], EVENT_TIMESTAMP: [as_of]},
            schema={JOIN_KEY: pl.String, EVENT_TIMESTAMP: pl.Datetime("us", "UTC")},
        )
        number, name, year = historical_features(store, asked, references).select(names).row(0)
    return None if number is None else MineSegmentName(int(number), str(name), int(year))
