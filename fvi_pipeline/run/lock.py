"""The lock that lets one run at a time change the tables of a home. What a run does belongs in `pipeline`."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from fvi_pipeline.platform.errors import PlatformError

RUN_LOCK = "fvi.run"
"""Held in the database by `fvi run` from its first file to its last score, and by `fvi documents`."""


@contextmanager
def only_run(connection: psycopg.Connection) -> Iterator[None]:
    """Hold the lock.

    Raises:
        PlatformError: another run holds it.
    """
    row = connection.execute("select pg_try_advisory_lock(hashtextextended(%s, 0))", [RUN_LOCK]).fetchone()
    if row is None or not row[0]:
        raise PlatformError("Another run is under way in this FVI_HOME. Wait for it, or look at it in the Dagster UI.")
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute("select pg_advisory_unlock(hashtextextended(%s, 0))", [RUN_LOCK])
