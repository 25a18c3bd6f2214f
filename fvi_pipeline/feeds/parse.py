"""One file's bytes into typed rows, quarantined rows and rejected values. No database and no folder is
touched here.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from fvi_pipeline.feeds.convert import RejectedValue, TypedPart, typed
from fvi_pipeline.feeds.description import Feed, Form, Release, ReleaseContext
from fvi_pipeline.feeds.errors import UnreadableFileError
from fvi_pipeline.feeds.read_csv import read_csv
from fvi_pipeline.feeds.read_geojson import read_geojson
from fvi_pipeline.feeds.read_workbook import read_workbook
from fvi_pipeline.feeds.tables import QuarantinedRow, TextFile

_ZIP = b"PK\x03\x04"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


@dataclass(frozen=True)
class ParsedFile:
    """A file as its feed describes it. `rows_read` always equals the frame's height plus the
    quarantined rows.
    """

    rows_read: int
    frame: pl.DataFrame
    quarantined: list[QuarantinedRow]
    rejected_values: list[RejectedValue]
    release: Release
    problem: str | None = None
    """Why nothing can be loaded although rows were read; None for a file that is loaded."""


def parse(feed: Feed, name: str, content: bytes) -> ParsedFile:
    """Read one file; `name` is its path relative to the landing folder.

    The frame has row_number, the part column if the feed has one, and the landing columns, typed.

    Raises:
        UnreadableFileError: nothing in the file can be attributed to rows (empty, foreign, damaged).
    """
    if not content:
        raise UnreadableFileError("The file is empty (0 bytes). Fetch it again.")
    text = _read(feed, content)
    rows_read = sum(table.row_count for table in text.tables)
    if rows_read == 0:
        raise UnreadableFileError("The file has a header but no rows.")
    parts = [typed(table, feed) for table in text.tables]
    quarantined = [row for part in parts for row in part.quarantined]
    rejected = [value for part in parts for value in part.rejected_values]
    frame = pl.concat([_with_part(part, feed) for part in parts])
    if frame.height == 0:
        reason = f"None of the {rows_read:,} rows can be read, the first because: {quarantined[0].reason}."
        return ParsedFile(rows_read, frame, quarantined, [], Release(None, None), reason)
    release = feed.release(ReleaseContext(name, text.texts, {part.part: part.frame for part in parts}))
    return ParsedFile(rows_read, frame, quarantined, rejected, release)


def _with_part(part: TypedPart, feed: Feed) -> pl.DataFrame:
    if feed.part_column is None:
        return part.frame
    return part.frame.with_columns(pl.lit(part.part).alias(feed.part_column))


def _read(feed: Feed, content: bytes) -> TextFile:
    form = _form(content)
    if form is None or form not in feed.form:
        expected = " or ".join(sorted(form.value for form in feed.form))
        raise UnreadableFileError(f"The file is not {expected}: it looks like {_looks_like(form, content)}.")
    reader = {Form.CSV: read_csv, Form.WORKBOOK: read_workbook, Form.GEOJSON: read_geojson}[form]
    return reader(content, feed.parts)


def _form(content: bytes) -> Form | None:
    if content.startswith((_ZIP, _OLE)):
        return Form.WORKBOOK
    start = content[:64].removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith((b"{", b"[")):
        return Form.GEOJSON
    if start.startswith(b"<") or b"\x00" in content[:64]:
        return None
    return Form.CSV


def _looks_like(form: Form | None, content: bytes) -> str:
    if form is not None:
        return {Form.CSV: "plain text", Form.GEOJSON: "JSON"}.get(form, form.value)
    head = content[:1024].lower()
    if b"<html" in head or b"<!doctype html" in head:
        return "a web page; the publisher may have moved the file"
    if b"urn:schemas-microsoft-com:office:spreadsheet" in head:
        return "SpreadsheetML (XML); save it as .xlsx or CSV"
    return "XML" if content.lstrip().startswith(b"<") else "binary data of another kind"
