"""What is kept of an answer: its row, its trace at a collector and in MLflow, feedback on it, variants side by side."""

from __future__ import annotations

import asyncio
import time
import uuid
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from fvi_pipeline.answers.answer_log import AnswerLog
from fvi_pipeline.answers.evaluate import collected
from fvi_pipeline.answers.otlp import OtlpExporter, headers_of
from fvi_pipeline.answers.readout import readout
from fvi_pipeline.answers.service import Answerer, Ask
from fvi_pipeline.answers.variants import Variant, chosen
from fvi_pipeline.platform.database import connect
from fvi_pipeline.serving.errors import ServingError
from fvi_pipeline.serving.feedback import FeedbackRequest, FeedbackStore
from fvi_pipeline.serving.retention import delete_answers
from tests.asgi_server import served
from tests.unit.answers.mines import directory


class Collector:
    """A collector of traces on loopback."""

    def __init__(self):
        self.requests, self.headers, self.status = [], [], 200

    async def take(self, request):
        found = ExportTraceServiceRequest()
        found.ParseFromString(await request.body())
        self.requests.append(found)
        self.headers.append(dict(request.headers))
        return Response(status_code=self.status)

    @property
    def spans(self):
        return [s for r in self.requests for rs in r.resource_spans for ss in rs.scope_spans for s in ss.spans]


@pytest.fixture
def collector():
    running = Collector()
    app = Starlette(routes=[Route("/v1/traces", running.take, methods=["POST"])])
    with served(app) as url:
        running.url = f"{url}/v1/traces"
        yield running


def answered(database_url, log, *asks, **more):
    """Answers of a warehouse without mines: what is refused, and what is not known."""

    @contextmanager
    def connections():
        with connect(database_url, autocommit=True) as connection:
            yield connection

    answerer = Answerer(connections, on_complete=log.add, **more)
    answerer._directory, answerer._loaded_at = directory(), time.monotonic()
    answers = [asyncio.run(collected(answerer, ask)) for ask in asks]
    assert log.flush(5)
    return answers


def test_an_answer_is_kept_and_traced(database_url, collector):
    exporter = OtlpExporter(collector.url, headers_of("Authorization=Basic%20abc, x-project=fvi"))
    log = AnswerLog(database_url, exporter)
    asked = Ask("What is the score of Freedom Mine? Write to j.doe@coal.example", client="lender", conversation_id="c")
    (answer,) = answered(database_url, log, asked)
    log.close()
    with psycopg.connect(database_url) as connection:
        row = connection.execute(
            "select question, client, mode, status, mine_ids, trace_id, jsonb_array_length(steps), steps::text "
            "from ops.answers"
        ).fetchone()
    assert "j.doe" not in str(row)
    assert row[0].startswith("What is the score of Freedom Mine?")
    assert row[1:4] == ("lender", "extractive", answer["status"])
    assert (exporter.sent, exporter.lost) == (1, 0)
    assert {span.trace_id.hex() for span in collector.spans} == {row[5]}
    assert len(collector.spans) == row[6] >= 2
    root, *others = collector.spans
    assert root.name == "answer"
    assert not root.parent_span_id
    assert all(span.parent_span_id for span in others)
    assert all(span.start_time_unix_nano <= span.end_time_unix_nano for span in collector.spans)
    assert "Freedom" not in str(collector.requests[0])  # texts go out only if the settings say so
    assert collector.headers[0]["authorization"] == "Basic abc"


def test_without_data_the_answer_says_so(database_url):
    with psycopg.connect(database_url, autocommit=True) as connection:

        @contextmanager
        def connections():
            yield connection

        answer = asyncio.run(collected(Answerer(connections), Ask("What is the score of Freedom Mine?")))
    assert (answer["status"], answer["reason"]) == ("declined", "no_data")
    assert "make demo" in answer["warnings"][0]["message"]


def test_a_collector_that_is_down_costs_nothing_but_its_traces(database_url, collector):
    collector.status = 500
    for url in (collector.url, "http://127.0.0.1:1/v1/traces"):
        exporter = OtlpExporter(url)
        log = AnswerLog(database_url, exporter)
        answered(database_url, log, Ask("What is the password?"))
        log.close()
        assert (exporter.sent, exporter.lost) == (0, 1)


def test_feedback_leads_to_the_answer_and_its_trace(database_url):
    log = AnswerLog(database_url)
    answer_id = uuid.uuid4().hex
    answered(database_url, log, Ask("What is the password?", client="lender", answer_id=answer_id))
    store = FeedbackStore(database_url, log)
    request = FeedbackRequest(request_id=answer_id, verdict="disagree", comment="It should know.")
    store.add(request, "lender")
    with pytest.raises(ServingError):
        store.add(request, "somebody else")
    with psycopg.connect(database_url) as connection:
        ((verdict, trace_id, mine_id),) = connection.execute(
            "select verdict, trace_id, mine_id from ops.feedback"
        ).fetchall()
        assert (verdict, mine_id) == ("disagree", None)
        assert connection.execute("select 1 from ops.answers where trace_id = %s", [trace_id]).fetchone()
    log.close()


def test_old_answers_leave_but_those_with_feedback(database_url):
    log = AnswerLog(database_url)
    said, new = uuid.uuid4().hex, uuid.uuid4().hex
    asks = [Ask("What is the password?"), *(Ask("What is the key?", answer_id=answer_id) for answer_id in (said, new))]
    answered(database_url, log, *asks)
    FeedbackStore(database_url, log).add(FeedbackRequest(request_id=said, verdict="disagree"), "local")
    log.close()
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "update ops.answers set answered_at = answered_at - interval '2 days' where answer_id <> %s", [new]
        )
        connection.commit()
        assert delete_answers(connection, datetime.now(UTC) - timedelta(days=1), rows_at_once=1) == 1
        left = connection.execute("select replace(answer_id::text, '-', '') from ops.answers").fetchall()
    assert {answer_id for (answer_id,) in left} == {said, new}


def test_variants_are_compared_by_conversation(database_url):
    variants = (Variant(name="a", share=0.5), Variant(name="b", share=0.5, prompt="v2", passages=4))
    assert len({chosen(variants, "c1").name for _ in range(5)}) == 1
    names = [chosen(variants, f"c{number}").name for number in range(2_000)]
    assert 900 < names.count("a") < 1_100
    log = AnswerLog(database_url)
    asks = [Ask("What is the password?", conversation_id=f"c{number // 2}") for number in range(60)]
    answered(database_url, log, *asks, variants=variants)
    log.close()
    with psycopg.connect(database_url) as connection:
        connection.execute("update ops.answers set claims = 10, supported = case variant when 'a' then 9 else 5 end")
        figures = {(f.variant, f.measure): f for f in readout(connection)}
    difference = figures["b - a", "supported_share"]
    assert difference.value == pytest.approx(-0.4)
    assert difference.low <= difference.value <= difference.high < 0
    assert figures["a", "declined_share"].value == 1
    assert figures["a", "supported_share"].conversations >= 10


@pytest.mark.slow
def test_answers_become_traces_of_mlflow(database_url, tmp_path):
    import mlflow

    from fvi_pipeline.answers.mlflow_traces import Collected, collect, register_prompts

    log = AnswerLog(database_url)
    answer_id = uuid.uuid4().hex
    answered(database_url, log, Ask("What is the score of Freedom Mine?", answer_id=answer_id))
    FeedbackStore(database_url, log).add(FeedbackRequest(request_id=answer_id, verdict="disagree"), "local")
    log.close()
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    with connect(database_url, autocommit=True) as connection:
        assert collect(connection, uri, tmp_path / "artifacts") == Collected(1, 1, 1)
        assert collect(connection, uri, tmp_path / "artifacts") == Collected()
        (trace_id,) = connection.execute("select mlflow_trace_id from ops.answers").fetchone()
    trace = mlflow.get_trace(trace_id)
    assert [span.name for span in trace.data.spans][:2] == ["answer", "read_question"]
    assert trace.info.tags["fvi.answer_id"].replace("-", "") == answer_id
    assert [a.feedback.value for a in trace.info.assessments] == ["disagree"]
    assert (register_prompts(uri), register_prompts(uri)) == (2, 0)
