"""Weights and index on a real PostgreSQL and Valkey: one night is one state, however often it runs."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import narwhals.stable.v2 as nw
import polars as pl
import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from fvi_pipeline.features.catalogue import IndexMetric
from fvi_pipeline.weights import history, index_store, overrides, store
from fvi_pipeline.weights.dynamic_weights import Override, dynamic_weights
from fvi_pipeline.weights.errors import WeightsError
from fvi_pipeline.weights.index import compute_index

METRICS = [
    IndexMetric("output", "economics", True, 1.0, "Output.", "tons"),
    IndexMetric("methane", "emissions", False, 0.5, "Methane.", "tons"),
]
QUALITY = {"output": 0.8, "methane": 0.6}
NIGHT = date(2026, 1, 10)
TWO_O_CLOCK = datetime(2026, 1, 10, 2, tzinfo=UTC)


@pytest.fixture
def connection(database_url):
    with psycopg.connect(database_url) as connection:
        yield connection


@pytest.fixture
def client(redis_url):
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


def run_night(connection, client, night: date, gain: float, computed_at: datetime = TWO_O_CLOCK):
    before = store.night_before(connection, night)
    in_force = overrides.overrides_in_force(connection)
    weights = dynamic_weights(METRICS, QUALITY, {"output": gain, "methane": None}, before, in_force)
    store.write_weights(connection, client, weights, night, computed_at)
    return weights


def rows(connection, table: str) -> list[tuple]:
    return connection.execute(f"select * from {table} order by 1, 2".encode()).fetchall()


def measured_mines(lazy: nw.LazyFrame, known_at: datetime) -> list[str]:
    return history.rows_to_measure(lazy, known_at).collect().to_native()["mine_id"].to_list()


def published(client) -> dict[str, dict]:
    return {metric: json.loads(value) for metric, value in client.hgetall(store.WEIGHTS_KEY).items()}


def test_a_night_that_runs_again_changes_nothing(connection, client):
    run_night(connection, client, NIGHT - timedelta(days=1), 0.1)
    run_night(connection, client, NIGHT, 0.0)
    first, in_redis = rows(connection, "mart.fvi_weights"), published(client)
    client.delete(store.WEIGHTS_KEY)
    run_night(connection, client, NIGHT, 0.0, TWO_O_CLOCK + timedelta(hours=5))
    assert rows(connection, "mart.fvi_weights") == first
    assert len(first) == 4
    assert published(client) == in_redis


def test_a_night_that_runs_again_on_new_data_replaces_its_rows(connection, client):
    run_night(connection, client, NIGHT - timedelta(days=1), 0.1)
    run_night(connection, client, NIGHT, 0.0)
    run_night(connection, client, NIGHT, 0.1, TWO_O_CLOCK + timedelta(hours=5))
    # blended with the night before, not with the night's own first run: the same gain gives the same weight
    assert store.newest_weights(connection) == pytest.approx(
        {"output": 0.9 / (0.9 + 0.15), "methane": 0.15 / (0.9 + 0.15)}
    )
    assert {entry["computed_at"] for entry in published(client).values()} == {"2026-01-10T07:00:00+00:00"}


def test_redis_holds_the_newest_night_also_after_an_older_one_ran(connection, client):
    run_night(connection, client, NIGHT, 0.1)
    newest = published(client)
    run_night(connection, client, NIGHT - timedelta(days=3), 0.0)
    assert published(client) == newest
    assert {metric: entry["weight"] for metric, entry in newest.items()} == store.newest_weights(connection)
    assert newest["methane"]["information_gain"] is None
    assert newest["output"]["night"] == "2026-01-10"


def test_nobody_ever_reads_half_a_night(connection, client, database_url):
    run_night(connection, client, NIGHT, 0.1)
    seen = []

    def write() -> None:
        with psycopg.connect(database_url) as own:
            for day in range(1, 40):
                run_night(own, client, NIGHT + timedelta(days=day), day % 2)

    with ThreadPoolExecutor(2) as pool:
        writers = [pool.submit(write) for _ in range(2)]
        while not all(writer.done() for writer in writers):
            seen.append(sum(entry["weight"] for entry in published(client).values()))
            seen.append(sum(store.newest_weights(connection).values()))
            connection.rollback()
        for writer in writers:
            writer.result()
    assert len(seen) > 10
    assert seen == pytest.approx([1.0] * len(seen))


def test_when_redis_does_not_answer_the_table_stays_as_it_was(connection, client):
    run_night(connection, client, NIGHT, 0.1)
    before, in_redis = rows(connection, "mart.fvi_weights"), published(client)
    with redis.Redis(port=1, retry=Retry(NoBackoff(), 0)) as nobody, pytest.raises(redis.ConnectionError):
        run_night(connection, nobody, NIGHT + timedelta(days=1), 0.0)
    connection.rollback()
    assert rows(connection, "mart.fvi_weights") == before
    assert published(client) == in_redis


def test_a_table_that_breaks_after_redis_had_it_brings_redis_back(connection, client):
    run_night(connection, client, NIGHT, 0.1)
    in_redis = published(client)
    connection.execute(
        "create function refuse() returns trigger language plpgsql as $$ begin raise 'the disk is full'; end $$; "
        "create constraint trigger refused after insert on mart.fvi_weights deferrable initially deferred "
        "for each row execute function refuse()"
    )
    connection.commit()
    with pytest.raises(psycopg.Error, match="disk is full"):
        run_night(connection, client, NIGHT + timedelta(days=1), 0.0)
    assert published(client) == in_redis
    assert store.newest_nights(connection)[0][0] == NIGHT


def test_a_reply_that_is_lost_leaves_neither_ahead(connection, client, monkeypatch):
    run_night(connection, client, NIGHT, 0.1)
    before, in_redis = rows(connection, "mart.fvi_weights"), published(client)
    publish, calls = store._publish, []

    def published_but_unanswered(*arguments) -> None:
        publish(*arguments)
        calls.append(arguments)
        if len(calls) == 1:
            raise redis.TimeoutError("Timeout reading from socket")

    monkeypatch.setattr(store, "_publish", published_but_unanswered)
    with pytest.raises(redis.TimeoutError):
        run_night(connection, client, NIGHT + timedelta(days=1), 0.0)
    assert rows(connection, "mart.fvi_weights") == before
    assert published(client) == in_redis


def test_an_override_counts_at_once_and_the_dynamic_weight_goes_on_beneath(connection, client):
    run_night(connection, client, NIGHT, 0.1)
    dynamic = store.newest_weights(connection)
    override = Override("methane", 0.9, "A. Miner", "Methane is what this fund asks for.")
    overrides.set_override(connection, client, override, TWO_O_CLOCK)
    assert store.newest_weights(connection) == pytest.approx({"output": 0.5, "methane": 0.5})
    assert published(client)["methane"]["override_author"] == "A. Miner"
    assert published(client)["methane"]["weight"] == pytest.approx(0.5)
    (_, in_force), *_ = store.newest_nights(connection)
    assert {w.metric: w.bounded_weight for w in in_force} == pytest.approx({"output": 0.9, "methane": 0.15})
    # the nights that follow keep it, and once it is released nothing is left of it
    run_night(connection, client, NIGHT + timedelta(days=1), 0.1)
    assert store.newest_weights(connection) == pytest.approx({"output": 0.5, "methane": 0.5})
    overrides.release_override(connection, client, "methane", "B. Miner", TWO_O_CLOCK + timedelta(days=1))
    assert store.newest_weights(connection) == pytest.approx(dynamic)
    assert published(client)["methane"]["override_weight"] is None
    kept = connection.execute(
        "select metric, weight, author, reason, ended_by from mart.fvi_weight_overrides"
    ).fetchall()
    assert kept == [("methane", 0.9, "A. Miner", "Methane is what this fund asks for.", "B. Miner")]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (Override("methane", 1.5, "A.", "Why not."), "between 0 and 1"),
        (Override("methane", 0.5, " ", "Why not."), "author"),
        (Override("methane", 0.5, "A.", ""), "reason"),
        (Override("gold", 0.5, "A.", "Why not."), "no metric gold.*methane, output"),
    ],
)
def test_an_override_that_cannot_be_is_refused_and_changes_nothing(connection, client, override, message):
    run_night(connection, client, NIGHT, 0.1)
    before, in_redis = rows(connection, "mart.fvi_weights"), published(client)
    with pytest.raises(WeightsError, match=message):
        overrides.set_override(connection, client, override, TWO_O_CLOCK)
    assert rows(connection, "mart.fvi_weights") == before
    assert rows(connection, "mart.fvi_weight_overrides") == []
    assert published(client) == in_redis


def test_the_last_metric_cannot_be_switched_off(connection, client):
    run_night(connection, client, NIGHT, 0.1)
    overrides.set_override(connection, client, Override("methane", 0, "A.", "Not asked for."), TWO_O_CLOCK)
    assert store.newest_weights(connection) == pytest.approx({"output": 1.0, "methane": 0.0})
    with pytest.raises(WeightsError, match="no metric any weight"):
        overrides.set_override(connection, client, Override("output", 0, "A.", "Nor this."), TWO_O_CLOCK)
    assert overrides.overrides_in_force(connection).keys() == {"methane"}


def test_only_what_is_set_can_be_released(connection, client):
    run_night(connection, client, NIGHT, 0.1)
    with pytest.raises(WeightsError, match="no override of methane"):
        overrides.release_override(connection, client, "methane", "A.", TWO_O_CLOCK)


def test_nothing_is_published_from_an_empty_table(connection, client):
    with pytest.raises(WeightsError, match="no weights to publish"):
        store.publish_weights(connection, client)


def test_history_holds_only_what_was_known_then(connection):
    connection.execute(
        "create table gold.gold_mine_index_metrics (mine_id text, as_of_year int, "
        "event_timestamp timestamptz, created_timestamp timestamptz, is_current boolean, "
        "output double precision, methane double precision)"
    )
    connection.execute(
        "create table gold.gold_mine_outcomes (mine_id text, as_of_year int, horizon_years int, "
        "viable boolean, outcome_known_at timestamptz)"
    )
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into gold.gold_mine_index_metrics values (%s, %s, %s, %s, %s, %s, %s)",
            [
                ("a", 2010, "2010-12-31Z", "2011-10-01Z", False, 1.0, None),
                ("a", 2010, "2010-12-31Z", "2024-04-30Z", True, 99.0, 99.0),
                ("late", 2010, "2010-12-31Z", "2024-04-30Z", True, 99.0, 99.0),
                ("b", 2012, "2012-12-31Z", "2013-10-01Z", True, 2.0, None),
            ],
        )
        cursor.executemany(
            "insert into gold.gold_mine_outcomes values (%s, %s, %s, %s, %s)",
            [
                ("a", 2010, 3, True, "2014-10-01Z"),
                ("a", 2010, 5, False, "2016-10-01Z"),
                ("late", 2010, 3, False, "2014-10-01Z"),
                ("b", 2012, 3, False, "2016-10-01Z"),
            ],
        )
    known = history.metric_history(connection, METRICS)
    assert known.select("mine_id", "output", "methane", "viable").rows() == [
        ("a", 1.0, None, True),
        ("b", 2.0, None, False),
    ]
    lazy = nw.from_native(known.lazy())
    assert measured_mines(lazy, datetime(2014, 9, 30, tzinfo=UTC)) == []
    assert measured_mines(lazy, datetime(2015, 1, 1, tzinfo=UTC)) == ["a"]
    assert measured_mines(lazy, datetime(2017, 1, 1, tzinfo=UTC)) == ["a", "b"]
    assert index_store.current_metrics(connection, METRICS)["mine_id"].to_list() == ["a", "b", "late"]


def test_the_index_is_replaced_row_by_row(connection):
    moment = datetime(2023, 12, 31, tzinfo=UTC)
    frame = pl.DataFrame(
        {
            "mine_id": ["a", "b", "c"],
            "as_of_year": [2023] * 3,
            "event_timestamp": [moment] * 3,
            "created_timestamp": [moment] * 3,
            "output": [1.0, 2.0, None],
            "methane": [None, None, None],
        },
        schema_overrides={"methane": pl.Float64},
    )
    weights = {"output": 0.75, "methane": 0.25}
    assert index_store.write_index(connection, compute_index(frame, METRICS, weights), TWO_O_CLOCK) == 3
    first = rows(connection, "mart.fvi_index")
    later = TWO_O_CLOCK + timedelta(days=1)
    index_store.write_index(connection, compute_index(frame, METRICS, weights), later)
    assert rows(connection, "mart.fvi_index") == first
    # one mine goes, one changes, one stays
    changed = frame.filter(pl.col("mine_id") != "a").with_columns(methane=pl.when(pl.col("mine_id") == "c").then(1.0))
    index_store.write_index(connection, compute_index(changed, METRICS, weights), later)
    stored = connection.execute(
        "select mine_id, index_score, coverage, computed_at from mart.fvi_index order by 1"
    ).fetchall()
    assert stored == [("b", 50.0, 0.75, later), ("c", 50.0, 0.25, later)]
