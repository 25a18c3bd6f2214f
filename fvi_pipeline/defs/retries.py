"""What may pass if one waits: a lost connection, a busy server, a publisher that does not answer. Nothing else is tried
again: a file that cannot be read and a failed test fail at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import httpx
import psycopg

MAX_RETRIES = 4
_FIRST_WAIT_SECONDS = 2.0
_PASSING_CLASSES = ("08", "40", "53300", "57P0")
"""SQLSTATE: connection lost, deadlock or serialisation, too many connections, the server shuts down or starts."""
_REFUSALS = ("authentication failed", "does not exist", "no pg_hba.conf entry")


@contextmanager
def retried(context: dg.AssetExecutionContext) -> Iterator[None]:
    """Ask Dagster for another attempt of the step, after 2, 4, 8 and 16 seconds, if the error of the block may pass."""
    try:
        yield
    except Exception as error:
        if not may_pass(error):
            raise
        wait = _FIRST_WAIT_SECONDS * 2**context.retry_number
        context.log.warning(f"{type(error).__name__}: {error}. Once more in {wait:.0f} s.")
        raise dg.RetryRequested(max_retries=MAX_RETRIES, seconds_to_wait=wait) from error


def may_pass(error: BaseException | None) -> bool:
    """Whether waiting may help against the error, or against the one that it was raised from."""
    if error is None:
        return False
    if isinstance(error, psycopg.Error):
        if error.sqlstate:
            return error.sqlstate.startswith(_PASSING_CLASSES)
        # libpq gives no code for what goes wrong while it connects
        return isinstance(error, psycopg.OperationalError) and not any(words in str(error) for words in _REFUSALS)
    if isinstance(error, (httpx.TransportError, ConnectionError, TimeoutError)):
        return True
    return _is_lost_redis(error) or may_pass(error.__cause__)


def _is_lost_redis(error: BaseException) -> bool:
    import redis

    lost = isinstance(error, (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError))
    return lost and not isinstance(error, redis.exceptions.AuthenticationError)
