"""A file into typed rows, quarantined rows and rejected values, batch by batch. No database and no folder is touched
here.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO

import polars as pl
import polars.selectors as cs

from fvi_pipeline.feeds.convert import RejectedValue, typed, undescribed_columns
from fvi_pipeline.feeds.description import Feed, Release, ReleaseContext
from fvi_pipeline.feeds.errors import UnreadableFileError
from fvi_pipeline.feeds.file_rules import FileRules, MostRowsAreOfAnotherYear
from fvi_pipeline.feeds.forms import read_tables
from fvi_pipeline.feeds.tables import QuarantinedRow, TextTable


@dataclass(frozen=True)
class Batch:
    """Some rows of a file: `frame` has row_number, the part column if the feed has one, the landing columns and
    other_values, typed.
    """

    frame: pl.DataFrame
    quarantined: list[QuarantinedRow]
    rejected_values: list[RejectedValue]


class FileReading:
    """One pass over a file. What is said of the file as a whole is complete when `batches` has been gone through.

    `rows_read` always equals `rows_loaded` plus `rows_quarantined`.
    """

    def __init__(self, feed: Feed, name: str, file: BinaryIO, year: int | None = None) -> None:
        self._feed = feed
        self._name = name
        self._file = file
        self._rules = FileRules(feed, year)
        self._bounds: dict[str, pl.DataFrame] = {}
        self.rows_loaded = 0
        self.rows_quarantined = 0
        self.values_rejected = 0
        self.first_reason: str | None = None
        """Why the first quarantined row is in quarantine."""
        self.unknown_columns: tuple[str, ...] = ()
        """Titles of columns that the feed keeps and does not describe."""
        self.release = Release(None, None)
        self.facts_digest: str | None = None
        """Digest of the typed rows, whatever their order and the file's form; None when there are none."""

    @property
    def rows_read(self) -> int:
        """Rows of the file so far."""
        return self.rows_loaded + self.rows_quarantined

    @property
    def problem(self) -> str | None:
        """Why nothing can be loaded although rows were read; None for a file that is loaded."""
        if self.rows_loaded:
            return None
        return f"None of the {self.rows_read:,} rows can be read, the first because: {self.first_reason}."

    def batches(self) -> Iterator[Batch]:
        """The file's rows.

        Raises:
            UnreadableFileError: nothing in the file can be attributed to rows (empty, foreign, damaged).
            MostRowsAreOfAnotherYear: the file has to be read again, with that year given.
        """
        text = read_tables(self._feed, self._file)
        for table in text.tables:
            yield self._batch(table)
        if self.rows_read == 0:
            raise UnreadableFileError("The file has a header but no rows.")
        digest = self._rules.finish()
        if self.rows_loaded:
            self.facts_digest = digest
            self.release = self._feed.release(ReleaseContext(self._name, tuple(text.texts), self._bounds))

    def _batch(self, table: TextTable) -> Batch:
        named = (title for at, title in undescribed_columns(table, self._feed).items() if table.header[at])
        self.unknown_columns = tuple(dict.fromkeys((*self.unknown_columns, *named)))
        checked = self._rules.apply(table, typed(table, self._feed))
        self.rows_loaded += checked.values.height
        self.rows_quarantined += len(checked.quarantined)
        self.values_rejected += len(checked.rejected_values)
        if self.first_reason is None and checked.quarantined:
            self.first_reason = checked.quarantined[0].reason
        self._note_bounds(table.part.name, checked.values)
        frame = checked.values
        if self._feed.part_column is not None:
            frame = frame.with_columns(pl.lit(table.part.name).alias(self._feed.part_column))
        return Batch(frame, checked.quarantined, checked.rejected_values)

    def _note_bounds(self, part: str, rows: pl.DataFrame) -> None:
        """Keep the least and the greatest value of the columns that release rules may ask about."""
        rows = rows.select(cs.exclude(cs.string()) | cs.by_name(self._feed.keys, require_all=False))
        both = pl.concat([rows.select(pl.all().min()), rows.select(pl.all().max())])
        if part in self._bounds:
            both = pl.concat([self._bounds[part], both])
            both = pl.concat([both.select(pl.all().min()), both.select(pl.all().max())])
        self._bounds[part] = both


@dataclass(frozen=True)
class ParsedFile:
    """A whole file as its feed describes it. `rows_read` always equals the frame's height plus the
    quarantined rows.
    """

    rows_read: int
    frame: pl.DataFrame
    quarantined: list[QuarantinedRow]
    rejected_values: list[RejectedValue]
    release: Release
    unknown_columns: tuple[str, ...] = ()
    facts_digest: str | None = None
    problem: str | None = None
    """Why nothing can be loaded although rows were read; None for a file that is loaded."""


def parse(feed: Feed, name: str, content: bytes) -> ParsedFile:
    """Read one file at once; `name` is its path relative to the landing folder. For files that fit into memory.

    The frame has row_number, the part column if the feed has one, the landing columns and other_values, typed.

    Raises:
        UnreadableFileError: nothing in the file can be attributed to rows (empty, foreign, damaged).
    """
    reading = FileReading(feed, name, io.BytesIO(content))
    try:
        batches = list(reading.batches())
    except MostRowsAreOfAnotherYear as other:
        reading = FileReading(feed, name, io.BytesIO(content), other.year)
        batches = list(reading.batches())
    return ParsedFile(
        reading.rows_read,
        pl.concat([batch.frame for batch in batches]),
        [row for batch in batches for row in batch.quarantined],
        [value for batch in batches for value in batch.rejected_values] if reading.rows_loaded else [],
        reading.release,
        reading.unknown_columns,
        reading.facts_digest,
        reading.problem,
    )


@cache
def parser_digest() -> str:
    """Digest of the code that decides what a file says: descriptions, readers and rules."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
