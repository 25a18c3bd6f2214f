"""What a caller may send, what comes back, and that every error has one shape."""

import numpy as np
import pytest

from fvi_pipeline.serving.contract import MAXIMUM_BATCH, MAXIMUM_BODY_BYTES

MINE = {"mine_id": "msha:0000001", "horizon_years": 5}


def assert_error(response, status, code):
    assert response.status_code == status, response.text
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message"}
    assert body["error"]["code"] == code
    assert "Traceback" not in response.text


def test_a_prediction_has_the_documented_shape(client, model):
    response = client.post("/predict", json=MINE)
    assert response.status_code == 200
    body = response.json()
    assert list(body) == [
        "mine_id", "horizon_years", "fvi_score", "viability_probability", "interval", "as_of", "known_at",
        "index_score", "model", "arm", "degraded", "top_features", "reason", "prediction_type", "production",
        "next_status", "closing_year",
    ]  # fmt: skip
    row = np.array([[1.2e6, 80, np.nan]], dtype=np.float32)
    assert body["viability_probability"] == pytest.approx(model.probabilities(row, 5)[0], abs=1e-12)
    assert body["fvi_score"] == pytest.approx(100 * body["viability_probability"], abs=1e-9)
    low, high = body["interval"]
    assert 0 <= low <= body["fvi_score"] <= high <= 100
    assert (body["as_of"], body["index_score"], body["reason"]) == (2019, 61.5, None)
    assert body["model"] == {"name": "fvi_viability", "version": "7"}
    assert set(body["top_features"][0]) == {"feature", "value", "contribution"}
    missing = [entry for entry in body["top_features"] if entry["feature"] == "coal_price_usd_per_tonne"]
    assert missing[0]["value"] is None


@pytest.mark.parametrize(
    ("mine_id", "reason", "index_score"),
    [
        ("msha:0000003", "not producing in 2019", 12.0),
        ("msha:0000004", "reported last for 1998", None),
        ("gem:M0086", "no production history", 44.0),
    ],
)
def test_a_mine_outside_the_cohort_gets_a_reason_and_no_score(client, mine_id, reason, index_score):
    body = client.post("/predict", json={**MINE, "mine_id": mine_id}).json()
    assert body["fvi_score"] is None
    assert body["viability_probability"] is None
    assert body["interval"] is None
    assert body["top_features"] == []
    assert reason in body["reason"]
    assert body["index_score"] == index_score


def test_what_if_values_replace_stored_ones_and_null_means_missing(client, model):
    def probability(features):
        return client.post("/predict", json={**MINE, "features": features}).json()["viability_probability"]

    changed = np.array([[1.2e6, 3, 55]], dtype=np.float32)
    assert probability({"average_employees": 3, "coal_price_usd_per_tonne": 55}) == pytest.approx(
        model.probabilities(changed, 5)[0], abs=1e-12
    )
    nothing = np.array([[1.2e6, np.nan, np.nan]], dtype=np.float32)
    assert probability({"average_employees": None}) == pytest.approx(model.probabilities(nothing, 5)[0], abs=1e-12)


@pytest.mark.parametrize("mine_id", ["msha:9999999", "gem:none", "nonsense"])
def test_an_unknown_mine_is_404(client, mine_id):
    assert_error(client.post("/predict", json={**MINE, "mine_id": mine_id}), 404, "unknown_mine")


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        None,
        "text",
        {"mine_id": "msha:0000001"},
        {"horizon_years": 5},
        {**MINE, "mine_id": ""},
        {**MINE, "mine_id": 12},
        {**MINE, "mine_id": "x" * 65},
        {**MINE, "mine_id": "msha:000\x00001"},
        {**MINE, "mine_id": None},
        {**MINE, "horizon_years": 4},
        {**MINE, "horizon_years": 0},
        {**MINE, "horizon_years": "5"},
        {**MINE, "horizon_years": True},
        {**MINE, "horizon_years": 5.5},
        {**MINE, "horizon_years": None},
        {**MINE, "as_of": "soon"},
        {**MINE, "as_of": True},
        {**MINE, "as_of": 5},
        {**MINE, "as_of": 2010.0},
        {**MINE, "as_of": "9999-12-31"},
        {**MINE, "as_of": "2010"},
        {**MINE, "as_of": "2010-05-01T12:00:00"},
        {**MINE, "as_of": 2010, "features": {"average_employees": 5}},
        {**MINE, "prediction_type": "weather"},
        {**MINE, "prediction_type": "production"},
        {"mine_id": "msha:0000001", "prediction_type": "closing_year", "horizon_years": 5},
        {"mine_id": "msha:0000001", "prediction_type": "production", "features": {"average_employees": 5}},
        {**MINE, "features": []},
        {**MINE, "features": {"no_such_feature": 1}},
        {**MINE, "features": {"horizon_years": 1}},
        {**MINE, "features": {"average_employees": "many"}},
        {**MINE, "features": {"average_employees": "5"}},
        {**MINE, "features": {"average_employees": True}},
        {**MINE, "features": {"average_employees": [1]}},
        {**MINE, "features": {"average_employees": 1e39}},
        {**MINE, "features": {"average_employees": -1}},
        {**MINE, "features": {"average_employees": 1e6}},
        {**MINE, "features": {"average_employees": 4.5}},
    ],
)
def test_malformed_requests_are_422(client, mines, body):
    assert_error(client.post("/predict", json=body), 422, "invalid_request")
    assert mines.reads == 0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe\x00",
        b'{"mine_id": "msha:0000001", "horizon_years": 5, "features": {"average_employees": NaN}}',
        b'{"mine_id": "msha:0000001", "horizon_years": 5, "features": {"average_employees": Infinity}}',
        b"[" * 100_000,
    ],
)
def test_bodies_that_are_not_json_are_422(client, content):
    response = client.post("/predict", content=content, headers={"content-type": "application/json"})
    assert_error(response, 422, "invalid_request")


def test_another_content_type_is_422(client):
    response = client.post("/predict", content=b"mine_id=1", headers={"content-type": "text/plain"})
    assert_error(response, 422, "invalid_request")


def test_a_batch_keeps_the_order_and_agrees_with_single_answers(client):
    requests = [
        {"mine_id": mine_id, "horizon_years": horizon}
        for horizon in (20, 1, 5)
        for mine_id in ("msha:0000002", "msha:0000003", "msha:0000001", "gem:M0086")
    ]
    requests.append({**MINE, "features": {"average_employees": 1}})
    answers = client.post("/predict_batch", json={"requests": requests}).json()["predictions"]
    assert answers == [client.post("/predict", json=request).json() for request in requests]


def test_batch_limits(client):
    assert client.post("/predict_batch", json={"requests": [MINE] * MAXIMUM_BATCH}).status_code == 200
    too_many = client.post("/predict_batch", json={"requests": [MINE] * (MAXIMUM_BATCH + 1)})
    assert_error(too_many, 413, "too_large")
    assert_error(client.post("/predict_batch", json={"requests": []}), 422, "invalid_request")
    unknown = client.post("/predict_batch", json={"requests": [MINE, {**MINE, "mine_id": "msha:9999999"}]})
    assert_error(unknown, 404, "unknown_mine")
    assert "msha:9999999" in unknown.text


def test_a_body_beyond_the_limit_is_413_declared_or_streamed(client):
    content = b" " * (MAXIMUM_BODY_BYTES + 1)
    assert_error(client.post("/predict", content=content), 413, "too_large")
    chunks = (b" " * 500_000 for _ in range(20))
    assert_error(client.post("/predict", content=chunks), 413, "too_large")


def test_retrieve(client):
    passages = client.post("/retrieve", json={"query": "methane", "k": 2}).json()["passages"]
    assert len(passages) == 2
    assert set(passages[0]) >= {"document_id", "chunk_id", "text", "score", "source", "title", "text_rank", "known_at"}
    assert len(client.post("/retrieve", json={"query": "methane"}).json()["passages"]) == 5
    asked = {"mine_id": "msha:0102838", "kind": ["wiki"], "as_of": "2024-04-30", "mode": "text", "language": "en"}
    assert client.post("/retrieve", json={"query": "methane", **asked}).status_code == 200


@pytest.mark.parametrize(
    "body",
    [{}, {"query": ""}, {"query": "  "}, {"query": "x" * 2_001}, {"query": 5}, {"query": "a", "k": 0},
     {"query": "a", "k": 51}, {"query": "a", "k": "3"}, {"query": "a", "k": True}, {"query": "a", "more": 1},
     {"query": "a\x00"}, {"query": "a", "kind": []}, {"query": "a", "kind": ["tabloid"]}, {"query": "a", "mode": 1},
     {"query": "a", "as_of": "soon"}, {"query": "a", "as_of": 2024}, {"query": "a", "as_of": "0001-01-01"},
     {"query": "a", "as_of": "99999-01-01"}, {"query": "a", "language": "English"}, {"query": "a", "mine_id": "a b"}],
)  # fmt: skip
def test_malformed_queries_are_422(client, body):
    assert_error(client.post("/retrieve", json=body), 422, "invalid_request")


def test_a_store_that_is_down_is_503(client, application, mines):
    mines.down = True
    assert_error(client.post("/predict", json=MINE), 503, "store_unavailable")
    assert_error(client.post("/predict_batch", json={"requests": [MINE]}), 503, "store_unavailable")
    assert_error(client.post("/retrieve", json={"query": "coal"}), 503, "store_unavailable")
    mines.down = False
    assert client.post("/predict", json=MINE).status_code == 200
    application.state.backends = None
    assert_error(client.post("/predict", json=MINE), 503, "store_unavailable")


def test_an_unforeseen_error_is_500_without_its_details(client, mines, monkeypatch):
    def fail(mine_ids):
        raise RuntimeError("secret: hunter2")

    monkeypatch.setattr(mines, "read", fail)
    response = client.post("/predict", json=MINE)
    assert_error(response, 500, "internal_error")
    assert "hunter2" not in response.text


def test_unknown_paths_and_methods_have_the_same_shape(client):
    assert_error(client.get("/nothing"), 404, "not_found")
    assert_error(client.get("/predict"), 405, "method_not_allowed")


def test_the_openapi_document_names_the_errors(client):
    document = client.get("/openapi.json").json()
    assert set(document["paths"]) == {
        "/predict", "/predict_batch", "/explain", "/retrieve", "/weights", "/weights/history", "/feedback", "/models",
        "/models/{name}/health", "/chat",
    }  # fmt: skip
    assert {"200", "404", "413", "422", "500", "503"} <= set(document["paths"]["/predict"]["post"]["responses"])
    assert client.get("/docs").status_code == 200
