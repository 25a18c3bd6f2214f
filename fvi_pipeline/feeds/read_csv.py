"""Comma-separated text into rows, one bad line costing one row. What the fields mean belongs to `convert`.

Lines are decoded and split one by one: a line that is not UTF-8 is read as Windows-1252, and a quote that
nobody closed spoils its own line instead of swallowing the rest of the file.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass

from fvi_pipeline.feeds.description import Part, normalised_header
from fvi_pipeline.feeds.tables import (
    HEADER_SEARCH_ROWS,
    QuarantinedRow,
    TextFile,
    TextTable,
    header_index,
    no_header_error,
    shortened,
)

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MAXIMUM_LINES_OF_A_ROW = 5


def read_csv(content: bytes, parts: Sequence[Part]) -> TextFile:
    """The table of a CSV file; titles above the header become `texts`.

    Raises:
        UnreadableFileError: no header row is found.
    """
    lines = _lines(content)
    leading = [_fields(line) or [] for line in lines[:HEADER_SEARCH_ROWS]]
    for part in parts:
        index = header_index(leading, part)
        if index is not None:
            return TextFile((_table(lines, index, leading[index], part),), tuple(lines[:index]))
    raise no_header_error(leading, parts)


def _lines(content: bytes) -> list[str]:
    body = content.removeprefix(_BYTE_ORDER_MARK)
    lines = body.split(b"\n")
    if lines and not lines[-1]:
        lines.pop()
    return [_decoded(line.removesuffix(b"\r")) for line in lines]


def _decoded(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("cp1252", errors="replace")


def _fields(text: str) -> list[str] | None:
    """The fields of one row; None when its quotes do not match."""
    if '"' not in text:
        return text.split(",")
    try:
        # strict: a quote that is never closed is an error and not a field that runs to the end
        return next(csv.reader(text.splitlines(keepends=True) if "\n" in text else [text], strict=True))
    except (csv.Error, StopIteration):
        return None


@dataclass(frozen=True)
class _Record:
    """A row with its raw text and the number of lines it took; `fields` is None when it cannot be split."""

    fields: list[str] | None
    raw: str
    lines: int


def _table(lines: list[str], header_at: int, header: list[str], part: Part) -> TextTable:
    rows: list[list[str]] = []
    row_numbers: list[int] = []
    raws: list[str] = []
    quarantined: list[QuarantinedRow] = []
    at, row_number = header_at + 1, header_at + 1
    while at < len(lines):
        record = _record(lines, at, len(header))
        at += record.lines
        row_number += 1
        if not record.raw.strip(", \t\r"):
            continue  # a line without any value is no row
        reason = _defect(record, len(header))
        if reason is None and record.fields is not None:
            rows.append(record.fields)
            row_numbers.append(row_number)
            raws.append(record.raw)
        else:
            quarantined.append(QuarantinedRow(part.name, row_number, reason or "", shortened(record.raw)))
    normalised = tuple(normalised_header(cell) for cell in header)
    return TextTable(part, normalised, rows, row_numbers, raws.__getitem__, quarantined=quarantined)


def _record(lines: list[str], at: int, width: int) -> _Record:
    fields = _fields(lines[at])
    if fields is not None:
        return _Record(fields, lines[at], 1)
    # A quoted field may hold a line feed. Lines are only joined when that makes a row of the right width.
    for count in range(2, _MAXIMUM_LINES_OF_A_ROW + 1):
        if at + count > len(lines):
            break
        joined = "\n".join(lines[at : at + count])
        fields = _fields(joined)
        if fields is not None and len(fields) == width:
            return _Record(fields, joined, count)
    return _Record(None, lines[at], 1)


def _defect(record: _Record, width: int) -> str | None:
    if "\x00" in record.raw:
        return "The row holds a NUL character: the file is damaged here."
    if record.fields is None:
        return "The row's quotation marks do not match: a quoted field is not closed."
    if len(record.fields) != width:
        return f"The row has {len(record.fields)} fields; the header has {width}."
    return None
