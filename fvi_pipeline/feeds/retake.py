"""Years that are taken in a second time, because the code that reads them has changed. New files belong to `ingest`.

A file is read again as it was received: with its own moment of receipt, so what was known when stays as it was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from fvi_pipeline.feeds.description import Feed
from fvi_pipeline.feeds.ingest import ingest_file
from fvi_pipeline.feeds.parse import parser_digest
from fvi_pipeline.feeds.writer import Receipt, lock_ledger


@dataclass(frozen=True)
class RetakenPeriod:
    """What became of a period: whether its rows changed, and why it was left alone if it was."""

    period: str
    changed: bool
    reason: str


@dataclass(frozen=True)
class _Entry:
    file_id: int
    name: str
    sha256: str
    ingested_at: datetime
    simulated: bool


class _NothingChanged(Exception):
    """The files say today what they said when they were taken in."""


def retake_periods(
    connection: psycopg.Connection, folder: Path, feed: Feed, periods: Sequence[str]
) -> list[RetakenPeriod]:
    """Read the loaded files of these periods again, in the order of their receipt, one transaction a period.

    Rows, quarantine and ledger entry of a file are replaced if today's parser reads it differently; if not, nothing
    changes. A period of which a file is no longer in the folder as it was taken in stays as it is, with the reason.
    """
    return [_retake(connection, folder, feed, period) for period in periods]


def _retake(connection: psycopg.Connection, folder: Path, feed: Feed, period: str) -> RetakenPeriod:
    try:
        with connection.transaction():
            lock_ledger(connection)
            entries = _entries(connection, feed, period)
            if not entries:
                return RetakenPeriod(period, False, "no file of this period was ever loaded")
            for entry in entries:
                if _sha256(folder / entry.name) != entry.sha256:
                    return RetakenPeriod(period, False, f"{entry.name} is not in the folder as it was taken in")
            before = _outcome(connection, feed, period)
            _forget(connection, feed, entries)
            for entry in entries:
                receipt = Receipt(entry.ingested_at, entry.simulated, parser_digest())
                ingest_file(connection, folder, entry.name, feed, receipt)
            if _outcome(connection, feed, period) == before:
                raise _NothingChanged
    except _NothingChanged:
        return RetakenPeriod(period, False, "read again: the same, row for row")
    return RetakenPeriod(period, True, "read again: other rows than before")


def _entries(connection: psycopg.Connection, feed: Feed, period: str) -> list[_Entry]:
    with connection.cursor(row_factory=class_row(_Entry)) as cursor:
        return cursor.execute(
            "select file_id, name, sha256, ingested_at, simulated from landing.files "
            "where feed = %s and period = %s and status = 'loaded' order by file_id",
            [feed.name, period],
        ).fetchall()


def _outcome(connection: psycopg.Connection, feed: Feed, period: str) -> list[tuple[object, ...]]:
    """What was read from the period's files and when it is known, without the numbers that files happen to have."""
    return connection.execute(
        "select name, status, reason, facts_digest, rows_read, rows_loaded, rows_quarantined, known_at, "
        "unknown_columns from landing.files where feed = %s and period = %s order by file_id",
        [feed.name, period],
    ).fetchall()


def _forget(connection: psycopg.Connection, feed: Feed, entries: list[_Entry]) -> None:
    file_ids = [entry.file_id for entry in entries]
    for table in (feed.table, "quarantine", "rejected_values", "files"):
        statement = sql.SQL("delete from {} where file_id = any(%s)").format(sql.Identifier("landing", table))
        connection.execute(statement, [file_ids])


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None  # gone since
