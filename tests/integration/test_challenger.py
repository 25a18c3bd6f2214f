"""A challenger in the registry, the ledger and the notes that services follow; and how its answers came true."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
import redis

from fvi_pipeline.features.versions import FeatureVersion, note_versions
from fvi_pipeline.model import ledger
from fvi_pipeline.model.arm_comparison import answers_come_true, outcomes_of_answers, write_comparison
from fvi_pipeline.model.errors import RegistryError
from fvi_pipeline.model.registry import ModelRegistry
from fvi_pipeline.model.reigns import announce
from fvi_pipeline.model.scoring import MODEL_NAME
from fvi_pipeline.platform.database import connect, with_search_path
from fvi_pipeline.serving.errors import StoreUnavailableError
from fvi_pipeline.serving.model_files import ModelShelf, find_files
from fvi_pipeline.serving.standing_note import RedisNote, RegistryTables, Reign, VersionRef
from tests.another_version import Candidate
from tests.unit.serving.small_models import small_model

_ANSWERED = datetime(2026, 1, 1, tzinfo=UTC)
_OUTCOMES = """
create table gold.gold_mine_outcomes (
    mine_id text, as_of_year int, horizon_years int, outcome_year int, viable bool, outcome_known_at timestamptz
);
create table gold.gold_vintage_releases (
    as_of_year int, created_timestamp timestamptz, file_id bigint, fact_year int
);
"""


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    with connect(database_url) as opened:
        yield opened


@pytest.fixture
def registry(database_url: str, tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(with_search_path(database_url, "mlflow"), tmp_path / "mlflow")


def test_aliases_reach_services_by_the_registry_and_by_the_note(
    connection: psycopg.Connection, registry: ModelRegistry, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    note_versions(connection, [FeatureVersion(1, ())])
    tables = RegistryTables(with_search_path(database_url, "mlflow"))
    with pytest.raises(StoreUnavailableError):
        tables.read(MODEL_NAME)  # MLflow has not made its tables yet
    versions = [registry.register(Candidate(small_model(seed))) for seed in (1, 2)]
    assert tables.read(MODEL_NAME) == Reign()
    ledger.promote(connection, registry, "1", reason="the first", actor="somebody")
    ledger.challenge(connection, registry, "2", reason="half as deep", actor="somebody")
    ledger.challenge(connection, registry, "2", reason="asked twice", actor="somebody")
    refs = [VersionRef(each.version, each.onnx_sha256, each.source) for each in versions]
    assert tables.read(MODEL_NAME) == Reign(*refs)
    assert find_files(refs[1], ModelShelf(tmp_path / "shelf"), None, tmp_path).is_dir()
    with pytest.raises(RegistryError, match="is the champion"):
        ledger.challenge(connection, registry, "1", reason="", actor="somebody")

    with redis.Redis.from_url(redis_url) as client:
        note = RedisNote(client)
        with pytest.raises(StoreUnavailableError):
            note.read(MODEL_NAME)
        announce(redis_url, lambda name: ModelRegistry(registry._tracking_uri, tmp_path, name))
        assert note.read(MODEL_NAME) == Reign(*refs)
        assert note.read("fvi_production") == Reign()

    ledger.note_bento(connection, MODEL_NAME, "1", "fvi:1-abc")
    ledger.challenge(connection, registry, None, reason="enough seen", actor="somebody")
    assert tables.read(MODEL_NAME) == Reign(refs[0])
    tables.close()
    rows = connection.execute(
        "select version, previous_version, decision, reason, bento_tag from ops.promotions order by promoted_at"
    ).fetchall()
    assert rows == [
        ("1", None, "promoted", "the first", "fvi:1-abc"),
        ("2", "1", "challenging", "half as deep", None),
        ("2", "1", "challenging", "No longer asked: enough seen", None),
    ]


def test_answers_count_whose_outcome_came_later(connection: psycopg.Connection) -> None:
    connection.execute(_OUTCOMES)
    connection.execute(
        "insert into landing.files (file_id, publisher, name, sha256, known_at, ingested_at, rows_read, rows_loaded, "
        "rows_quarantined, status) overriding system value values (1, 'eia', 'a.xls', 'x', %s, %s, 0, 0, 0, 'loaded')",
        [_ANSWERED, _ANSWERED + timedelta(days=30)],
    )
    connection.execute("insert into gold.gold_vintage_releases values (2020, %s, 1, 2020)", [_ANSWERED])
    chance = random.Random(5)
    for number in range(120):
        mine, viable = f"msha:{number:07d}", chance.random() < 0.7
        connection.execute(
            "insert into gold.gold_mine_outcomes values (%s, 2019, 1, 2020, %s, %s)", [mine, viable, _ANSWERED]
        )
        # the champion knows nothing; the challenger, asked in the shadow for two thirds of the mines, knows something
        _answer(connection, mine, "1", "champion", 70.0, _ANSWERED)
        _answer(connection, mine, "1", "champion", 1.0, _ANSWERED + timedelta(days=60))  # after the outcome came
        _answer(connection, mine, "1", "champion", 2.0, _ANSWERED + timedelta(days=1), what_if='{"hours": 1}')
        if number % 3:
            _answer(connection, mine, "2", "shadow", 85.0 if viable else 30.0, _ANSWERED)
    came = answers_come_true(connection, MODEL_NAME, "1", "2")
    assert {arm: rows.height for arm, rows in came.items()} == {"champion": 120, "challenger": 80}
    assert came["champion"]["champion"].unique().to_list() == [0.7]
    figures = {(figure.arm, figure.measure): figure for figure in outcomes_of_answers(came)}
    better = figures["difference", "brier"]
    assert better.mines == 80
    assert better.high is not None
    assert better.low is not None
    assert better.low < better.value < better.high < 0
    assert figures["challenger", "auc"].value == 1.0
    assert figures["champion", "auc"].value == 0.5
    assert write_comparison(connection, "1", "2", list(figures.values()), _ANSWERED)
    assert not write_comparison(connection, "1", "2", list(figures.values()), _ANSWERED + timedelta(days=1))
    stored = connection.execute("select count(*), count(distinct compared_at) from mart.arm_comparison").fetchone()
    assert stored == (len(figures), 1)


def _answer(
    connection: psycopg.Connection,
    mine: str,
    version: str,
    arm: str,
    score: float,
    at: datetime,
    what_if: str | None = None,
) -> None:
    connection.execute(
        "insert into ops.predictions (request_id, entry_number, answered_at, endpoint, mine_id, prediction_type, "
        "horizon_years, what_if, as_of_year, fvi_score, model_name, model_version, arm, latency_milliseconds, "
        "is_cached, is_degraded) values (gen_random_uuid(), 1, %s, '/predict', %s, 'viability', 1, %s, 2019, %s, %s, "
        "%s, %s, 0.5, false, false)",
        [at, mine, what_if, score, MODEL_NAME, version, arm],
    )
