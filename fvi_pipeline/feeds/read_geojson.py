"""GeoJSON feature collections into rows: the properties and the geometry's type. Coordinates are not read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, BinaryIO

from fvi_pipeline.feeds.description import Part, normalised_header
from fvi_pipeline.feeds.errors import UnreadableFileError
from fvi_pipeline.feeds.tables import (
    QuarantinedRow,
    TextFile,
    TextTable,
    no_header_error,
    numbers_of_rows,
    shortened,
    text_cells,
)

GEOMETRY_TYPE = "geometry type"


def read_geojson(file: BinaryIO, parts: Sequence[Part]) -> TextFile:
    """One row per feature, numbered from 1; the collection's name becomes a text.

    Raises:
        UnreadableFileError: broken JSON, no feature collection, or no feature with the known properties.
    """
    try:
        document = json.loads(file.read().decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UnreadableFileError(f"The file is not valid JSON ({error}); it may be cut off.") from error
    features = document.get("features") if isinstance(document, dict) else None
    if not isinstance(features, list):
        raise UnreadableFileError("The file is JSON but not GeoJSON: it has no list of features.")
    titles = _titles(features)
    header = list(titles)
    part = next((part for part in parts if not part.missing_marks(header)), None)
    if part is None:
        raise no_header_error([header], parts)
    table = _table(features, titles, part)
    name = document.get("name")
    versions = {str(p.get("build_version", "")) for f in features[:1] if (p := _properties(f)) is not None}
    return TextFile((table,), tuple(text for text in (str(name or ""), *sorted(versions)) if text))


def _properties(feature: Any) -> dict[str, Any] | None:
    properties = feature.get("properties") if isinstance(feature, dict) else None
    return properties if isinstance(properties, dict) else None


def _titles(features: list[Any]) -> dict[str, str]:
    """The names of all properties, normalised, each with the first spelling of it."""
    titles: dict[str, str] = {}
    for feature in features:
        for key in _properties(feature) or {}:
            titles.setdefault(normalised_header(key), key)
    return {**titles, GEOMETRY_TYPE: GEOMETRY_TYPE}


def _table(features: list[Any], titles: dict[str, str], part: Part) -> TextTable:
    rows: list[list[str]] = []
    row_numbers: list[int] = []
    quarantined: list[QuarantinedRow] = []
    for number, feature in enumerate(features, start=1):
        properties = _properties(feature)
        if properties is None:
            whole = shortened(json.dumps(feature, ensure_ascii=True))
            quarantined.append(QuarantinedRow(part.name, number, "The feature has no properties.", whole))
            continue
        values = {normalised_header(key): _text(value) for key, value in properties.items()}
        if len(values) < len(properties):
            reason = "Two properties of the feature have the same name."
            quarantined.append(QuarantinedRow(part.name, number, reason, shortened(_raw(properties))))
            continue
        geometry = feature.get("geometry")
        values[GEOMETRY_TYPE] = _text(geometry.get("type")) if isinstance(geometry, dict) else ""
        row = [values.get(name, "") for name in titles]
        if any("\x00" in text for text in row):
            reason = "The feature holds a NUL character: the file is damaged here."
            quarantined.append(QuarantinedRow(part.name, number, reason, shortened(_raw(properties))))
            continue
        rows.append(row)
        row_numbers.append(number)

    def raw(at: int) -> str:
        return _raw(_properties(features[row_numbers[at] - 1]) or {})

    cells, numbers = text_cells(rows, len(titles)), numbers_of_rows(row_numbers)
    return TextTable(part, tuple(titles), tuple(titles.values()), cells, numbers, raw, quarantined=quarantined)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        # a lone surrogate (an escape that was cut) is no character, and the database refuses it
        return value.encode("utf-8", errors="replace").decode("utf-8")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, ensure_ascii=False)


def _raw(properties: dict[str, Any]) -> str:
    return json.dumps(properties, ensure_ascii=True)
