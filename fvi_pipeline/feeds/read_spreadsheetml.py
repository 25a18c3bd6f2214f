"""SpreadsheetML (the XML of Excel 2003, often named .xls) into rows of text, as a stream. Workbooks in Excel's own
forms are read by `read_workbook`.

The file is decoded here and not by the XML parser, since some say another encoding than they are in. A document type
definition is refused: no publisher has one, and entities are how XML is made to explode.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO
from xml.parsers import expat

from fvi_pipeline.feeds.description import Part
from fvi_pipeline.feeds.errors import UnreadableFileError
from fvi_pipeline.feeds.sheet_rows import LONGEST_NOTE, SheetPart
from fvi_pipeline.feeds.tables import HEADER_SEARCH_ROWS, TextFile, TextTable, header_index, no_header_error

_NAMESPACE = "urn:schemas-microsoft-com:office:spreadsheet"
_CHILDREN = {"Table": ("Column", "Row"), "Row": ("Cell",)}
_LAST_ROW, _LAST_COLUMN = 1_048_576, 16_384
_CHUNK = 1 << 16
_ENCODING = re.compile(rb"""<\?xml[^>]*encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_DAMAGE = "\ue000"
"""Stands for a forbidden character on its way through the parser: one bad byte costs its row and not the file."""
_SINGLE_BYTE = frozenset({"iso-8859-1", "latin-1", "latin1", "windows-1252", "cp1252", "us-ascii", "ascii"})


def read_spreadsheetml(file: BinaryIO, parts: Sequence[Part]) -> TextFile:
    """The sheets that are parts of the feed; what stands in other sheets and above headers becomes `texts`.

    Raises:
        UnreadableFileError: (also while the tables are gone through) no well-formed SpreadsheetML, a document type
            definition, an end before the end, or no sheet with a known header.
    """
    texts: list[str] = []
    return TextFile(_tables(file, parts, texts), texts)


def _tables(file: BinaryIO, parts: Sequence[Part], texts: list[str]) -> Iterator[TextTable]:
    candidates: list[list[str]] = []
    found: set[str] = set()
    sheet: SheetPart | None = None
    leading: list[tuple[int, list[str]]] = []
    current = -1
    for sheet_number, row_number, cells in _rows(file):
        if sheet_number != current:
            if sheet is not None:
                yield from sheet.last_batch()
            sheet, leading, current = None, [], sheet_number
        if sheet is not None:
            yield from sheet.take(row_number, cells)
            continue
        if len(leading) == HEADER_SEARCH_ROWS:
            continue  # a sheet without the header of a part
        leading.append((row_number, cells))
        candidates.append(cells)
        part = next((part for part in parts if header_index([cells], part) is not None), None)
        if part is None:
            texts.extend(text for text in cells if 0 < len(text) <= LONGEST_NOTE)
            continue
        sheet = SheetPart.with_header(part, cells, found)
    if sheet is not None:
        yield from sheet.last_batch()
    if not found:
        raise no_header_error(candidates, parts)


def _rows(file: BinaryIO) -> Iterator[tuple[int, int, list[str]]]:
    """Sheet number, row number and cells of every row of the file that has cells."""
    collector = _Collector()
    parser = expat.ParserCreate(encoding="utf-8", namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse_document_type
    parser.StartElementHandler = collector.start
    parser.EndElementHandler = collector.end
    parser.CharacterDataHandler = collector.text
    try:
        for chunk in _decoded(file):
            parser.Parse(chunk.encode("utf-8"), False)
            yield from collector.rows
            collector.rows.clear()
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise UnreadableFileError(
            f"The file is not well-formed SpreadsheetML ({error}); it is damaged or cut off. Fetch it again."
        ) from error
    yield from collector.rows
    if not collector.is_workbook:
        raise UnreadableFileError("The file is XML but no SpreadsheetML workbook.")


def _refuse_document_type(*_declaration: object) -> None:
    raise UnreadableFileError("The file has a document type definition, which no spreadsheet has; it was not read.")


@dataclass
class _Collector:
    """Takes the parser's events and gathers rows."""

    rows: list[tuple[int, int, list[str]]] = field(default_factory=list)
    is_workbook: bool = False
    _path: list[str] = field(default_factory=list)
    _sheet: int = 0
    _row_number: int = 0
    _cells: list[str] = field(default_factory=list)
    _merged: int = 0
    _type: str = ""
    _pieces: list[str] | None = None

    def start(self, name: str, attributes: dict[str, str]) -> None:
        local = name.removeprefix(f"{_NAMESPACE} ")
        parent = self._path[-1] if self._path else ""
        self._path.append(local)
        if local not in _CHILDREN.get(parent, (local,)):
            # its rows would be lost without a word
            raise UnreadableFileError(f"The file has an element '{local}' in a {parent}, where it cannot be.")
        if not parent:
            self.is_workbook = local == "Workbook"
        elif local == "Worksheet":
            self._sheet, self._row_number = self._sheet + 1, 0
        elif local == "Row" and parent == "Table":
            self._row_number = _place(attributes, self._row_number + 1, _LAST_ROW, "row")
            self._cells, self._merged = [], 0
        elif local == "Cell" and parent == "Row":
            column = _place(attributes, len(self._cells) + self._merged + 1, _LAST_COLUMN, "column")
            self._cells.extend([""] * (column - 1 - len(self._cells)))
            self._cells.append("")
            self._merged = _whole(attributes.get(f"{_NAMESPACE} MergeAcross", "0"))
        elif local == "Data" and self._path[-3:] == ["Row", "Cell", "Data"]:
            self._type, self._pieces = attributes.get(f"{_NAMESPACE} Type", "String"), []

    def text(self, text: str) -> None:
        if self._pieces is not None:
            self._pieces.append(text)

    def end(self, name: str) -> None:
        local = self._path.pop()
        parent = self._path[-1] if self._path else ""
        if local == "Data" and parent == "Cell" and self._pieces is not None:
            self._cells[-1] = _text("".join(self._pieces).replace(_DAMAGE, "\x00"), self._type)
            self._pieces = None
        elif local == "Row" and parent == "Table":
            self.rows.append((self._sheet, self._row_number, self._cells))


def _place(attributes: dict[str, str], following: int, last: int, what: str) -> int:
    """The place of a row or cell: as its index says, or the next one."""
    given = attributes.get(f"{_NAMESPACE} Index")
    place = following if given is None else _whole(given)
    if not following <= place <= last:
        raise UnreadableFileError(f"The file has a {what} at {given or place}, which cannot be; it is damaged.")
    return place


def _whole(text: str) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else -1


def _text(text: str, kind: str) -> str:
    """A cell's value as the other forms of the same table have it."""
    if kind == "Boolean":
        return {"1": "TRUE", "0": "FALSE"}.get(text.strip(), text)
    if kind == "DateTime":
        # midnight is how a day without a time is written
        return re.sub(r"T00:00:00(\.0+)?$", "", text.strip())
    if kind == "Number":
        return re.sub(r"\.0+$", "", text.strip())
    return text


def _decoded(file: BinaryIO) -> Iterator[str]:
    """The file's text, with `_DAMAGE` where it has a character that XML cannot carry."""
    head = file.read(_CHUNK)
    decoder = _decoder(head)
    while head:
        yield _FORBIDDEN.sub(_DAMAGE, decoder.decode(head))
        head = file.read(_CHUNK)
    yield _FORBIDDEN.sub(_DAMAGE, decoder.decode(b"", final=True))


def _decoder(head: bytes) -> codecs.IncrementalDecoder:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return codecs.getincrementaldecoder("utf-16")(errors="replace")
    declared = _ENCODING.search(head[:200])
    # who writes ISO 8859-1 mostly means Windows-1252, whose further signs stand where the other has control characters
    if declared is not None and declared.group(1).decode("ascii").lower() in _SINGLE_BYTE:
        return codecs.getincrementaldecoder("cp1252")(errors="replace")
    codecs.register_error("windows-1252", _as_windows_1252)
    return codecs.getincrementaldecoder("utf-8-sig")(errors="windows-1252")


def _as_windows_1252(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("cp1252", errors="replace"), error.end
