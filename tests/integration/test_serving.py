"""The served Bento over HTTP, after a run: real BentoML, Feast, Valkey, PostgreSQL and MiniLM."""

import time

import numpy as np
import pytest

from fvi_pipeline.model.registry import open_registry
from fvi_pipeline.platform.database import connect
from fvi_pipeline.platform.settings import PROJECT_ROOT
from tests.commands import BIN, run_tool
from tests.integration.serving_load import cohort, expected_scores
from tests.integration.serving_process import Relay, served, through

pytestmark = pytest.mark.xdist_group("demo-served")


@pytest.fixture(scope="module")
def relay(demo):
    from urllib.parse import urlsplit

    parts = urlsplit(demo.environment["FVI_REDIS_URL"])
    relay = Relay(parts.hostname, parts.port)
    yield relay
    relay.cut()


@pytest.fixture(scope="module")
def client(demo, relay, tmp_path_factory):
    with served(through(relay, demo.environment), tmp_path_factory.mktemp("serve")) as client:
        yield client


@pytest.fixture
def warehouse(demo):
    with connect(demo.environment["FVI_DATABASE_URL"], autocommit=True) as connection:
        yield connection


@pytest.fixture
def a_score(warehouse):
    return warehouse.execute(
        "SELECT mine_id, horizon_years, fvi_score FROM mart.fvi_scores ORDER BY 1, 2 LIMIT 1"
    ).fetchone()


def assert_error(response, status, code):
    assert (response.status_code, response.json()["error"]["code"]) == (status, code), response.text
    assert "Traceback" not in response.text


def test_500_mines_are_served_as_the_mart_has_them(client, warehouse):
    rows = warehouse.execute(
        """
        SELECT mine_id, horizon_years, as_of_year, fvi_score, interval_low, interval_high, model_version
        FROM mart.fvi_scores
        WHERE as_of_year = (SELECT max(as_of_year) FROM mart.fvi_scores)
          AND mine_id IN (SELECT DISTINCT mine_id FROM mart.fvi_scores ORDER BY mine_id LIMIT 500)
        ORDER BY mine_id, horizon_years
        """
    ).fetchall()
    assert len({row[0] for row in rows}) >= 100
    for number, (mine_id, horizon, year, score, low, high, version) in enumerate(rows):
        if number % 6 != number // 6 % 6:  # one horizon a mine, each horizon in turn
            continue
        body = client.post("/predict", json={"mine_id": mine_id, "horizon_years": horizon}).json()
        assert body["fvi_score"] == pytest.approx(score, abs=1e-6), mine_id
        assert body["interval"] == pytest.approx([low, high], abs=1e-6), mine_id
        assert body["viability_probability"] == pytest.approx(score / 100, abs=1e-8), mine_id
        assert (body["as_of"], body["model"]["version"]) == (year, version)
        assert body["top_features"]
    for start in range(0, len(rows), 1_000):
        part = rows[start : start + 1_000]
        requests = [{"mine_id": row[0], "horizon_years": row[1]} for row in part]
        answers = client.post("/predict_batch", json={"requests": requests}).json()["predictions"]
        assert [answer["fvi_score"] for answer in answers] == pytest.approx([row[3] for row in part], abs=1e-6)


def test_four_ways_to_every_score_agree(demo, client, warehouse):
    """Of all current mines and horizons: served, stored, by the ONNX file and by LightGBM itself."""
    registry = open_registry(demo.environment["MLFLOW_TRACKING_URI"], demo.settings.home)
    version = registry.champion().version
    model = registry.load(version)
    by_onnx = expected_scores(demo.environment, [version])
    questions = sorted((mine, horizon) for _, mine, horizon in by_onnx)
    served_scores = {}
    for start in range(0, len(questions), 1_000):
        requests = [{"mine_id": mine, "horizon_years": horizon} for mine, horizon in questions[start : start + 1_000]]
        for answer in client.post("/predict_batch", json={"requests": requests}).json()["predictions"]:
            served_scores[answer["mine_id"], answer["horizon_years"]] = answer["fvi_score"]
    stored = {
        (mine, horizon): score
        for mine, horizon, score in warehouse.execute(
            "SELECT mine_id, horizon_years, fvi_score FROM mart.fvi_scores "
            "WHERE as_of_year = (SELECT max(as_of_year) FROM mart.fvi_scores)"
        )
    }
    mines, matrix = cohort(demo.environment, model)
    by_lightgbm = {}
    for horizon in model.horizons:
        margin = model._booster.predict(model.with_horizon(matrix, horizon), raw_score=True)
        log_odds = model.metadata.calibration.log_odds(margin, np.full(len(margin), horizon))
        scores = 100 / (1 + np.exp(-log_odds))
        by_lightgbm |= {(mine, horizon): score for mine, score in zip(mines, scores, strict=True)}
    assert stored.keys() == set(questions)
    for question in questions:
        right = by_onnx[version, *question]
        assert served_scores[question] == pytest.approx(right, abs=1e-6), question
        assert stored[question] == pytest.approx(right, abs=1e-6), question
        # as probabilities: the graph computes in single precision
        assert by_lightgbm[question] / 100 == pytest.approx(right / 100, abs=1e-6), question


def test_reasons_are_those_of_the_mart(client, warehouse, a_score):
    mine_id, horizon, _ = a_score
    stored = warehouse.execute(
        "SELECT feature, contribution FROM mart.score_reasons WHERE mine_id = %s AND horizon_years = %s ORDER BY rank",
        (mine_id, horizon),
    ).fetchall()
    body = client.post("/predict", json={"mine_id": mine_id, "horizon_years": horizon}).json()
    served_reasons = [(entry["feature"], entry["contribution"]) for entry in body["top_features"]]
    assert [feature for feature, _ in served_reasons] == [feature for feature, _ in stored][: len(served_reasons)]
    assert [part for _, part in served_reasons] == pytest.approx([part for _, part in stored][: len(served_reasons)])


def test_explanations_speak_as_the_mart_does(client, warehouse, a_score):
    mine_id, horizon, _ = a_score
    stored = dict(
        warehouse.execute(
            "SELECT feature, reason_in_words FROM mart.score_reasons WHERE mine_id = %s AND horizon_years = %s",
            (mine_id, horizon),
        ).fetchall()
    )
    answer = client.post("/explain", json={"mine_id": mine_id, "horizon_years": horizon}).json()
    told = {entry["feature"]: entry["in_words"] for entry in answer["contributions"]}
    for feature, words in stored.items():
        assert words.startswith(told[feature]), feature
    assert answer["narrative"].split(": ")[0] in ("For the mine", "Against the mine")


def test_every_mine_of_the_index_is_answered_with_it(client, warehouse):
    rows = warehouse.execute(
        "SELECT mine_id, index_score FROM mart.fvi_index ORDER BY md5(mine_id) LIMIT 300"
    ).fetchall()
    scored = {row[0] for row in warehouse.execute("SELECT DISTINCT mine_id FROM mart.fvi_scores").fetchall()}
    requests = [{"mine_id": mine_id, "horizon_years": 5} for mine_id, _ in rows]
    answers = client.post("/predict_batch", json={"requests": requests}).json()["predictions"]
    for (mine_id, index_score), answer in zip(rows, answers, strict=True):
        assert answer["index_score"] == (None if index_score is None else pytest.approx(index_score, abs=1e-9))
        assert (answer["fvi_score"] is None) == (mine_id not in scored), answer
        assert (answer["reason"] is None) == (mine_id in scored)
    assert any(answer["fvi_score"] is None for answer in answers)


def test_unknown_mines_and_malformed_requests(client):
    assert_error(client.post("/predict", json={"mine_id": "msha:9999999", "horizon_years": 5}), 404, "unknown_mine")
    assert_error(client.post("/predict", json={"mine_id": "msha:9999999", "horizon_years": 4}), 422, "invalid_request")
    assert_error(client.post("/predict", content=b"{"), 422, "invalid_request")
    assert_error(client.get("/no_such_page"), 404, "not_found")
    item = {"mine_id": "msha:9999999", "horizon_years": 5}
    assert_error(client.post("/predict_batch", json={"requests": [item] * 1_001}), 413, "too_large")
    assert_error(client.post("/predict", content=b" " * 5_000_000), 413, "too_large")


def test_what_if_changes_the_score_of_this_answer_only(client, a_score):
    mine_id, horizon, score = a_score
    request = {"mine_id": mine_id, "horizon_years": horizon}
    reasons = [entry for entry in client.post("/predict", json=request).json()["top_features"] if entry["value"]]
    # somewhere about the values that matter most, the score is another one
    changed = [
        client.post("/predict", json={**request, "features": {entry["feature"]: value}}).json()["fvi_score"]
        for entry in reasons
        for value in (None, 0.8 * entry["value"], 1.2 * entry["value"])
    ]
    assert any(abs(value - score) > 1e-6 for value in changed)
    assert client.post("/predict", json=request).json()["fvi_score"] == pytest.approx(score, abs=1e-6)
    wrong = client.post("/predict", json={**request, "features": {"no_such_feature": 1}})
    assert_error(wrong, 422, "invalid_request")


def test_passages_come_from_the_rag_runner(client, warehouse):
    text = warehouse.execute("SELECT text FROM silver.silver_document_content ORDER BY chunk_id LIMIT 1").fetchone()[0]
    passages = client.post("/retrieve", json={"query": text[:2_000], "k": 5}).json()["passages"]
    assert text in [passage["text"] for passage in passages]
    assert [passage["score"] for passage in passages] == sorted((p["score"] for p in passages), reverse=True)
    assert_error(client.post("/retrieve", json={"query": "coal", "k": 51}), 422, "invalid_request")
    # its connections are lost, as in a restart of PostgreSQL: the next query makes new ones
    warehouse.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'fvi-rag'")
    assert client.post("/retrieve", json={"query": text[:2_000], "k": 5}).status_code == 200


def test_weights_are_those_of_the_newest_night(client, warehouse):
    stored = dict(
        warehouse.execute(
            "SELECT metric, weight FROM mart.fvi_weights WHERE night = (SELECT max(night) FROM mart.fvi_weights)"
        ).fetchall()
    )
    weights = client.get("/weights").json()["weights"]
    assert {entry["metric"]: entry["weight"] for entry in weights} == pytest.approx(stored)


def test_health_documents_and_metrics(client, a_score):
    assert client.post("/predict", json={"mine_id": a_score[0], "horizon_years": a_score[1]}).status_code == 200
    assert client.get("/livez").status_code == 200
    assert client.get("/readyz").status_code == 200
    assert "/docs/assets/swagger-ui-bundle.js" in client.get("/docs").text
    assert client.get("/docs/assets/swagger-ui-bundle.js").status_code == 200
    assert "/predict" in client.get("/openapi.json").json()["paths"]
    metrics = client.get("/metrics").text
    # histograms are lost when Feast is imported before BentoML has set up its metrics
    assert 'bentoml_service_request_duration_seconds_bucket{endpoint="/openapi.json"' in metrics
    assert 'fvi_request_seconds_bucket{endpoint="/predict"' in metrics


def test_without_redis_scores_come_from_the_warehouse_and_weights_are_503(client, relay, a_score):
    mine_id, horizon, score = a_score
    request = {"mine_id": mine_id, "horizon_years": horizon}
    relay.cut()
    try:
        started = time.monotonic()
        answer = client.post("/predict", json=request).json()
        assert (answer["degraded"], answer["fvi_score"]) == (True, pytest.approx(score, abs=1e-6))
        assert_error(client.post("/predict", json={**request, "mine_id": "msha:9999999"}), 404, "unknown_mine")
        assert_error(client.get("/weights"), 503, "store_unavailable")
        assert time.monotonic() - started < 10
        assert client.get("/livez").status_code == 200
    finally:
        relay.mend()
    deadline = time.monotonic() + 10
    while (answer := client.post("/predict", json=request).json())["degraded"] and time.monotonic() < deadline:
        time.sleep(0.1)
    assert (answer["degraded"], answer["fvi_score"]) == (False, pytest.approx(score, abs=1e-6))


def test_a_service_that_starts_without_redis_answers_and_takes_it_up(demo, relay, tmp_path, a_score):
    mine_id, horizon, score = a_score
    request = {"mine_id": mine_id, "horizon_years": horizon}
    from urllib.parse import urlsplit

    parts = urlsplit(demo.environment["FVI_REDIS_URL"])
    own = Relay(parts.hostname, parts.port)
    own.cut()
    with served(through(own, demo.environment), tmp_path) as waiting:
        answer = waiting.post("/predict", json=request).json()
        assert (answer["degraded"], answer["fvi_score"]) == (True, pytest.approx(score, abs=1e-6))
        own.mend()
        deadline = time.monotonic() + 30
        while waiting.post("/predict", json=request).json()["degraded"] and time.monotonic() < deadline:
            time.sleep(0.2)
        answer = waiting.post("/predict", json=request).json()
        assert (answer["degraded"], answer["fvi_score"]) == (False, pytest.approx(score, abs=1e-6))
    own.cut()


def test_bentoml_build_works_from_a_shell(demo):
    result = run_tool(demo.environment, str(BIN / "bentoml"), "build", cwd=PROJECT_ROOT)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Successfully built Bento" in result.stdout + result.stderr
