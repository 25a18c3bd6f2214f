"""A sheet's rows as batches of a text table, whichever form of workbook they come from. Reading a form is its reader's
work.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from fvi_pipeline.feeds.description import Part, normalised_header
from fvi_pipeline.feeds.errors import UnreadableFileError
from fvi_pipeline.feeds.tables import QuarantinedRow, TextTable, numbers_of_rows, shortened, text_cells

LONGEST_NOTE = 2_000
"""Longer texts beside the tables are no titles or notes, and no release rule looks at them."""
_BATCH_ROWS = 20_000


@dataclass
class SheetPart:
    """The rows below the header of one sheet, gathered into batches."""

    part: Part
    titles: tuple[str, ...]
    _units: tuple[str, ...] | None = None
    _unit_row_expected: bool = False
    _rows: list[list[str]] = field(default_factory=list)
    _row_numbers: list[int] = field(default_factory=list)
    _quarantined: list[QuarantinedRow] = field(default_factory=list)
    _batches: int = 0

    @classmethod
    def with_header(cls, part: Part, cells: list[str], found: set[str]) -> SheetPart:
        """The table below the header row `cells`; its part is added to the parts `found` so far.

        Raises:
            UnreadableFileError: an earlier sheet of the file already is this part.
        """
        if part.name in found:
            raise UnreadableFileError(
                f"Two sheets of the file look like the table '{part.name}'; rows may stand in both. Remove one of them."
            )
        found.add(part.name)
        width = max((at for at, text in enumerate(cells, start=1) if text.strip()), default=0)
        has_units = any(column.printed_unit for column in part.columns)
        return cls(part, tuple(cells[:width]), _unit_row_expected=has_units)

    def take(self, row_number: int, cells: list[str]) -> Iterator[TextTable]:
        """Add a row; yields a batch when there is one."""
        width = len(self.titles)
        if self._unit_row_expected:
            self._unit_row_expected = False
            self._units = tuple(text.strip() for text in _padded(cells, width))
            return
        if not any(text.strip() for text in cells):
            return  # an empty row of a sheet is layout
        reason = self._defect(cells)
        if reason is None:
            self._rows.append(_padded(cells, width))
            self._row_numbers.append(row_number)
        else:
            self._quarantined.append(QuarantinedRow(self.part.name, row_number, reason, shortened(_raw(cells))))
        if len(self._rows) + len(self._quarantined) == _BATCH_ROWS:
            yield self._batch()

    def last_batch(self) -> Iterator[TextTable]:
        """The rows that no batch holds yet; an empty batch if the sheet has no rows at all."""
        if self._rows or self._quarantined or self._batches == 0:
            yield self._batch()

    def _defect(self, cells: list[str]) -> str | None:
        if any("\x00" in text for text in cells):
            return "The row holds a NUL character: the file is damaged here."
        width = len(self.titles)
        beyond = next((at for at, text in enumerate(cells[width:], start=width + 1) if text.strip()), None)
        if beyond is not None:
            return f"The row has a value in column {beyond}; the last header is in column {width}."
        return None

    def _batch(self) -> TextTable:
        rows, row_numbers, quarantined = self._rows, self._row_numbers, self._quarantined
        self._rows, self._row_numbers, self._quarantined = [], [], []
        self._batches += 1
        return TextTable(
            self.part,
            tuple(normalised_header(title) for title in self.titles),
            self.titles,
            text_cells(rows, len(self.titles)),
            numbers_of_rows(row_numbers),
            lambda at: _raw(rows[at]),
            self._units,
            quarantined,
        )


def _padded(cells: list[str], width: int) -> list[str]:
    return [*cells[:width], *([""] * (width - len(cells)))]


def _raw(cells: list[str]) -> str:
    return "\t".join(cells).rstrip("\t")
