"""Feast's objects, made from the versions of the features: the entity, a view and two services for each version, and
the views of the index and of the segments.

What a version is made of belongs to `versions`; opening a store, reading it and writing to it to `store`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC
from typing import Any

from fvi_pipeline.features.catalogue import PILLARS, FeatureColumn
from fvi_pipeline.features.versions import FeatureVersion

ENTITY = "mine"
JOIN_KEY = "mine_id"
INDEX_VIEW = "mine_index"
SEGMENT_VIEW = "mine_segment"
HISTORY_TABLE = "gold.gold_mine_feature_history"
INDEX_TABLE = "mart.fvi_index"
SEGMENT_TABLE = "mart.mine_segments"
EVENT_TIMESTAMP = "event_timestamp"
CREATED_TIMESTAMP = "created_timestamp"
VINTAGE = "vintage_known_at"
"""The created timestamp as a column of the views: Feast's online store does not keep it."""
FROZEN_TAG = "frozen_because"


def build_objects(versions: Iterable[FeatureVersion]) -> list[Any]:
    """Feast's objects for the versions: entity `mine`, views `mine_index` and `mine_segment`, and for version N the
    view `mine_features_vN` and the services `fvi_vN` (the model's inputs) and `fvi_serving_vN` (with context and the
    index).

    A frozen version's view is not for the online store, so that nothing writes to it, and its history answers with the
    reason.
    """
    from feast import Entity, ValueType

    mine = Entity(
        name=ENTITY,
        join_keys=[JOIN_KEY],
        value_type=ValueType.STRING,
        description="A coal mine: msha:0102838 in the U.S. panel, gem:M0086 elsewhere.",
    )
    index = _index_view(mine)
    objects: list[Any] = [mine, index, _segment_view(mine)]
    for version in versions:
        objects.extend(_objects_of(version, mine, index))
    return objects


def frozen_text(version: FeatureVersion) -> str:
    """Why a frozen version has no history any more, and what to use."""
    since = version.frozen_at.astimezone(UTC).date() if version.frozen_at else "now"
    return (
        f"{version.service} is frozen since {since} ({version.frozen_because}): gold cannot tell its values of any "
        "time, and online it has those of that day. Use the newest feature service, and models that were made with it."
    )


def _objects_of(version: FeatureVersion, mine: Any, index: Any) -> list[Any]:
    from feast import FeatureService, FeatureView, Field
    from feast.types import String, UnixTimestamp

    state = {} if version.is_live else {FROZEN_TAG: frozen_text(version)}
    view = FeatureView(
        name=version.view,
        entities=[mine],
        # no expiry: the age of a row is told by its as_of_year and its times of knowing, and judged where it is used
        ttl=None,
        online=version.is_live,
        schema=[
            Field(name=JOIN_KEY, dtype=String),
            *(_field(column) for column in version.store_columns),
            Field(
                name=VINTAGE, dtype=UnixTimestamp, description="When the row's vintage began.", tags={"role": "context"}
            ),
        ],
        source=_source(version),
        description=f"Features and context of a mine as of a year, with every vintage; version {version.number}.",
        tags={"version": str(version.number), **state},
    )
    return [
        view,
        FeatureService(
            name=version.service,
            features=[view[list(version.features)]],
            description="The inputs of a model, in order.",
            tags=state,
        ),
        FeatureService(
            name=version.serving_service,
            features=[view, index],
            description="What an answer needs: the model's inputs, their context and the index.",
            tags=state,
        ),
    ]


def _source(version: FeatureVersion) -> Any:
    from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import PostgreSQLSource

    keys = f"{JOIN_KEY}, {EVENT_TIMESTAMP}, {CREATED_TIMESTAMP}"
    names = [column.name for column in version.store_columns]
    if version.is_live:
        query = f"select {keys}, {', '.join(names)}, {CREATED_TIMESTAMP} as {VINTAGE} from {HISTORY_TABLE}"  # noqa: S608
    else:
        nothing = ", ".join(f"null as {name}" for name in (*names, VINTAGE))
        reason = frozen_text(version).replace("'", "''")
        query = f"select {keys}, {nothing} from {HISTORY_TABLE} where ops.refuse('{reason}')"  # noqa: S608 - our own words
    return PostgreSQLSource(
        name=version.view,
        query=query,
        timestamp_field=EVENT_TIMESTAMP,
        created_timestamp_column=CREATED_TIMESTAMP,
        description="One row per mine, as-of year and vintage.",
    )


def _index_view(mine: Any) -> Any:
    from feast import FeatureView, Field
    from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import PostgreSQLSource
    from feast.types import Float64, Int64, String

    columns = [
        ("index_score", "The index, 0 to 100; null without any metric."),
        ("coverage", "Share of the weight whose metric is known, 0 to 1."),
        *((f"{pillar}_points", f"Points of the index from the pillar {pillar}.") for pillar in PILLARS),
    ]
    return FeatureView(
        name=INDEX_VIEW,
        entities=[mine],
        ttl=None,
        schema=[
            Field(name=JOIN_KEY, dtype=String),
            # another name than the features' as-of year, which may differ
            Field(name="index_as_of_year", dtype=Int64, description="The as-of year of the index."),
            *(Field(name=name, dtype=Float64, description=text) for name, text in columns),
        ],
        source=PostgreSQLSource(
            name="fvi_index",
            query=(
                f"select {JOIN_KEY}, {EVENT_TIMESTAMP}, {CREATED_TIMESTAMP}, as_of_year as index_as_of_year, "  # noqa: S608
                f"{', '.join(name for name, _ in columns)} from {INDEX_TABLE}"
            ),
            timestamp_field=EVENT_TIMESTAMP,
            created_timestamp_column=CREATED_TIMESTAMP,
            description="The current index of each mine.",
        ),
        description="The index of a mine and the points of its pillars.",
    )


def _segment_view(mine: Any) -> Any:
    from feast import FeatureView, Field
    from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import PostgreSQLSource
    from feast.types import Float64, Int64, String

    columns = [
        ("segment", Int64, "The number of the mine's segment; null once the mine has left the cohort."),
        ("segment_name", String, "What the segment is called, by its profile."),
        ("silhouette", Float64, "How well the mine fits: 1 far from other segments, 0 between two."),
        ("next_segment_name", String, "The nearest other segment."),
    ]
    return FeatureView(
        name=SEGMENT_VIEW,
        entities=[mine],
        ttl=None,
        schema=[
            Field(name=JOIN_KEY, dtype=String),
            # another name than the features' as-of year, which may differ
            Field(name="segment_as_of_year", dtype=Int64, description="The as-of year of the cohort."),
            *(Field(name=name, dtype=kind, description=text) for name, kind, text in columns),
        ],
        source=PostgreSQLSource(
            name="mine_segments",
            query=(
                f"select {JOIN_KEY}, {EVENT_TIMESTAMP}, {CREATED_TIMESTAMP}, as_of_year as segment_as_of_year, "  # noqa: S608
                f"{', '.join(name for name, _, _ in columns)} from {SEGMENT_TABLE}"
            ),
            timestamp_field=EVENT_TIMESTAMP,
            # when the segments were computed: nobody knew them before, so no history of features has them
            created_timestamp_column=CREATED_TIMESTAMP,
            description="One row per mine, as-of year and fit.",
        ),
        description="The segment of a mine: context for people, no input of a model.",
        tags={"role": "context"},
    )


def _field(column: FeatureColumn) -> Any:
    from feast import Field
    from feast.types import Bool, Float64, Int64, String, UnixTimestamp

    types = {"number": Float64, "integer": Int64, "boolean": Bool, "text": String, "timestamp": UnixTimestamp}
    tags = {
        "role": column.role,
        "unit": column.unit,
        "category": column.category,
        "null_means": column.null_means,
    }
    described = {key: value for key, value in tags.items() if value}
    return Field(name=column.name, dtype=types[column.kind], description=column.description, tags=described)
