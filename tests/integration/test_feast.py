"""Feast on real servers: what was known when, restatements online, and a registry that survives its users."""

from __future__ import annotations

import random
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import psycopg
import pytest

from fvi_pipeline.features.catalogue import load_catalogue
from fvi_pipeline.features.errors import FeatureStoreError, UnknownMineError
from fvi_pipeline.features.of_mine import features_of_mine
from fvi_pipeline.features.store import apply, historical_features, materialize, online_features, training_features
from fvi_pipeline.features.versions import newest_version
from fvi_pipeline.features.views import INDEX_VIEW
from fvi_pipeline.platform.database import connect
from fvi_pipeline.platform.settings import PROJECT_ROOT
from tests.commands import BIN, clean_environment, run_tool
from tests.integration.small_gold import A, B, Gold, at, catalogue_of, feature, small_gold

# values whose last bit is easily lost
THIRD, TINY, HUGE = 1 / 3, 5e-324, 123456789.12345679
NAMES = ["fvi_serving_v1", "fvi_v1", "mine", "mine_features_v1", "mine_index", "mine_segment"]
VIEW, SERVICE, SERVING = "mine_features_v1", "fvi_v1", "fvi_serving_v1"
CATALOGUE = catalogue_of(feature("output"), feature("ash"))


@pytest.fixture
def gold(database_url: str, redis_url: str, tmp_path: Path) -> Gold:
    gold = small_gold(database_url, redis_url, tmp_path)
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
    rows = training_features(store, SERVICE)
    assert rows.columns == ["mine_id", "as_of_year", "event_timestamp", "output", "ash"]
    assert rows.rows() == [
        (A, 2013, at(2014), THIRD, None),
        (A, 2014, at(2015), HUGE, TINY),
        (B, 2014, at(2015), 0.1 + 0.2, -0.0),
    ]
    gold.execute("update gold.gold_mine_feature_history set in_cohort = false where mine_id = %s", [B])
    assert training_features(store, SERVICE)["mine_id"].unique().to_list() == [A]
    assert training_features(store, SERVICE, cohort_only=False).height == 3


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
    found = historical_features(store, entity_rows, SERVICE).sort("mine_id", "event_timestamp")
    assert found.select("mine_id", "event_timestamp", "output", "ash").rows() == sorted(
        moments, key=lambda row: row[:2]
    )


def test_a_later_year_that_is_known_before_an_earlier_one_is_refused(gold):
    store = gold.open()
    apply(store, CATALOGUE, gold.database_url)
    gold.add(B, 2012, at(2017), 1.0, 1.0)
    with pytest.raises(FeatureStoreError, match=f"{B}, 2012, got 2014"):
        training_features(store, SERVICE)


def test_entity_rows_without_a_zone_are_refused(gold):
    naive = pl.DataFrame({"mine_id": [A], "event_timestamp": [datetime(2015, 1, 1)]})
    with pytest.raises(FeatureStoreError, match="time zone"):
        historical_features(gold.open(), naive, SERVICE)


def test_restatements_reach_the_online_store_and_values_keep_every_bit(gold):
    store = gold.open()
    apply(store, CATALOGUE, gold.database_url)
    materialize(store, views=[VIEW])
    mines = [B, "msha:9999999", A]
    columns = ["mine_id", "output", "ash", "as_of_year", "in_cohort", "mine_state"]
    assert online_features(store, mines, SERVING).select(columns).rows() == [
        (B, 0.7, None, 2014, True, "Wyoming"),
        ("msha:9999999", None, None, None, None, None),
        (A, HUGE, TINY, 2014, True, "Wyoming"),
    ]
    # same event time, later knowing: without skip_dedup the store would keep what it has
    gold.add(A, 2014, at(2018), None, THIRD)
    materialize(store, views=[VIEW])
    assert online_features(store, [A], SERVING).select("output", "ash").rows() == [(None, THIRD)]
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
    mine = online_features(store, ["gem:M0086"], SERVING).row(0, named=True)
    assert (mine["index_score"], mine["coverage"], mine["index_as_of_year"]) == (62.5, 0.25, 2023)
    assert (mine["economics_points"], mine["ecology_points"], mine["as_of_year"]) == (62.5, None, None)


def test_a_materialisation_that_was_killed_blocks_neither_reads_nor_the_next_one(gold, monkeypatch):
    class Killed(BaseException):
        """Passes every `except Exception`, as the end of a process does."""

    def killed(*arguments: object, **options: object) -> None:
        raise Killed

    store = gold.open()
    apply(store, CATALOGUE, gold.database_url)
    materialize(store, views=[VIEW])
    gold.add(B, 2014, at(2018), 0.9, None)
    with monkeypatch.context() as patch:
        patch.setattr(type(store._get_provider().batch_engine), "_materialize_one", killed)
        with pytest.raises(Killed):
            materialize(store, views=[VIEW])
    again = gold.open()
    assert online_features(again, [A, B], SERVING)["output"].to_list() == [HUGE, 0.7]
    assert apply(again, CATALOGUE, gold.database_url) == NAMES
    materialize(again, views=[VIEW])
    assert online_features(again, [A, B], SERVING)["output"].to_list() == [HUGE, 0.9]


def test_apply_can_run_twice_at_once_and_removes_what_is_gone(gold):
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(apply, gold.open(), CATALOGUE, gold.database_url) for _ in range(2)]
        assert [run.result() for run in runs] == [NAMES, NAMES]
    from feast import FeatureService

    store = gold.open()
    materialize(store, views=[VIEW])
    store.apply([FeatureService(name="old_v0", features=[store.get_feature_view(VIEW)])])
    assert apply(store, CATALOGUE, gold.database_url) == NAMES
    assert sorted(service.name for service in store.list_feature_services()) == ["fvi_serving_v1", "fvi_v1"]
    assert online_features(store, [A], SERVING)["output"].to_list() == [HUGE]


AS_OF_JOIN = """
    select asked.mine_id, asked.moment, newest.output, newest.ash, newest.as_of_year, newest.own_facts_known_at
    from unnest(%s::text[], %s::timestamptz[]) as asked (mine_id, moment)
    left join lateral (
        select *
        from gold.gold_mine_feature_history as history
        where history.mine_id = asked.mine_id and history.event_timestamp <= asked.moment
            and history.created_timestamp <= asked.moment
        order by history.event_timestamp desc, history.created_timestamp desc
        limit 1
    ) as newest on true
"""
COLUMNS = ["output", "ash", "as_of_year", "own_facts_known_at"]


def as_of_join(gold: Gold, asked: list[tuple[str, datetime]]) -> list[str]:
    """What plain SQL says of mines at moments; as text, in which every bit shows."""
    with psycopg.connect(gold.database_url) as connection:
        connection.execute("set timezone = 'UTC'")
        mines, moments = zip(*asked, strict=True)
        rows = connection.execute(AS_OF_JOIN, [list(mines), list(moments)]).fetchall()
    return sorted(repr(tuple(map(told, row))) for row in rows)


def told(value: object) -> object:
    # Feast hands whole numbers that may be null over as floats
    return float(value) if isinstance(value, int) else value.timestamp() if isinstance(value, datetime) else value


def random_history(chance: random.Random, gold: Gold, mines: list[str], rows: int) -> list[datetime]:
    """Vintages of random years: some late, some restated several times, some known before their year is over."""
    moments = set()
    for _ in range(rows):
        mine, year = chance.choice(mines), chance.randint(2000, 2006)
        known_at = at(year + 1, 10, 1) + timedelta(days=chance.choice([0, 0, 0, 30, 400, 900, -300, -500]))
        known_at += timedelta(microseconds=chance.choice([0, 0, 1, 999_999]))
        values = [chance.choice([None, chance.gauss(0, 1e6), chance.random(), -0.0, THIRD, TINY]) for _ in range(2)]
        try:
            gold.add(mine, year, known_at, *values)
        except psycopg.errors.UniqueViolation:
            continue  # one vintage a day: gold has no two at once
        moments.add(known_at)
    return sorted(moments)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_history_is_the_as_of_join_of_sql_row_for_row(gold, seed):
    chance = random.Random(seed)
    gold.execute("delete from gold.gold_mine_feature_history")
    gold.execute("create unique index on gold.gold_mine_feature_history (mine_id, event_timestamp, created_timestamp)")
    store = gold.open()
    apply(store, CATALOGUE, gold.database_url)
    mines = [f"msha:{number:07}" for number in range(8)]
    known = random_history(chance, gold, mines, 150)
    # to the microsecond at, before and after what became known, and anywhere
    edges = [moment + timedelta(microseconds=step) for moment in known for step in (-1, 0, 1)]
    anywhere = [at(2000) + timedelta(days=chance.uniform(0, 4000)) for _ in range(50)]
    asked = sorted({(chance.choice([*mines, "msha:9999999"]), moment) for moment in (*edges, *anywhere)})
    rows = pl.DataFrame(asked, schema={"mine_id": pl.String, "event_timestamp": pl.Datetime("us", "UTC")}, orient="row")
    found = historical_features(store, rows, SERVING).select("mine_id", "event_timestamp", *COLUMNS).rows()
    assert sorted(repr(tuple(map(told, row))) for row in found) == as_of_join(gold, asked)

    # late and restated rows reach the online store: it holds the newest vintage of the newest year, to the bit
    for _ in range(2):
        materialize(store, views=[VIEW])
        newest = [row.split(", ", 2)[2] for row in as_of_join(gold, [(mine, at(2026)) for mine in mines])]
        online = online_features(store, mines, SERVING).select(COLUMNS[:3]).rows()
        assert [row.rpartition(", ")[0] for row in newest] == [
            ", ".join(repr(told(value)) for value in row) for row in online
        ]
        random_history(chance, gold, mines, 40)


def test_one_mines_features_are_told_with_the_age_of_each_value(gold):
    store = gold.open()
    depth = feature("ash", sources=("silver_mine_tracker_history.depth[newest]",))
    apply(store, catalogue_of(feature("output"), depth), gold.database_url)
    materialize(store, views=[VIEW])
    with connect(gold.database_url) as connection:
        version = newest_version(connection)
    served = features_of_mine(store, version, B)
    assert (served.as_of_year, served.vintage, served.service, served.is_online) == (2014, at(2016, 3), SERVICE, True)
    output, ash = served.features
    assert (output.value, output.age.known_at, output.age.age) == (0.7, at(2016, 3), served.moment - at(2016, 3))
    assert (ash.value, ash.age.known_at, ash.age.days) == (None, None, None)

    # before the restatement: the first vintage, at the age that it had then
    then = features_of_mine(store, version, B, as_of=at(2016, 1))
    assert (then.vintage, then.is_online, then.moment) == (at(2015), False, at(2016, 1))
    assert [(found.value, found.age.days) for found in then.features] == [(0.1 + 0.2, 92.0), (-0.0, None)]
    for unknown in ({"mine_id": "gem:M0086"}, {"mine_id": B, "as_of": at(2014, 6)}):
        with pytest.raises(UnknownMineError, match="has no features"):
            features_of_mine(store, version, **unknown)


def test_the_feast_command_works_with_the_environment(gold, tmp_path, manifest):
    shutil.copytree(manifest.parent, tmp_path / "dbt" / "manifests" / manifest.parent.name)  # spares a second parse
    environment = clean_environment(tmp_path) | gold.environment | {"PYTHONPATH": str(PROJECT_ROOT)}
    applied = run_tool(environment, str(BIN / "feast"), "apply", cwd=PROJECT_ROOT / "feature_repo")
    assert applied.returncode == 0, applied.stdout + applied.stderr
    listed = run_tool(environment, str(BIN / "feast"), "feature-views", "list", cwd=tmp_path)
    assert listed.returncode == 0, listed.stderr
    assert VIEW in listed.stdout
    assert INDEX_VIEW in listed.stdout
    service = gold.open().get_feature_service("fvi_v1")
    names = [feature.name for view in service.feature_view_projections for feature in view.features]
    assert tuple(names) == load_catalogue(manifest).model_features()
