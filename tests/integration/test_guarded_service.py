"""The served Bento with its guard up, over HTTP: tokens, limits, bodies, the logs in PostgreSQL and feedback."""

import socket
import time
import uuid
from contextlib import ExitStack
from urllib.parse import urlsplit

import jwt
import pytest

from fvi_pipeline.platform.database import connect
from tests.integration.serving_process import served

pytestmark = pytest.mark.xdist_group("demo-served")
SECRET = "a-shared-secret-of-more-than-32-bytes"


def bearer(client="lender", scope="predict", **changes):
    claims = {"sub": client, "aud": "fvi", "exp": time.time() + 600, "scope": scope, **changes}
    return {"authorization": f"Bearer {jwt.encode(claims, SECRET, algorithm='HS256')}"}


@pytest.fixture(scope="module")
def service(demo, tmp_path_factory):
    """A running service and how to stop it."""
    environment = {**demo.environment, "FVI_AUTH_SECRET": SECRET, "FVI_RATE_LIMITS": '{"/weights": 12}'}
    with ExitStack() as running:
        client = running.enter_context(served(environment, tmp_path_factory.mktemp("guarded")))
        yield client, running.close


@pytest.fixture
def client(service):
    return service[0]


@pytest.fixture
def warehouse(demo):
    with connect(demo.environment["FVI_DATABASE_URL"], autocommit=True) as connection:
        yield connection


@pytest.fixture
def question(warehouse):
    mine_id, horizon = warehouse.execute("SELECT mine_id, horizon_years FROM mart.fvi_scores ORDER BY 1, 2").fetchone()
    return {"mine_id": mine_id, "horizon_years": horizon}


def assert_error(response, status, code):
    assert (response.status_code, response.json()["error"]["code"]) == (status, code), response.text


def test_every_endpoint_wants_a_token_for_itself(client, question):
    for path in ("/predict", "/predict_batch", "/explain", "/feedback", "/retrieve", "/metrics", "/no_such_page"):
        assert_error(client.post(path, json=question), 401, "unauthorized")
        assert_error(client.post(path, json=question, headers=bearer(exp=time.time() - 60)), 401, "unauthorized")
        assert_error(client.post(path, json=question, headers=bearer(aud="another")), 401, "unauthorized")
        assert_error(client.post(path, json=question, headers=bearer(scope="")), 403, "forbidden")
    assert client.post("/predict", json=question, headers=bearer()).status_code == 200
    assert client.post("/explain", json=question, headers=bearer(scope="explain")).status_code == 200
    assert_error(client.post("/explain", json=question, headers=bearer()), 403, "forbidden")
    for path in ("/livez", "/readyz", "/docs", "/openapi.json"):
        assert client.get(path).status_code == 200


def test_bentos_own_metrics_are_behind_the_guard_and_count_refusals(client):
    assert_error(client.get("/metrics"), 401, "unauthorized")
    metrics = client.get("/metrics", headers=bearer(scope="admin")).text
    assert 'fvi_request_seconds_bucket{endpoint="/predict"' in metrics
    assert 'fvi_request_seconds_count{endpoint="/metrics",status="401"}' in metrics
    assert 'fvi_refused_total{code="unauthorized"' in metrics


def test_calls_beyond_the_limit_of_the_settings_are_429(client):
    statuses = [client.get("/weights", headers=bearer("hasty")).status_code for _ in range(5)]
    assert statuses == [200, 200, 429, 429, 429]
    refused = client.get("/weights", headers=bearer("hasty"))
    assert_error(refused, 429, "too_many_calls")
    assert int(refused.headers["retry-after"]) >= 1
    assert client.get("/weights", headers=bearer("patient")).status_code == 200


def test_bodies_that_are_too_large_malformed_or_do_not_come(client, question):
    assert_error(client.post("/predict", content=b" " * 300_000, headers=bearer()), 413, "too_large")
    for content in (b"", b"{", b"\xff", b"[" * 10_000, b'{"mine_id": 1}'):
        json = {**bearer(), "content-type": "application/json"}
        assert_error(client.post("/predict", content=content, headers=json), 422, "invalid_request")
    address = urlsplit(str(client.base_url))
    token = bearer()["authorization"]
    with socket.create_connection((address.hostname, address.port), timeout=20) as slow:
        head = f"POST /predict HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nContent-Length: 50\r\n\r\n{{"
        slow.sendall(head.encode())
        started = time.monotonic()
        answer = slow.recv(65_536)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert 4 < time.monotonic() - started < 10
    # the one that drips has held up nobody
    assert client.post("/predict", json=question, headers=bearer()).status_code == 200


def test_feedback_is_taken_for_ones_own_predictions(client, warehouse, question):
    answer = client.post("/predict", json=question, headers=bearer())
    request_id = answer.headers["x-request-id"]
    opinion = {"request_id": request_id, "verdict": "disagree", "expected_viable": False, "comment": "Closing."}
    given = client.post("/feedback", json=opinion, headers=bearer())
    assert given.status_code == 201
    assert warehouse.execute(
        "SELECT mine_id, horizon_years, client, verdict, comment FROM ops.feedback WHERE feedback_id = %s",
        (given.json()["feedback_id"],),
    ).fetchone() == (question["mine_id"], question["horizon_years"], "lender", "disagree", "Closing.")
    assert_error(client.post("/feedback", json=opinion, headers=bearer("insurer")), 404, "unknown_prediction")
    assert_error(client.post("/feedback", json={**opinion, "verdict": "x"}, headers=bearer()), 422, "invalid_request")


def test_what_was_refused_is_in_the_audit_log(client, warehouse):
    address = f"audit-{uuid.uuid4().hex}"
    client.post("/predict", headers=bearer(address, scope=""))
    deadline = time.monotonic() + 5
    query = "SELECT event, path, details FROM ops.audit WHERE client = %s"
    while not (rows := warehouse.execute(query, (address,)).fetchall()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert rows == [("refused_scope", "/predict", {"scope_needed": "predict"})]
    started = warehouse.execute("SELECT DISTINCT details->>'auth' FROM ops.audit WHERE event = 'started'").fetchall()
    assert ("token",) in started


def test_every_answer_is_in_the_log_after_a_clean_stop(service, warehouse, question):
    client, stop = service  # the last test of this module
    name = f"logged-{uuid.uuid4().hex}"
    what_if = {**question, "features": {"average_employees": 3}}
    answers = [client.post("/predict", json=question, headers=bearer(name)) for _ in range(100)]
    asked = client.post("/predict", json=what_if, headers=bearer(name))
    batch = client.post("/predict_batch", json={"requests": [question] * 300}, headers=bearer(name))
    stop()
    assert {answer.status_code for answer in [*answers, asked, batch]} == {200}
    rows = warehouse.execute(
        """
        SELECT replace(request_id::text, '-', ''), endpoint, fvi_score, model_version, arm, what_if,
            latency_milliseconds, feature_age_seconds
        FROM ops.predictions WHERE client = %s ORDER BY entry_number
        """,
        (name,),
    ).fetchall()
    assert len(rows) == 100 + 1 + 300
    body = answers[0].json()
    for row, answer in zip(rows[:100], answers, strict=True):
        assert row[0] == answer.headers["x-request-id"]
        assert row[1:6] == ("/predict", body["fvi_score"], body["model"]["version"], body["arm"], None)
        assert row[6] > 0
        assert row[7] > 0
    assert rows[100][0] == asked.headers["x-request-id"]
    assert (rows[100][2], rows[100][5]) == (asked.json()["fvi_score"], {"average_employees": 3})
    assert {row[0] for row in rows[101:]} == {batch.headers["x-request-id"]}
