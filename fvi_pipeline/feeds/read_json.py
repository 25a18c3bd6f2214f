"""Answers of JSON APIs into rows: one per record, as `Feed.records` says where they stand. Asking for them belongs to
`api`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, BinaryIO

from fvi_pipeline.feeds.description import Part, normalised_header
from fvi_pipeline.feeds.errors import UnreadableFileError
from fvi_pipeline.feeds.json_records import JsonRecords, Number, load_json, records
from fvi_pipeline.feeds.tables import (
    QuarantinedRow,
    TextFile,
    TextTable,
    no_header_error,
    numbers_of_rows,
    shortened,
    text_cells,
)

_MOST_TEXTS = 50
_MOST_LEVELS = 4
"""Objects within objects deeper than this are no columns; they are kept as a text."""


def read_json(file: BinaryIO, parts: Sequence[Part], where: JsonRecords) -> TextFile:
    """One row per record, numbered from 1. What stands beside the records becomes the texts, as `path.to.key: value`.

    Raises:
        UnreadableFileError: broken JSON, no records where they should be, or none with the known keys.
    """
    document = load_json(file.read())
    found = records(document, where)
    texts = tuple(_texts(document, where.path))
    if found is None:
        place = ".".join(str(step) for step in where.path)
        said = f"; it says: {' · '.join(texts)[:300]}" if texts else ""
        raise UnreadableFileError(f"The file is JSON without records at {place}{said}.")
    flat = [dict(_flat(record)) if isinstance(record, dict) else None for record in found]
    titles = _titles(flat)
    if not found:
        raise UnreadableFileError("The answer has no records.")
    part = next((part for part in parts if part.marks <= set(titles)), None)
    if part is None:
        raise no_header_error([list(titles)], parts)
    return TextFile((_table(found, flat, titles, part, where.unit_suffix),), texts)


def _flat(record: dict[str, Any], before: str = "", levels: int = _MOST_LEVELS) -> Iterable[tuple[str, Any]]:
    """The record's values by key; objects within it by `outer.inner`."""
    for key, value in record.items():
        if isinstance(value, dict) and value and levels:
            yield from _flat(value, f"{before}{key}.", levels - 1)
        else:
            yield f"{before}{key}", value


def _titles(flat: Sequence[dict[str, Any] | None]) -> dict[str, str]:
    """The keys of all records, normalised, each with the first spelling of it."""
    titles: dict[str, str] = {}
    for record in flat:
        for key in record or {}:
            titles.setdefault(normalised_header(key), key)
    return titles


def _table(
    found: Sequence[Any],
    flat: Sequence[dict[str, Any] | None],
    titles: dict[str, str],
    part: Part,
    unit_suffix: str | None,
) -> TextTable:
    unit_of = _unit_columns(titles, unit_suffix)
    header = [name for name in titles if name not in unit_of.values()]
    units: dict[str, dict[str, None]] = {name: {} for name in header}
    rows: list[list[str]] = []
    row_numbers: list[int] = []
    quarantined: list[QuarantinedRow] = []
    for number, record in enumerate(flat, start=1):
        reason = _damage(record)
        if record is None or reason is not None:
            quarantined.append(QuarantinedRow(part.name, number, str(reason), shortened(_raw(found[number - 1]))))
            continue
        values = {normalised_header(key): _text(value) for key, value in record.items()}
        for name in header:
            if values.get(name):
                units[name].setdefault(values.get(unit_of.get(name, ""), ""))
        rows.append([values.get(name, "") for name in header])
        row_numbers.append(number)

    def raw(at: int) -> str:
        return _raw(found[row_numbers[at] - 1])

    return TextTable(
        part,
        tuple(header),
        tuple(titles[name] for name in header),
        text_cells(rows, len(header)),
        numbers_of_rows(row_numbers),
        raw,
        units=None if unit_suffix is None else _units(header, part, units),
        quarantined=quarantined,
    )


def _units(header: Sequence[str], part: Part, stated: dict[str, dict[str, None]]) -> tuple[str, ...]:
    """The unit of each column, all that its values state; where there are no values, the unit is the described one."""
    described = {name: column.printed_unit or "" for column in part.columns for name in column.headers}
    return tuple(" / ".join(stated[name]) if stated[name] else described.get(name, "") for name in header)


def _unit_columns(titles: dict[str, str], suffix: str | None) -> dict[str, str]:
    """The column of units of each column that has one."""
    if suffix is None:
        return {}
    return {name: f"{name}{suffix}" for name in titles if f"{name}{suffix}" in titles}


def _damage(record: dict[str, Any] | None) -> str | None:
    if record is None:
        return "The record is not an object."
    names = [normalised_header(key) for key in record]
    if len(set(names)) < len(names):
        return "The record gives a key twice, spelled differently."
    if any("\x00" in value for value in record.values() if isinstance(value, str)):
        return "The record holds a NUL character: the file is damaged here."
    return None


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, str):
        # a lone surrogate (an escape that was cut) is no character, and the database refuses it
        return value.encode("utf-8", errors="replace").decode("utf-8")
    return _raw(value)


def _raw(value: Any) -> str:
    """A value as it stood in the file, apart from blanks."""
    try:
        return _written(value)
    except RecursionError:
        return "(nested too deeply to be shown)"


def _written(value: Any) -> str:
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        return f"{{{', '.join(f'{json.dumps(key)}: {_written(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    return json.dumps(value)


def _texts(document: Any, without: tuple[str | int, ...]) -> list[str]:
    """The single values that stand beside the records."""
    texts: list[str] = []

    def collect(value: Any, path: tuple[str | int, ...]) -> None:
        if path == without or len(path) > _MOST_LEVELS or len(texts) >= _MOST_TEXTS:
            return
        if isinstance(value, dict):
            for key, inner in value.items():
                collect(inner, (*path, key))
        elif isinstance(value, list):
            for at, inner in enumerate(value):
                collect(inner, (*path, at))
        elif value is not None:
            texts.append(f"{'.'.join(str(step) for step in path)}: {_text(value)}")

    collect(document, ())
    return texts
