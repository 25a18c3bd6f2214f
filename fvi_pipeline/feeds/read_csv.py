"""Delimited text into tables of text, block by block, one bad line costing one row. What fields mean is `convert`'s.

A line that is not UTF-8 is read as Windows-1252, and a quote that nobody closed spoils its own line instead of
swallowing the rest of the file. A block without any oddity is split by polars at once; of another one, polars gets the
lines that fit the format's strict grammar, and the others are split one by one. Which way a line takes and where a
block ends never changes what comes out.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import BinaryIO

import numpy as np
import polars as pl

from fvi_pipeline.feeds.description import Part, normalised_header
from fvi_pipeline.feeds.errors import UnreadableFileError
from fvi_pipeline.feeds.tables import (
    HEADER_SEARCH_ROWS,
    QuarantinedRow,
    TextFile,
    TextTable,
    header_index,
    no_header_error,
    shortened,
    text_cells,
)

BLOCK_BYTES = 8 * 2**20
_DELIMITERS = (",", ";", "\t")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_MAXIMUM_LINES_OF_A_ROW = 5
_LONGEST_LINE_BYTES = 64 * 2**20


def read_csv(file: BinaryIO, parts: Sequence[Part]) -> TextFile:
    """The table of a CSV file, in batches of about `BLOCK_BYTES`; titles above the header become `texts`.

    The delimiter (comma, semicolon or tab) is the one that makes a known header.

    Raises:
        UnreadableFileError: no header row is found, or (while the tables are read) a line has no end.
    """
    blocks = _blocks(file, BLOCK_BYTES)
    leading = b""
    while (below := _after_lines(leading, HEADER_SEARCH_ROWS)) is None and (block := next(blocks, None)) is not None:
        leading += block
    first_lines = _Lines(leading[:below]).series
    header = _header(first_lines.to_list(), parts)
    titles_above = tuple(first_lines.head(header.first_line))
    below = _after_lines(leading, header.first_line + header.lines)
    rest = _Lines(b"" if below is None else leading[below:])
    return TextFile(_tables(rest, blocks, header), titles_above)


def _after_lines(text: bytes, count: int) -> int | None:
    """Where the text goes on after so many lines; None if it has no more."""
    return next(islice((found.end() for found in re.finditer(b"\n", text)), count - 1, None), None)


def _blocks(file: BinaryIO, size: int) -> Iterator[bytes]:
    """The file as UTF-8 (where it says what it is) in pieces that end where a line ends."""
    kept = b""
    for piece in _pieces(file, size):
        end = piece.rfind(b"\n") + 1
        if end == 0 and len(kept) + len(piece) > _LONGEST_LINE_BYTES:
            raise UnreadableFileError(f"A line is longer than {_LONGEST_LINE_BYTES:,} bytes: the file is no table.")
        if end:
            yield b"".join((kept, memoryview(piece)[:end]))
            kept = piece[end:]
        else:
            kept += piece
    if kept:
        yield kept


def _pieces(file: BinaryIO, size: int) -> Iterator[bytes]:
    first = file.read(size)
    if not first.startswith(_UTF_16_MARKS):
        yield first.removeprefix(_BYTE_ORDER_MARK)
        while piece := file.read(size):
            yield piece
        return
    decoder = codecs.getincrementaldecoder("utf-16")(errors="replace")
    piece = first
    while piece:
        yield decoder.decode(piece).encode()
        piece = file.read(size)
    yield decoder.decode(b"", final=True).encode()


class _Lines:
    """The lines of a piece of the file, parted only when somebody asks for them; `text` is None where those lines are
    not the piece as it was read.
    """

    def __init__(self, text: bytes | None, lines: pl.Series | None = None) -> None:
        self.text = text
        self._lines = lines

    @cached_property
    def series(self) -> pl.Series:
        """A text for each line, without its end."""
        if self._lines is not None:
            return self._lines
        if not self.text:
            return pl.Series("line", [], dtype=pl.String)
        try:
            self.text.decode()
        except UnicodeDecodeError:
            lines = self.text.removesuffix(b"\n").split(b"\n")
            self.text = None  # polars reads UTF-8 only
            decoded = [_decoded(line.removesuffix(b"\r")) for line in lines]
            return pl.Series("line", decoded, dtype=pl.String)
        return pl.read_lines(self.text)["line"]

    def followed_by(self, others: _Lines) -> _Lines:
        return others if self.series.is_empty() else _Lines(None, self.series.append(others.series))


def _decoded(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("cp1252", errors="replace")


def _fields(text: str, delimiter: str) -> list[str] | None:
    """The fields of one row; None when its quotes do not match."""
    if '"' not in text:
        return text.split(delimiter)
    try:
        # strict: a quote that is never closed is an error and not a field that runs to the end
        lines = text.splitlines(keepends=True) if "\n" in text else [text]
        return next(csv.reader(lines, delimiter=delimiter, strict=True))
    except (csv.Error, StopIteration):
        return None


@dataclass(frozen=True)
class _Header:
    """The header row, the lines above it and those that it takes, and the part that it marks."""

    part: Part
    titles: tuple[str, ...]
    delimiter: str
    first_line: int
    lines: int

    @property
    def width(self) -> int:
        return len(self.titles)


def _header(leading: list[str], parts: Sequence[Part]) -> _Header:
    candidates: list[list[str]] = []
    for delimiter in _DELIMITERS:
        rows = [_leading_row(leading, at, delimiter) for at in range(len(leading))]
        cells = [fields for fields, _ in rows]
        for part in parts:
            at = header_index(cells, part)
            if at is not None:
                return _Header(part, tuple(cells[at]), delimiter, at, rows[at][1])
        candidates.extend(cells)
    raise no_header_error(candidates, parts)


def _leading_row(lines: list[str], at: int, delimiter: str) -> tuple[list[str], int]:
    """The fields of a row that may be the header, and its lines: a header's quoted cells may hold line feeds."""
    for end in range(at + 1, len(lines) + 1):
        fields = _fields("\n".join(lines[at:end]), delimiter)
        if fields is not None:
            return fields, end - at
    return [], 1


def _tables(lines: _Lines, blocks: Iterator[bytes], header: _Header) -> Iterator[TextTable]:
    splitter = _Splitter(header)
    for block in blocks:
        table, left = splitter.split(lines, final=False)
        if table.row_count:
            yield table
        lines = left.followed_by(_Lines(block))
    table, _ = splitter.split(lines, final=True)
    yield table


@dataclass(frozen=True)
class _Record:
    """A row with its raw text and the number of lines it took; `fields` is None when it cannot be split."""

    fields: list[str] | None
    raw: str
    lines: int


class _Splitter:
    """Splits one block of lines after the other; it remembers the number of the last row."""

    def __init__(self, header: _Header) -> None:
        self._header = header
        self._normalised = tuple(normalised_header(title) for title in header.titles)
        self._next_row = header.first_line + 2
        self._blank = f"{header.delimiter}, \t\r"
        sign = re.escape(header.delimiter)
        # what every reader of CSV splits alike; a carriage return, a NUL and a mark are looked at one by one
        field = rf'(?:[^"{sign}\r\n\x00\x{{feff}}]*|"(?:[^"\r\x00\x{{feff}}]|"")*")'
        self._strict = f"^{field}(?:{sign}{field}){{{header.width - 1}}}$"
        # the same with no space at either end of a field; there, what is not ASCII counts as one
        edge, quoted_edge = rf'[\x21-\x7e--"{sign}]', r'(?:[\x21-\x7e--"]|"")'
        inside, quoted_inside = rf'[^"{sign}\r\n\x00\x{{feff}}]*', r'(?:[^"\r\n\x00\x{feff}]|"")*'
        plain = f"(?:{edge}(?:{inside}{edge})?)?"
        tidy = f'(?:{plain}|"(?:{quoted_edge}(?:{quoted_inside}{quoted_edge})?)?")'
        self._tidy = rf"^(?:{tidy}(?:{sign}{tidy}){{{header.width - 1}}}(?:\r?\n|$))*$"

    def split(self, block: _Lines, *, final: bool) -> tuple[TextTable, _Lines]:
        """The rows of these lines, and the lines at their end that only the next block can complete."""
        cells = self._tidy_cells(block.text) if block.text else None
        if cells is not None:
            numbers = pl.int_range(self._next_row, self._next_row + cells.height, eager=True).alias("row_number")
            self._next_row += cells.height
            return self._table(cells, numbers, lambda at: str(block.series[at]), is_stripped=True), _Lines(b"")
        lines = block.series
        fits = lines.str.contains(self._strict)
        records, end = self._careful_records(lines, (~fits).arg_true().to_list(), final=final)
        numbers, swallowed = self._row_numbers(records, end)
        fits = fits.head(end) & ~lines.head(end).str.contains(f"^[{self._blank}]*$") & ~swallowed
        if block.text and len(fits) == len(lines) and fits.all():
            rows = self._split_by_polars(block.text).with_columns(numbers, lines.alias("raw"))
        else:
            chosen = lines.head(end).filter(fits)
            text = "\n".join(chosen.to_list()).encode()
            rows = self._split_by_polars(text).with_columns(numbers.filter(fits), chosen.alias("raw"))
        quarantined: list[QuarantinedRow] = []
        by_hand: list[tuple[list[str], int, str]] = []
        for at, record in records:
            reason = self._defect(record)
            if not record.raw.strip(self._blank):
                continue  # a line without any value is no row
            if record.fields is not None and reason is None:
                by_hand.append((record.fields, numbers[at], record.raw))
            else:
                quarantined.append(
                    QuarantinedRow(self._header.part.name, numbers[at], reason or "", shortened(record.raw))
                )
        if by_hand:
            cells = text_cells([fields for fields, _, _ in by_hand], self._header.width)
            added = cells.with_columns(
                pl.Series("row_number", [number for _, number, _ in by_hand], dtype=pl.Int64),
                pl.Series("raw", [raw for _, _, raw in by_hand], dtype=pl.String),
            )
            rows = pl.concat([rows, added]).sort("row_number")
        cells = rows.drop("row_number", "raw")
        table = self._table(cells, rows["row_number"], rows["raw"].__getitem__, quarantined=quarantined)
        return table, _Lines(None, lines.slice(end))

    def _table(
        self,
        cells: pl.DataFrame,
        row_numbers: pl.Series,
        raw: Callable[[int], str],
        *,
        quarantined: Sequence[QuarantinedRow] = (),
        is_stripped: bool = False,
    ) -> TextTable:
        header = self._header
        return TextTable(
            header.part, self._normalised, header.titles, cells, row_numbers, raw,
            quarantined=list(quarantined), is_stripped=is_stripped,
        )  # fmt: skip

    def _tidy_cells(self, text: bytes) -> pl.DataFrame | None:
        """The cells of a block in which every line is a row that all readers split alike, without spaces around any
        field; None for another block.
        """
        if self._header.width == 1:
            return None  # an empty line would look like a row
        try:
            decoded = pl.Series([text.decode()])
        except UnicodeDecodeError:
            return None
        if not decoded.str.contains(self._tidy).item():
            return None
        cells = self._split_by_polars(text)
        says_nothing = pl.all().str.strip_chars(self._blank) == ""
        without_first = cells.filter(pl.col("0").str.strip_chars(self._blank) == "")
        if without_first.select(pl.all_horizontal(says_nothing).any()).item():
            return None
        return cells

    def _careful_records(
        self, lines: pl.Series, positions: list[int], *, final: bool
    ) -> tuple[list[tuple[int, _Record]], int]:
        """The records that begin at these lines, and how many lines of the block are settled."""
        records: list[tuple[int, _Record]] = []
        free = 0
        for at in positions:
            if at < free:
                continue  # the line is the inside of a record that began before
            record = self._record(lines.slice(at, _MAXIMUM_LINES_OF_A_ROW).to_list())
            open_at_the_end = record.fields is None or record.lines > 1
            if open_at_the_end and not final and at + _MAXIMUM_LINES_OF_A_ROW > len(lines):
                return records, at
            records.append((at, record))
            free = at + record.lines
        return records, len(lines)

    def _record(self, lines: list[str]) -> _Record:
        fields = _fields(lines[0], self._header.delimiter)
        if fields is not None:
            return _Record(fields, lines[0], 1)
        # A quoted field may hold a line feed. Lines are only joined when that makes a row of the right width.
        for count in range(2, len(lines) + 1):
            joined = "\n".join(lines[:count])
            fields = _fields(joined, self._header.delimiter)
            if fields is not None and len(fields) == self._header.width:
                return _Record(fields, joined, count)
        return _Record(None, lines[0], 1)

    def _row_numbers(self, records: list[tuple[int, _Record]], end: int) -> tuple[pl.Series, pl.Series]:
        """For each settled line the number of its row, and whether it only continues one."""
        continues = np.zeros(end, dtype=bool)
        for at, record in records:
            continues[at + 1 : at + record.lines] = True
        numbers = self._next_row + np.arange(end) - np.cumsum(continues)
        self._next_row += end - int(continues.sum())
        return pl.Series("row_number", numbers, dtype=pl.Int64), pl.Series("continues", continues)

    def _split_by_polars(self, text: bytes) -> pl.DataFrame:
        schema = {str(at): pl.String for at in range(self._header.width)}
        if not text:
            return pl.DataFrame(schema=schema)
        cells = pl.read_csv(
            text, has_header=False, separator=self._header.delimiter, schema=schema, empty_string_is_null=False
        )
        # in one piece: some expressions (pl.format in polars 2.1) fail on columns in several
        return cells.rechunk()

    def _defect(self, record: _Record) -> str | None:
        if "\x00" in record.raw:
            return "The row holds a NUL character: the file is damaged here."
        if record.fields is None:
            return "The row's quotation marks do not match: a quoted field is not closed."
        if len(record.fields) != self._header.width:
            return f"The row has {len(record.fields)} fields; the header has {self._header.width}."
        return None
