"""Feast on real servers: what was known when, restatements online, and a registry that survives its users."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
import pytest

from fvi_pipeline.features.catalogue import Catalogue, FeatureColumn, load_catalogue
from fvi_pipeline.features.errors import FeatureStoreError
from fvi_pipeline.features.store import (
    apply,
    historical_features,
    materialize,
    online_differences,
    online_features,
    open_store,
    training_features,
)
from fvi_pipeline.features.views import FEATURE_VIEW, INDEX_VIEW
from fvi_pipeline.platform.environment import tool_environment
from fvi_pipeline.platform.servers import Servers
from fvi_pipeline.platform.settings import PROJECT_ROOT, Settings
from tests.commands import BIN, clean_environment, run_tool

A, B = "msha:0000001", "msha:0000002"
# values whose last bit is easily lost
THIRD, TINY, HUGE = 1 / 3, 5e-324, 123456789.12345679
NAMES = ["fvi_serving_v1", "fvi_v1", "mine", "mine_features", "mine_index"]


def feature(name: str) -> FeatureColumn:
    return FeatureColumn(name, "feature", "number", f"The {name}.", "tons", "operations", "not published")


CATALOGUE = Catalogue(
    features=(
        feature("output"),
        FeatureColumn("as_of_year", "context", "integer", "The year.", "", None, ""),
        FeatureColumn("in_cohort", "context", "boolean", "In the cohort.", "", None, ""),
        FeatureColumn("mine_state", "context", "text", "The state.", "", None, ""),
        feature("ash"),
    ),
    metrics=(),
)


def at(year: int, month: int = 10, day: int = 1) -> datetime:
    return datetime(year, month, day, tzinfo=UTC)


@dataclass
class Gold:
    """A small history, its store, and the addresses behind both."""

    database_url: str
    redis_url: str
    environment: dict[str, str]

    def open(self) -> Any:
        return open_store(PROJECT_ROOT / "feature_repo", self.environment)

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        with psycopg.connect(self.database_url) as connection:
            connection.execute(statement.encode(), parameters)

    def add(self, mine_id: str, year: int, known_at: datetime, output: float | None, ash: float | None) -> None:
        self.execute(
            "insert into gold.gold_mine_feature_history values (%s, %s, %s, %s, %s, %s, true, 'Wyoming')",
            [mine_id, at(year, 12, 31), known_at, output, ash, year],
        )


@pytest.fixture
def gold(database_url: str, redis_url: str, tmp_path: Path) -> Gold:
    settings = Settings(home=tmp_path, database_url=None, redis_url=None)
    servers = Servers(database_url=database_url, redis_url=redis_url)
    gold = Gold(database_url, redis_url, tool_environment(settings, servers))
    gold.execute(
        "create table gold.gold_mine_feature_history (mine_id text, event_timestamp timestamptz, "
        "created_timestamp timestamptz, output double precision, ash double precision, "
        "as_of_year integer, in_cohort boolean, mine_state text)"
    )
    gold.add(A, 2013, at(2014), THIRD, None)
    gold.add(A, 2014, at(2015), HUGE, TINY)
    gold.add(B, 2014, at(2015), 0.1 + 0.2, -0.0)
    # a restatement of the year 2013, and one of the newest year
    gold.add(A, 2013, at(2016, 3), 1000.0, 1000.0)
    gold.add(B, 2014, at(2016, 3), 0.7, None)
    return gold


def test_training_rows_are_the_first_vintages(gold):
    store = gold.open()
    assert apply(store, CATALOGUE, gold.database_url) == NAMES
    rows = training_features(store)
    assert rows.columns == ["mine_id", "as_of_year", "event_timestamp", "output", "ash"]
    assert rows.rows() == [
        (A, 2013, at(2014), THIRD, None),
        (A, 2014, at(2015), HUGE, TINY),
        (B, 2014, at(2015), 0.1 + 0.2, -0.0),
    ]
    gold.execute("update gold.gold_mine_feature_history set in_cohort = false where mine_id = %s", [B])
    assert training_features(store)["mine_id"].unique().to_list() == [A]
    assert training_features(store, cohort_only=False).height == 3


def test_neither_a_later_fact_nor_a_restatement_is_seen_before_its_time(gold):
    store = gold.open()
    apply(store, CATALOGUE, gold.database_url)
    # a vintage planted in the past of its own knowing
    gold.add(B, 2013, at(2026), 666.0, 666.0)
    moments = [
        (A, at(2014, 9, 30), None, None),
        (A, at(2014, 10, 1), THIRD, None),
        (A, at(2015, 9, 30), THIRD, None),
        (A, at(2015, 10, 1), HUGE, TINY),
        (B, at(2015, 9, 30), None, None),
        (B, at(2016, 2, 29), 0.1 + 0.2, -0.0),
        (B, at(2016, 3, 1), 0.7, None),
        ("msha:9999999", at(2020), None, None),
    ]
    entity_rows = pl.DataFrame(
        [row[:2] for row in moments],
        schema={"mine_id": pl.String, "event_timestamp": pl.Datetime("us", "UTC")},
        orient="row",
    )
    found = historical_features(store, entity_rows).sort("mine_id", "event_timestamp")
    assert found.select("mine_id", "event_timestamp", "output", "ash").rows() == sorted(
        moments, key=lambda row: row[:2]
    )


def test_a_later_year_that_is_known_before_an_earlier_one_is_refused(gold):
    store = gold.open()
    apply(store, CATALOGUE, gold.database_url)
    gold.add(B, 2012, at(2017), 1.0, 1.0)
    with pytest.raises(FeatureStoreError, match=f"{B}, 2012, got 2014"):
        training_features(store)


def test_entity_rows_without_a_zone_are_refused(gold):
    naive = pl.DataFrame({"mine_id": [A], "event_timestamp": [datetime(2015, 1, 1)]})
    with pytest.raises(FeatureStoreError, match="time zone"):
        historical_features(gold.open(), naive)


def test_restatements_reach_the_online_store_and_values_keep_every_bit(gold):
    store = gold.open()
    apply(store, CATALOGUE, gold.database_url)
    materialize(store, views=[FEATURE_VIEW])
    mines = [B, "msha:9999999", A]
    columns = ["mine_id", "output", "ash", "as_of_year", "in_cohort", "mine_state"]
    assert online_features(store, mines).select(columns).rows() == [
        (B, 0.7, None, 2014, True, "Wyoming"),
        ("msha:9999999", None, None, None, None, None),
        (A, HUGE, TINY, 2014, True, "Wyoming"),
    ]
    # same event time, later knowing: without skip_dedup the store would keep what it has
    gold.add(A, 2014, at(2018), None, THIRD)
    assert online_differences(store, CATALOGUE, gold.database_url, mines).rows() == [
        (A, "output", repr(HUGE), "None"),
        (A, "ash", repr(TINY), repr(THIRD)),
    ]
    materialize(store, views=[FEATURE_VIEW])
    assert online_features(store, [A]).select("output", "ash").rows() == [(None, THIRD)]
    assert online_differences(store, CATALOGUE, gold.database_url, mines).is_empty()
    with pytest.raises(FeatureStoreError, match="time zone"):
        materialize(store, datetime(2020, 1, 1))


def test_the_index_is_served_beside_the_features(gold):
    store = gold.open()
    apply(store, CATALOGUE, gold.database_url)
    gold.execute(
        "insert into mart.fvi_index (mine_id, as_of_year, event_timestamp, created_timestamp, index_score, "
        "coverage, economics_points, computed_at) "
        "values ('gem:M0086', 2023, %s, %s, 62.5, 0.25, 62.5, now())",
        [at(2023, 12, 31), at(2024, 4, 30)],
    )
    materialize(store, views=[INDEX_VIEW])
    mine = online_features(store, ["gem:M0086"]).row(0, named=True)
    assert (mine["index_score"], mine["coverage"], mine["index_as_of_year"]) == (62.5, 0.25, 2023)
    assert (mine["economics_points"], mine["ecology_points"], mine["as_of_year"]) == (62.5, None, None)


def test_a_materialisation_that_was_killed_blocks_neither_reads_nor_the_next_one(gold, monkeypatch):
    from feast.infra.online_stores.redis import RedisOnlineStore

    class Killed(BaseException):
        """Passes every `except Exception`, as the end of a process does."""

    def killed(*arguments: object, **options: object) -> None:
        raise Killed

    store = gold.open()
    apply(store, CATALOGUE, gold.database_url)
    materialize(store, views=[FEATURE_VIEW])
    gold.add(B, 2014, at(2018), 0.9, None)
    with monkeypatch.context() as patch:
        patch.setattr(RedisOnlineStore, "online_write_batch", killed)
        with pytest.raises(Killed):
            materialize(store, views=[FEATURE_VIEW])
    again = gold.open()
    assert online_features(again, [A, B])["output"].to_list() == [HUGE, 0.7]
    assert apply(again, CATALOGUE, gold.database_url) == NAMES
    materialize(again, views=[FEATURE_VIEW])
    assert online_features(again, [A, B])["output"].to_list() == [HUGE, 0.9]


def test_apply_can_run_twice_at_once_and_removes_what_is_gone(gold):
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(apply, gold.open(), CATALOGUE, gold.database_url) for _ in range(2)]
        assert [run.result() for run in runs] == [NAMES, NAMES]
    from feast import FeatureService

    store = gold.open()
    materialize(store, views=[FEATURE_VIEW])
    store.apply([FeatureService(name="old_v0", features=[store.get_feature_view(FEATURE_VIEW)])])
    smaller = Catalogue(features=CATALOGUE.features[:-1], metrics=())
    apply(store, smaller, gold.database_url)
    assert sorted(service.name for service in store.list_feature_services()) == ["fvi_serving_v1", "fvi_v1"]
    # a changed view goes on serving before it is materialised again
    online = online_features(store, [A])
    assert "ash" not in online.columns
    assert online["output"].to_list() == [HUGE]


def test_the_feast_command_works_with_the_environment(gold, tmp_path):
    environment = clean_environment(tmp_path) | gold.environment | {"PYTHONPATH": str(PROJECT_ROOT)}
    applied = run_tool(environment, str(BIN / "feast"), "apply", cwd=PROJECT_ROOT / "feature_repo")
    assert applied.returncode == 0, applied.stdout + applied.stderr
    listed = run_tool(environment, str(BIN / "feast"), "feature-views", "list", cwd=tmp_path)
    assert listed.returncode == 0, listed.stderr
    assert FEATURE_VIEW in listed.stdout
    assert INDEX_VIEW in listed.stdout
    service = gold.open().get_feature_service("fvi_v1")
    names = [feature.name for view in service.feature_view_projections for feature in view.features]
    assert tuple(names) == load_catalogue(PROJECT_ROOT / "dbt_project").model_features()
