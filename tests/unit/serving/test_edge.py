"""The outermost layer: the short way for what is asked most, behind the same guard, and counts of all that is said."""

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from fvi_pipeline.serving.call_meter import CallMeter
from fvi_pipeline.serving.edge import Edge
from fvi_pipeline.serving.gate import Gate
from fvi_pipeline.serving.guard import GuardState
from fvi_pipeline.serving.log_entry import NoLog
from tests.unit.serving.test_guard import SECRET, TokenVerifier, assert_error, bearer


@pytest.fixture
def meter():
    return CallMeter(NoLog())


@pytest.fixture
def client(application, meter):
    async def bentoml(scope, receive, send):
        await PlainTextResponse(f"BentoML has {scope['path']}")(scope, receive, send)

    state = GuardState()
    state.open(Gate(verifier=TokenVerifier([SECRET], "HS256", "fvi"), limits={"/explain": 1}))
    edge = Edge(application, bentoml, state, meter)
    return TestClient(edge, base_url="http://127.0.0.1:3000", raise_server_exceptions=False)


def test_scores_take_the_short_way_and_all_else_goes_through_bentoml(client, log):
    question = {"mine_id": "msha:0000001", "horizon_years": 5}
    answer = client.post("/predict", json=question, headers=bearer())
    assert answer.json()["fvi_score"] is not None
    assert [entry.request_id for entry in log.entries] == [answer.headers["x-request-id"]]
    assert client.post("/predict_batch", json={"requests": [question]}, headers=bearer()).status_code == 200
    assert client.get("/weights", headers=bearer()).text == "BentoML has /weights"
    assert client.get("/livez").text == "BentoML has /livez"
    assert_error(client.get("/predict", headers=bearer()), 405, "method_not_allowed")
    assert_error(client.post("/predict", content=b"{", headers=bearer()), 422, "invalid_request")


def test_refusals_are_counted_beside_the_answers_and_are_no_errors(client, meter, mines):
    question = {"mine_id": "msha:0000001", "horizon_years": 5}
    assert_error(client.post("/predict", json=question), 401, "unauthorized")
    assert_error(client.post("/explain", json=question, headers=bearer()), 403, "forbidden")
    assert_error(client.post("/predict", content=b" " * 300_000, headers=bearer()), 413, "too_large")
    explained = [client.post("/explain", json=question, headers=bearer("explain")).status_code for _ in range(2)]
    assert explained == [200, 429]
    assert_error(client.get("/weights"), 401, "unauthorized")  # not of a scoring endpoint
    assert (meter.refused, meter.answers, meter.failures, meter.error_rate) == (4, 1, 0, 0.0)
    mines.down = True
    assert_error(client.post("/predict", json=question, headers=bearer()), 503, "store_unavailable")
    assert (meter.answers, meter.failures) == (2, 1)
