import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from fvi_pipeline.model.card.summary import NO_SUMMARY, Writer, fault_of, numbers_in, summarise

CARD = "AUC 0.871 (0.840 to 0.900) on 1,086 rows, difference -0.021, coverage 90 %, horizons 1, 2, 3, 5, T = 2013.\n"
GOOD = "On 1,086 rows the AUC is 0.871. It is weaker by -0.021 in the West. It must not be used alone after 2013."


@dataclass
class Service:
    """What a server that speaks the chat API answers, and what it was asked."""

    content: str = GOOD
    status: int = 200
    body: str | None = None
    delay_seconds: float = 0.0
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)


@contextmanager
def serving(service: Service) -> Iterator[Writer]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/chat/completions"
            service.asked.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            service.keys.append(self.headers["authorization"])
            time.sleep(service.delay_seconds)
            message = {"role": "assistant", "content": service.content}
            answer = {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1,
                "model": "small",
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            }
            body = (json.dumps(answer) if service.body is None else service.body).encode()
            self.send_response(service.status)
            self.send_header("content-type", "application/json" if service.body is None else "text/html")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield Writer("key-of-a-test", f"http://127.0.0.1:{server.server_port}/v1", "small", timeout_seconds=2)
    finally:
        server.shutdown()
        server.server_close()


def test_a_summary_of_the_cards_numbers_is_shown() -> None:
    service = Service()
    with serving(service) as writer:
        summary = summarise(CARD, writer)
    assert (summary.text, summary.written_by, summary.note) == (GOOD, "small", None)
    assert service.keys == ["Bearer key-of-a-test"]
    assert service.asked[0]["messages"][-1]["content"] == CARD
    assert service.asked[0]["model"] == "small"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("The AUC is 0.88.", "not on the card"),
        ("The AUC is 0.8710.", "not on the card"),
        ("It is better by 0.021.", "not on the card"),  # the card says -0.021
        ("Coverage is 90.", "not on the card"),  # of a hundred mines, or of a hundred?
        ("The AUC is 87.1 %.", "not on the card"),
        ("There are 1,087 rows.", "not on the card"),
        ("It errs for half of the mines.", "in words"),
        ("It is tested on five horizons.", "in words"),
        ("It errs for a tenth of the mines.", "in words"),
        ("The AUC0.99 is high.", "a form that cannot be checked"),
        ("It is off by ½.", "a form that cannot be checked"),
        ("The AUC is 0.871e1.", "a form that cannot be checked"),
        ("See [this](https://example.org).", "markup"),
        ("<b>Good</b>.", "markup"),
        ("It is good. It is weak. It is old. It is new.", "more than was asked"),
        ("", "wrote nothing"),
    ],
)
def test_a_summary_that_cannot_be_checked_is_left_out_and_said(text: str, reason: str) -> None:
    fault = fault_of(text, CARD)
    assert fault is not None
    assert reason in fault
    with serving(Service(content=text)) as writer:
        summary = summarise(CARD, writer)
    assert summary.text is None
    assert summary.note is not None
    assert reason in summary.note


@pytest.mark.parametrize(
    ("service", "kind"),
    [
        (Service(status=500), "InternalServerError"),
        (Service(status=401), "AuthenticationError"),
        (Service(body="<html>a proxy's page</html>"), "No summary"),
        (Service(delay_seconds=4), "APITimeoutError"),
    ],
)
def test_a_service_in_trouble_costs_no_card(service: Service, kind: str) -> None:
    with serving(service) as writer:
        started = time.monotonic()
        summary = summarise(CARD, Writer(writer.api_key, writer.base_url, writer.model, timeout_seconds=0.5))
        assert time.monotonic() - started < 3
    assert summary.text is None
    assert summary.note is not None
    assert kind in summary.note
    assert "key-of-a-test" not in summary.note


def test_nobody_is_asked_without_a_key_and_nobody_answers_at_a_dead_address() -> None:
    assert summarise(CARD, None) == NO_SUMMARY
    gone = summarise(CARD, Writer("key", "http://127.0.0.1:9/v1", "small", timeout_seconds=1))
    assert gone.note == "No summary: the language model did not answer (APIConnectionError)."


def test_numbers_are_read_with_sign_and_percent() -> None:
    assert numbers_in("from 2014-2018, −0.5 and +1,200 of 90 %, 7 percent, h3") == {
        ("2014", False),
        ("2018", False),
        ("-0.5", False),
        ("1200", False),
        ("90", True),
        ("7", True),
    }
