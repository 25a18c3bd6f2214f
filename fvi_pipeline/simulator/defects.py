"""The defects that a simulated folder carries on purpose, each of them recorded.

A defect only ever adds rows or files, or spoils a foreign mine's coordinate: it leaves the panel, the
outcomes and the yearly totals as they were, so that a pipeline which handles it comes to the same tables as
without it.
"""

from __future__ import annotations

from pathlib import Path

from fvi_pipeline.simulator.config import SimulationConfig
from fvi_pipeline.simulator.eia_files import EiaYear, header
from fvi_pipeline.simulator.gem_files import OPEN_SHEET, WORKBOOK_NAME, GemRows
from fvi_pipeline.simulator.truth import PlantedDefect

BAD_PRODUCTION = "12O,5OO"  # the letter O for a zero
BAD_LATITUDE = 144.1699617  # a longitude in the wrong column
_FOREIGN_NAME = "eia_coal/weather-stations.csv"
_FOREIGN_TEXT = "station,month,rain_mm\r\nKLEX,2019-01,81\r\nKCRW,2019-01,77\r\n"


def plant_in_eia(years: list[EiaYear]) -> list[PlantedDefect]:
    """Add a row cut off in its middle to the second-last year, and one without a number to the last."""
    truncated, unreadable = years[-2], years[-1]
    line = f"{truncated.year},1599991,Cut Off Mine,Kentucky (East),Pi"
    truncated.extra_lines.append(line)
    cells = dict.fromkeys(header(unreadable.year), "")
    cells |= {
        "Year": str(unreadable.year),
        "MSHA ID": "1599992",
        "Mine Name": "Unreadable Mine",
        "Mine State": "Kentucky (East)",
        "Mine County": "Pike",
        "Mine Status": "Active",
        "Mine Type": "Surface",
        "Company Type": "Contractor",
        "Operation Type": "Mine only",
        "Operating Company": "Unreadable Coal Company",
        "Production (short tons)": f'"{BAD_PRODUCTION}"',
        "Average Employees": "7",
        "Labor Hours": '"14,000"',
    }
    column = "Production (short tons)"
    unreadable.extra_lines.append(",".join(cells[c] for c in header(unreadable.year)))
    return [
        PlantedDefect("truncated_row", truncated.name, "", truncated.row_count + 1, None, line),
        PlantedDefect("bad_value", unreadable.name, "", unreadable.row_count + 1, column, BAD_PRODUCTION),
    ]


def plant_in_gem(rows: GemRows) -> list[PlantedDefect]:
    """Give a foreign mine a latitude beyond the pole."""
    rows.open_rows[1]["Latitude"] = BAD_LATITUDE
    return [PlantedDefect("bad_value", WORKBOOK_NAME, OPEN_SHEET, 3, "Latitude", str(BAD_LATITUDE))]


def plant_files(folder: Path, config: SimulationConfig) -> list[PlantedDefect]:
    """Add an empty file for the year after the panel, and a file that no publisher of coal data wrote."""
    empty = f"eia_coal/coalpublic{config.last_year + 1}.csv"
    (folder / empty).write_bytes(b"")
    (folder / _FOREIGN_NAME).write_bytes(_FOREIGN_TEXT.encode("utf-8"))
    return [PlantedDefect("empty_file", empty), PlantedDefect("foreign_file", _FOREIGN_NAME)]
