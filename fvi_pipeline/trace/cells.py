"""What stands in the publisher's file itself: the cells as written, if the file is still at hand and unchanged."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fvi_pipeline.feeds.catalogue import FEEDS
from fvi_pipeline.feeds.description import Feed
from fvi_pipeline.feeds.errors import UnreadableFileError
from fvi_pipeline.feeds.forms import read_tables
from fvi_pipeline.feeds.tables import TextTable, position_of
from fvi_pipeline.trace.step import Step

_UNCHANGED, _CHANGED, _GONE = "there, unchanged", "there, but changed since", "not there any more"
Cell = tuple[str, int, str]
"""Part, row number and landing column."""


def with_cells(way: Step, folder: Path) -> Step:
    """The way with the cells' own texts (`written`) beside the values that were read from them.

    Each file is read once. The file's step says whether the landing folder still has it (`in_folder`): a cell of a file
    with another content is never shown.
    """
    wanted: dict[str, set[Cell]] = {}
    about: dict[str, tuple[Feed, str | None]] = {}
    for bronze in _bronze(way):
        file = bronze.sources[0].details
        about[file["name"]] = (FEEDS[_feed_of(bronze)], file.get("sha256"))
        wanted.setdefault(file["name"], set()).update(_cells_of(bronze))
    states = {name: _state(folder / name, sha256) for name, (_, sha256) in about.items()}
    written = {
        name: _read(folder / name, about[name][0], cells) if states[name] == _UNCHANGED else {}
        for name, cells in wanted.items()
    }
    return _annotated(way, states, written)


def _bronze(step: Step) -> Iterator[Step]:
    if step.layer == "bronze":
        yield step
    for source in step.sources:
        yield from _bronze(source)


def _feed_of(bronze: Step) -> str:
    return bronze.table.removeprefix("bronze.bronze_")


def _cells_of(bronze: Step) -> Iterator[Cell]:
    file = bronze.sources[0].details
    for number in file["row_numbers"]:
        for column in (bronze.column or "").split(", "):
            yield file.get("part", ""), number, column


def _state(path: Path, sha256: str | None) -> str:
    try:
        with path.open("rb") as file:
            return _UNCHANGED if hashlib.file_digest(file, "sha256").hexdigest() == sha256 else _CHANGED
    except OSError:
        return _GONE


def _read(path: Path, feed: Feed, wanted: set[Cell]) -> dict[Cell, str]:
    numbers = {(part, number) for part, number, _ in wanted}
    columns = {column for _, _, column in wanted}
    found: dict[Cell, str] = {}
    # a parser that has changed since may refuse what it once read: then there is nothing to show beside the values
    with contextlib.suppress(UnreadableFileError), path.open("rb") as file:
        for table in read_tables(feed, file).tables:
            found |= _of_table(table, numbers, columns)
            if len({cell[:2] for cell in found}) == len(numbers):
                break
    return found


def _of_table(table: TextTable, numbers: set[tuple[str, int]], columns: set[str]) -> dict[Cell, str]:
    part = table.part.name
    here = {number for of_part, number in numbers if of_part == part}
    rows = [(at, table.row_numbers[at]) for at in table.row_numbers.is_in(sorted(here)).arg_true()]
    positions = {
        column.name: position_of(table.header, column) for column in table.part.columns if column.name in columns
    }
    return {
        (part, number, name): str(table.cells[at, position])
        for at, number in rows
        for name, position in positions.items()
        if position is not None
    }


def _annotated(step: Step, states: Mapping[str, str], written: Mapping[str, Mapping[Cell, str]]) -> Step:
    if step.layer == "file":
        return replace(step, details={**step.details, "in_folder": states[step.details["name"]]})
    sources = tuple(_annotated(source, states, written) for source in step.sources)
    if step.layer != "bronze":
        return replace(step, sources=sources)
    file = step.sources[0].details
    texts: dict[int, list[str]] = {}
    for cell in _cells_of(step):
        if cell in written[file["name"]]:
            texts.setdefault(cell[1], []).append(written[file["name"]][cell])
    if not step.rows:
        only = [text for row in texts.values() for text in row]
        details = {**({"written": _joined(only)} if only else {}), **step.details}
        return replace(step, sources=sources, details=details)
    rows: tuple[Mapping[str, Any], ...] = tuple(
        {**row, "written": _joined(texts[row["row"]])} if row["row"] in texts else row for row in step.rows
    )
    return replace(step, sources=sources, rows=rows)


def _joined(texts: list[str]) -> str:
    return ", ".join(repr(text) for text in texts)
