"""Which form a file has, told from its content, and the reader for it. How each form is read belongs to its reader."""

from __future__ import annotations

from typing import BinaryIO

from fvi_pipeline.feeds.description import Feed, Form
from fvi_pipeline.feeds.errors import UnreadableFileError
from fvi_pipeline.feeds.tables import TextFile

_ZIP = b"PK\x03\x04"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_UTF_16_MARKS = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_SPREADSHEETML = b"urn:schemas-microsoft-com:office:spreadsheet"
_HEAD_BYTES = 4096


def read_tables(feed: Feed, file: BinaryIO) -> TextFile:
    """The tables of a file as text, by the reader for its form. `file` stands at its beginning and can be sought.

    Raises:
        UnreadableFileError: the file is empty, has none of the feed's forms, or cannot be read as its form.
    """
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    if not head:
        raise UnreadableFileError("The file is empty (0 bytes). Fetch it again.")
    form = _form(head, feed)
    if form is None or form not in feed.form:
        expected = " or ".join(sorted(form.value for form in feed.form))
        raise UnreadableFileError(f"The file is not {expected}: it looks like {_looks_like(form, head)}.")
    if form is Form.CSV:
        from fvi_pipeline.feeds.read_csv import read_csv

        return read_csv(file, feed.parts)
    if form is Form.WORKBOOK:
        from fvi_pipeline.feeds.read_workbook import read_workbook

        return read_workbook(file, feed.parts)
    if form is Form.SPREADSHEETML:
        from fvi_pipeline.feeds.read_spreadsheetml import read_spreadsheetml

        return read_spreadsheetml(file, feed.parts)
    if form is Form.GEOJSON:
        from fvi_pipeline.feeds.read_geojson import read_geojson

        return read_geojson(file, feed.parts)
    if form is Form.JSON and feed.records is not None:
        from fvi_pipeline.feeds.read_json import read_json

        return read_json(file, feed.parts, feed.records)
    raise UnreadableFileError(f"There is no reader for {form.value} yet.")


def _form(head: bytes, feed: Feed) -> Form | None:
    if head.startswith((_ZIP, _OLE)):
        return Form.WORKBOOK
    encoding = _UTF_16_MARKS.get(head[:2])
    if encoding is not None:
        head = head[2:].decode(encoding, errors="replace").encode()
    start = head[:64].removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith((b"{", b"[")):
        return Form.JSON if Form.JSON in feed.form else Form.GEOJSON
    if start.startswith(b"<"):
        return Form.SPREADSHEETML if _SPREADSHEETML in head else None
    return None if b"\x00" in head[:64] else Form.CSV


def _looks_like(form: Form | None, head: bytes) -> str:
    if form is not None:
        return {Form.CSV: "plain text", Form.GEOJSON: "JSON"}.get(form, form.value)
    lower = head.lower()
    if b"<html" in lower or b"<!doctype html" in lower:
        return "a web page; the publisher may have moved the file"
    return "XML" if head.lstrip().startswith(b"<") else "binary data of another kind"
