"""The past as it was stored, and what the pipeline copies to Redis for serving, on real PostgreSQL and Valkey."""

import asyncio
import json
from datetime import UTC, date, datetime, timedelta

import numpy as np
import psycopg
import pytest
import redis

from fvi_pipeline.model.online_answers import (
    publish_forecasts,
    publish_records,
    record_field,
    records_key,
    row_digest,
    unpack,
)
from fvi_pipeline.platform.bootstrap import bootstrap
from fvi_pipeline.serving.arms import ServedModel
from fvi_pipeline.serving.contract import Prediction, PredictRequest
from fvi_pipeline.serving.errors import StoreUnavailableError, UnknownMineError
from fvi_pipeline.serving.history import History
from tests.unit.serving.small_models import FEATURES, FIELDS, small_model

MINE, GONE = "msha:0000001", "msha:0000002"
EARLY, LATE = datetime(2021, 5, 1, 12, tzinfo=UTC), datetime(2022, 5, 1, 12, tzinfo=UTC)
SCORE = "(mine_id, as_of_year, horizon_years, fvi_score, interval_low, interval_high, model_version, scored_at)"


@pytest.fixture
def warehouse(database_url):
    with psycopg.connect(database_url, autocommit=True) as connection:
        bootstrap(connection)
        connection.autocommit = True
        connection.execute("create schema if not exists silver")
        connection.execute("create table if not exists silver.silver_mine_profiles (mine_id text primary key)")
        connection.execute("insert into silver.silver_mine_profiles values (%s), (%s)", [MINE, GONE])
        for table in ("fvi_score_history", "fvi_scores"):
            connection.execute(
                f"insert into mart.{table} {SCORE} values (%s, 2020, 5, 71.5, 60, 80, '2', %s)", [MINE, LATE]
            )
        connection.execute(
            f"insert into mart.fvi_score_history {SCORE} values (%s, 2019, 5, 64, 50, 70, '1', %s), "
            "(%s, 2019, 5, 12, 5, 20, '1', %s)",
            [MINE, EARLY, GONE, EARLY],
        )
        connection.execute(
            "insert into mart.backtest_predictions (mine_id, as_of_year, horizon_years, train_until_year, "
            "viability_probability, viable, interval_low, interval_high) "
            "values (%s, 2012, 5, 2008, 0.25, true, 0.1, 0.5), "
            "(%s, 2012, 5, 2010, 0.5, true, 0.25, 0.75)",
            [MINE, MINE],
        )
        yield connection


@pytest.fixture
def ask(warehouse, database_url):
    history = History(database_url)
    model = small_model(1).model()
    champion = ServedModel(model, "2", "champion", FIELDS, LATE)

    def asked(as_of, mine_id=MINE):
        request = PredictRequest(mine_id=mine_id, horizon_years=5, as_of=as_of)
        answer = asyncio.run(history.answer(request, champion))
        told = Prediction.model_validate_json(answer.body)  # of the documented form
        assert answer.facts.fvi_score == told.fvi_score
        return told

    yield asked
    history.close()


@pytest.mark.parametrize(
    ("as_of", "arm", "year", "score", "version"),
    [
        (2020, "history", 2020, 71.5, "2"),
        (2019, "history", 2019, 64, "1"),
        (date(2022, 5, 1), "history", 2020, 71.5, "2"),
        (date(2022, 4, 30), "history", 2019, 64, "1"),
        (LATE - timedelta(seconds=1), "history", 2019, 64, "1"),
        (LATE, "history", 2020, 71.5, "2"),
        (2012, "backtest", 2012, 50, "trained until 2010"),
    ],
)
def test_the_past_is_what_was_known_by_then(ask, as_of, arm, year, score, version):
    told = ask(as_of)
    assert (told.arm, told.as_of, told.fvi_score, told.model.version) == (arm, year, score, version)
    assert told.interval[0] <= told.fvi_score <= told.interval[1]
    assert told.viability_probability == score / 100


def test_what_nobody_said_is_not_made_up(ask):
    assert "Nothing had been scored as of 2005" in ask(2005).reason
    assert "Nothing had been scored by" in ask(date(2020, 1, 1)).reason
    left = ask(2020, GONE)
    assert left.fvi_score is None
    assert "outside the cohort of 2020" in left.reason
    assert ask(2019, GONE).fvi_score == 12
    with pytest.raises(UnknownMineError):
        ask(2020, "msha:9999999")


def test_a_warehouse_that_is_down_is_told_and_one_that_returns_is_used(ask, warehouse):
    assert ask(2020).fvi_score == 71.5
    warehouse.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where datname = current_database() and pid <> pg_backend_pid()"
    )
    with pytest.raises(StoreUnavailableError):
        ask(2020)
    assert ask(2020).fvi_score == 71.5
    with pytest.raises(StoreUnavailableError):
        History("postgresql://127.0.0.1:1/none").weights()


def test_weights_of_some_nights_and_one_metric(warehouse, database_url):
    for night in (1, 2, 3):
        for metric, weight in (("a", 0.75), ("b", 0.25)):
            warehouse.execute(
                "insert into mart.fvi_weights "
                "(metric, night, weight, bounded_weight, quality, base_weight, computed_at) "
                "values (%s, %s, %s, 0.5, 1, 1, now())",
                [metric, date(2024, 1, night), weight],
            )
    history = History(database_url)
    entries = history.weights().nights
    assert [(entry.night.day, entry.metric) for entry in entries] == [(n, m) for n in (3, 2, 1) for m in "ab"]
    assert [entry.night.day for entry in history.weights(date(2024, 1, 2), date(2024, 1, 2), "b").nights] == [2]
    assert history.weights(metric="none").nights == []
    history.close()


def test_records_and_forecasts_are_copied_for_serving(warehouse, redis_url):
    model = small_model(1).model()
    for feature, value, contribution in zip(reversed(FEATURES), (None, 1.5e6), (-0.25, 0.5), strict=True):
        warehouse.execute(
            "insert into mart.score_explanations values (%s, 2020, 5, %s, %s, %s, '2')",
            [MINE, feature, value, contribution],
        )
    warehouse.execute("insert into mart.score_explanation_bases values (%s, 2020, 5, 0.125, '2', 'fvi_v1')", [MINE])
    warehouse.execute("insert into mart.status_forecasts values (%s, 2020, 2021, 'active', 0.75, '3', now()), "
                      "(%s, 2020, 2021, 'closed', 0.25, '3', now()), (%s, 2019, 2020, 'active', 1, '3', now())",
                      [MINE, MINE, GONE])  # fmt: skip
    with redis.Redis.from_url(redis_url) as client:
        assert publish_records(warehouse, client, model.onnx_sha256, "2", FEATURES) == 1
        assert publish_records(warehouse, client, model.onnx_sha256, "1", FEATURES) == 0
        record = client.hget(records_key(model.onnx_sha256), record_field(MINE, 5))
        # the values in the model's order, as they are read online
        digest = row_digest(np.array([1.5e6, np.nan], dtype=np.float32))
        found = unpack(record, digest, len(FEATURES))
        assert (found.probability, found.low, found.high, found.base) == (0.715, 0.6, 0.8, 0.125)
        assert found.contributions.tolist() == [0.5, -0.25]
        assert client.get("fvi:online:newest_year") == b"2020"
        assert publish_forecasts(warehouse, client, "next_status") == 1
        forecast = json.loads(client.hget("fvi:forecasts:next_status", MINE))
        assert forecast["probabilities"] == {"active": 0.75, "closed": 0.25}
        assert (forecast["as_of_year"], forecast["model_version"]) == (2020, "3")
        # what is no more forecast is no more served
        warehouse.execute("delete from mart.status_forecasts")
        assert publish_forecasts(warehouse, client, "next_status") == 0
        assert not client.exists("fvi:forecasts:next_status")
