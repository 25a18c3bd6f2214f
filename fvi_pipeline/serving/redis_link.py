"""One connection to Redis for the requests of one event loop: a round trip costs no thread and no task.

Calls go out in the order in which they are made, and their answers come back in it, so that requests share the
connection. While it is down, calls fail at once and it is opened again in the background. What is asked belongs to
the callers.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, cast
from urllib.parse import urlsplit

import hiredis

from fvi_pipeline.serving.errors import StoreUnavailableError

REPLY_SECONDS = 0.25
_CONNECT_SECONDS = 2.0
_RETRY_SECONDS = 0.2
_LOOK_SECONDS = 0.05
_DOWN = "The online store does not answer: ask again in a moment."

logger = logging.getLogger(__name__)
Command = tuple[bytes | str | int | float, ...] | bytes
"""Its parts, or the whole of it as Redis reads it."""


class RedisLink:
    """Sends batches of commands and brings their replies; see the module."""

    def __init__(self, url: str, tls: ssl.SSLContext | None = None, reply_seconds: float = REPLY_SECONDS) -> None:
        """Nothing is opened before the first call or `start`. `tls` is used for rediss:// addresses."""
        from redis.connection import parse_url

        parts: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]
        self._socket: str | None = parts.get("path")
        self._address = (str(parts.get("host", "localhost")), int(parts.get("port", 6379)))
        self._tls = (tls or ssl.create_default_context()) if urlsplit(url).scheme == "rediss" else None
        self._greeting: list[Command] = []
        if parts.get("password"):
            user = (parts["username"],) if parts.get("username") else ()
            self._greeting.append(("AUTH", *user, parts["password"]))
        if parts.get("db"):
            self._greeting.append(("SELECT", int(parts["db"])))
        self._reply_seconds = reply_seconds
        self._connection: _Connection | None = None
        self._opening: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def is_up(self) -> bool:
        """Whether a call would be sent now."""
        return self._connection is not None and self._connection.is_open

    async def start(self) -> None:
        """Open the connection and wait for it; a failure is tried again in the background."""
        self._open()
        if self._opening is not None:
            await asyncio.wait([self._opening], timeout=_CONNECT_SECONDS)

    def call(self, commands: Sequence[Command]) -> asyncio.Future[list[Any]]:
        """Send the commands, at least one, together; the future brings a reply for each.

        Raises StoreUnavailableError, here or from the future: not connected, no reply in time, or an error of Redis.
        """
        connection = self._connection
        if connection is None or not connection.is_open:
            self._open()
            raise StoreUnavailableError(_DOWN)
        return connection.call(commands)

    def tell(self, commands: Sequence[Command]) -> None:
        """Send commands whose replies nobody waits for; nothing happens while Redis is down."""
        if commands and self.is_up:
            self.call(commands).add_done_callback(_forget)

    async def close(self) -> None:
        """Close the connection for good."""
        self._closed = True
        if self._opening is not None:
            self._opening.cancel()
        if self._connection is not None:
            self._connection.drop()

    def _open(self) -> None:
        if not self._closed and (self._opening is None or self._opening.done()):
            self._opening = asyncio.get_running_loop().create_task(self._open_until_up())

    async def _open_until_up(self) -> None:
        first = True
        while not self._closed:
            try:
                self._connection = await asyncio.wait_for(self._connect(), _CONNECT_SECONDS)
            except (OSError, TimeoutError, StoreUnavailableError) as error:
                if first:
                    logger.warning("Redis does not answer (%s); trying again.", type(error).__name__)
                    first = False
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()

        def made() -> _Connection:
            return _Connection(loop, self._reply_seconds, self._lost)

        if self._socket is not None:
            _, connection = await loop.create_unix_connection(made, self._socket)
        else:
            _, connection = await loop.create_connection(made, *self._address, ssl=self._tls)
        try:
            await connection.call([*self._greeting, ("PING",)])
        except BaseException:
            connection.drop()
            raise
        return connection

    def _lost(self, connection: _Connection) -> None:
        # opened again at once, not at the next request, which would fail for it
        if connection is self._connection:
            self._connection = None
            self._open()


class _Connection(asyncio.Protocol):
    """The wire: what is waited for, in order, and one timer that looks after the oldest."""

    def __init__(self, loop: asyncio.AbstractEventLoop, reply_seconds: float, lost: Any) -> None:
        self._loop = loop
        self._reply_seconds = reply_seconds
        self._lost = lost
        self._reader = hiredis.Reader()
        self._waiting: deque[tuple[asyncio.Future[list[Any]], int, float]] = deque()
        self._replies: list[Any] = []
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._suspect: object = None

    @property
    def is_open(self) -> bool:
        return self._transport is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one by its methods only
        self._look()

    def call(self, commands: Sequence[Command]) -> asyncio.Future[list[Any]]:
        if self._transport is None:
            raise StoreUnavailableError(_DOWN)
        future: asyncio.Future[list[Any]] = self._loop.create_future()
        self._waiting.append((future, len(commands), self._loop.time() + self._reply_seconds))
        self._transport.write(b"".join([c if isinstance(c, bytes) else _packed(c) for c in commands]))
        return future

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not False:
                self._replies.append(reply)
                future, wanted, _ = self._waiting[0]
                if len(self._replies) == wanted:
                    self._waiting.popleft()
                    replies, self._replies = self._replies, []
                    self._answer(future, replies)
        except (hiredis.ProtocolError, IndexError):
            self.drop()

    @staticmethod
    def _answer(future: asyncio.Future[list[Any]], replies: list[Any]) -> None:
        if future.done():  # the caller has gone
            return
        failed = next((reply for reply in replies if isinstance(reply, hiredis.ReplyError)), None)
        if failed is None:
            future.set_result(replies)
        else:
            logger.warning("Redis refused a command: %s", failed)
            future.set_exception(StoreUnavailableError(_DOWN))

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()

    def drop(self) -> None:
        """Give the connection up: who waits is told now, replies that come later would be another's."""
        if self._transport is not None:
            self._transport.abort()
        self._end()

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._transport = None
        while self._waiting:
            future, _, _ = self._waiting.popleft()
            if not future.done():
                future.set_exception(StoreUnavailableError(_DOWN))
        self._lost(self)

    def _look(self) -> None:
        # one timer a connection: one a call would cost as much as the call
        oldest = self._waiting[0] if self._waiting else None
        if oldest is None or oldest[2] > self._loop.time():
            self._suspect = None
        elif self._suspect is oldest:
            self.drop()
            return
        else:
            # its reply may lie in the socket, if it was this process that was busy: it has one more look
            self._suspect = oldest
        self._timer = self._loop.call_later(_LOOK_SECONDS, self._look)


# its stub knows tuples of one part only
_packed: Callable[[tuple[Any, ...]], bytes] = hiredis.pack_command


def _forget(future: asyncio.Future[list[Any]]) -> None:
    if not future.cancelled():
        future.exception()
