"""What a feed description is made of. The descriptions themselves are in `catalogue`; nothing is read
or parsed here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatch
from pathlib import PurePosixPath

import polars as pl


class Kind(StrEnum):
    """The type of a landing column, and how its text is read."""

    TEXT = "text"
    INTEGER = "integer"
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


@dataclass(frozen=True)
class Column:
    """A landing column: where it stands in the file, and which values are possible.

    `headers` are the names it has had, normalised by `normalised_header`; the first one present counts. A
    row whose `required` value is missing or unreadable goes to quarantine; another column's value is
    dropped and recorded. `minimum` and `maximum` are inclusive and in the column's unit. `printed_unit` is
    what must stand below the header.
    """

    name: str
    kind: Kind
    headers: tuple[str, ...]
    required: bool = False
    minimum: float | None = None
    maximum: float | None = None
    printed_unit: str | None = None


@dataclass(frozen=True)
class Part:
    """A table within a file (a sheet, or the whole file), found by the headers that it must have.

    `marks` are normalised headers; the first row that holds all of them is the header row.
    """

    name: str
    marks: frozenset[str]
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Release:
    """What a file covers (`period`: a year, a release) and when its publisher made that public, if it
    can be told.
    """

    period: str | None
    known_at: datetime | None


@dataclass(frozen=True)
class ReleaseContext:
    """What a release rule may look at: the file's name, text beside the tables, and the loaded rows of
    each part.
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


@dataclass(frozen=True)
class Feed:
    """One dataset of one publisher: where its files lie, what they look like, and where they go.

    `single_year_column` names the column that must hold the same year in every row of a file. `part_column`
    names the landing column that takes the part's name. `null_tokens` (lower case) mean nothing in any
    column, `unstated_tokens` in columns that are not text. `loose_numbers` also reads spaced thousands and
    decimal commas.
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
