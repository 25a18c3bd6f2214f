"""HTTP to a language model's server that may send too much, too slowly or nonsense: what is read of it is bounded.

The client library gathers a line or a body in memory before it looks at it; the bound is set below it, on bytes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2

MAXIMUM_RESPONSE_BYTES = 2_000_000
CONNECT_SECONDS = 5.0
READ_SECONDS = 20.0


class FloodError(httpx2.TransportError):
    """The server sent more than an answer can have."""


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream, maximum: int) -> None:
        self._stream = stream
        self._left = maximum

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            self._left -= len(chunk)
            if self._left < 0:
                raise FloodError("The model's server sent more than an answer can have.")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


class BoundedTransport(httpx2.AsyncBaseTransport):
    """Passes requests on; a response ends in FloodError beyond the bound. Compressed ones are refused."""

    def __init__(self, inner: httpx2.AsyncBaseTransport | None = None, maximum: int = MAXIMUM_RESPONSE_BYTES) -> None:
        self._inner = inner or httpx2.AsyncHTTPTransport()
        self._maximum = maximum

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send the request without asking for compression, whose size says nothing about what it unfolds to."""
        request.headers["accept-encoding"] = "identity"
        response = await self._inner.handle_async_request(request)
        if response.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
            await response.aclose()
            raise FloodError("The model's server compresses its answers unasked.")
        stream = response.stream
        if not isinstance(stream, httpx2.AsyncByteStream):
            raise FloodError("The model's server cannot be read in parts.")
        return httpx2.Response(
            response.status_code, headers=response.headers, stream=_Bounded(stream, self._maximum),
            extensions=response.extensions,
        )  # fmt: skip

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


def bounded_client(maximum: int = MAXIMUM_RESPONSE_BYTES, read_seconds: float = READ_SECONDS) -> httpx2.AsyncClient:
    """A client for a model's server."""
    timeout = httpx2.Timeout(read_seconds, connect=CONNECT_SECONDS)
    return httpx2.AsyncClient(transport=BoundedTransport(maximum=maximum), timeout=timeout, follow_redirects=False)
