"""Excel workbooks (.xlsx, and BIFF .xls) into rows of text, by calamine. SpreadsheetML is not read here."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from python_calamine import CalamineError, CalamineWorkbook

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
)

_LONGEST_NOTE = 2_000


def read_workbook(content: bytes, parts: Sequence[Part]) -> TextFile:
    """The sheets that are parts of the feed; what stands in other sheets and above headers becomes `texts`.

    Raises:
        UnreadableFileError: not a workbook, a damaged one, or none of its sheets has a known header.
    """
    tables: dict[str, TextTable] = {}
    texts: list[str] = []
    candidates: list[list[str]] = []
    for cells in _sheets(content):
        leading = [[_text(cell) for cell in row] for row in cells[:HEADER_SEARCH_ROWS]]
        candidates.extend(leading)
        for part in parts:
            index = header_index(leading, part)
            if part.name not in tables and index is not None:
                tables[part.name] = _table(cells, index, part)
                leading = leading[:index]
                break
        texts.extend(text for row in leading for text in row if 0 < len(text) <= _LONGEST_NOTE)
    if not tables:
        raise no_header_error(candidates, parts)
    # in the order of the description, whatever the order of the sheets
    ordered = tuple(tables[part.name] for part in parts if part.name in tables)
    return TextFile(ordered, tuple(texts))


def _sheets(content: bytes) -> list[list[list[Any]]]:
    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(content))
        sheets = (workbook.get_sheet_by_name(name) for name in workbook.sheet_names)
        return [sheet.to_python(skip_empty_area=False) for sheet in sheets]
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


def _table(cells: list[list[Any]], header_at: int, part: Part) -> TextTable:
    header = [_text(cell) for cell in cells[header_at]]
    first = header_at + 1
    units = None
    if any(column.printed_unit for column in part.columns) and first < len(cells):
        units = tuple(_text(cell).strip() for cell in cells[first])
        first += 1
    rows: list[list[str]] = []
    row_numbers: list[int] = []
    quarantined: list[QuarantinedRow] = []
    for index in range(first, len(cells)):
        row = [_text(cell) for cell in cells[index]]
        if not any(text.strip() for text in row):
            continue  # an empty row of a sheet is layout
        if any("\x00" in text for text in row):
            reason = "The row holds a NUL character: the file is damaged here."
            quarantined.append(QuarantinedRow(part.name, index + 1, reason, shortened(_raw(row))))
            continue
        rows.append(row)
        row_numbers.append(index + 1)
    normalised = tuple(normalised_header(cell) for cell in header)
    return TextTable(part, normalised, rows, row_numbers, lambda at: _raw(rows[at]), units, quarantined)


def _raw(row: list[str]) -> str:
    return "\t".join(row).rstrip("\t")
