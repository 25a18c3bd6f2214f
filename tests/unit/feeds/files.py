"""Small files in the publishers' forms."""

from __future__ import annotations

import io
import json
from datetime import date
from pathlib import Path
from typing import Any

import xlsxwriter

HEADER_1983 = (
    "Year,MSHA ID,Mine Name,Mine State,Mine County,Mine Basin,Mine Status,Mine Type,Company Type,"
    "Operation Type,Operating Company,Operating Company Address,Union Code,Production (short tons)"
)
HEADER_2001 = HEADER_1983 + ",Average Employees,Labor Hours"
HEADER_2012 = HEADER_2001.replace("Mine Basin,", "")
HEADER_2013 = HEADER_2012.replace("Production", "Coal Supply Region,Production")

ROWS_2013 = (
    '2013,103381,Tacoa Highwall Miner,Alabama,Bibb,"Active, men working, not producing",Surface,'
    'Indepedent Producer Operator,Mine only,"Jesse Creek Mining, Llc",'
    '"1615 Kent Dairy Rd, Alabaster, AL 35007", ,Appalachia Southern,"56,004",10,"22,392"',
    "2013,-,Unnamed,Alabama,Bibb,Active,Surface,-,Mine only,-,-,-,Appalachia Southern,700,-,-",
    "2013,4801353,Café Mine,Wyoming,Campbell,Active,Surface,Operating Subsidiary,Mine only,Peabody,Gillette,"
    'UNIT,Powder River Basin,"111,005,549","1,247","3,000,000"',
)


def eia_csv(header: str = HEADER_2013, rows: tuple[str, ...] = ROWS_2013, encoding: str = "utf-8") -> bytes:
    return b"\xef\xbb\xbf" + "".join(f"{line}\r\n" for line in (header, *rows)).encode(encoding)


def workbook(sheets: dict[str, list[list[Any]]], path: Path | None = None) -> bytes:
    """An .xlsx file with these cells; written to `path` too when one is given."""
    content = io.BytesIO()
    book = xlsxwriter.Workbook(content)
    days = book.add_format({"num_format": "yyyy-mm-dd"})
    for name, rows in sheets.items():
        sheet = book.add_worksheet(name)
        for y, row in enumerate(rows):
            for x, cell in enumerate(row):
                if isinstance(cell, date):
                    sheet.write_datetime(y, x, cell, days)
                elif cell is not None:
                    sheet.write(y, x, cell)
    book.close()
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.getvalue())
    return content.getvalue()


def gem_workbook(release: str = "April 2024") -> bytes:
    opened = [
        "GEM Mine ID",
        "MSHA ID",
        "Country",
        "Mine Name",
        "Status",
        "Capacity (Mtpa)",
        "Workforce Size",
    ]
    opened += ["Opening Year", "Mine Size (Km2)", "Latitude", "Longitude"]
    closed = ["GEM Mine ID", "MSHA ID", "Country", "Mine Name", "Mine Size\n(Km2)", "Closing Year"]
    closed += ["Reason for Closure", "Latitude", "Longitude"]
    return workbook(
        {
            "About": [[f"Global Coal Mine Tracker - {release}"], ["Copyright"]],
            "Global Coal Mine Tracker (Non-C": [
                opened,
                ["M0001", "", "Afghanistan", "Shadashak", "Operating", "*", 703, "TBD", "-", 35.8, 67.5],
                [
                    "M0002",
                    100347,
                    "United States",
                    "Oak",
                    "Operating",
                    "0.15-0.18",
                    "1 234,5",
                    1999,
                    2.5,
                    33,
                    -87,
                ],
                [
                    "M0003",
                    "-",
                    "Poland",
                    "Bogdanka",
                    "Proposed",
                    "1,5",
                    "1,234",
                    "2024-2025",
                    date(2020, 5, 4),
                    51,
                    23,
                ],
            ],
            "Global Coal Mine Tracker (Close": [
                closed,
                ["M5576", "-", "Australia", "Anglesea", 5.45, 2015, "Closure of power plant", 144.17, -38.39],
            ],
        }
    )


def world_bank_workbook(coal_unit: str = "($/mt)") -> bytes:
    names = ["", "Crude oil, average", "Coal, Australian", "Coal, South African **", "Natural gas, US"]
    names += ["Natural gas, Europe"]
    return workbook(
        {
            "AFOSHEET": [],
            "Monthly Prices": [
                ["World Bank Commodity Price Data (The Pink Sheet)"],
                ["monthly prices"],
                ["(nominal)"],
                ["Updated on May 02, 2025"],
                names,
                ["", "($/bbl)", coal_unit, "($/mt)", "($/mmbtu)", "($/mmbtu)"],
                ["1960M01", 1.63, "…", "…", 0.14, 0.4],
                ["2025M04", -3.5, 98.61, 95.56, 3.4, 11.6],
                ["2025M13", 1, 1, 1, 1, 1],
            ],
        }
    )


def geojson(build: str = "May 12 2026") -> bytes:
    name = f"Coal Mine Boundaries and Methane Sources - version 1.0.2 (built on {build} 09.50 EST)"
    properties = {
        "id": "M0086.B1",
        "mine feature category": "mine boundary",
        "data source date": "2025-02-07 00:00:00",
        "GEM Mine ID": "M0086",
        "notes": "A note,\nwith a line feed",
        "Last researched": "Sep 08, 2025",
    }
    other = {**properties, "id": "M0086.P1", "data source date": "9-10 2024", "Last researched": None}
    features = [
        {"type": "Feature", "properties": properties, "geometry": {"type": "Polygon", "coordinates": []}},
        {"type": "Feature", "properties": other, "geometry": None},
        {"type": "Feature", "properties": {**properties, "id": ""}, "geometry": None},
        {"type": "Feature"},
    ]
    return json.dumps({"type": "FeatureCollection", "name": name, "features": features}).encode()


ENERGY_CSV = (
    b"\xef\xbb\xbfiso_code,country,year,coal_share_elec,coal_share_energy,coal_consumption,coal_production,"
    b"electricity_generation,coal_electricity,gas_electricity\n"
    b"POL,Poland,2018,78.5,47.0,587.1,500.2,170.0,133.5,12.6\n"
    b",World,2019,36.4,27.0,43849.0,,26936.0,9824.0,6297.0"
)
