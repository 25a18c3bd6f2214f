"""The tables that readers take out of a file, still as text. Types and ranges belong to `convert`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fvi_pipeline.feeds.description import Part, normalised_header
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
    """The rows of one part: `rows[i]` has one text per header; `row_numbers[i]` is where a spreadsheet
    shows it.
    """

    part: Part
    header: tuple[str, ...]
    rows: list[list[str]]
    row_numbers: list[int]
    raw: Callable[[int], str]
    units: tuple[str, ...] | None = None
    quarantined: list[QuarantinedRow] = field(default_factory=list)

    @property
    def row_count(self) -> int:
        """Rows read: those that can be typed and those that could not even be split into fields."""
        return len(self.rows) + len(self.quarantined)


@dataclass(frozen=True)
class TextFile:
    """What a reader found: at least one table, and texts beside the tables (titles, notes) for the
    release rule.
    """

    tables: tuple[TextTable, ...]
    texts: tuple[str, ...]


def header_index(rows: Sequence[Sequence[str]], part: Part) -> int | None:
    """Index of the first of the leading rows that holds every header the part is known by."""
    for index, row in enumerate(rows[:HEADER_SEARCH_ROWS]):
        if part.marks <= {normalised_header(cell) for cell in row}:
            return index
    return None


def no_header_error(candidates: Sequence[Sequence[str]], parts: Sequence[Part]) -> UnreadableFileError:
    """The error of a file without a known header; it names what is missing in the row that comes nearest."""
    best: tuple[int, list[str], Sequence[str]] | None = None
    for row in candidates:
        cells = {normalised_header(cell) for cell in row}
        for part in parts:
            missing = sorted(part.marks - cells)
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
