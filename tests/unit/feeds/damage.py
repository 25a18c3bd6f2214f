"""Hypothesis strategies that damage files: their bytes, or their cells."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.unit.feeds.real_files import Cells, Slice

ODD_VALUES = (
    *(
        "",
        " ",
        "-",
        "n/a",
        "TBD",
        "*",
        "0",
        "-1",
        "1e400",
        "inf",
        "NaN",
        "Infinity",
        "1,234",
        "1.234,5",
        "1 234",
        "12.5",
    ),
    *(
        "0.15-0.18",
        "2024-2025",
        "2013",
        "99999999999999999999",
        "٣",
        "½",
        "café",
        "Ωmega",
        '"',
        '""',
        "a,b",
        "a;b",
        "a\tb",
    ),
    *("a\nb", "\r", "\ufeff", "\x00", "\x1f", "\u2028", "{}", "\\N", "\\.", "=1+1", "x" * 5000),
    *("2023-05-04", "May 4, 2023", "1960M13"),
)


@st.composite
def damaged_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """The content after a few cuts, insertions, repetitions and the like."""
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content)))
        size = draw(st.integers(0, 40))
        kind = draw(st.sampled_from(["cut", "drop", "insert", "swap", "repeat"]))
        if kind == "cut":
            content = content[:at]
        elif kind == "drop":
            content = content[:at] + content[at + size :]
        elif kind == "insert":
            piece = draw(st.one_of(st.binary(max_size=12), st.sampled_from([b'"', b",", b"\n", b"\r", b"\x00", b"-"])))
            content = content[:at] + piece + content[at:]
        elif kind == "swap":
            content = content[at:] + content[:at]
        else:
            content = content[:at] + content[at : at + size] + content[at:]
    return content


@st.composite
def damaged_cells(draw: st.DrawFn, original: Slice) -> dict[str, Cells]:
    """The sheets after a few changes to the columns, rows and cells of one of them."""
    sheet = draw(st.sampled_from(original.tables))
    cells = [list(row) for row in original.sheets[sheet]]
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, max(len(row) for row in cells) - 1))
        row = draw(st.integers(0, len(cells) - 1))
        kind = draw(
            st.sampled_from(["drop", "rename", "move", "add", "value", "shorten", "lengthen", "repeat", "blank"])
        )
        if kind == "drop":
            cells = [line[:at] + line[at + 1 :] for line in cells]
        elif kind == "move":
            to = draw(st.integers(0, len(cells[0])))
            cells = [_moved(line, at, to) for line in cells]
        elif kind == "add":
            values = draw(st.lists(st.sampled_from(ODD_VALUES), min_size=len(cells), max_size=len(cells)))
            cells = [[*line[:at], value, *line[at:]] for line, value in zip(cells, values, strict=True)]
        elif kind in ("value", "rename"):
            row = original.header_at[sheet] or 0 if kind == "rename" else row
            cells[row][at : at + 1] = [draw(st.sampled_from(ODD_VALUES))]
        elif kind == "shorten":
            cells[row] = cells[row][:at]
        elif kind == "lengthen":
            cells[row] = [*cells[row], "beyond"]
        elif kind == "repeat":
            cells.insert(draw(st.integers(row, len(cells))), list(cells[row]))
        else:
            cells.insert(row, [])
        if not any(cells):
            break
    return {**original.sheets, sheet: cells}


@st.composite
def rearranged_cells(draw: st.DrawFn, original: Slice) -> dict[str, Cells]:
    """The sheets with their columns in another order, their rows shuffled and some of them repeated: the same facts."""
    sheets = dict(original.sheets)
    for sheet in original.tables:
        first = (original.header_at[sheet] or 0) + 1 + _unit_rows(original)
        head, rows = sheets[sheet][:first], sheets[sheet][first:]
        repeated = draw(st.lists(st.sampled_from(rows), max_size=5))
        rows = draw(st.permutations([*rows, *repeated]))
        order = draw(st.permutations(range(len(head[-1]))))
        sheets[sheet] = [[line[at] if at < len(line) else "" for at in order] for line in [*head, *rows]]
    return sheets


def _unit_rows(original: Slice) -> int:
    return int(any(column.printed_unit for part in original.feed.parts for column in part.columns))


def _moved(line: list[Any], at: int, to: int) -> list[Any]:
    rest = line[:at] + line[at + 1 :]
    return rest[:to] + line[at : at + 1] + rest[to:]
