"""The online store: written in bulk with Feast's own bytes, whole rows or none, equal to gold, and read fast."""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psycopg
import pytest
import redis

from fvi_pipeline.features import online_store
from fvi_pipeline.features.online_format import entity_keys, feature_fields
from fvi_pipeline.features.online_version import VERSION_KEY, is_settled
from fvi_pipeline.features.online_views import online_client
from fvi_pipeline.features.parity import WHOLE_ROW, compare
from fvi_pipeline.features.store import materialize, open_store
from fvi_pipeline.platform.environment import tool_environment
from fvi_pipeline.platform.servers import Servers
from fvi_pipeline.platform.settings import PROJECT_ROOT, Settings
from fvi_pipeline.serving.errors import StoreUnavailableError
from fvi_pipeline.serving.feature_reader import OnlineReader, blocking_read, mine_fields
from fvi_pipeline.serving.mines import StoredMine
from fvi_pipeline.serving.packed_rows import pack, rows_key
from fvi_pipeline.serving.redis_link import RedisLink
from tests.commands import BIN, clean_environment, run_tool

KEYS = "mine_id text, event_timestamp timestamptz, created_timestamp timestamptz"
TYPES = {  # of PostgreSQL, of Feast
    "real_8": ("double precision", "Float64"),
    "real_4": ("real", "Float32"),
    "whole_8": ("bigint", "Int64"),
    "whole_4": ("integer", "Int64"),
    "whole_2": ("smallint", "Int32"),
    "narrow": ("integer", "Int32"),
    "truth": ("boolean", "Bool"),
    "words": ("text", "String"),
    "short_words": ("varchar(20)", "String"),
    "raw": ("bytea", "Bytes"),
    "moment": ("timestamptz", "UnixTimestamp"),
    "local_moment": ("timestamp", "UnixTimestamp"),
    "never_real": ("double precision", "Float64"),
    "never_words": ("text", "String"),
    "never_truth": ("boolean", "Bool"),
    "never_moment": ("timestamptz", "UnixTimestamp"),
}
REALS = [0.0, -0.0, 1 / 3, 5e-324, -1.7976931348623157e308, math.inf, -math.inf, math.nan, 1e16, None]
WORDS = ["", "Wyoming", "Zażółć gęślą", "矿", "a\x01\n\t'\"", "x" * 300, None]
A, B, C = "msha:0000001", "msha:0000002", "msha:0000003"


def at(year: int, month: int = 10, day: int = 1, **more: int) -> datetime:
    return datetime(year, month, day, tzinfo=UTC, **more)


@dataclass
class Shop:
    """A warehouse with a few tables and the store over them."""

    database_url: str
    redis_url: str
    environment: dict[str, str]

    def open(self, *, feasts_own: bool = False, rows_at_once: int = 7) -> Any:
        store = open_store(PROJECT_ROOT / "feature_repo", self.environment)
        store.config.materialization_config.online_write_batch_size = rows_at_once
        if feasts_own:
            store.config.batch_engine_config = {"type": "local", "backend": "polars"}
        return store

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        with psycopg.connect(self.database_url) as connection:
            connection.execute(statement.encode(), parameters)

    def make(self, table: str, columns: str, rows: Sequence[Sequence[Any]]) -> None:
        self.execute(f"create table gold.{table} ({KEYS}, {columns})")
        self.add(table, rows)

    def add(self, table: str, rows: Sequence[Sequence[Any]]) -> None:
        with psycopg.connect(self.database_url) as connection, connection.cursor() as cursor:
            cursor.executemany(f"insert into gold.{table} values ({', '.join(['%s'] * len(rows[0]))})".encode(), rows)

    def online(self) -> dict[bytes, dict[bytes, bytes]]:
        with redis.Redis.from_url(self.redis_url) as client:
            return {key: client.hgetall(key) for key in client.scan_iter(_type="hash")}

    def days_to_live(self) -> set[int]:
        with redis.Redis.from_url(self.redis_url) as client:
            return {round(client.ttl(key) / 86_400) for key in client.scan_iter(_type="hash")}

    def hash_set(self, mine_id: str, view: str, feature: str, value: bytes | None) -> None:
        (key,), (field,) = entity_keys("fvi", "mine_id", [mine_id.encode()]), feature_fields(view, [feature])
        with redis.Redis.from_url(self.redis_url) as client:
            client.hdel(key, field) if value is None else client.hset(key, field, value)


def view(table: str, features: dict[str, str]) -> Any:
    from feast import Entity, FeatureView, Field, ValueType, types
    from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import PostgreSQLSource

    mine = Entity(name="mine", join_keys=["mine_id"], value_type=ValueType.STRING)
    kinds = {kind: getattr(types, kind) for kind in features.values() if kind != "[Float64]"}
    kinds["[Float64]"] = types.Array(types.Float64)
    fields = [Field(name=name, dtype=kinds[kind]) for name, kind in features.items()]
    return mine, FeatureView(
        name=table,
        entities=[mine],
        schema=[Field(name="mine_id", dtype=types.String), *fields],
        source=PostgreSQLSource(
            name=table,
            table=f"gold.{table}",
            timestamp_field="event_timestamp",
            created_timestamp_column="created_timestamp",
        ),
    )


@pytest.fixture
def shop(database_url: str, redis_url: str, tmp_path: Path) -> Shop:
    settings = Settings(home=tmp_path, database_url=None, redis_url=None)
    return Shop(database_url, redis_url, tool_environment(settings, Servers(database_url, redis_url)))


@pytest.fixture
def only_in_bulk(monkeypatch: pytest.MonkeyPatch) -> None:
    def row_by_row(view: Any, reason: str) -> None:
        raise AssertionError(f"{view.name} goes Feast's own way: {reason}")

    monkeypatch.setattr(online_store.ColumnarComputeEngine, "_own_way", staticmethod(row_by_row))


@pytest.fixture
def mines(shop: Shop) -> Any:
    """Two views of the same mines, as the service reads them; two mines in both, one in each alone."""
    rows = [
        (A, at(2013, 12, 31), at(2014), 1 / 3, None, 2013, True),
        (A, at(2014, 12, 31), at(2015), 0.1 + 0.2, -0.0, 2014, True),
        (B, at(2014, 12, 31), at(2015), -0.0, 5e-324, 2014, False),
    ]
    columns = "output double precision, ash double precision, as_of_year integer, in_cohort boolean"
    shop.make("mine_features_v1", columns, rows)
    index = [
        (A, at(2014, 12, 31), at(2015), 62.5, 1.0),
        (C, at(2023, 12, 31), at(2024, 4, 30, microsecond=5), None, 0.0),
    ]
    shop.make("mine_index", "index_score double precision, coverage double precision", index)
    from feast import FeatureService

    mine, features = view(
        "mine_features_v1", {"output": "Float64", "ash": "Float64", "as_of_year": "Int64", "in_cohort": "Bool"}
    )
    _, index_view = view("mine_index", {"index_score": "Float64", "coverage": "Float64"})
    store = shop.open()
    store.apply([mine, features, index_view, FeatureService(name="fvi_serving_v1", features=[features, index_view])])
    return store


def values_of_every_type(row: int) -> list[Any]:
    def one(values: Sequence[Any]) -> Any:
        return values[row % len(values)]

    real = one(REALS)
    return [
        real,
        None if real is None else one([0.0, -0.0, 0.1, math.inf, math.nan, 1e-45, 16777217.0]),
        one([0, -1, 2**53, 127, 128, None]) if row < 14 else row - 20,
        one([0, -1, 2**31 - 1, -(2**31), 2014]),
        one([0, -1, 32767, -32768]),
        one([0, -1, 2**31 - 1]),
        one([True, False, None]),
        one(WORDS),
        one(["", "Ó", None]),
        # no empty one: whether Feast takes that for a null depends on the other rows of its batch
        one([b"\n", b"\x00\xff", None]),
        one([at(2024), at(1969, 12, 31, hour=23, minute=59, second=59), at(2024, microsecond=999_999), None]),
        one([datetime(2024, 2, 29, 1, 2, 3), None]),
        None,
        None,
        None,
        None,
    ]


@pytest.mark.usefixtures("only_in_bulk")
def test_every_byte_is_the_one_that_feast_writes(shop):
    columns = ", ".join(f"{name} {kind}" for name, (kind, _) in TYPES.items())
    ids = [*(f"msha:{row:07d}" for row in range(40)), "gem:Ż", ""]
    rows = [
        (mine, at(2013, 12, 31, microsecond=row), at(2014), *values_of_every_type(row)) for row, mine in enumerate(ids)
    ]
    older = [(mine, at(1960), at(2015), *values_of_every_type(row + 1)) for row, mine in enumerate(ids)]
    # the same event time, known earlier
    earlier = [(mine, at(2013, 12, 31, microsecond=row), at(2013), *older[row][3:]) for row, mine in enumerate(ids)]
    shop.make("every_type", columns, [*older, *rows, *earlier])
    shop.make("beside", "real_8 double precision", [(mine, at(2020), at(2021), 0.5) for mine in ids[::2]])
    mine, every = view("every_type", {name: kind for name, (_, kind) in TYPES.items()})
    _, beside = view("beside", {"real_8": "Float64"})
    own = shop.open(feasts_own=True)
    own.apply([mine, every, beside])
    materialize(own)
    expected = shop.online()
    assert len(expected) == len(ids)
    assert shop.days_to_live() == {400}
    with redis.Redis.from_url(shop.redis_url) as client:
        client.flushdb()
    store = shop.open()
    materialize(store)
    assert shop.online() == expected
    assert shop.days_to_live() == {400}
    report = compare(store)
    # what Feast cannot keep apart: a NaN is a null to it
    nan = {"every_type:real_8", "every_type:real_4"}
    assert {f"{name}:{feature}" for name, feature in report.counts} == nan, report.markdown()


@pytest.mark.usefixtures("only_in_bulk")
def test_whole_numbers_that_no_double_holds_stay_what_they_are(shop):
    # Feast's own way goes through doubles as soon as one is null
    shop.make("counts", "tons bigint", [(A, at(2013), at(2014), 2**53 + 1), (B, at(2013), at(2014), None)])
    store = shop.open()
    store.apply(list(view("counts", {"tons": "Int64"})))
    materialize(store)
    online = store.get_online_features(features=["counts:tons"], entity_rows=[{"mine_id": A}, {"mine_id": B}])
    assert online.to_dict()["tons"] == [2**53 + 1, None]


def test_what_is_not_written_in_bulk_goes_feasts_own_way(shop, caplog):
    shop.make("lists", "shares double precision[]", [(A, at(2013), at(2014), [0.5, 0.25])])
    store = shop.open()
    store.apply(list(view("lists", {"shares": "[Float64]"})))
    materialize(store)
    online = store.get_online_features(features=["lists:shares"], entity_rows=[{"mine_id": A}])
    assert online.to_dict()["shares"] == [[0.5, 0.25]]
    assert "lists is materialised by Feast row by row: its columns shares" in caplog.text


@pytest.mark.usefixtures("only_in_bulk")
def test_late_and_restated_rows_arrive_and_what_left_gold_goes(shop, mines):
    materialize(mines)
    assert not compare(mines).different
    # known later, of an older year, of a new mine and of one that was there only in the index
    shop.add("mine_features_v1", [(A, at(2014, 12, 31), at(2018), None, 7.0, 2014, False)])
    shop.add("mine_features_v1", [(A, at(2012, 12, 31), at(2019), 1.0, 1.0, 2012, True)])
    shop.add("mine_features_v1", [(C, at(2010, 12, 31), at(2011), 3.0, None, 2010, True)])
    different = compare(mines)
    assert [(d.mine_id, d.feature, d.online, d.offline) for d in different.first] == [
        (C, WHOLE_ROW, "not there", "there"),
        (A, "output", "0.30000000000000004", "null"),
        (A, "ash", "-0.0", "7.0"),
        (A, "in_cohort", "True", "False"),
    ]
    materialize(mines)
    assert not compare(mines).different
    # mines whose files were withdrawn; Feast itself removes nothing before its time
    shop.execute("delete from gold.mine_features_v1 where mine_id in (%s, %s)", [B, C])
    mines.materialize(at(1900), datetime.now(UTC))
    assert {(d.mine_id, d.feature, d.online, d.offline) for d in compare(mines).first} == {
        (mine, WHOLE_ROW, "there", "not there") for mine in (B, C)
    }
    before = shop.online()
    materialize(mines)
    assert not compare(mines).different
    (b_key, c_key), online = entity_keys("fvi", "mine_id", [B.encode(), C.encode()]), shop.online()
    assert b_key not in online
    # the other view's part of the same hash stays
    assert 0 < len(online[c_key]) < len(before[c_key])


@pytest.mark.usefixtures("only_in_bulk")
def test_a_write_that_is_cut_off_leaves_whole_rows_and_the_next_one_repairs(shop, monkeypatch):
    ids = [f"msha:{row:07d}" for row in range(50)]
    features = {f"feature_{number}": "Float64" for number in range(30)}

    def write(value: float) -> None:
        shop.execute("drop table if exists gold.wide")
        columns = ", ".join(f"{name} double precision" for name in features)
        shop.make("wide", columns, [(mine, at(2013), at(2014), *[value] * 30) for mine in ids])

    class Killed(BaseException):
        """Passes every `except Exception`, as the end of a process does."""

    def half(client: Any, batch: online_store._Batch) -> None:
        connection = client.connection_pool.get_connection()
        connection.send_packed_command([batch.commands[: len(batch.commands) // 2]])
        connection.disconnect()
        client.connection_pool.release(connection)
        raise Killed

    write(1.0)
    store = shop.open(rows_at_once=20)
    store.apply(list(view("wide", features)))
    materialize(store)
    write(2.0)
    with monkeypatch.context() as patch:
        patch.setattr(online_store, "_send", half)
        with pytest.raises(Killed):
            materialize(store)
    rows = [set(row.values()) - {row[b"_ts:wide"]} for row in shop.online().values()]
    assert all(len(row) == 1 for row in rows), "a mine has all of its old row or all of its new one"
    assert len(set.union(*rows)) == 2, "the test cut in the middle"
    again = shop.open(rows_at_once=20)
    materialize(again)
    assert not compare(again).different


def test_parity_names_every_kind_of_difference(shop, mines):
    from feast.protos.feast.types.Value_pb2 import Value

    materialize(mines)
    clean = compare(mines)
    assert (clean.different, clean.markdown()) == (0, "")
    assert (dict(clean.mines), clean.values) == ({"mine_features_v1": 2, "mine_index": 2}, 12)
    shop.hash_set(A, "mine_features_v1", "output", Value(double_val=math.nextafter(0.1 + 0.2, 1)).SerializeToString())
    shop.hash_set(A, "mine_features_v1", "ash", Value(double_val=0.0).SerializeToString())
    shop.hash_set(A, "mine_features_v1", "as_of_year", Value(double_val=2014.0).SerializeToString())
    shop.hash_set(B, "mine_features_v1", "output", Value(int64_val=0).SerializeToString())
    shop.hash_set(B, "mine_features_v1", "ash", None)
    shop.hash_set(A, "mine_index", "coverage", b"")
    shop.hash_set("gem:M0001", "mine_index", "coverage", b"")  # without the view's time it is no row of it
    shop.execute("update gold.mine_index set event_timestamp = %s where mine_id = %s", [at(2022), C])
    report = compare(mines)
    assert {(d.mine_id, d.feature, d.online, d.offline) for d in report.first} == {
        (A, "output", "0.3000000000000001", "0.30000000000000004"),
        (A, "ash", "0.0", "-0.0"),
        (A, "as_of_year", "2014.0", "2014"),
        (B, "output", "0", "-0.0"),
        (B, "ash", "null", "5e-324"),
        (A, "coverage", "null", "1.0"),
        (C, "event_timestamp", "2023-12-31 00:00:00+00:00", "2022-10-01 00:00:00+00:00"),
    }
    assert "| mine_features_v1:output | 2 |" in report.markdown()
    assert f"| mine_features_v1:ash | {A} | 0.0 | -0.0 |" in report.markdown()
    shop.execute("update gold.mine_features_v1 set ash = 'NaN' where mine_id = %s", [B])
    assert ("ash", "null", "nan") in {(d.feature, d.online, d.offline) for d in compare(mines).first}


def test_the_check_of_an_asset_fails_on_one_bit_and_says_where(shop, mines, monkeypatch):
    from fvi_pipeline.defs import parity

    monkeypatch.setattr(parity, "feature_store", lambda: mines)
    materialize(mines)
    checks = [parity.online_equals_offline, parity.online_index_equals_offline]
    assert [check().passed for check in checks] == [True, True]
    shop.execute("update gold.mine_features_v1 set ash = 1e-323 where mine_id = %s", [B])
    features, index = [check() for check in checks]
    assert (features.passed, index.passed) == (False, True)
    assert "mine_features_v1:ash of msha:0000002 is 5e-324 online, 1e-323 offline" in features.description
    assert "| mine_features_v1:ash | 1 |" in features.metadata["differences"].value
    assert {spec.blocking for check in checks for spec in check.check_specs} == {True}


@pytest.fixture
def served(shop: Shop, mines: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the reader wants of a model: where its features are."""
    for name, value in shop.environment.items():
        monkeypatch.setenv(name, value)
    yaml = PROJECT_ROOT / "feature_repo" / "feature_store.yaml"
    return SimpleNamespace(fields=mine_fields(yaml, "fvi_v1", ["output", "ash"]))


def read_online(
    url: str, served: Any, *questions: list[str], version: bytes | None = None
) -> list[list[StoredMine | None]]:
    async def answers() -> list[list[StoredMine | None]]:
        link = RedisLink(url)
        await link.start()
        try:
            return [(await OnlineReader(link).read(served, mine_ids, version=version))[0] for mine_ids in questions]
        finally:
            await link.close()

    return asyncio.run(answers())


def test_the_reader_answers_what_feast_answers(shop, mines, served):
    materialize(mines)
    asked = [C, "msha:9999999", A, B, A]
    service = mines.get_feature_service("fvi_serving_v1")
    columns = mines.get_online_features(features=service, entity_rows=[{"mine_id": mine} for mine in asked]).to_dict()
    expected = [
        None
        if year is None and columns["coverage"][row] is None
        else StoredMine(
            row=None
            if year is None
            else np.array([columns[name][row] for name in ("output", "ash")], dtype=np.float64).astype(np.float32),
            as_of_year=year,
            in_cohort=bool(columns["in_cohort"][row]),
            index_score=columns["index_score"][row],
        )
        for row, year in enumerate(columns["as_of_year"])
    ]
    url = shop.environment["FVI_REDIS_URL"]
    together, many, *alone = read_online(url, served, asked, asked * 500, *([mine] for mine in asked))
    # the text tells -0.0 from 0.0 and 1 from 1.0
    assert repr(together) == repr(expected)
    assert repr([mine for (mine,) in alone]) == repr(expected)
    assert repr(many) == repr(expected * 500)
    assert expected[1] is None
    with redis.Redis.from_url(url) as client:
        assert repr(blocking_read(client, served, asked)) == repr(expected)
        assert blocking_read(client, served, []) == []
        # the first reader under a version packs, the next ones take what was packed: rows of their own version only
        assert repr(read_online(url, served, asked, asked * 500, version=b"7")) == repr([expected, expected * 500])
        client.hset(rows_key(b"7", served.fields), A, pack(StoredMine(None, 1999, False, None)))
        assert read_online(url, served, [A], version=b"7") == [[StoredMine(None, 1999, False, None)]]
        assert repr(read_online(url, served, [A], version=b"8")) == repr([[expected[2]]])


def test_the_reader_tells_a_store_that_is_down(shop, mines, served):
    with socket.create_server(("127.0.0.1", 0)) as nothing:
        gone = f"redis://127.0.0.1:{nothing.getsockname()[1]}"
    for mine_ids in ([A], [A, B]):
        with pytest.raises(StoreUnavailableError, match="online store"):
            read_online(gone, served, mine_ids)
        with redis.Redis.from_url(gone) as client, pytest.raises(StoreUnavailableError, match="online store"):
            blocking_read(client, served, mine_ids)
    with pytest.raises(StoreUnavailableError, match="fvi_serving_v7"):
        mine_fields(PROJECT_ROOT / "feature_repo" / "feature_store.yaml", "fvi_v7", ["output"])


def test_a_materialisation_changes_the_online_version_and_unsettles_it_meanwhile(shop, mines, monkeypatch):
    client = online_client(mines)
    materialize(mines)
    before = client.get(VERSION_KEY)
    assert is_settled(before)
    during = []
    send = online_store._send
    monkeypatch.setattr(online_store, "_send", lambda *given: (during.append(client.get(VERSION_KEY)), send(*given)))
    materialize(mines)
    assert during
    assert not any(is_settled(version) for version in during)
    after = client.get(VERSION_KEY)
    assert is_settled(after)
    assert after > before

    def broken(*_: Any) -> None:
        raise RuntimeError("killed")

    monkeypatch.setattr(online_store, "_send", broken)
    with pytest.raises(RuntimeError, match="killed"):
        materialize(mines)
    assert not is_settled(client.get(VERSION_KEY))


def test_the_feast_command_writes_in_bulk(shop, mines, tmp_path):
    environment = clean_environment(tmp_path) | shop.environment | {"PYTHONPATH": str(PROJECT_ROOT)}
    until = datetime.now(UTC).isoformat(timespec="seconds").removesuffix("+00:00")
    done = run_tool(environment, str(BIN / "feast"), "materialize", "1900-01-01T00:00:00", until, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "row by row" not in done.stdout + done.stderr
    assert not compare(mines).different
