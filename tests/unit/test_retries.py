"""Steps are tried again after what may pass, and after nothing else."""

import dagster as dg
import httpx
import psycopg
import pytest
import redis

from fvi_pipeline.defs import retries
from fvi_pipeline.defs.retries import MAX_RETRIES, may_pass, retried
from fvi_pipeline.platform.errors import PlatformError


def _caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        psycopg.OperationalError("server closed the connection unexpectedly"),
        psycopg.errors.DeadlockDetected("deadlock detected"),
        psycopg.errors.AdminShutdown("terminating connection"),
        psycopg.errors.TooManyConnections("too many clients"),
        httpx.ConnectTimeout("timed out"),
        redis.exceptions.ConnectionError("refused"),
        ConnectionResetError(),
        _caused(PlatformError("PostgreSQL does not answer"), psycopg.OperationalError("connection refused")),
    ],
    ids=repr,
)
def test_what_may_pass(error: Exception) -> None:
    assert may_pass(error)


@pytest.mark.parametrize(
    "error",
    [
        psycopg.errors.UndefinedTable("no such table"),
        psycopg.errors.DiskFull("no space"),
        psycopg.OperationalError('FATAL:  password authentication failed for user "fvi"'),
        psycopg.OperationalError('FATAL:  database "fvi" does not exist'),
        redis.exceptions.AuthenticationError("WRONGPASS"),
        PlatformError("FVI_HOME is a file"),
        ValueError("a row"),
    ],
    ids=repr,
)
def test_what_does_not_pass(error: Exception) -> None:
    assert not may_pass(error)


def _attempts(monkeypatch: pytest.MonkeyPatch, error: Exception, failures: int) -> tuple[bool, int]:
    monkeypatch.setattr(retries, "_FIRST_WAIT_SECONDS", 0.0)
    attempts = 0

    @dg.asset
    def table(context: dg.AssetExecutionContext) -> None:
        nonlocal attempts
        attempts += 1
        with retried(context):
            if attempts <= failures:
                raise error

    result = dg.materialize([table], raise_on_error=False)
    return result.success, attempts


def test_a_step_goes_on_once_the_trouble_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _attempts(monkeypatch, psycopg.OperationalError("connection refused"), failures=2) == (True, 3)


def test_a_trouble_that_stays_fails_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _attempts(monkeypatch, psycopg.OperationalError("connection refused"), failures=99) == (
        False,
        MAX_RETRIES + 1,
    )


def test_an_error_in_the_data_fails_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _attempts(monkeypatch, ValueError("a row"), failures=1) == (False, 1)
