"""Where the records of a JSON document stand: one vocabulary for those who read answers and those who ask for them.
Types and ranges do not belong here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fvi_pipeline.feeds.errors import UnreadableFileError

JsonPath = tuple[str | int, ...]
"""Keys of objects and places in lists (from 0), from the top of a document inwards."""
VALUE = "value"


@dataclass(frozen=True)
class JsonRecords:
    """Where the records of a JSON answer stand.

    `path` leads from the answer's top to a list of objects. With `levels`, it leads to nested objects instead: each
    level's keys become a column of that name, the innermost value the column `value`. Objects within a record become
    columns `outer.inner`. `unit_suffix` is what the publisher puts behind a column's name to name its unit.
    """

    path: JsonPath
    levels: tuple[str, ...] = ()
    unit_suffix: str | None = None


class Number(str):
    """A JSON number as it is written: no digit is lost on the way to its column's type."""

    __slots__ = ()


def load_json(content: bytes) -> Any:
    """A JSON document; its numbers are kept as they are written.

    Raises:
        UnreadableFileError: it is no JSON, is cut off, or gives an object's key twice, so that a value would be lost.
    """
    try:
        return json.loads(
            content.decode("utf-8-sig"),
            parse_int=Number,
            parse_float=Number,
            parse_constant=Number,
            object_pairs_hook=_object,
        )
    except (ValueError, RecursionError) as error:
        raise UnreadableFileError(f"The file is not valid JSON ({error}); it may be cut off.") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise UnreadableFileError(f"An object has the key '{twice[:100]}' twice; nobody can tell which value counts.")
    return found


def value_at(document: Any, path: JsonPath) -> Any:
    """What stands at a path, or None where the path leads nowhere."""
    for step in path:
        if isinstance(step, int):
            document = document[step] if isinstance(document, list) and step < len(document) else None
        else:
            document = document.get(step) if isinstance(document, dict) else None
    return document


def records(document: Any, where: JsonRecords) -> list[Any] | None:
    """The records of a document, in its order; None where it has no place for records at all.

    A record is whatever the list holds, so that one that is no object can be accounted for. A publisher with nothing to
    say may write null for an empty list and an empty list for an empty object.
    """
    found = value_at(document, where.path)
    if where.levels:
        if isinstance(found, dict):
            return list(_nested(found, where.levels))
        return [] if found == [] else None
    if isinstance(found, list):
        return found
    parent = value_at(document, where.path[:-1])
    is_empty = found is None and _has_place(parent, where.path[-1])
    return [] if is_empty else None


def _has_place(parent: Any, step: str | int) -> bool:
    if isinstance(step, int):
        return isinstance(parent, list) and step < len(parent)
    return isinstance(parent, dict) and step in parent


def _nested(found: dict[str, Any], levels: tuple[str, ...]) -> Iterator[Any]:
    level, deeper = levels[0], levels[1:]
    for key, inner in found.items():
        if not deeper:
            yield {level: key, VALUE: inner}
        elif isinstance(inner, dict):
            for record in _nested(inner, deeper):
                yield {level: key, **record}
        else:
            # what should have been an object is kept as a record of its own: it is not lost, and will not be loaded
            yield {level: key, VALUE: inner}
