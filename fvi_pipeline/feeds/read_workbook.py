"""Excel workbooks (.xlsx, and BIFF .xls) into rows of text, by calamine. Not XML: that is `read_spreadsheetml`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from itertools import islice
from typing import Any, BinaryIO

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook

from fvi_pipeline.feeds.description import Part
from fvi_pipeline.feeds.errors import UnreadableFileError
from fvi_pipeline.feeds.sheet_rows import LONGEST_NOTE, SheetPart
from fvi_pipeline.feeds.tables import HEADER_SEARCH_ROWS, TextFile, TextTable, header_index, no_header_error


def read_workbook(file: BinaryIO, parts: Sequence[Part]) -> TextFile:
    """The sheets that are parts of the feed; what stands in other sheets and above headers becomes `texts`.

    Raises:
        UnreadableFileError: not a workbook, a damaged one, two sheets that are the same part, or none of its sheets
            has a known header.
    """
    batches: dict[str, Iterator[TextTable]] = {}
    found: set[str] = set()
    texts: list[str] = []
    candidates: list[list[str]] = []
    for sheet in _sheets(file):
        leading = list(islice(_rows(sheet), HEADER_SEARCH_ROWS))
        candidates.extend(leading)
        for part in parts:
            index = header_index(leading, part)
            if index is not None:
                rows_below = SheetPart.with_header(part, leading[index], found)
                batches[part.name] = _batches(sheet, rows_below, index + 1)
                leading = leading[:index]
                break
        texts.extend(text for row in leading for text in row if 0 < len(text) <= LONGEST_NOTE)
    if not batches:
        raise no_header_error(candidates, parts)
    # in the order of the description, whatever the order of the sheets
    tables = (table for part in parts for table in batches.get(part.name, ()))
    return TextFile(tables, tuple(texts))


def _sheets(file: BinaryIO) -> list[CalamineSheet]:
    with _damage_reported():
        workbook = CalamineWorkbook.from_filelike(file)
        return [workbook.get_sheet_by_name(name) for name in workbook.sheet_names]


def _rows(sheet: CalamineSheet) -> Iterator[list[str]]:
    """The sheet's rows from its first one on. Only one at a time is held as Python objects: a large sheet has millions
    of cells.
    """
    # calamine leaves out empty columns at the left, and keeps empty rows at the top
    left = [""] * (sheet.start[1] if sheet.start else 0)
    with _damage_reported():
        for row in sheet.iter_rows():
            yield [*left, *(_text(cell) for cell in row)]


def _batches(sheet: CalamineSheet, rows_below: SheetPart, first: int) -> Iterator[TextTable]:
    for number, cells in enumerate(islice(_rows(sheet), first, None), start=first + 1):
        yield from rows_below.take(number, cells)
    yield from rows_below.last_batch()


@contextmanager
def _damage_reported() -> Iterator[None]:
    try:
        yield
    except (CalamineError, OSError, ValueError) as error:
        raise UnreadableFileError(f"The file is not a readable Excel workbook ({error}).") from error
    except BaseException as error:
        # a damaged workbook can make the Rust reader panic, which arrives outside of Exception
        if type(error).__name__ != "PanicException":
            raise
        raise UnreadableFileError("The file is not a readable Excel workbook (it is damaged).") from error


def _text(cell: Any) -> str:
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() else repr(cell)
    if isinstance(cell, datetime | date):
        return cell.isoformat()
    return "" if cell is None else str(cell)
