"""POST /chat of a served Bento: the stream, its end, feedback on it; and a model's server that stops and floods."""

from __future__ import annotations

import json
import os

import psutil
import pytest

from tests.integration.serving_process import served
from tests.language_model import language_model

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo")]


def chat(client, message, **more):
    """Status, headers and events of an answer."""
    with client.stream("POST", "/chat", json={"message": message, **more}) as response:
        text = "".join(response.iter_text())
    events = []
    for block in text.strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "event" in lines:
            events.append((lines["event"], json.loads(lines["data"])))
    return response, events


def resident_megabytes():
    """Of all that this test has started."""
    children = psutil.Process(os.getpid()).children(recursive=True)
    return sum(child.memory_info().rss for child in children if child.is_running()) / 1e6


@pytest.fixture(scope="module")
def scored(demo):
    import psycopg

    with psycopg.connect(demo.environment["FVI_DATABASE_URL"]) as connection:
        return connection.execute(
            "select p.mine_id, p.mine_name, s.fvi_score from mart.fvi_scores as s "
            "join silver.silver_mine_profiles as p using (mine_id) where s.horizon_years = 10 "
            "and (select count(*) from silver.silver_mine_profiles as o where o.mine_name = p.mine_name) = 1 "
            "order by md5(p.mine_id) limit 1"
        ).fetchone()


def test_an_answer_is_streamed_cited_and_open_to_feedback(demo, scored, tmp_path):
    mine_id, name, score = scored
    with served(demo.environment, tmp_path) as client:
        response, events = chat(client, f"What is the 10-year score of {name}?", conversation_id="c1")
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        assert [kind for kind, _ in events] == ["start", "sentence", "end"]
        sentence, end = events[1][1], events[2][1]
        assert f"{score:.1f}" in sentence["text"]
        assert sentence["supported"] is True
        assert [c["mine_id"] for c in end["citations"]] == [mine_id]
        assert end["answer_id"] == response.headers["x-request-id"]

        _, events = chat(client, "And in one year?", conversation_id="c1")
        assert events[-1][1]["mine_ids"] == [mine_id]
        assert events[-1][1]["citations"][0]["key"]["horizon_years"] == 1

        body = {"request_id": end["answer_id"], "verdict": "disagree", "comment": "too low"}
        assert client.post("/feedback", json=body).status_code == 201
        assert client.post("/feedback", json={**body, "request_id": "0" * 32}).status_code == 404

        for bad in (
            {},
            {"message": ""},
            {"message": 5},
            {"message": "x" * 5_000},
            {"message": "x", "conversation_id": "a b"},
        ):
            assert client.post("/chat", json=bad).status_code == 422


def test_a_model_that_stops_or_floods_ends_in_an_answer_and_in_bounded_memory(demo, scored, tmp_path):
    _, name, score = scored
    with language_model() as server:
        for behaviour in ("stops", "floods", "endless_line"):
            environment = {**demo.environment, "OPENAI_BASE_URL": server.url, "FVI_LLM_MODEL": behaviour}
            with served(environment, tmp_path) as client:
                chat(client, f"What is the 10-year score of {name}?")
                before = resident_megabytes()
                for _ in range(3):
                    _, events = chat(client, f"What is the 10-year score of {name}?")
                    kinds = [kind for kind, _ in events]
                    assert kinds[0] == "start"
                    assert kinds[-1] == "end"
                    assert kinds.count("end") == 1
                    void = [data for kind, data in events if kind == "warning" and data["discard"]]
                    assert [data["code"] for data in void] == ["model_failed"]
                    end = events[-1][1]
                    assert (end["mode"], end["status"]) == ("extractive", "answered")
                    assert f"{score:.1f}" in events[-2][1]["text"]
                assert resident_megabytes() - before < 60
                assert client.get("/livez").status_code == 200
