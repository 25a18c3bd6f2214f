"""The outermost layer of the service: guard, counts, and the short way to the endpoints that answer about mines.

BentoML puts metrics, traces and a timer around every request, which takes longer than a prediction does. What is asked
most goes from the guard to the application at once; everything else goes through BentoML, from the guard on. Who may
call belongs in `guard`, what is answered to the application.
"""

from __future__ import annotations

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fvi_pipeline.serving.access import rule_of
from fvi_pipeline.serving.call_meter import CallMeter
from fvi_pipeline.serving.guard import Guard, GuardState
from fvi_pipeline.serving.metrics import observe_request

DIRECT = frozenset({"/predict", "/predict_batch", "/explain"})


class Edge:
    """The ASGI application that the server calls."""

    def __init__(self, direct: ASGIApp, rest: ASGIApp, state: GuardState, meter: CallMeter) -> None:
        """`direct` answers the paths of DIRECT; `rest`, BentoML's application, answers all others and the lifespan."""
        self._direct = direct
        self._rest = rest
        self._guard = Guard(self._inside, state)
        self._meter = meter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and count what was answered under which status, refusals included."""
        if scope["type"] != "http":
            await self._guard(scope, receive, send)
            return
        started = time.perf_counter()
        status = 0

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._guard(scope, receive, noted)
        finally:
            if status:  # a caller that has gone was answered nothing
                path = scope["path"]
                if path in DIRECT:
                    self._meter.answered(status)
                observe_request(rule_of(path).name, status, time.perf_counter() - started)

    async def _inside(self, scope: Scope, receive: Receive, send: Send) -> None:
        inner = self._direct if scope["type"] == "http" and scope["path"] in DIRECT else self._rest
        await inner(scope, receive, send)
