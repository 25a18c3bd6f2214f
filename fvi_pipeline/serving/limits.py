"""Reading the body of a request within its limit, for the guard. Limits per client belong in `rate_limits`."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.types import Message, Receive

from fvi_pipeline.serving.errors import TooLargeError


class Disconnected(Exception):
    """The caller has gone before its body had come."""


async def read_body(receive: Receive, headers: Mapping[bytes, bytes], maximum_bytes: int) -> bytes:
    """Return the whole body; raise TooLargeError, by what is declared or by what comes, and Disconnected.

    It is read before the application starts: the application cannot have begun an answer that 413 would contradict.
    """
    declared = headers.get(b"content-length", b"0")
    if declared.isdigit() and (len(declared) > 18 or int(declared) > maximum_bytes):
        raise _too_large(maximum_bytes)
    parts = []
    received = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Disconnected
        part = message.get("body", b"")
        received += len(part)
        if received > maximum_bytes:
            raise _too_large(maximum_bytes)
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body that was read, and then what comes after it."""
    message: Message | None = {"type": "http.request", "body": body, "more_body": False}

    async def replay() -> Message:
        nonlocal message
        if message is None:
            return await receive()
        given, message = message, None
        return given

    return replay


def _too_large(maximum_bytes: int) -> TooLargeError:
    return TooLargeError(f"The body is larger than {maximum_bytes:,} bytes: send smaller batches.")
