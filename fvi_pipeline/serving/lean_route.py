"""A route that costs next to nothing: the body's bytes into a pydantic model, the endpoint, its bytes out.

FastAPI makes the OpenAPI document from the endpoint's signature, as for any route; a request passes none of its
dependency solving, its exit stacks and its second validation of the answer. For endpoints with one body and no
parameters; errors are raised and told by the application's handlers.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple
from uuid import uuid4

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from fvi_pipeline.serving.backends import Backends, current_backends

REQUEST_ID = b"x-request-id"
_JSON = b"application/json"


class Call(NamedTuple):
    """What an endpoint knows of a request beside its body."""

    backends: Backends
    request_id: str
    client: str | None
    started: float
    """By time.perf_counter."""

    @property
    def latency_ms(self) -> float:
        """Milliseconds since the request came."""
        return (time.perf_counter() - self.started) * 1_000


class Reply(NamedTuple):
    """The JSON to send, and what is to be done once it is sent."""

    body: bytes
    afterwards: Callable[[], None]


def call_of(request: Request) -> Call:
    """The call of a request. In a signature it stands for what LeanRoute gives."""
    scope = request.scope
    request_id = scope.get("fvi.request_id") or uuid4().hex
    return Call(current_backends(request), request_id, scope.get("fvi.client"), time.perf_counter())


class LeanRoute(APIRoute):
    """Its endpoint is `async (request: Model, call: Annotated[Call, Depends(call_of)]) -> Reply`; see the module."""

    def __init__(self, path: str, endpoint: Callable[..., Awaitable[Reply]], **options: Any) -> None:
        """As FastAPI's, with a handler of its own."""
        super().__init__(path, endpoint, **options)
        model = self.body_field.field_info.annotation if self.body_field is not None else None
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            raise TypeError(f"{path} needs a body that is a pydantic model")
        self._model = model

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; another method than the route's is FastAPI's to refuse."""
        if scope["method"] not in (self.methods or ()):
            await super().handle(scope, receive, send)
            return
        call = call_of(Request(scope))
        request = self._parsed(scope, await _body(receive))
        reply: Reply = await self.endpoint(request, call)
        headers = [
            (b"content-type", _JSON),
            (b"content-length", b"%d" % len(reply.body)),
            (REQUEST_ID, call.request_id.encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})
        reply.afterwards()

    def _parsed(self, scope: Scope, body: bytes) -> BaseModel:
        kind = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
        if not kind.lower().startswith(_JSON):
            raise RequestValidationError([{"type": "content_type", "loc": ("body",), "msg": "Send application/json"}])
        try:
            return self._model.model_validate_json(body)
        except ValidationError as error:
            raise RequestValidationError(error.errors(include_url=False, include_input=False)) from error


async def _body(receive: Receive) -> bytes:
    message = await receive()
    if not message.get("more_body", False) and message["type"] == "http.request":
        body: bytes = message.get("body", b"")
        return body
    parts = []
    while message["type"] == "http.request":
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)
        message = await receive()
    raise ClientDisconnect
