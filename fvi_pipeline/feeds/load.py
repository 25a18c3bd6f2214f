"""One file of a feed into the landing tables: its rows stream in, and what they show together decides what it is.

A file that turns out to be unreadable, or to say what another one says, leaves its ledger entry only. Which files there
are belongs to `ingest`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BufferedReader

import psycopg

from fvi_pipeline.feeds.description import Feed
from fvi_pipeline.feeds.errors import UnreadableFileError
from fvi_pipeline.feeds.file_rules import MostRowsAreOfAnotherYear
from fvi_pipeline.feeds.parse import FileReading
from fvi_pipeline.feeds.report import FileResult
from fvi_pipeline.feeds.writer import (
    EncodedBatch,
    FileInForce,
    Knowledge,
    Receipt,
    SeenFile,
    close_entry,
    encoded,
    file_in_force,
    open_entry,
    write_batch,
    write_refusal,
)


class _SaysTheSame(Exception):
    """The file says what the file in force says."""


def load_file(
    connection: psycopg.Connection, file: SeenFile, content: BufferedReader, feed: Feed, receipt: Receipt
) -> FileResult:
    """Load one file's rows, in the caller's transaction, which holds `lock_ledger`.

    Raises:
        psycopg.DataError: the database refuses a value; the caller must roll back.
    """
    year: int | None = None
    while True:
        try:
            with connection.transaction():
                return _load(connection, file, content, feed, receipt, year)
        except MostRowsAreOfAnotherYear as other:
            year = other.year
        except UnreadableFileError as error:
            return write_refusal(connection, file, feed, receipt, "rejected", str(error))
        except OSError as error:
            reason = f"The file cannot be read to its end ({error.strerror or error}). Check its disk."
            return write_refusal(connection, file, feed, receipt, "rejected", reason)
        except _SaysTheSame as same:
            return write_refusal(connection, file, feed, receipt, "ignored", str(same))


def _load(
    connection: psycopg.Connection,
    file: SeenFile,
    content: BufferedReader,
    feed: Feed,
    receipt: Receipt,
    year: int | None,
) -> FileResult:
    content.seek(0)
    file_id = open_entry(connection, file, feed, receipt)
    reading = FileReading(feed, file.name, content, year)
    rows = (encoded(batch, file_id) for batch in reading.batches())
    with contextlib.closing(_one_ahead(rows)) as batches:
        for batch in batches:
            write_batch(connection, feed, file_id, batch)
    if os.fstat(content.fileno()).st_mtime_ns != file.modified_ns and _sha256(content) != file.sha256:
        raise UnreadableFileError("The file changed while it was read. It is taken in again when it is whole.")
    if reading.problem is not None:
        return close_entry(connection, file_id, reading, "rejected", reading.problem, None)
    period = reading.release.period
    in_force = None if period is None else file_in_force(connection, feed.name, period, file_id)
    if in_force is not None and in_force.facts_digest == reading.facts_digest:
        raise _SaysTheSame(f"The file says the same, row for row, as {in_force.name}, which is loaded.")
    knowledge = _knowledge(reading, receipt, in_force)
    return close_entry(connection, file_id, reading, "loaded", _remarks(reading), knowledge)


def _sha256(content: BufferedReader) -> str:
    content.seek(0)
    return hashlib.file_digest(content, "sha256").hexdigest()


def _one_ahead(batches: Iterator[EncodedBatch]) -> Generator[EncodedBatch]:
    """The same batches, the next one being read while the caller writes one to the database."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="fvi-read") as pool:
        upcoming = pool.submit(next, batches, None)
        while (batch := upcoming.result()) is not None:
            upcoming = pool.submit(next, batches, None)
            yield batch


def _knowledge(reading: FileReading, receipt: Receipt, in_force: FileInForce | None) -> Knowledge:
    """The publisher's date for the first file of a period; the moment of receipt for a restatement or
    without a date.
    """
    release = reading.release
    if in_force is not None:
        rule = f"received: restates file {in_force.file_id}"
        return Knowledge(receipt.ingested_at, rule, in_force.file_id)
    if release.known_at is None or release.period is None:
        return Knowledge(receipt.ingested_at, "received: the file has no date")
    if receipt.ingested_at < release.known_at:
        # what we hold is known, even if it came before the date on which the publisher usually releases it
        return Knowledge(receipt.ingested_at, "received: before the publisher's date")
    return Knowledge(release.known_at, "publisher's date")


def _remarks(reading: FileReading) -> str | None:
    remarks = []
    if reading.rows_quarantined:
        remarks.append(
            f"{reading.rows_quarantined:,} of {reading.rows_read:,} rows are in quarantine, the first because: "
            f"{reading.first_reason}"
        )
    if reading.values_rejected:
        remarks.append(f"{reading.values_rejected:,} single values were rejected")
    if reading.unknown_columns:
        remarks.append(f"Columns that the feed does not describe were kept: {', '.join(reading.unknown_columns)}")
    return "; ".join(remarks) or None
