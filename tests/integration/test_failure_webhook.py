"""A failed run reaches the webhook of a local server, as JSON and without secrets."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import dagster as dg
import pytest

from fvi_pipeline.defs.alerts import failure_webhook
from fvi_pipeline.defs.resources import Webhook
from fvi_pipeline.platform.webhook import WebhookError, post, without_secrets


@dataclass
class Receiver:
    """A webhook's other end: what it got, and the statuses that it answers with before it says 200."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    received = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            received.messages.append(json.loads(body))
            self.send_response(received.statuses.pop(0) if received.statuses else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        received.url = f"http://127.0.0.1:{server.server_port}/hook?token=private"
        yield received
        server.shutdown()


def _fail_and_tell(url: str | None) -> Any:
    @dg.asset
    def broken() -> None:
        raise RuntimeError("no answer from postgresql://fvi:hunter2@db.example/fvi, api_key=0123456789")

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([broken], instance=instance, raise_on_error=False, tags={"fvi/started_by": "fvi run"})
        context = dg.build_run_status_sensor_context(
            sensor_name="failure_webhook",
            dagster_event=result.get_run_failure_event(),
            dagster_instance=instance,
            dagster_run=result.dagster_run,
        ).for_run_failure()
        return failure_webhook(context, webhook=Webhook(url=url)), result.run_id


def test_a_failed_run_is_told(receiver: Receiver) -> None:
    _, run_id = _fail_and_tell(receiver.url)
    (message,) = receiver.messages
    assert message["event"] == "run_failed"
    assert message["run_id"] == run_id
    assert message["started_by"] == "fvi run"
    (step,) = message["failed_steps"]
    assert step["step"] == "broken"
    assert "no answer from postgresql://fvi:***@db.example/fvi" in step["error"]
    assert "hunter2" not in json.dumps(message)
    assert "0123456789" not in json.dumps(message)


def test_without_an_address_nobody_is_told() -> None:
    answer, _ = _fail_and_tell(None)
    assert "FVI_WEBHOOK_URL" in answer.skip_message


def test_a_busy_receiver_is_asked_again(receiver: Receiver) -> None:
    receiver.statuses = [503, 429]
    post(receiver.url, {"event": "run_failed"}, wait_initial=0.01)
    assert len(receiver.messages) == 3


def test_a_refusal_is_final_and_names_no_address(receiver: Receiver) -> None:
    receiver.statuses = [404]
    with pytest.raises(WebhookError, match="404") as refusal:
        post(receiver.url, {"event": "run_failed"}, wait_initial=0.01)
    assert len(receiver.messages) == 1
    assert "private" not in str(refusal.value)


def test_long_messages_are_cut() -> None:
    assert len(without_secrets("x" * 100_000)) < 3_000
