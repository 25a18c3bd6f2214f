"""The landing tables' only writer: ledger, rows and quarantine of one file, in the caller's transaction.

What is in a file and what it means is decided before; nothing is parsed here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl
import psycopg
from psycopg import sql

from fvi_pipeline.feeds.description import Feed
from fvi_pipeline.feeds.parse import ParsedFile
from fvi_pipeline.feeds.report import FileResult


@dataclass(frozen=True)
class SeenFile:
    """A file of the landing folder as far as it is known without parsing. `sha256` is None when it
    cannot be read.
    """

    name: str
    sha256: str | None
    size_bytes: int | None


def lock_ledger(connection: psycopg.Connection) -> None:
    """Wait until no other transaction writes the ledger; freed by commit, rollback or the end of the
    process.
    """
    connection.execute("select pg_advisory_xact_lock(hashtextextended('fvi.landing.files', 0))")


def known_file(connection: psycopg.Connection, name: str, sha256: str | None) -> FileResult | None:
    """The ledger's entry for this name and content, or None."""
    row = connection.execute(
        "select file_id, publisher, feed, status, reason, rows_read, rows_loaded, rows_quarantined, known_at "
        "from landing.files where name = %s and sha256 is not distinct from %s",
        [name, sha256],
    ).fetchone()
    if row is None:
        return None
    file_id, publisher, feed, status, reason, read, loaded, quarantined, known_at = row
    return FileResult(file_id, publisher, feed, name, status, reason, read, loaded, quarantined, known_at, is_new=False)


def loaded_copy(connection: psycopg.Connection, feed: str, sha256: str | None) -> str | None:
    """The name under which a feed already loaded this very content, or None."""
    row = connection.execute(
        "select name from landing.files where feed = %s and sha256 = %s and status = 'loaded' order by file_id limit 1",
        [feed, sha256],
    ).fetchone()
    return None if row is None else str(row[0])


def period_is_loaded(connection: psycopg.Connection, feed: str, period: str) -> bool:
    """Whether an earlier file of the feed covers the same period, which makes another one a restatement."""
    row = connection.execute(
        "select exists (select from landing.files where feed = %s and period = %s and status = 'loaded')",
        [feed, period],
    ).fetchone()
    return row is not None and bool(row[0])


def write_entry(
    connection: psycopg.Connection,
    file: SeenFile,
    feed: Feed | None,
    *,
    status: str,
    reason: str | None,
    ingested_at: datetime,
    simulated: bool,
    parsed: ParsedFile | None = None,
    known_at: datetime | None = None,
) -> FileResult:
    """Enter a file in the ledger, with the rows, quarantined rows and rejected values of `parsed` if it is
    given.

    The caller holds `lock_ledger` and commits.

    Raises:
        psycopg.DataError: the database refuses a value; nothing may be committed then.
    """
    rows_read = parsed.rows_read if parsed else 0
    rows_quarantined = len(parsed.quarantined) if parsed else 0
    rows_loaded = parsed.frame.height if parsed else 0
    row = connection.execute(
        "insert into landing.files (publisher, feed, name, sha256, size_bytes, period, known_at, "
        "ingested_at, rows_read, rows_loaded, rows_quarantined, status, reason, simulated) "
        "values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) returning file_id",
        [
            feed.publisher if feed else None,
            feed.name if feed else None,
            file.name,
            file.sha256,
            file.size_bytes,
            parsed.release.period if parsed else None,
            known_at,
            ingested_at,
            rows_read,
            rows_loaded,
            rows_quarantined,
            status,
            reason,
            simulated,
        ],
    ).fetchone()
    if row is None:
        raise psycopg.DataError("landing.files returned no file_id")
    file_id = int(row[0])
    if parsed is not None and feed is not None:
        _copy_frame(connection, feed.table, file_id, parsed.frame)
        _copy_records(
            connection,
            "quarantine",
            ("file_id", "part", "row_number", "reason", "raw"),
            ((file_id, q.part, q.row_number, q.reason, q.raw) for q in parsed.quarantined),
        )
        _copy_records(
            connection,
            "rejected_values",
            ("file_id", "part", "row_number", "column_name", "reason", "raw"),
            ((file_id, v.part, v.row_number, v.column_name, v.reason, v.raw) for v in parsed.rejected_values),
        )
    publisher, feed_name = (feed.publisher, feed.name) if feed else (None, None)
    return FileResult(
        file_id,
        publisher,
        feed_name,
        file.name,
        status,
        reason,
        rows_read,
        rows_loaded,
        rows_quarantined,
        known_at,
        is_new=True,
    )


def _copy_frame(connection: psycopg.Connection, table: str, file_id: int, frame: pl.DataFrame) -> None:
    if frame.height == 0:
        return
    with_file = frame.select(pl.lit(file_id).alias("file_id"), pl.all())
    statement = sql.SQL("copy landing.{} ({}) from stdin (format csv)").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, with_file.columns))
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        # null is an empty field without quotes, as COPY reads it
        copy.write(with_file.write_csv(include_header=False, null_value="").encode())


def _copy_records(
    connection: psycopg.Connection, table: str, columns: Sequence[str], records: Iterable[tuple[Any, ...]]
) -> None:
    statement = sql.SQL("copy landing.{} ({}) from stdin").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for record in records:
            copy.write_row(record)
