"""Errors that a caller is told: each has a status, a code for programs and a sentence for people."""

import json
import math

from starlette.types import Send

Headers = list[tuple[bytes, bytes]]


class ServingError(Exception):
    """An answer of the form {error: {code, message}}."""

    status = 500
    code = "internal_error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    @property
    def headers(self) -> Headers:
        """What the answer's head says beside its status."""
        return []


class UnknownPathError(ServingError):
    """No such page."""

    status = 404
    code = "not_found"


class UnknownMineError(ServingError):
    """No such mine in the online store."""

    status = 404
    code = "unknown_mine"


class InvalidRequestError(ServingError):
    """The request cannot be answered as it stands."""

    status = 422
    code = "invalid_request"


class TooLargeError(ServingError):
    """The body or the batch is beyond its limit."""

    status = 413
    code = "too_large"

    @property
    def headers(self) -> Headers:
        """What is left of the body is not read."""
        return [(b"connection", b"close")]


class StoreUnavailableError(ServingError):
    """Redis, PostgreSQL or the RAG runner does not answer; asking again later may help."""

    status = 503
    code = "store_unavailable"


class UnauthorizedError(ServingError):
    """No token, or one that is not accepted."""

    status = 401
    code = "unauthorized"

    @property
    def headers(self) -> Headers:
        """How to come in, as RFC 6750 has it."""
        return [(b"www-authenticate", b'Bearer realm="fvi"')]


class ForbiddenError(ServingError):
    """The token is good, but not for this."""

    status = 403
    code = "forbidden"


class SlowBodyError(ServingError):
    """The body did not come in time."""

    status = 408
    code = "slow_body"

    @property
    def headers(self) -> Headers:
        """What is left of the body is not read."""
        return [(b"connection", b"close")]


class TooManyCallsError(ServingError):
    """The caller's limit is reached."""

    status = 429
    code = "too_many_calls"

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds

    @property
    def headers(self) -> Headers:
        """When to ask again."""
        return [(b"retry-after", str(max(1, math.ceil(self.seconds))).encode())]


class OverloadedError(ServingError):
    """More requests at once than the service takes on."""

    status = 503
    code = "overloaded"

    @property
    def headers(self) -> Headers:
        """When to ask again."""
        return [(b"retry-after", b"1")]


class TimeLimitError(ServingError):
    """The answer took longer than the endpoint's time."""

    status = 503
    code = "time_limit"


async def refuse(error: ServingError, send: Send) -> None:
    """Answer {error: {code, message}} over ASGI, with the error's status and headers."""
    body = json.dumps({"error": {"code": error.code, "message": error.message}}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *error.headers,
    ]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
