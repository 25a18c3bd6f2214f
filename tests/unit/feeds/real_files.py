"""Slices of the publishers' real files, as cells, and ways to write such cells as a file of the same form again."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from python_calamine import CalamineWorkbook

from fvi_pipeline.feeds.catalogue import FEEDS
from fvi_pipeline.feeds.description import Feed
from fvi_pipeline.feeds.read_geojson import GEOMETRY_TYPE
from tests.unit.feeds.files import workbook

Cells = list[list[Any]]
_ROWS = 30
_FEATURES = 12


@dataclass(frozen=True)
class Slice:
    """The first rows of a real file: `sheets` with the row at which each one's header stands, None for none."""

    feed: Feed
    name: str
    sheets: dict[str, Cells]
    header_at: dict[str, int | None]

    @property
    def tables(self) -> tuple[str, ...]:
        """The sheets that have a header."""
        return tuple(sheet for sheet, at in self.header_at.items() if at is not None)

    def content(
        self, sheets: dict[str, Cells] | None = None, encoding: str = "utf-8-sig", delimiter: str = ","
    ) -> bytes:
        """A file of the slice's form with these cells (the slice's own without them)."""
        sheets = self.sheets if sheets is None else sheets
        if self.name.endswith(".csv"):
            return csv_content(next(iter(sheets.values())), encoding, delimiter)
        if self.name.endswith(".geojson"):
            return geojson_content(next(iter(sheets.values())))
        return workbook(sheets)


def csv_content(cells: Sequence[Sequence[Any]], encoding: str = "utf-8-sig", delimiter: str = ",") -> bytes:
    """Cells as delimited text; what an encoding does not have becomes a question mark."""
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(cells)
    return text.getvalue().encode(encoding, errors="replace")


def geojson_content(cells: Sequence[Sequence[Any]]) -> bytes:
    """Cells as a feature collection: the first row has the properties' names, one column is the geometry's type."""
    header, *rows = cells
    features = []
    for row in rows:
        properties = dict(zip(header, row, strict=False))
        geometry = {"type": properties.pop(GEOMETRY_TYPE, None), "coordinates": []}
        features.append({"type": "Feature", "properties": properties, "geometry": geometry})
    name = "Coal Mine Boundaries and Methane Sources - version 1.0.2 (built on May 12 2026 09.50 EST)"
    return json.dumps({"type": "FeatureCollection", "name": name, "features": features}).encode()


def slices(landing: Path) -> dict[str, Slice]:
    """One slice for each form of each feed that has real files."""
    found = [
        *(_csv(landing, "eia_coal_mines", f"eia_coal/coalpublic{year}.csv") for year in (1983, 2001, 2012, 2013)),
        _csv(landing, "owid_energy", "owid/owid-energy-data.csv"),
        _csv(landing, "owid_co2", "owid/owid-co2-data.csv"),
        _workbook(landing, "gem_coal_mines", "gem/Global-Coal-Mine-Tracker-April-2024.xlsx", header_at=0),
        _workbook(landing, "world_bank_prices", "world_bank/CMO-Historical-Data-Monthly.xlsx", header_at=4),
        _geojson(landing, "gem_mine_features", "gem/coal-mine-boundaries-methane.geojson"),
    ]
    return {f"{each.feed.name} {each.name.rsplit('/', 1)[-1]}": each for each in found}


def spreadsheetml_slice(path: Path) -> bytes:
    """The first rows of a real SpreadsheetML file, as a whole file."""
    content = path.read_bytes()
    ends = [found.end() for found in re.finditer(rb"</Row>", content)]
    return content[: ends[min(_ROWS, len(ends) - 1)]] + b"\n</Table>\n</Worksheet>\n</Workbook>\n"


def _csv(landing: Path, feed: str, name: str) -> Slice:
    text = (landing / name).read_bytes().decode("utf-8-sig", errors="replace")
    rows = list(csv.reader(io.StringIO(text)))[: _ROWS + 1]
    return Slice(FEEDS[feed], name, {"": rows}, {"": 0})


def _workbook(landing: Path, feed: str, name: str, header_at: int) -> Slice:
    book = CalamineWorkbook.from_path(str(landing / name))
    marks = [part.marks for part in FEEDS[feed].parts]
    sheets: dict[str, Cells] = {}
    headers: dict[str, int | None] = {}
    for sheet in book.sheet_names:
        rows = book.get_sheet_by_name(sheet).to_python(skip_empty_area=False)[: header_at + _ROWS]
        sheets[sheet] = rows
        titles = {str(cell).strip(" *").lower() for cell in rows[header_at]} if len(rows) > header_at else set()
        headers[sheet] = header_at if any(len(known & titles) >= len(known) - 1 for known in marks) else None
    return Slice(FEEDS[feed], name, sheets, headers)


def _geojson(landing: Path, feed: str, name: str) -> Slice:
    features = json.loads((landing / name).read_bytes())["features"][:_FEATURES]
    header = [*features[0]["properties"], GEOMETRY_TYPE]
    rows = [
        [*(feature["properties"].get(title) for title in header[:-1]), feature["geometry"]["type"]]
        for feature in features
    ]
    return Slice(FEEDS[feed], name, {"": [header, *rows]}, {"": 0})
