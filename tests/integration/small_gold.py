"""A small feature history in a real PostgreSQL, with the feature store in front of it: for tests of what Feast makes
of a history, whatever dbt's models compute.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from fvi_pipeline.features.catalogue import Catalogue, FeatureColumn
from fvi_pipeline.features.store import open_store
from fvi_pipeline.platform.environment import tool_environment
from fvi_pipeline.platform.servers import Servers
from fvi_pipeline.platform.settings import PROJECT_ROOT, Settings

A, B = "msha:0000001", "msha:0000002"
OWN = "silver_mine_years.production_short_tons[t]"


def feature(name: str, **other: Any) -> FeatureColumn:
    """A feature of that name, computed from the mine's own facts unless said otherwise."""
    column = FeatureColumn(name, "feature", "number", f"The {name}.", "tons", "operations", "not published", (OWN,))
    return replace(column, **{"definition": f"history.{name}", **other})


CONTEXT = (
    FeatureColumn("as_of_year", "context", "integer", "The year.", "", None, ""),
    FeatureColumn("in_cohort", "context", "boolean", "In the cohort.", "", None, ""),
    FeatureColumn("mine_state", "context", "text", "The state.", "", None, ""),
    FeatureColumn("own_facts_known_at", "context", "timestamp", "Newest own fact.", "", None, ""),
    FeatureColumn("tracker_known_at", "context", "timestamp", "Newest fact of the tracker.", "", None, ""),
)


def catalogue_of(*features: FeatureColumn) -> Catalogue:
    """A catalogue of these features with the usual context."""
    return Catalogue(features=(*features, *CONTEXT), metrics=())


def at(year: int, month: int = 10, day: int = 1) -> datetime:
    """A moment in UTC."""
    return datetime(year, month, day, tzinfo=UTC)


@dataclass
class Gold:
    """A history, its store, and the addresses behind both."""

    database_url: str
    redis_url: str
    environment: dict[str, str]

    def open(self) -> Any:
        """The feature store, opened anew."""
        return open_store(PROJECT_ROOT / "feature_repo", self.environment)

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        """Run one statement."""
        with psycopg.connect(self.database_url) as connection:
            connection.execute(statement.encode(), parameters)

    def add(self, mine_id: str, year: int, known_at: datetime, output: float | None, ash: float | None) -> None:
        """Add a vintage of a mine's year; its own facts became known with it, the tracker says nothing."""
        self.execute(
            "insert into gold.gold_mine_feature_history (mine_id, event_timestamp, created_timestamp, output, ash, "
            "as_of_year, in_cohort, mine_state, own_facts_known_at) "
            "values (%s, %s, %s, %s, %s, %s, true, 'Wyoming', %s)",
            [mine_id, at(year, 12, 31), known_at, output, ash, year, known_at],
        )


def small_gold(database_url: str, redis_url: str, home: Path) -> Gold:
    """An empty history with the features `output` and `ash`."""
    settings = Settings(home=home, database_url=None, redis_url=None)
    servers = Servers(database_url=database_url, redis_url=redis_url)
    gold = Gold(database_url, redis_url, tool_environment(settings, servers))
    gold.execute(
        "create table gold.gold_mine_feature_history (mine_id text, event_timestamp timestamptz, "
        "created_timestamp timestamptz, output double precision, ash double precision, as_of_year integer, "
        "in_cohort boolean, mine_state text, own_facts_known_at timestamptz, tracker_known_at timestamptz)"
    )
    return gold
