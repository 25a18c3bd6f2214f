"""What a feed description is made of. The descriptions themselves are in `catalogue`; nothing is read
or parsed here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatch
from pathlib import PurePosixPath

import polars as pl

from fvi_pipeline.feeds.api.description import JsonApi
from fvi_pipeline.feeds.json_records import JsonRecords


class Kind(StrEnum):
    """The type of a landing column, and how its text is read."""

    TEXT = "text"
    INTEGER = "integer"
    YEAR = "year"
    NUMBER = "number"
    DATE = "date"
    MONTH = "month"
    """`1960M01`; stored as the month's first day."""
    MSHA_ID = "msha_id"
    """Mine ID of the U.S. Mine Safety and Health Administration; stored with all seven digits."""


class Form(StrEnum):
    """The form of a file's content, told from the content and not from the name's ending."""

    CSV = "CSV"
    WORKBOOK = "Excel workbook"
    GEOJSON = "GeoJSON"
    SPREADSHEETML = "SpreadsheetML"
    """XML of Excel 2003, often named .xls."""
    JSON = "JSON"
    """Records of a JSON API, as `Feed.records` finds them."""


@dataclass(frozen=True)
class Column:
    """A landing column: where it stands in the file, and which values are possible.

    `headers` are the names it has had, normalised by `normalised_header`; the first one present counts. A
    row whose `required` value is missing or unreadable goes to quarantine; another column's value is
    dropped and recorded. `minimum` and `maximum` are inclusive and in the column's unit. `printed_unit` is
    what must stand below the header. `pattern` is a regular expression that the whole text must match, `allowed` the
    only texts that are possible (lower case). `unit` and `description` are for people: they become the contract's and
    the documentation's words.
    """

    name: str
    kind: Kind
    headers: tuple[str, ...]
    required: bool = False
    minimum: float | None = None
    maximum: float | None = None
    printed_unit: str | None = None
    pattern: str | None = None
    allowed: frozenset[str] | None = None
    unit: str | None = None
    description: str = ""


@dataclass(frozen=True)
class Part:
    """A table within a file (a sheet, or the whole file), found by the headers that it must have.

    `marks` are normalised headers; the first row that holds all of them, each under any name of its column, is the
    header row.
    """

    name: str
    marks: frozenset[str]
    columns: tuple[Column, ...]

    def missing_marks(self, header: Collection[str]) -> list[str]:
        """The marks that a row of normalised headers lacks."""
        names = {mark: column.headers for column in self.columns for mark in column.headers if mark in self.marks}
        return sorted(mark for mark in self.marks if not {mark, *names.get(mark, ())} & set(header))


@dataclass(frozen=True)
class Release:
    """What a file covers (`period`: a year, a release) and when its publisher made that public, if it
    can be told.
    """

    period: str | None
    known_at: datetime | None


@dataclass(frozen=True)
class ReleaseContext:
    """What a release rule may look at: the file's name, text beside the tables, and of each part's rows the least
    and the greatest value of the feed's keys and of each column that is not text (a file may be too large to show
    more).
    """

    name: str
    texts: tuple[str, ...]
    frames: Mapping[str, pl.DataFrame]


ReleaseRule = Callable[[ReleaseContext], Release]


@dataclass(frozen=True)
class DownloadAddress:
    """A file that the publisher serves: the name it gets in the feed's folder, and its addresses in
    order of trial.
    """

    file_names: tuple[str, ...]
    urls: tuple[str, ...]
    year: int | None = None
    """The year that the file describes, where there is a file for each."""


class OtherColumns(StrEnum):
    """What becomes of a file's columns that the feed does not describe."""

    KEPT = "kept"
    """Their values go to `other_values` of the row, and the ledger names them: the publisher has added something."""
    LEFT_OUT = "left out"
    """The publisher has many more columns than the feed takes."""


@dataclass(frozen=True)
class FactPeriod:
    """For a feed whose every file carries its whole past: which columns say the period that a row describes, and the
    SQL expression (over `r`, the landing row, and `f`, its file's entry in the ledger) for when that period was public,
    if this is the first file to carry it; null for when the file is known.
    """

    columns: tuple[str, ...]
    public_at_sql: str


@dataclass(frozen=True)
class Freshness:
    """After how many days without a new file (by ingested_at) a feed is late: a warning, then an error."""

    warn_days: int
    error_days: int


@dataclass(frozen=True)
class Feed:
    """One dataset of one publisher: where its files lie, what they look like, and where they go.

    `single_year_column` names the column that must hold the same year in every row of a file. `part_column`
    names the landing column that takes the part's name. `null_tokens` (lower case) mean nothing in any
    column, `unstated_tokens` in columns that are not text. `loose_numbers` also reads spaced thousands and
    decimal commas. `keys` are the columns that identify a fact within a file; `publication_lag` says in words when the
    publisher makes a period public. A row with at least `shifted_row_signs` values of the wrong kind is taken to
    have slipped by some columns and goes to quarantine whole, as does one with both empty and filled cells in
    columns that are `filled_together`, be it with a sign for nothing (see `plausibility`). `summary` is a sentence
    for people. `records` belongs to Form.JSON, `api` says where such answers come from.
    """

    name: str
    publisher: str
    title: str
    licence: str
    attribution: str
    folder: str
    patterns: tuple[str, ...]
    form: frozenset[Form]
    table: str
    parts: tuple[Part, ...]
    release: ReleaseRule
    part_column: str | None = None
    null_tokens: frozenset[str] = frozenset({"", "-"})
    unstated_tokens: frozenset[str] = frozenset()
    loose_numbers: bool = False
    single_year_column: str | None = None
    keys: tuple[str, ...] = ()
    publication_lag: str = ""
    summary: str = ""
    other_columns: OtherColumns = OtherColumns.KEPT
    shifted_row_signs: int | None = None
    filled_together: tuple[tuple[str, ...], ...] = ()
    fact_period: FactPeriod | None = None
    freshness: Freshness | None = None
    records: JsonRecords | None = None
    api: JsonApi | None = None
    downloads: tuple[DownloadAddress, ...] = ()
    manual_download: str | None = None

    def takes(self, name: str) -> bool:
        """Whether a file of this name (relative to the landing folder, with slashes) belongs to the feed."""
        path = PurePosixPath(name)
        if len(path.parts) < 2 or path.parts[0] != self.folder:
            return False
        return any(fnmatch(path.name.lower(), pattern) for pattern in self.patterns)


def normalised_header(text: str) -> str:
    """A header as descriptions spell it: lower case, single spaces, no line feeds and no footnote
    asterisks.
    """
    return re.sub(r"\s+", " ", text.replace("\ufeff", "")).strip(" *").lower()
