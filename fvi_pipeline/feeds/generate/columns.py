"""The columns that a feed's rows have in landing and in bronze, with their PostgreSQL types and words about them.

How these are spelt in SQL, YAML or Markdown belongs to the modules that write them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from fvi_pipeline.feeds.description import Column, Feed, Kind
from fvi_pipeline.feeds.errors import FeedError

POSTGRES_TYPES = {
    Kind.TEXT: "text",
    Kind.INTEGER: "bigint",
    Kind.YEAR: "integer",
    Kind.NUMBER: "double precision",
    Kind.DATE: "date",
    Kind.MONTH: "date",
    Kind.MSHA_ID: "text",
}
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


@dataclass(frozen=True)
class TableColumn:
    """A column of a landing table or bronze model; `check` is an SQL condition on it."""

    name: str
    data_type: str
    description: str
    required: bool = False
    check: str | None = None


_FILE = TableColumn("file_id", "bigint", "The file in landing.files.", required=True)
_ROW = TableColumn(
    "row_number", "integer", "The row as a person sees it in the file, the header included.", required=True
)
_OTHER = TableColumn(
    "other_values", "jsonb", "Values of columns that the feed does not describe, by header; null when there are none."
)
_LEDGER = (
    TableColumn("part", "text", "The sheet, where a file has several; else empty."),
    TableColumn("publisher", "text", "Who published the file."),
    TableColumn("feed", "text", "The feed that took the file in."),
    TableColumn("file_name", "text", "The file's path in the landing folder."),
    TableColumn("sha256", "text", "Digest of the file's content."),
    TableColumn("ingested_at", "timestamp with time zone", "When the file was taken in."),
    TableColumn("simulated", "boolean", "Whether the simulator wrote the file."),
    TableColumn("restates_file_id", "bigint", "The earlier file whose facts this one states anew; null for the first."),
    TableColumn("known_at", "timestamp with time zone", "From when on the fact was known."),
    TableColumn("known_at_rule", "text", "In words, why that is when it was known."),
)


def described_columns(feed: Feed) -> tuple[Column, ...]:
    """The columns of all of a feed's parts, each once, in the order in which they are described.

    Raises:
        FeedError: a name cannot be a column's, is taken, or two parts describe it differently.
    """
    taken = {column.name for column in (_FILE, _ROW, _OTHER, *_LEDGER)} | {feed.part_column}
    found: dict[str, Column] = {}
    for column in (column for part in feed.parts for column in part.columns):
        if not _NAME.fullmatch(column.name) or column.name in taken:
            raise FeedError(f"Feed {feed.name} cannot have a column {column.name!r}. Give it another name.")
        known = found.setdefault(column.name, column)
        if (known.kind, known.required) != (column.kind, column.required):
            raise FeedError(f"Two parts of feed {feed.name} describe {column.name} differently. Make them agree.")
    return tuple(found.values())


def key_columns(feed: Feed) -> tuple[str, ...]:
    """What identifies a row of a landing table."""
    return ("file_id", *([feed.part_column] if feed.part_column else []), "row_number")


def landing_columns(feed: Feed) -> tuple[TableColumn, ...]:
    """The columns of the feed's landing table, in order."""
    part = (
        TableColumn(
            feed.part_column,
            "text",
            f"The part of the file: {' or '.join(sorted(part.name for part in feed.parts))}.",
            required=True,
            check=f"{feed.part_column} in ({', '.join(_quoted(name) for name in sorted(p.name for p in feed.parts))})",
        )
        if feed.part_column
        else None
    )
    values = tuple(
        TableColumn(
            column.name,
            POSTGRES_TYPES[column.kind],
            described(column),
            required=column.required,
            check=f"{column.name} ~ '^[0-9]{{7}}$'" if column.kind is Kind.MSHA_ID else None,
        )
        for column in described_columns(feed)
    )
    return (_FILE, *([part] if part else []), _ROW, *values, _OTHER)


def bronze_columns(feed: Feed) -> tuple[TableColumn, ...]:
    """The columns of the feed's bronze model: the landing table's, then what the ledger says of the file."""
    return (*landing_columns(feed), *_LEDGER)


def described(column: Column) -> str:
    """A sentence about a described column, with its unit if it has one."""
    text = column.description or f"What the file says under “{column.headers[0]}”."
    sentence = text if text.endswith((".", "?", ")")) else f"{text}."
    return f"{sentence} Unit: {column.unit}." if column.unit and column.unit not in text else sentence


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
