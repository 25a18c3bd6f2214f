"""Traces of answers to a collector: OTLP over HTTP, as Langfuse, Jaeger and others take it. Off the answers' path.

Spans are named by OpenTelemetry's conventions for generative models (gen_ai.*). Questions and answers go out only if
the settings say so. What is not taken in time is dropped and counted.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Mapping
from typing import Any

from fvi_pipeline.answers.observation import Step, Trace

MAXIMUM_TRACES = 500
_SECONDS = 5.0
_BATCH = 50
_WARNING_SECONDS = 60.0
_TEXTS = frozenset({"question", "query", "arguments", "no_such_fact", "refused"})
logger = logging.getLogger(__name__)


class OtlpExporter:
    """Sends traces from a thread of its own."""

    def __init__(
        self, endpoint: str, headers: Mapping[str, str] | None = None, *, with_texts: bool = False,
        service: str = "fvi", maximum: int = MAXIMUM_TRACES,
    ) -> None:  # fmt: skip
        """`endpoint` is the whole address, such as http://127.0.0.1:4318/v1/traces."""
        self._endpoint = endpoint
        self._headers = {**(headers or {}), "content-type": "application/x-protobuf"}
        self._with_texts = with_texts
        self._service = service
        self._waiting: queue.Queue[Trace] = queue.Queue(maximum)
        self._stopping = threading.Event()
        self._warned_at = -_WARNING_SECONDS
        self.sent = 0
        self.lost = 0
        self._thread = threading.Thread(target=self._run, name="traces of answers", daemon=True)
        self._thread.start()

    def offer(self, trace: Trace) -> None:
        """Take a trace. Never waits and never raises; beyond the bound it is counted as lost."""
        try:
            self._waiting.put_nowait(trace)
        except queue.Full:
            self.lost += 1

    def close(self, seconds: float = _SECONDS) -> None:
        """Send what waits and stop."""
        self._stopping.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        import httpx

        with httpx.Client(timeout=_SECONDS) as client:
            while not (self._stopping.is_set() and self._waiting.empty()):
                batch = self._batch()
                if not batch:
                    continue
                try:
                    body = encoded(batch, self._service, with_texts=self._with_texts)
                    client.post(self._endpoint, content=body, headers=self._headers).raise_for_status()
                    self.sent += len(batch)
                except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
                    self.lost += len(batch)
                    self._warn(error)

    def _batch(self) -> list[Trace]:
        try:
            batch = [self._waiting.get(timeout=0.2)]
        except queue.Empty:
            return []
        while len(batch) < _BATCH and not self._waiting.empty():
            batch.append(self._waiting.get_nowait())
        return batch

    def _warn(self, error: Exception) -> None:
        if time.monotonic() - self._warned_at > _WARNING_SECONDS:
            self._warned_at = time.monotonic()
            logger.warning("Traces of answers are not taken (%s): %d lost so far.", type(error).__name__, self.lost)


def encoded(traces: list[Trace], service: str, *, with_texts: bool) -> bytes:
    """Traces as an ExportTraceServiceRequest of OTLP."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    _put(resource.resource.attributes, {"service.name": service})
    scope = resource.scope_spans.add()
    scope.scope.name = "fvi.answers"
    for trace in traces:
        for step in trace.steps:
            span = scope.spans.add()
            span.trace_id = bytes.fromhex(trace.trace_id)
            span.span_id = bytes.fromhex(step.span_id)
            span.parent_span_id = bytes.fromhex(step.parent_id) if step.parent_id else b""
            span.name = step.name
            span.kind = 3 if step.kind == "LLM" else 1  # client, internal
            span.start_time_unix_nano, span.end_time_unix_nano = step.started_ns, step.ended_ns
            _put(span.attributes, attributes(step, with_texts=with_texts))
            span.status.code = 2 if step.error else 1
            if step.error and with_texts:
                span.status.message = step.error
    body: bytes = request.SerializeToString()
    return body


def attributes(step: Step, *, with_texts: bool) -> dict[str, Any]:
    """The attributes of a step's span: gen_ai.* for a model, fvi.* for the rest."""
    found: dict[str, Any] = {"fvi.step.kind": step.kind}
    if step.kind == "LLM":
        usage = step.attributes.get("usage") or {}
        found |= {
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "openai",
            "gen_ai.request.model": step.attributes.get("model"),
            "gen_ai.usage.input_tokens": usage.get("prompt_tokens"),
            "gen_ai.usage.output_tokens": usage.get("completion_tokens"),
        }
    elif step.kind == "TOOL":
        found |= {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": step.name}
    for name, value in step.attributes.items():
        if name not in _TEXTS or with_texts:
            found[f"fvi.{name}"] = value
    return {name: value for name, value in found.items() if value is not None}


def _put(target: Any, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        entry = target.add()
        entry.key = name
        if isinstance(value, bool):
            entry.value.bool_value = value
        elif isinstance(value, int):
            entry.value.int_value = value
        elif isinstance(value, float):
            entry.value.double_value = value
        else:
            entry.value.string_value = str(value)[:4_000]


def headers_of(text: str | None) -> dict[str, str]:
    """Headers as OTEL_EXPORTER_OTLP_HEADERS writes them: name=value, separated by commas, percent-encoded."""
    from urllib.parse import unquote

    pairs = (pair.partition("=") for pair in (text or "").split(",") if "=" in pair)
    return {name.strip().lower(): unquote(value.strip()) for name, _, value in pairs}
