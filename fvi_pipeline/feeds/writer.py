"""The landing tables' only writer: ledger, rows and quarantine of one file, in the caller's transaction.

What is in a file and what it means is decided before; nothing is parsed here.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl
import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from fvi_pipeline.feeds.description import Feed
from fvi_pipeline.feeds.parse import Batch, FileReading
from fvi_pipeline.feeds.report import FileResult


@dataclass(frozen=True)
class SeenFile:
    """A file of the landing folder as far as it is known without parsing. `sha256` is None when it
    cannot be read.
    """

    name: str
    sha256: str | None
    size_bytes: int | None
    modified_ns: int | None = None


@dataclass(frozen=True)
class Receipt:
    """When and how a file came in: `parser_digest` names the code that reads it."""

    ingested_at: datetime
    simulated: bool
    parser_digest: str


@dataclass(frozen=True)
class FileInForce:
    """The loaded file whose facts hold for a feed's period until another one restates it."""

    file_id: int
    name: str
    facts_digest: str | None


@dataclass(frozen=True)
class Knowledge:
    """Since when a file's facts are known, the rule that says so in words, and the file that it restates."""

    known_at: datetime
    rule: str
    restates_file_id: int | None = None


@dataclass(frozen=True)
class EncodedBatch:
    """A batch as COPY takes it. Encoding costs as much as reading, and needs no connection."""

    columns: tuple[str, ...]
    rows: bytes
    batch: Batch


def encoded(batch: Batch, file_id: int) -> EncodedBatch:
    """The batch's rows as COPY's CSV, as rows of this file."""
    frame = batch.frame.select(pl.lit(file_id).alias("file_id"), pl.all())
    rows = io.BytesIO()
    # null is an empty field without quotes, as COPY reads it
    frame.write_csv(rows, include_header=False, null_value="")
    return EncodedBatch(tuple(frame.columns), rows.getvalue(), batch)


def lock_ledger(connection: psycopg.Connection) -> None:
    """Wait until no other transaction writes the ledger; freed by commit, rollback or the end of the
    process.
    """
    connection.execute("select pg_advisory_xact_lock(hashtextextended('fvi.landing.files', 0))")


def commit_without_waiting(connection: psycopg.Connection) -> None:
    """Let this transaction's commit return before the disk has it.

    If the server dies right then, the file is in the tables not at all, and the next ingest takes it in. Whatever is
    committed later, and may build on it, is on the disk only after it.
    """
    connection.execute("set local synchronous_commit = off")


def known_file(connection: psycopg.Connection, file: SeenFile, parser_digest: str) -> FileResult | None:
    """The ledger's entry for this name and content, unless the file has to be looked at again: because another parser
    could not load it, or because the name has had other content since, which the old one now restates.
    """
    row = connection.execute(
        "select file_id from landing.known_contents where name = %s and sha256 is not distinct from %s "
        "and (status = 'loaded' or parser_digest is null or parser_digest = %s) order by file_id desc limit 1",
        [file.name, file.sha256, parser_digest],
    ).fetchone()
    return None if row is None else _entry(connection, row[0], is_new=False)


def forget_refusal(connection: psycopg.Connection, file: SeenFile) -> None:
    """Remove the entry of a file that an earlier parser did not load, with its quarantine, to try it again."""
    row = connection.execute(
        "select file_id from landing.files where name = %s and sha256 is not distinct from %s and status <> 'loaded'",
        [file.name, file.sha256],
    ).fetchone()
    if row is not None:
        connection.execute("delete from landing.quarantine where file_id = %s", row)
        connection.execute("delete from landing.files where file_id = %s", row)


def was_loaded(connection: psycopg.Connection, file: SeenFile) -> bool:
    """Whether this very content was loaded under this name before."""
    row = connection.execute(
        "select exists (select from landing.files where name = %s and sha256 = %s and status = 'loaded')",
        [file.name, file.sha256],
    ).fetchone()
    return row is not None and bool(row[0])


def loaded_copy(connection: psycopg.Connection, feed: str, sha256: str | None) -> str | None:
    """The name under which a feed already loaded this very content, or None."""
    row = connection.execute(
        "select name from landing.files where feed = %s and sha256 = %s and status = 'loaded' order by file_id limit 1",
        [feed, sha256],
    ).fetchone()
    return None if row is None else str(row[0])


def file_in_force(connection: psycopg.Connection, feed: str, period: str, before_file_id: int) -> FileInForce | None:
    """The last file loaded for the period before this one; another file of the period restates it."""
    row = connection.execute(
        "select file_id, name, facts_digest from landing.files "
        "where feed = %s and period = %s and status = 'loaded' and file_id < %s order by file_id desc limit 1",
        [feed, period, before_file_id],
    ).fetchone()
    return None if row is None else FileInForce(int(row[0]), str(row[1]), row[2])


def write_refusal(
    connection: psycopg.Connection, file: SeenFile, feed: Feed | None, receipt: Receipt, status: str, reason: str
) -> FileResult:
    """Enter a file of which no row is taken in: `status` is rejected or ignored.

    The caller holds `lock_ledger` and commits.
    """
    file_id = open_entry(connection, file, feed, receipt)
    connection.execute(
        "update landing.files set status = %s, reason = %s where file_id = %s", [status, reason, file_id]
    )
    return _entry(connection, file_id, is_new=True)


def open_entry(connection: psycopg.Connection, file: SeenFile, feed: Feed | None, receipt: Receipt) -> int:
    """Enter a file in the ledger before its rows, and return its file_id. Nobody sees it before the commit.

    The caller holds `lock_ledger`, and `close_entry` completes what is only known when the rows have been read.
    """
    row = connection.execute(
        "insert into landing.files (publisher, feed, name, sha256, size_bytes, ingested_at, simulated, parser_digest, "
        "rows_read, rows_loaded, rows_quarantined, status) "
        "values (%s, %s, %s, %s, %s, %s, %s, %s, 0, 0, 0, 'loaded') returning file_id",
        [
            feed.publisher if feed else None,
            feed.name if feed else None,
            file.name,
            file.sha256,
            file.size_bytes,
            receipt.ingested_at,
            receipt.simulated,
            receipt.parser_digest,
        ],
    ).fetchone()
    if row is None:
        raise psycopg.DataError("landing.files returned no file_id")
    return int(row[0])


def write_batch(connection: psycopg.Connection, feed: Feed, file_id: int, rows: EncodedBatch) -> None:
    """Write some rows of a file, its quarantined rows and its rejected values.

    Raises:
        psycopg.DataError: the database refuses a value; nothing may be committed then.
    """
    if rows.rows:
        _copy_rows(connection, feed.table, rows)
    _copy_records(
        connection,
        "quarantine",
        ("file_id", "part", "row_number", "reason", "raw"),
        [(file_id, q.part, q.row_number, q.reason, q.raw) for q in rows.batch.quarantined],
    )
    _copy_records(
        connection,
        "rejected_values",
        ("file_id", "part", "row_number", "column_name", "reason", "raw"),
        [(file_id, v.part, v.row_number, v.column_name, v.reason, v.raw) for v in rows.batch.rejected_values],
    )


def close_entry(
    connection: psycopg.Connection,
    file_id: int,
    reading: FileReading,
    status: str,
    reason: str | None,
    knowledge: Knowledge | None,
) -> FileResult:
    """Complete a file's entry with what its rows have shown."""
    connection.execute(
        "update landing.files set period = %s, known_at = %s, known_at_rule = %s, restates_file_id = %s, "
        "unknown_columns = %s, facts_digest = %s, rows_read = %s, rows_loaded = %s, rows_quarantined = %s, "
        "status = %s, reason = %s where file_id = %s",
        [
            reading.release.period,
            knowledge.known_at if knowledge else None,
            knowledge.rule if knowledge else None,
            knowledge.restates_file_id if knowledge else None,
            list(reading.unknown_columns),
            reading.facts_digest,
            reading.rows_read,
            reading.rows_loaded,
            reading.rows_quarantined,
            status,
            reason,
            file_id,
        ],
    )
    return _entry(connection, file_id, is_new=True)


def _entry(connection: psycopg.Connection, file_id: int, *, is_new: bool) -> FileResult:
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(
            "select file_id, publisher, feed, name, status, reason, rows_read, rows_loaded, rows_quarantined, "
            "known_at, known_at_rule, restates_file_id, coalesce(unknown_columns, '{}') as unknown_columns "
            "from landing.files where file_id = %s",
            [file_id],
        ).fetchone()
    if row is None:
        raise psycopg.DataError(f"landing.files has no file {file_id}")
    return FileResult(**{**row, "unknown_columns": tuple(row["unknown_columns"])}, is_new=is_new)


def _copy_rows(connection: psycopg.Connection, table: str, rows: EncodedBatch) -> None:
    statement = sql.SQL("copy landing.{} ({}) from stdin (format csv)").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, rows.columns))
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(rows.rows)


def _copy_records(
    connection: psycopg.Connection, table: str, columns: Sequence[str], records: Iterable[tuple[Any, ...]]
) -> None:
    if not records:
        return
    statement = sql.SQL("copy landing.{} ({}) from stdin").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for record in records:
            copy.write_row(record)
