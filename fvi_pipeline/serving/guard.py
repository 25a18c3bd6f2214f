"""The guard before every endpoint, BentoML's own too: who may call, how often, how much and for how long.

What each endpoint asks for is said in `access`; tokens are checked by `tokens`, counts are kept by `rate_limits`. The
guard is shut, to all but the open paths, until `GuardState.open` has given it what the settings say.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import time
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fvi_pipeline.serving.access import METRICS, SCOPES, Rule, rule_of
from fvi_pipeline.serving.errors import (
    ForbiddenError,
    OverloadedError,
    ServingError,
    SlowBodyError,
    StoreUnavailableError,
    TimeLimitError,
    TooManyCallsError,
    UnauthorizedError,
    UnknownPathError,
    refuse,
)
from fvi_pipeline.serving.gate import Gate
from fvi_pipeline.serving.limits import Disconnected, read_body, replayed
from fvi_pipeline.serving.metrics import count_refused
from fvi_pipeline.serving.rate_limits import RateLimiter
from fvi_pipeline.serving.tokens import Caller, TokenError

REQUEST_ID = "fvi.request_id"
CLIENT = "fvi.client"
LOCAL = Caller("local", frozenset(SCOPES))
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_OF_A_PROXY = (b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip")
# Of one address: a wrong token costs a signature's check and a row of the audit log.
_FAILURES_PER_MINUTE = 600
_Headers = Mapping[bytes, bytes]


class GuardState:
    """What the guard goes by, shared with the service that opens it once its settings are read."""

    def __init__(self) -> None:
        self.gate: Gate | None = None
        self.failures = RateLimiter(None)
        self.in_flight = 0

    def open(self, gate: Gate) -> None:
        """Let callers in as the gate says."""
        self.gate = gate


class Guard:
    """The ASGI middleware."""

    def __init__(self, app: ASGIApp, state: GuardState) -> None:
        self._app = app
        self._state = state
        self._cors: CORSMiddleware | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its id and its client, or refuse it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1008})
            return
        gate = self._state.gate
        if gate is None or not gate.cors_origins:
            # Without the headers of CORS no page of another origin reads an answer.
            await self._handle(scope, receive, send)
            return
        if self._cors is None:
            self._cors = CORSMiddleware(
                self._handle,
                allow_origins=list(gate.cors_origins),
                allow_methods=["GET", "POST"],
                allow_headers=["authorization", "content-type"],
                expose_headers=["x-request-id", "retry-after"],
                max_age=600,
            )
        await self._cors(scope, receive, send)

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = new_request_id()
        scope[REQUEST_ID] = request_id
        rule = rule_of(scope["path"])
        headers = dict(scope["headers"])
        started = False

        async def answer(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                kept = [pair for pair in message.get("headers", ()) if pair[0] != b"x-request-id"]
                message["headers"] = [
                    *kept,
                    (b"x-request-id", request_id.encode()),
                    (b"x-content-type-options", b"nosniff"),
                ]
            await send(message)

        state = self._state
        state.in_flight += 1
        try:
            if not scope["path"].isprintable():
                # a line's end in it would match no pattern of a mounted application, and BentoML answer for us
                raise UnknownPathError("Not Found")
            if rule.scope is not None:
                await self._admit(scope, headers, rule)
            await self._pass_on(scope, receive, answer, headers, rule)
        except ServingError as error:
            if started:
                raise  # too late for another answer: the connection closes, and the caller sees it
            count_refused(error.code)
            await refuse(error, answer)
        except Disconnected:
            return
        finally:
            state.in_flight -= 1

    async def _admit(self, scope: Scope, headers: _Headers, rule: Rule) -> None:
        """Note the client in the scope; raise the error that the caller is told."""
        state = self._state
        gate = state.gate
        if gate is None:
            raise StoreUnavailableError("The service is starting: ask again in a moment.")
        if state.in_flight > gate.maximum_in_flight:
            raise OverloadedError("The service has too much to do: ask again in a moment.")
        caller = await self._caller(gate, scope, headers)
        scope[CLIENT] = caller.client
        if rule.scope not in caller.scopes:
            _note(gate, "refused_scope", caller.client, scope, client=caller.client, scope_needed=rule.scope)
            raise ForbiddenError(f"The token lacks the scope {rule.scope}.")
        limit = _limit(gate, rule)
        if limit is not None and not gate.limiter.held(caller.client, rule.name):
            seconds = await gate.limiter.take(caller.client, rule.name, limit)
            if seconds > 0:
                _note(gate, "rate_limited", caller.client, scope, client=caller.client, calls_per_minute=limit)
                raise TooManyCallsError(f"More than {limit:,} calls a minute: ask again later.", seconds)
        if rule.scope == "admin" and rule is not METRICS:  # which a scraper reads four times a minute
            _note(gate, "admin", caller.client, scope, client=caller.client)

    async def _caller(self, gate: Gate, scope: Scope, headers: _Headers) -> Caller:
        if gate.verifier is None:
            if is_local(scope, headers):
                return LOCAL
            reason = "Without tokens only this machine may call: set FVI_AUTH_SECRET or FVI_AUTH_PUBLIC_KEY_FILE."
        else:
            scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
            if scheme.lower() == b"bearer" and token:
                try:
                    return gate.verifier.verify(token.strip().decode("latin-1"))
                except TokenError as error:
                    reason = error.reason
            else:
                reason = "A bearer token is needed: Authorization: Bearer …"
        address = _address(scope)
        seconds = await self._state.failures.take(address, "refused_token", _FAILURES_PER_MINUTE)
        if seconds > 0:
            raise TooManyCallsError("Too many calls without a valid token: ask again later.", seconds)
        _note(gate, "refused_token", address, scope, reason=reason)
        raise UnauthorizedError(reason)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send, headers: _Headers, rule: Rule) -> None:
        """Read the body within its limits and let the application answer within its time."""
        body: bytes | None = None
        try:
            async with asyncio.timeout(rule.seconds):
                body = await read_body(receive, headers, rule.maximum_bytes)
                await self._app(scope, replayed(body, receive), send)
        except TimeoutError:
            # the application's own time-outs are its errors, which it answers itself
            if body is None:
                raise SlowBodyError(f"The body did not come within {rule.seconds:g} s.") from None
            raise TimeLimitError(f"No answer within {rule.seconds:g} s: ask for less, or again later.") from None


def is_local(scope: Scope, headers: _Headers) -> bool:
    """Whether a program of this machine calls, directly: not a proxy for others, and not a page in a browser."""
    client, server = scope.get("client"), scope.get("server")
    if client is None or server is None or not (_is_loopback(client[0]) and _is_loopback(server[0])):
        return False
    if any(name in headers for name in _OF_A_PROXY):
        return False
    # A page of any site may make the browser call 127.0.0.1, under a name of its own for it.
    origin = headers.get(b"origin")
    return _names_this_machine(b"//" + headers.get(b"host", b"")) and (origin is None or _names_this_machine(origin))


@lru_cache(maxsize=1_024)
def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@lru_cache(maxsize=256)
def _names_this_machine(url: bytes) -> bool:
    try:
        return urlsplit(url.decode("latin-1")).hostname in _LOCAL_NAMES
    except ValueError:
        return False


def _limit(gate: Gate, rule: Rule) -> int | None:
    own = gate.limits.get(rule.name)
    return own if own is not None or gate.verifier is None else rule.calls_per_minute


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else "unknown"


def _note(gate: Gate, event: str, who: str, scope: Scope, client: str | None = None, **details: object) -> None:
    if gate.audit is not None:
        gate.audit.note_often(
            event,
            who,
            request_id=scope[REQUEST_ID],
            client=client,
            address=_address(scope),
            method=scope["method"],
            path=scope["path"],
            details=details,
        )


def new_request_id() -> str:
    """A UUID of version 7 in hexadecimal: in the order of time, which an index of them likes."""
    milliseconds = time.time_ns() // 1_000_000
    chance = int.from_bytes(os.urandom(10), "big")
    value = milliseconds << 80 | chance
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return f"{value:032x}"
