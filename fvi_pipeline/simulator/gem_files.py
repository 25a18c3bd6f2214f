"""Global Energy Monitor's tracker workbook and its geojson of mine boundaries, as released.

Only the form and content of these two files belong here. The workbook describes simulated U.S. mines (linked
to the EIA panel by MSHA ID) and foreign mines that have no history; nothing in it bears on a U.S. mine's
survival but its status.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from fvi_pipeline.simulator.config import SimulationConfig
from fvi_pipeline.simulator.mines import FIRST_WORDS, SECOND_WORDS, STATES, MineAttributes, pick
from fvi_pipeline.simulator.process import Population, stream

WORKBOOK_NAME = "gem/Global-Coal-Mine-Tracker-April-2024.xlsx"
GEOJSON_NAME = "gem/coal-mine-boundaries-methane.geojson"
OPEN_SHEET = "Global Coal Mine Tracker (Non-C"
CLOSED_SHEET = "Global Coal Mine Tracker (Close"
TONNES_PER_SHORT_TON = 0.90718474
_BUILD = "Coal Mine Boundaries and Methane Sources - version 1.0.2 (built on May 12 2026 09.50 EST)"

_IDENTITY = ("GEM Mine ID", "MSHA ID", "Country", "Mine Name", "Mine Name AKAs", "Mine Name (Non-ENG)")
_PLACE = (
    "Coalfield",
    "Location",
    "Prefecture, District",
    "State, Province",
    "Subregion",
    "Region",
    "Latitude",
    "Longitude",
    "Location Accuracy",
    "Primary Consumer, Destination",
    "Coal Plant, Steel Plant, Terminal",
    "Coal Plant, Steel Plant, Terminal GEM Wiki",
)
OPEN_COLUMNS = (
    *_IDENTITY,
    "GEM Wiki URLs",
    "Status",
    "Status Detail",
    "Project Type",
    "Project Phase",
    "Owners",
    "Owners (Non-ENG)",
    "Parent Company",
    "Company HQs",
    "Capacity (Mtpa)",
    "Production (Mtpa)",
    "Year of Production",
    "Coal Output (Annual, Mst)",
    "Mine Type",
    "Mining Method",
    "Mine Size (Km2)",
    "Mine Depth (m)",
    "Depth Accuracy",
    "Workforce Size",
    "Workforce Accuracy",
    "Coal Type",
    "Coal Grade",
    "Total Reserves (Proven and Probable, Mt)",
    "Year of Total Reserves Recorded",
    "Total Resource (Inferred, Indicated, Measured)",
    "Reserve to Production Ratio (R/P)",
    "Opening Year",
    "Reported Life of Mine",
    *_PLACE,
    "Reported Coal Mine Methane Emissions (thousand tonnes  CO2e)",
    "Year of Reported Coal Mine Methane Emissions",
    "GEM Coal Mine Methane Emissions Estimate (MCM/yr)",
    "GEM Coal Mine Methane Emissions Estimate (M tonnes/yr)",
    "CMM Emissions (CO2e 20 years)",
    "CMM Emissions (CO2e 100 years)",
)
CLOSED_COLUMNS = (
    *_IDENTITY,
    "Owners",
    "Owners (Non-ENG)",
    "Parent Company",
    "Company HQs",
    "Capacity (Mtpa)",
    "Production (Mtpa)",
    "Year of Production",
    "Mine Type",
    "Mining Method",
    "Mine Size\n(Km2)",
    "Mine Depth\n(m)",
    "Depth Accuracy",
    "Workforce Size",
    "Workforce Accuracy",
    "Coal Type",
    "Coal Grade",
    "Opening Year",
    "Closing Year",
    "Reason for Closure",
    "Mine Site Status",
    *_PLACE,
)
_ABOUT = (
    "Global Coal Mine Tracker - April {year}",
    "SIMULATED CONTENT in the form of Global Energy Monitor's April 2024 release. No row is a real mine.",
    "Notes",
    "1. Operating coal mines producing 1 million tonnes per annum and more, smaller mines at discretion",
    '2. A separate sheet documents closed mines ("Global Coal Mine Tracker (Closed Mines)" sheet)',
)
# country, region, subregion, middle (latitude, longitude)
_COUNTRIES: tuple[tuple[str, str, str, tuple[float, float]], ...] = (
    ("China", "Asia", "Eastern Asia", (37.5, 112.0)),
    ("India", "Asia", "Southern Asia", (23.5, 83.0)),
    ("Australia", "Oceania", "Australia and New Zealand", (-23.0, 148.5)),
    ("Indonesia", "Asia", "South-eastern Asia", (-1.5, 116.0)),
    ("South Africa", "Africa", "Sub-Saharan Africa", (-26.0, 29.2)),
    ("Poland", "Europe", "Eastern Europe", (50.2, 18.8)),
    ("Colombia", "Americas", "Latin America and the Caribbean", (9.6, -73.5)),
    ("T\u00fcrkiye", "Asia", "Western Asia", (39.2, 27.6)),
)
_COUNTRY_SHARES = (0.45, 0.2, 0.1, 0.1, 0.05, 0.04, 0.03, 0.03)

GemRow = dict[str, Any]


@dataclass
class GemRows:
    """Rows of both sheets, and the features of the geojson, before they are written."""

    open_rows: list[GemRow]
    closed_rows: list[GemRow]
    features: list[dict[str, Any]]


def build_gem(config: SimulationConfig, population: Population, mines: list[MineAttributes]) -> GemRows:
    """Rows for U.S. mines open at the panel's end, U.S. mines closed since 2010, and foreign mines."""
    rng = stream(config, "gem")
    open_rows = [_foreign_row(rng, f"M{k + 1:04d}", opened=True) for k in range(config.foreign_mines)]
    closed_rows = [_foreign_row(rng, f"M{5500 + k}", opened=False) for k in range(max(2, config.foreign_mines // 6))]
    last = len(config.years) - 1
    for i, mine in enumerate(mines):
        produced = np.nonzero(population.producing[i, : last + 1])[0]
        if not len(produced) or rng.random() < 0.3:
            continue
        final = int(produced[-1])
        if final == last:
            open_rows.append(_us_row(rng, config, population, mine, i, last, opened=True))
        elif config.first_year + final + 1 >= 2010:
            closed_rows.append(_us_row(rng, config, population, mine, i, final, opened=False))
    # A second phase of one project carries the same GEM id.
    phase = {**open_rows[3], "Project Type": "Expansion", "Project Phase": "Phase 2", "Status": "Proposed"}
    open_rows.insert(4, {**phase, "Status Detail": "Permitted", "Production (Mtpa)": "-"})
    return GemRows(open_rows, closed_rows, _features(rng, open_rows))


def write_tracker(folder: Path, rows: GemRows, *, year: int = 2024) -> Path:
    """Write the workbook of the year's April release below the folder; the same rows give the same bytes."""
    import xlsxwriter

    path = folder / WORKBOOK_NAME.replace("2024", str(year))
    path.parent.mkdir(parents=True, exist_ok=True)
    # A web address stays text, as in the release, and the creation date is the release's.
    with xlsxwriter.Workbook(str(path), {"strings_to_urls": False}) as workbook:
        workbook.set_properties({"title": "Simulated coal mine tracker", "created": datetime(year, 4, 30)})
        about = workbook.add_worksheet("About")
        for r, line in enumerate(_ABOUT):
            about.write_string(r, 0, line.format(year=year))
        for name, columns, sheet_rows in (
            (OPEN_SHEET, OPEN_COLUMNS, rows.open_rows),
            (CLOSED_SHEET, CLOSED_COLUMNS, rows.closed_rows),
        ):
            sheet = workbook.add_worksheet(name)
            sheet.write_row(0, 0, columns)
            for r, row in enumerate(sheet_rows, start=1):
                sheet.write_row(r, 0, [row.get(c.replace("\n", " "), "") for c in columns])
    return path


def write_gem(folder: Path, rows: GemRows) -> None:
    """Write the workbook and the geojson below the folder."""
    write_tracker(folder, rows)
    collection = {
        "type": "FeatureCollection",
        "name": _BUILD,
        "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}},
        "features": rows.features,
    }
    (folder / GEOJSON_NAME).write_text(json.dumps(collection, ensure_ascii=False, indent=None), encoding="utf-8")


def _asset(rng: np.random.Generator, row: GemRow, *, opened: bool, production: float) -> GemRow:
    """The asset's columns, with the release's ways of saying that something is not known."""
    reserves = round(production * float(rng.uniform(4, 45)), 1)
    known = rng.random(4)
    method = (
        ("Longwall", "Room and Pillar") if row["Mine Type"] == "Underground" else ("Open Pit", "Mountaintop Removal")
    )
    row |= {
        "Owners (Non-ENG)": "-",
        "Capacity (Mtpa)": round(production * float(rng.uniform(1.0, 1.6)), 2) if known[0] < 0.6 else "*",
        "Mining Method": pick(rng, method),
        "Mine Size (Km2)": round(float(rng.uniform(1, 200)), 2) if known[1] < 0.7 else "-",
        "Depth Accuracy": "Estimate",
        "Workforce Accuracy": "Exact",
        "Coal Type": pick(rng, ("Bituminous", "Subbituminous", "Lignite", "Anthracite")),
        "Coal Grade": pick(rng, ("Thermal", "Met", "Thermal & Met", "-")),
        "Coalfield": "-",
        "Location Accuracy": pick(rng, ("Exact", "Approximate")),
    }
    if opened:
        methane = round(production * float(rng.uniform(0.5, 9.0)), 1)
        row |= {
            "Total Reserves (Proven and Probable, Mt)": reserves if known[2] < 0.6 else "-",
            "Year of Total Reserves Recorded": "-",
            "Total Resource (Inferred, Indicated, Measured)": round(reserves * 2.5, 1) if known[2] < 0.4 else "-",
            "Reserve to Production Ratio (R/P)": round(reserves / production, 0) if known[2] < 0.6 else "-",
            "Reported Life of Mine": pick(rng, ("-", "20", "15-20", "TBD")),
            "GEM Coal Mine Methane Emissions Estimate (MCM/yr)": methane,
            "GEM Coal Mine Methane Emissions Estimate (M tonnes/yr)": round(methane * 0.00067, 4),
            "CMM Emissions (CO2e 20 years)": round(methane * 0.0553, 2),
            "CMM Emissions (CO2e 100 years)": round(methane * 0.02, 2),
        }
    return row


def _foreign_row(rng: np.random.Generator, gem_id: str, *, opened: bool) -> GemRow:
    country, region, subregion, (latitude, longitude) = _COUNTRIES[int(rng.choice(len(_COUNTRIES), p=_COUNTRY_SHARES))]
    name = f"{pick(rng, FIRST_WORDS)} {pick(rng, SECOND_WORDS)} Coal Mine"
    owner = f"{pick(rng, SECOND_WORDS)} Mining Group"
    status, detail = ("Operating", "") if rng.random() < 0.8 else ("Proposed", "Announced")
    production = round(float(np.exp(rng.normal(0.4, 0.9))), 2)
    row: GemRow = {
        "GEM Mine ID": gem_id,
        "MSHA ID": "" if opened else "-",
        "Country": country,
        "Mine Name": name,
        "GEM Wiki URLs": f"https://www.gem.wiki/{name.replace(' ', '_')}_{gem_id}",
        "Status": status,
        "Status Detail": detail,
        "Owners": owner,
        "Parent Company": f"{owner} [100.0%]",
        "Company HQs": country,
        "Production (Mtpa)": production if status == "Operating" else "-",
        "Year of Production": 2022 if status == "Operating" else "",
        "Mine Type": pick(rng, ("Underground", "Surface")),
        "Mine Depth (m)": float(np.rint(rng.uniform(20, 900))),
        "Workforce Size": int(np.rint(production * rng.uniform(60, 900))) + 5,
        "Opening Year": int(rng.integers(1950, 2015)) if rng.random() < 0.7 else "-",
        "Location": pick(rng, SECOND_WORDS),
        "State, Province": "",
        "Subregion": subregion,
        "Region": region,
        "Latitude": round(float(latitude + rng.normal(0, 1.5)), 6),
        "Longitude": round(float(longitude + rng.normal(0, 1.5)), 6),
    }
    row = _asset(rng, row, opened=opened, production=production)
    if not opened:
        reason = pick(rng, ("Resource depletion", "Economically unviable", "Capacity cut"))
        row |= {"Closing Year": int(rng.integers(2015, 2024)), "Reason for Closure": reason}
    return row


def _us_row(
    rng: np.random.Generator,
    config: SimulationConfig,
    population: Population,
    mine: MineAttributes,
    i: int,
    t: int,
    *,
    opened: bool,
) -> GemRow:
    short_tons = float(population.production[i, t])
    tonnes = max(round(short_tons * TONNES_PER_SHORT_TON / 1e6, 3), 0.001)
    row: GemRow = {
        "GEM Mine ID": mine.gem_id,
        "MSHA ID": int(mine.msha_id),  # a number: the leading zero is lost
        "Country": "United States",
        "Mine Name": mine.name,
        "GEM Wiki URLs": f"https://www.gem.wiki/{mine.name.replace(' ', '_').replace('#', '')}_{mine.gem_id}",
        "Status": "Operating",
        "Owners": mine.operator,
        "Parent Company": f"{mine.operator.split()[0]} Holdings [100.0%]",
        "Company HQs": "United States",
        "Production (Mtpa)": tonnes if opened else "-",
        "Year of Production": config.first_year + t if opened else "",
        "Coal Output (Annual, Mst)": round(short_tons / 1e6, 3),
        "Mine Type": "Underground" if population.underground[i] else "Surface",
        "Mine Depth (m)": mine.depth_m,
        "Workforce Size": int(population.employees[i, t]),
        "Opening Year": config.first_year + int(population.entry[i]) if population.entry[i] else "-",
        "Location": mine.county,
        "State, Province": STATES[mine.state][2],
        "Subregion": "Northern America",
        "Region": "Americas",
        "Latitude": mine.latitude,
        "Longitude": mine.longitude,
    }
    row = _asset(rng, row, opened=opened, production=tonnes)
    if not opened:
        reason = pick(rng, ("-", "Economically unviable", "Resource depletion"))
        row |= {"Closing Year": config.first_year + t + 1, "Reason for Closure": reason}
    return row


def _features(rng: np.random.Generator, rows: list[GemRow]) -> list[dict[str, Any]]:
    """A boundary and a point for every eighth open mine, with the researchers' notes."""
    features = []
    for row in rows[::8]:
        longitude, latitude = row["Longitude"], row["Latitude"]
        size = float(rng.uniform(0.005, 0.03))
        ring = [
            [round(longitude + dx * size, 6), round(latitude + dy * size, 6)]
            for dx, dy in ((0, 0), (1, 0), (1, 1), (0, 1), (0, 0))
        ]
        area = round(size * size * 111 * 111, 1)
        boundary_notes = (
            f"The boundary of {row['Mine Name']} was drawn from the mine plan in the annual report, "
            f"page {rng.integers(4, 60)}. The area is {area} sq km. {row['Owners']} holds the lease. "
            "Leases to the north belong to a neighbouring mine.\n\nGeometries were simplified to 10 m."
        )
        shaft_notes = (
            f"Visually identified using satellite imagery. Ventilation air methane of {row['Mine Name']} "
            f"was {rng.uniform(0.05, 0.9):.2f} per cent; the drainage station flares a third of the gas."
        )
        kind = "underground" if row["Mine Type"] == "Underground" else "surface"
        for suffix, category, subcategory, notes, description, geometry in (
            (
                "B1",
                "mine boundary",
                kind,
                boundary_notes,
                f"{row['Mine Name']} mine boundary",
                {"type": "Polygon", "coordinates": [ring]},
            ),
            (
                "P1",
                "ventilation system",
                "shaft",
                shaft_notes,
                "Possible ventilation shaft",
                {"type": "Point", "coordinates": ring[2]},
            ),
        ):
            properties = {
                "id": f"{row['GEM Mine ID']}.{suffix}",
                "mine feature category": category,
                "mine feature subcategory": subcategory,
                "data source date": f"2023-{rng.integers(1, 13):02d}-{rng.integers(1, 29):02d} 00:00:00",
                "notes": notes,
                "description": description,
                "coordinates precision": "extracted",
                "GEM Mine ID": row["GEM Mine ID"],
                "Owners": f"{row['Owners']} [100%]",
                "Owners (Non-ENG)": "",
                "Parent Company": row["Parent Company"],
                "GEM Wiki Page (ENG)": row["GEM Wiki URLs"],
                "GEM Wiki Page (Non-ENG)": "",
                "Coal Grade": row["Coal Grade"],
                "Mine Name": row["Mine Name"],
                "Country / Area": row["Country"],
                "Last researched": "Sep 08, 2025",
                "build_version": _BUILD,
            }
            features.append({"type": "Feature", "properties": properties, "geometry": geometry})
    return features
