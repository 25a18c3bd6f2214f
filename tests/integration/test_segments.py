"""Segments on a real PostgreSQL and Valkey: appended as they become known, served by Feast, made by every run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import psycopg
import pytest

from fvi_pipeline.defs import segments as defs
from fvi_pipeline.defs.resources import ModelWorkshop, Warehouse
from fvi_pipeline.features.of_mine import features_of_mine
from fvi_pipeline.features.store import apply, historical_features, materialize
from fvi_pipeline.features.versions import newest_version
from fvi_pipeline.features.views import SEGMENT_VIEW
from fvi_pipeline.platform.database import connect
from fvi_pipeline.segments import store
from fvi_pipeline.segments.errors import SegmentsError, TooFewMinesError
from fvi_pipeline.segments.fit import SegmentSettings
from fvi_pipeline.segments.found import FoundSegments, find_segments
from fvi_pipeline.segments.of_mine import segment_of_mine
from tests.commands import run_fvi
from tests.conftest import Demo
from tests.integration.small_gold import A, B, at, catalogue_of, feature, small_gold
from tests.unit.segments.planted import COLUMNS, FEATURES, SIZE, planted_cohort

SETTINGS = SegmentSettings(most_segments=4, starts=3, stability_fits=1)
NOON, LATER = datetime(2026, 4, 1, 12, tzinfo=UTC), datetime(2026, 4, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
_KEYS = "mine_id text, as_of_year int, event_timestamp timestamptz, created_timestamp timestamptz"
_TYPES = f"{_KEYS}, in_cohort bool, mine_state text, mine_type text"


def insert(connection: psycopg.Connection, table: str, mines: pl.DataFrame, year: int, known_at: datetime) -> None:
    with connection.cursor() as cursor, cursor.copy(f"copy gold.{table} from stdin".encode()) as copy:
        for row in mines.select("mine_id", "mine_state", "mine_type", *FEATURES).iter_rows():
            copy.write_row((row[0], year, at(year, 12, 31), known_at, True, *row[1:]))


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    """Gold with planted kinds in the cohort of 2019, the same mines in 2014, and what became of those."""
    with connect(database_url) as opened:
        columns = ", ".join(f"{name} double precision" for name in FEATURES)
        for table in ("gold_mine_features", "gold_mine_feature_history"):
            opened.execute(f"create table gold.{table} ({_TYPES}, {columns})".encode())
        opened.execute(
            "create table gold.gold_mine_outcomes (mine_id text, as_of_year int, horizon_years int, viable boolean, "
            "outcome_known_at timestamptz)"
        )
        opened.execute("create table silver.silver_mine_profiles (mine_id text, mine_name text)")
        mines = planted_cohort(30)
        insert(opened, "gold_mine_features", mines, 2019, at(2020))
        insert(opened, "gold_mine_feature_history", mines, 2014, at(2015))
        # restated later: what was first known is what places a past mine
        swapped = mines.with_columns(mine_id=pl.col("mine_id").reverse())
        insert(opened, "gold_mine_feature_history", swapped, 2014, at(2018))
        for mine_id, kind in mines.select("mine_id", "kind").iter_rows():
            for horizon, known_at in ((1, at(2016)), (5, at(2020))):
                opened.execute(
                    "insert into gold.gold_mine_outcomes values (%s, 2014, %s, %s, %s)",
                    [mine_id, horizon, horizon == 1 or kind != "spent", known_at],
                )
        opened.commit()
        yield opened


def run(connection: psycopg.Connection, moment: datetime) -> tuple[FoundSegments, store.Written]:
    found = find_segments(connection, list(COLUMNS.values()), size_feature=SIZE, settings=SETTINGS, known_by=moment)
    choice = found.choice.left_out
    return found, store.write_segments(connection, found.fit, found.cohort, found.profiles, found.past, choice, moment)


def values(connection: psycopg.Connection, query: str) -> list[tuple[Any, ...]]:
    return connection.execute(query.encode()).fetchall()


def test_what_changed_is_added_and_what_did_not_is_left(connection: psycopg.Connection) -> None:
    found, written = run(connection, NOON)
    assert written == store.Written(mines=90, profiles=3)
    assert run(connection, LATER)[1] == store.Written(mines=0, profiles=0)
    assert values(connection, "select distinct created_timestamp from mart.mine_segments") == [(NOON,)]
    fit = store.newest_fit(connection)
    assert (fit["fit_id"], fit["segments"], fit["features"]) == (found.fit.fit_id, 3, list(FEATURES))
    assert [each["segments"] for each in fit["tried"]] == [2, 3, 4]

    # an outcome that becomes known is told in the profiles; the segments stay
    assert [[each["viable_share"] for each in row["past"]] for row in store.newest_profiles(connection)] == [
        [1.0, 1.0],
        [1.0, 1.0],
        [1.0, 0.0],
    ]
    early = find_segments(connection, list(COLUMNS.values()), size_feature=SIZE, settings=SETTINGS, known_by=at(2017))
    assert [[each.horizon_years for each in early.past[segment]] for segment in (1, 2, 3)] == [[1]] * 3
    assert early.fit.fit_id == found.fit.fit_id

    # one mine leaves the cohort
    gone = found.fit.mines["mine_id"][0]
    connection.execute("delete from gold.gold_mine_features where mine_id = %s", [gone])
    assert run(connection, LATER)[1] == store.Written(mines=90, profiles=3)
    assert values(connection, "select count(*), count(distinct mine_id) from mart.current_mine_segments") == [(89, 89)]
    assert store.row_of_mine(connection, gone)["segment"] is None
    with pytest.raises(SegmentsError, match=f"{gone} has no segment: it is not in the cohort of 2019 any more"):
        segment_of_mine(connection, gone)
    # a rule of names that changed is a change too
    renamed = find_segments(connection, list(COLUMNS.values()), size_feature=SIZE, settings=SETTINGS, known_by=LATER)
    profiles = [replace(profile, name=f"{profile.name}!") for profile in renamed.profiles]
    again = store.write_segments(connection, renamed.fit, renamed.cohort, profiles, renamed.past, {}, LATER + HOUR)
    assert again == store.Written(mines=89, profiles=3)
    # what was known before is still told
    assert values(connection, "select count(segment) from mart.mine_segments where mine_id = '" + gone + "'") == [(1,)]


def test_a_mine_is_told_its_segment_and_why(connection: psycopg.Connection) -> None:
    with pytest.raises(SegmentsError, match="no segments yet"):
        segment_of_mine(connection, "msha:0000000")
    run(connection, NOON)
    connection.execute("insert into silver.silver_mine_profiles values ('msha:0000000', 'Big One')")
    connection.execute("insert into mart.fvi_scores values ('msha:0000000', 2019, 5, 80, 70, 90, '1', now())")
    mine = segment_of_mine(connection, "msha:0000000")
    assert (mine.mine_name, mine.row["segment"], mine.row["next_segment"]) == ("Big One", 1, 2)
    assert mine.row["segment_name"].startswith("Large")
    assert mine.a_year_before is None
    young = connection.execute("select * from gold.gold_mine_features where mine_id = 'msha:0000031'").fetchone()
    assert young is not None
    connection.execute(
        f"insert into gold.gold_mine_features values ({', '.join(['%s'] * len(young))})".encode(),
        ["msha:0000000", 2018, *young[2:]],
    )
    assert segment_of_mine(connection, "msha:0000000").a_year_before == "Young mines"
    together = sum(reason.speaks_for for reason in mine.reasons)
    assert together == pytest.approx(mine.row["next_distance"] ** 2 - mine.row["distance"] ** 2)
    strengths = [abs(reason.speaks_for) for reason in mine.reasons]
    assert strengths == sorted(strengths, reverse=True)
    assert {reason.feature for reason in mine.reasons} == set(FEATURES)
    assert store.mean_scores(connection) == {1: {5: 80.0}}
    with pytest.raises(SegmentsError, match="msha:9999999 has no segment"):
        segment_of_mine(connection, "msha:9999999")


def test_the_asset_checks_that_every_mine_has_one_and_does_without_mines(
    connection: psycopg.Connection, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(defs, "catalogue", lambda: catalogue_of(*COLUMNS.values()))
    warehouse = Warehouse(database_url=database_url)
    workshop = ModelWorkshop(
        mlflow_tracking_uri="", optuna_storage_url="", home=str(tmp_path), seed=SETTINGS.seed, trials=1
    )
    resources = {"warehouse": warehouse, "model_workshop": workshop}

    def made() -> dict[str, Any]:
        result = dg.materialize([defs.segments], resources=resources)
        return {
            each.asset_key.path[-1]: {name: value.value for name, value in each.metadata.items()}
            for each in result.asset_materializations_for_node("segments")
        }

    first = made()
    assert (first["mine_segments"]["rows_added"], first["segment_profiles"]["rows_added"]) == (90, 3)
    assert first["mine_segments"]["tried"]["3"] == max(first["mine_segments"]["tried"].values())
    assert "](data:image/png;base64,iVBOR" in first["mine_segments"]["picture"]
    assert made()["mine_segments"]["rows_added"] == 0
    assert defs.every_mine_has_one_segment(warehouse).passed

    connection.execute("update gold.gold_mine_features set in_cohort = false where mine_id = 'msha:0000003'")
    connection.execute(
        "insert into gold.gold_mine_features (mine_id, as_of_year, in_cohort) values ('new', 2019, true)"
    )
    connection.commit()
    failed = defs.every_mine_has_one_segment(warehouse)
    counted = {name: value.value for name, value in failed.metadata.items()}
    assert (failed.passed, counted) == (
        False,
        {"without_one_segment": 1, "not_of_the_cohort": 1, "without_profile": 0},
    )

    connection.execute("truncate gold.gold_mine_features")
    connection.commit()
    with pytest.raises(TooFewMinesError, match="Gold has no cohort"):
        run(connection, LATER)
    connection.rollback()
    assert made() == {}


def test_feast_tells_the_segment_now_and_never_before_it_was_known(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    gold = small_gold(database_url, redis_url, tmp_path)
    for mine_id in (A, B):
        gold.add(mine_id, 2019, at(2020), 1.0, None)
    rows = [
        (A, 2018, at(2025), 2, "Young mines"),
        (A, 2019, at(2025, 11), 1, "Large mines"),
        (B, 2019, at(2025, 11), 1, "Large mines"),
        (B, 2019, at(2025, 12), None, None),
    ]
    for mine_id, year, known_at, segment, name in rows:
        gold.execute(
            "insert into mart.mine_segments (mine_id, as_of_year, event_timestamp, created_timestamp, fit_id, segment, "
            "segment_name) values (%s, %s, %s, %s, 'f', %s, %s)",
            [mine_id, year, at(year, 12, 31), known_at, segment, name],
        )
    opened = gold.open()
    apply(opened, catalogue_of(feature("output"), feature("ash")), gold.database_url)
    materialize(opened)
    with connect(gold.database_url) as connection:
        version = newest_version(connection)
    now = {mine_id: features_of_mine(opened, version, mine_id).segment for mine_id in (A, B)}
    assert now[B] is None
    assert (now[A].number, now[A].name, now[A].as_of_year) == (1, "Large mines", 2019)
    assert features_of_mine(opened, version, A, at(2024)).segment is None
    assert features_of_mine(opened, version, A, at(2025, 10, 2)).segment.name == "Young mines"

    # no model: neither the inputs nor what serving asks for have it
    moments = pl.DataFrame({"mine_id": [A], "event_timestamp": [at(2026)]})
    assert "segment" not in historical_features(opened, moments, "fvi_v1").columns
    for service in opened.list_feature_services():
        assert SEGMENT_VIEW not in {projection.name for projection in service.feature_view_projections}


@pytest.mark.xdist_group("demo-served")
def test_a_run_leaves_segments_that_the_command_shows(demo: Demo) -> None:
    with connect(demo.environment["FVI_DATABASE_URL"]) as connection:
        mines, cohort = connection.execute(
            "select (select count(*) from mart.current_mine_segments), (select count(*) from gold.gold_mine_features "
            "where in_cohort and as_of_year = (select max(as_of_year) from gold.gold_mine_features))"
        ).fetchone()
    assert mines == cohort > 0
    shown = run_fvi(demo.environment, "segments", "--json")
    assert shown.returncode == 0, shown.stderr
    told = json.loads(shown.stdout)
    assert sum(segment["mines"] for segment in told["segments"]) == mines
    assert [len(segment["mean_scores"]) for segment in told["segments"]] == [6] * len(told["segments"])
    assert "model" not in told["fit"]
    text = run_fvi(demo.environment, "segments").stdout
    assert all(segment["segment_name"] in text for segment in told["segments"])
    example = next(iter(told["segments"][0]["example_mines"]))
    why = run_fvi(demo.environment, "segments", example)
    assert f"Segment 1, {told['segments'][0]['segment_name']}" in why.stdout
    unknown = run_fvi(demo.environment, "segments", "msha:9999999")
    assert (unknown.returncode, "Traceback" in unknown.stderr) == (1, False)
