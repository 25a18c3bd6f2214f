"""The log of predictions, the audit log and feedback on a real PostgreSQL, which goes away in the middle."""

import time
import uuid
from contextlib import contextmanager
from datetime import UTC, datetime
from urllib.parse import urlsplit

import psycopg
import pytest

from fvi_pipeline.serving.audit import AuditLog
from fvi_pipeline.serving.errors import StoreUnavailableError
from fvi_pipeline.serving.feedback import (
    AmbiguousFeedbackError,
    FeedbackRequest,
    FeedbackStore,
    UnknownPredictionError,
)
from fvi_pipeline.serving.guard import new_request_id
from fvi_pipeline.serving.log_entry import PredictionEntry
from fvi_pipeline.serving.prediction_log import WarehouseLog
from fvi_pipeline.serving.retention import delete_predictions

KNOWN_AT = datetime(2020, 10, 1, tzinfo=UTC)


def entry(**changes):
    stated = PredictionEntry(
        at=time.time(),
        request_id=new_request_id(),
        endpoint="/predict",
        mine_id="msha:0000001",
        prediction_type="viability",
        horizon_years=5,
        what_if=None,
        as_of_asked=None,
        feature_service="fvi_v1",
        as_of_year=2019,
        known_at=KNOWN_AT,
        fvi_score=71.25,
        model_name="fvi_viability",
        model_version="7",
        arm="champion",
        latency_ms=0.4,
        is_cached=False,
        is_degraded=False,
        client="lender",
    )
    return stated._replace(**changes)


@pytest.fixture
def log(database_url):
    log = WarehouseLog(database_url)
    yield log
    log.close(2)


@pytest.fixture
def query(database_url):
    def run(statement, *parameters):
        with psycopg.connect(database_url, autocommit=True) as connection:
            return connection.execute(statement, parameters).fetchall()

    return run


@contextmanager
def away(database_url):
    """The database takes no connections and has ended those that it had."""
    name = urlsplit(database_url).path.lstrip("/")
    with psycopg.connect(database_url.replace(f"/{name}?", "/postgres?"), autocommit=True) as connection:
        connection.execute(f'alter database "{name}" allow_connections false')
        connection.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [name])
        try:
            yield
        finally:
            connection.execute(f'alter database "{name}" allow_connections true')


def test_a_forecast_is_stored_as_it_was_answered(log, query):
    forecast = {"forecast_year": 2020, "probabilities": {"Active": 0.75, "Closed": 0.25}}
    log.offer(entry(prediction_type="next_status", fvi_score=None, answer=forecast))
    log.offer(entry())
    assert log.flush(5)
    stored = query("select prediction_type, answer from ops.predictions order by entry_number")
    assert stored == [("next_status", forecast), ("viability", None)]


def test_old_answers_leave_but_those_with_feedback(log, query, database_url):
    now = time.time()
    old, said = now - 30 * 86_400, new_request_id()
    for number in range(5):
        log.offer(entry(at=old, mine_id=f"msha:000000{number}"))
    log.offer(entry(at=old, request_id=said))
    log.offer(entry(at=now))
    assert log.flush(5)
    query(
        "insert into ops.feedback (request_id, mine_id, verdict) values (%s, 'msha:0000001', 'agree') returning 1", said
    )
    with psycopg.connect(database_url) as connection:
        before = datetime.fromtimestamp(now - 86_400, UTC)
        assert delete_predictions(connection, before, rows_at_once=2) == 5
        assert delete_predictions(connection, before) == 0
    left = query("select replace(request_id::text, '-', '') = %s from ops.predictions order by 1", said)
    assert left == [(False,), (True,)]


def test_what_was_answered_is_what_is_stored(log, query):
    plain = entry(is_cached=True)
    asked = {"average_employees": None, "name\x00": 2.5}
    odd = entry(what_if=asked, as_of_asked="2015-01-01", fvi_score=None, known_at=None, client=None, arm="challenger")
    log.offer(plain)
    log.offer(odd)
    assert log.flush(5)
    assert (log.written, log.waiting, log.lost) == (2, 0, 0)
    stored = query(
        """
        SELECT replace(request_id::text, '-', ''), client, mine_id, horizon_years, is_what_if, what_if, as_of_asked,
            as_of_year, known_at, fvi_score, model_name || model_version, arm, latency_milliseconds, is_cached,
            round(feature_age_seconds), round(extract(epoch FROM answered_at) * 1000)
        FROM ops.predictions ORDER BY entry_number
        """
    )
    age = round(plain.at - KNOWN_AT.timestamp())
    assert stored[0] == (
        plain.request_id, "lender", "msha:0000001", 5, False, None, None,
        2019, KNOWN_AT, 71.25, "fvi_viability7", "champion", 0.4, True,
        age, round(plain.at * 1000),
    )  # fmt: skip
    assert stored[1][4:7] == (True, {"average_employees": None, "name\ufffd": 2.5}, "2015-01-01")
    assert (stored[1][1], stored[1][8], stored[1][9], stored[1][11], stored[1][14]) == (
        None, None, None, "challenger", None,
    )  # fmt: skip


def test_entries_wait_for_a_database_that_is_away_and_no_request_does(log, query, database_url):
    log.offer(entry())
    assert log.flush(5)
    with away(database_url):
        started = time.perf_counter()
        for _ in range(3_000):
            log.offer(entry())
        assert time.perf_counter() - started < 1
        assert not log.flush(0.5)
        assert log.waiting == 3_000
    assert log.flush(10)
    assert (log.lost, query("SELECT count(*), count(DISTINCT entry_number) FROM ops.predictions")) == (
        0, [(3_001, 3_001)],
    )  # fmt: skip


def test_what_is_beyond_the_bound_is_counted(database_url, query):
    told = []
    log = WarehouseLog(database_url, maximum_rows=1_000, on_lost=told.append)
    with away(database_url):
        for _ in range(5_000):
            log.offer(entry())
        # the batch in hand is beside the bound
        assert 1_000 <= log.waiting <= 2_000
        assert log.waiting + log.lost == 5_000
    log.close()
    assert query("SELECT count(*) FROM ops.predictions") == [(log.written,)]
    assert log.written + log.lost == 5_000
    assert sum(told) == log.lost


def test_a_clean_stop_loses_nothing(database_url, query):
    log = WarehouseLog(database_url)
    for _ in range(20_000):
        log.offer(entry())
    log.close()
    assert (log.lost, log.waiting) == (0, 0)
    assert query("SELECT count(*) FROM ops.predictions") == [(20_000,)]
    log.offer(entry())  # after the stop: never an error
    assert log.lost == 1


def test_a_stop_while_the_database_is_away_ends_and_says_what_is_lost(database_url, caplog):
    log = WarehouseLog(database_url)
    with away(database_url):
        for _ in range(10):
            log.offer(entry())
        started = time.monotonic()
        log.close()
        assert time.monotonic() - started < 4
    assert log.lost == 10
    assert "10 rows were lost" in caplog.text


def test_a_row_that_cannot_be_stored_is_lost_alone(log, query):
    rows = [entry(mine_id="nul\x00") if number == 700 else entry() for number in range(1_500)]
    for row in rows:
        log.offer(row)
    log.offer(entry(request_id="not a uuid"))
    log.offer(entry(horizon_years=10**9))
    assert log.flush(10)
    assert log.lost == 3
    assert query("SELECT count(*) FROM ops.predictions") == [(1_499,)]


def test_rows_whose_commit_was_not_confirmed_are_there_once(log, query, database_url):
    rows = [entry() for _ in range(50)]
    with psycopg.connect(database_url, autocommit=True) as connection:
        for number, row in enumerate(rows[:20]):
            connection.execute(
                """
                INSERT INTO ops.predictions (request_id, entry_number, answered_at, endpoint, mine_id, prediction_type,
                    model_name, model_version, arm, latency_milliseconds, is_cached, is_degraded)
                VALUES (%s, %s, now(), '/predict', 'm', 'viability', 'n', '7', 'champion', 0, false, false)
                """,
                (row.request_id, number),
            )
    for row in rows:
        log.offer(row)
    assert log.flush(5)
    assert log.lost == 0
    assert query("SELECT count(*) FROM ops.predictions") == [(50,)]


def test_a_batch_of_answers_shares_its_request(log, query):
    shared = new_request_id()
    for horizon in (1, 5, 5):
        log.offer(entry(request_id=shared, horizon_years=horizon))
    assert log.flush(5)
    assert query("SELECT count(*) FROM ops.predictions WHERE request_id = %s", shared) == [(3,)]


def test_audit_events_are_stored_and_repetitions_counted(database_url, query, monkeypatch):
    audit = AuditLog(database_url)
    audit.note("started", details={"auth": "token"})
    path = "/predict/\x00" + "x" * 500
    now = time.monotonic()
    facts = {"request_id": new_request_id(), "address": "10.0.0.7", "method": "POST", "path": path}
    for _ in range(5):
        audit.note_often("refused_token", "10.0.0.7", **facts, details={"reason": "The token has expired."})
    monkeypatch.setattr(time, "monotonic", lambda: now + 20)
    audit.note_often("refused_token", "10.0.0.7", **facts, details={"reason": "The token has expired."})
    monkeypatch.undo()
    audit.close()
    stored = query("SELECT event, client, address, length(path), details FROM ops.audit ORDER BY happened_at")
    assert stored == [
        ("started", None, None, None, {"auth": "token"}),
        ("refused_token", None, "10.0.0.7", 200, {"reason": "The token has expired."}),
        ("refused_token", None, "10.0.0.7", 200, {"reason": "The token has expired.", "repeated": 4}),
    ]


def test_feedback_is_tied_to_a_prediction_of_the_same_client(log, query, database_url):
    store = FeedbackStore(database_url, log)
    answered, batch = entry(), new_request_id()
    log.offer(answered)  # not written yet: the store waits for it
    stored = store.add(
        FeedbackRequest(request_id=answered.request_id, verdict="disagree", expected_viable=False, comment="Closing."),
        "lender",
    )
    assert query("SELECT feedback_id, request_id, mine_id, horizon_years, client, verdict FROM ops.feedback") == [
        (stored.feedback_id, uuid.UUID(answered.request_id), "msha:0000001", 5, "lender", "disagree")
    ]
    for horizon in (5, 10):
        log.offer(entry(request_id=batch, horizon_years=horizon))
    with pytest.raises(AmbiguousFeedbackError):
        store.add(FeedbackRequest(request_id=batch, verdict="agree"), "lender")
    store.add(FeedbackRequest(request_id=batch, verdict="agree", horizon_years=10), "lender")
    assert query("SELECT horizon_years FROM ops.feedback WHERE request_id = %s", batch) == [(10,)]


def test_feedback_on_what_was_never_answered_to_the_client_is_unknown(log, database_url, monkeypatch):
    monkeypatch.setattr("fvi_pipeline.serving.feedback._LATE_SECONDS", 0.3)
    store = FeedbackStore(database_url, log)
    answered = entry()
    log.offer(answered)
    for request_id, client in (
        (answered.request_id, "insurer"),
        (answered.request_id, None),
        (uuid.uuid4().hex, "lender"),
    ):
        with pytest.raises(UnknownPredictionError):
            store.add(FeedbackRequest(request_id=request_id, verdict="agree"), client)
    monkeypatch.setattr("fvi_pipeline.serving.feedback._LATE_SECONDS", 10.0)
    started = time.monotonic()
    with pytest.raises(UnknownPredictionError):  # not of today: it is not waited for
        store.add(FeedbackRequest(request_id="01900000c3e77d52a4b19c7d2e5f6a70", verdict="agree"), "lender")
    assert time.monotonic() - started < 2
    with away(database_url), pytest.raises(StoreUnavailableError):
        store.add(FeedbackRequest(request_id=answered.request_id, verdict="agree"), "lender")


def test_the_log_takes_an_answer_in_a_few_microseconds(log):
    answered = entry()
    moments = []
    for _ in range(5_000):
        started = time.perf_counter()
        log.offer(answered._replace(at=0.0))
        moments.append(time.perf_counter() - started)
    assert sorted(moments)[len(moments) // 2] < 20e-6
