"""The tables that readers take out of a file, still as text. Types and ranges belong to `convert`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import polars as pl

from fvi_pipeline.feeds.description import Column, Part, normalised_header
from fvi_pipeline.feeds.errors import UnreadableFileError

HEADER_SEARCH_ROWS = 20
_MAXIMUM_RAW_CHARACTERS = 20_000


@dataclass(frozen=True)
class QuarantinedRow:
    """A row that cannot be loaded. `row_number` as a spreadsheet shows it; `raw` is the row as it stood
    in the file.
    """

    part: str
    row_number: int
    reason: str
    raw: str


@dataclass(frozen=True)
class TextTable:
    """A batch of the rows of one part; a part may come in several batches, each with the same header.

    `cells` has a String column for each header position, named "0", "1" …; `header` is normalised, `titles` is the
    header as it is written. `row_numbers[i]` is where a spreadsheet shows row i, and `raw(i)` how it stood in the file.
    `quarantined` are the rows of the batch that could not even be split into cells. `is_stripped` says that no cell
    begins or ends with a space, so that nobody need look.
    """

    part: Part
    header: tuple[str, ...]
    titles: tuple[str, ...]
    cells: pl.DataFrame
    row_numbers: pl.Series
    raw: Callable[[int], str]
    units: tuple[str, ...] | None = None
    quarantined: list[QuarantinedRow] = field(default_factory=list)
    is_stripped: bool = False

    @property
    def row_count(self) -> int:
        """Rows read: those that can be typed and those that could not even be split into fields."""
        return self.cells.height + len(self.quarantined)


@dataclass(frozen=True)
class TextFile:
    """What a reader finds: the batches of all tables, in the order of the file, and texts beside the tables (titles,
    notes) for the release rule.

    `tables` may be lazy and is gone through once; `texts` is complete when it has been.
    """

    tables: Iterable[TextTable]
    texts: Sequence[str]


def text_cells(rows: Sequence[Sequence[str]], width: int) -> pl.DataFrame:
    """Rows of `width` texts each as a table's `cells`."""
    # one pass over the rows instead of one per column
    columns = list(zip(*rows, strict=True)) if rows else [()] * width
    return pl.DataFrame([pl.Series(str(at), texts, dtype=pl.String) for at, texts in enumerate(columns)])


def numbers_of_rows(numbers: Sequence[int]) -> pl.Series:
    """Row numbers as a table's `row_numbers`."""
    return pl.Series("row_number", numbers, dtype=pl.Int64)


def header_index(rows: Sequence[Sequence[str]], part: Part) -> int | None:
    """Index of the first of the leading rows that holds every header the part is known by."""
    for index, row in enumerate(rows[:HEADER_SEARCH_ROWS]):
        if not part.missing_marks({normalised_header(cell) for cell in row}):
            return index
    return None


def position_of(header: Sequence[str], column: Column) -> int | None:
    """Where a column stands in a normalised header: at the first of its names that is there."""
    return next((header.index(name) for name in column.headers if name in header), None)


def no_header_error(candidates: Sequence[Sequence[str]], parts: Sequence[Part]) -> UnreadableFileError:
    """The error of a file without a known header; it names what is missing in the row that comes nearest."""
    best: tuple[int, list[str], Sequence[str]] | None = None
    for row in candidates:
        cells = {normalised_header(cell) for cell in row}
        for part in parts:
            missing = part.missing_marks(cells)
            if best is None or len(missing) < best[0]:
                best = (len(missing), missing, row)
    expected = ", ".join(sorted(parts[0].marks))
    if best is None or best[0] == len(parts[0].marks):
        return UnreadableFileError(f"No header row was found; expected one with the columns: {expected}.")
    return UnreadableFileError(
        f"No complete header row was found; the nearest one lacks the columns: {', '.join(best[1])}."
    )


def shortened(raw: str) -> str:
    """Raw text as the database can hold it: without NUL characters, and cut where it grows out of
    proportion.
    """
    clean = raw.replace("\x00", "\N{SYMBOL FOR NULL}")
    if len(clean) <= _MAXIMUM_RAW_CHARACTERS:
        return clean
    return f"{clean[:_MAXIMUM_RAW_CHARACTERS]}… ({len(clean):,} characters)"
