"""Feast's objects, made from the catalogue: the entity, the two views and the two services.

Opening a store, reading it and writing to it belong to `store`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fvi_pipeline.features.catalogue import PILLARS, Catalogue, FeatureColumn, ValueKind

ENTITY = "mine"
JOIN_KEY = "mine_id"
FEATURE_VIEW = "mine_features"
INDEX_VIEW = "mine_index"
TRAINING_SERVICE = "fvi_v1"
SERVING_SERVICE = "fvi_serving_v1"
HISTORY_TABLE = "gold.gold_mine_feature_history"
INDEX_TABLE = "mart.fvi_index"
EVENT_TIMESTAMP = "event_timestamp"
CREATED_TIMESTAMP = "created_timestamp"


@dataclass(frozen=True)
class Views:
    """The objects of the feature repository (Feast's own types)."""

    mine: Any
    mine_features: Any
    mine_index: Any
    fvi_v1: Any
    fvi_serving_v1: Any

    def objects(self) -> list[Any]:
        """All of them, for `FeatureStore.apply`."""
        return [self.mine, self.mine_features, self.mine_index, self.fvi_v1, self.fvi_serving_v1]


def build_views(catalogue: Catalogue) -> Views:
    """Entity `mine`, views `mine_features` and `mine_index`, services `fvi_v1` and `fvi_serving_v1`.

    `fvi_v1` holds the model's inputs in the catalogue's order, `fvi_serving_v1` also their context and the
    index. The as-of year of the index is called `index_as_of_year`, since it may differ from that of the
    features.
    """
    from feast import Entity, FeatureService, FeatureView, Field, ValueType
    from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import PostgreSQLSource
    from feast.types import Bool, Float64, Int64, String, UnixTimestamp

    types = {"number": Float64, "integer": Int64, "boolean": Bool, "text": String, "timestamp": UnixTimestamp}

    def field(name: str, kind: ValueKind, description: str, tags: dict[str, str]) -> Any:
        return Field(name=name, dtype=types[kind], description=description, tags=tags)

    mine = Entity(
        name=ENTITY,
        join_keys=[JOIN_KEY],
        value_type=ValueType.STRING,
        description="A coal mine: msha:0102838 in the U.S. panel, gem:M0086 elsewhere.",
    )
    mine_features = FeatureView(
        name=FEATURE_VIEW,
        entities=[mine],
        # no expiry: a row's age is told by its as_of_year and judged where it is used
        ttl=None,
        schema=[
            Field(name=JOIN_KEY, dtype=String),
            *(_feature_field(field, c) for c in catalogue.store_columns()),
        ],
        source=PostgreSQLSource(
            name="gold_mine_feature_history",
            table=HISTORY_TABLE,
            timestamp_field=EVENT_TIMESTAMP,
            created_timestamp_column=CREATED_TIMESTAMP,
            description="One row per mine, as-of year and vintage.",
        ),
        description="Features and context of a mine as of a year, with every vintage.",
    )
    index_columns = [
        ("index_score", "The index, 0 to 100; null without any metric."),
        ("coverage", "Share of the weight whose metric is known, 0 to 1."),
        *((f"{pillar}_points", f"Points of the index from the pillar {pillar}.") for pillar in PILLARS),
    ]
    mine_index = FeatureView(
        name=INDEX_VIEW,
        entities=[mine],
        ttl=None,
        schema=[
            Field(name=JOIN_KEY, dtype=String),
            field("index_as_of_year", "integer", "The as-of year of the index.", {}),
            *(field(name, "number", text, {}) for name, text in index_columns),
        ],
        source=PostgreSQLSource(
            name="fvi_index",
            query=(
                f"select {JOIN_KEY}, {EVENT_TIMESTAMP}, {CREATED_TIMESTAMP}, as_of_year as index_as_of_year, "  # noqa: S608
                f"{', '.join(name for name, _ in index_columns)} from {INDEX_TABLE}"
            ),
            timestamp_field=EVENT_TIMESTAMP,
            created_timestamp_column=CREATED_TIMESTAMP,
            description="The current index of each mine.",
        ),
        description="The index of a mine and the points of its pillars.",
    )
    return Views(
        mine=mine,
        mine_features=mine_features,
        mine_index=mine_index,
        fvi_v1=FeatureService(
            name=TRAINING_SERVICE,
            features=[mine_features[list(catalogue.model_features())]],
            description="The inputs of the model, in order.",
        ),
        fvi_serving_v1=FeatureService(
            name=SERVING_SERVICE,
            features=[mine_features, mine_index],
            description="What an answer needs: the model's inputs, their context and the index.",
        ),
    )


def _feature_field(field: Any, column: FeatureColumn) -> Any:
    tags = {
        "role": column.role,
        "unit": column.unit,
        "category": column.category,
        "null_means": column.null_means,
    }
    return field(column.name, column.kind, column.description, {k: v for k, v in tags.items() if v})
