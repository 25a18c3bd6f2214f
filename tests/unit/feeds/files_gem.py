"""Small files in the forms of Global Energy Monitor's tracker: releases of several years, as workbook and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from tests.unit.feeds.files import workbook

Row = Mapping[str, Any]

_PLACE = ("Coalfield", "Location", "State, Province", "Subregion", "Region", "Latitude", "Longitude")
_METHANE = (
    "GEM Coal Mine Methane Emissions Estimate (MCM/yr)",
    "GEM Coal Mine Methane Emissions Estimate (M tonnes/yr)",
    "CMM Emissions (CO2e 20 years)",
    "CMM Emissions (CO2e 100 years)",
)
_WORK = ("Capacity (Mtpa)", "Production (Mtpa)", "Year of Production")

APRIL_2024_OPEN = (
    *("GEM Mine ID", "MSHA ID", "Country", "Mine Name", "Mine Name AKAs", "Mine Name (Non-ENG)", "GEM Wiki URLs"),
    *("Status", "Status Detail", "Project Type", "Project Phase", "Owners", "Parent Company"),
    *(*_WORK, "Mine Type", "Mining Method", "Mine Size (Km2)", "Mine Depth (m)", "Depth Accuracy", "Workforce Size"),
    *("Workforce Accuracy", "Coal Type", "Coal Grade", "Total Reserves (Proven and Probable, Mt)", "Opening Year"),
    *("Reported Life of Mine", *_PLACE, "Location Accuracy", *_METHANE),
)
APRIL_2024_CLOSED = (
    *("GEM Mine ID", "MSHA ID", "Country", "Mine Name", "Mine Name AKAs", "Mine Name (Non-ENG)", "Owners"),
    *("Parent Company", *_WORK, "Mine Type", "Mining Method", "Mine Size\n(Km2)", "Mine Depth\n(m)", "Workforce Size"),
    *("Coal Type", "Opening Year", "Closing Year", "Reason for Closure", "Mine Site Status", *_PLACE),
)
# renamed (country, wiki page), added (IDs of owners, ISO code) and rearranged; open mines have a closing year, too
MAY_2025_OPEN = (
    *("GEM Mine ID", "Country / Area", "Mine Name", "Mine Name AKAs", "GEM Wiki Page (ENG)", "Status", "Owners"),
    *("Owners GEM Entity ID", "Owners (Non-ENG)", "Parent Company", "Parent GEM Entity ID", *_WORK, "Mine Type"),
    *("Mine Size (Km2)", "Workforce Size", "Coal Type", "Coal Grade", "Opening Year", "Closing Year", *_PLACE),
    *("Reported Coal Mine Methane Emissions (thousand tonnes per year)", "Has associated CMM mitigation data"),
    *(*_METHANE, "ISO Code"),
)
MAY_2025_CLOSED = (
    *("GEM Mine ID", "Country / Area", "Mine Name", "Owners", "Parent Company", *_WORK, "Mine Type"),
    *("Mine Size\n(Km2)", "Opening Year", "Closing Year", "Reason for Closure", "Mine Site Status", *_PLACE),
)
PAST_PRODUCTION = ("GEM Mine ID", "Country", "Mine Name", "Status", "Coal Output (Annual, Mt) 2023")

BOGDANKA: Row = {
    "GEM Mine ID": "M1700",
    "MSHA ID": "-",
    "Country": "Poland",
    "Country / Area": "Poland",
    "Mine Name": "Bogdanka Coal Mine",
    "Mine Name (Non-ENG)": "Kopalnia Bogdanka",
    "GEM Wiki URLs": "https://www.gem.wiki/Bogdanka_Coal_Mine",
    "GEM Wiki Page (ENG)": "https://www.gem.wiki/Bogdanka_Coal_Mine",
    "Status": "Operating",
    "Owners": "Lubelski Wegiel Bogdanka SA [100%]",
    "Owners GEM Entity ID": "E100000001234",
    "Parent Company": "Enea SA [64.6%]; Other [35.4%]",
    "Parent GEM Entity ID": "E100000000012 [64.6%]; E100000000013 [35.4%]",
    "Capacity (Mtpa)": 9.5,
    "Production (Mtpa)": 7.1,
    "Year of Production": 2023,
    "Mine Type": "Underground",
    "Mining Method": "Longwall",
    "Mine Size (Km2)": 77.3,
    "Mine Size\n(Km2)": 77.3,
    "Mine Depth (m)": 950,
    "Depth Accuracy": "Exact",
    "Workforce Size": 5000,
    "Workforce Accuracy": "Estimate",
    "Coal Type": "Bituminous",
    "Coal Grade": "Thermal",
    "Total Reserves (Proven and Probable, Mt)": 236,
    "Opening Year": 1982,
    "Coalfield": "Lublin",
    "Location": "Bogdanka",
    "State, Province": "Lublin",
    "Subregion": "Eastern Europe",
    "Region": "Europe",
    "Latitude": 51.33,
    "Longitude": 23.01,
    "Location Accuracy": "Exact",
    "GEM Coal Mine Methane Emissions Estimate (MCM/yr)": 19.4,
    "GEM Coal Mine Methane Emissions Estimate (M tonnes/yr)": 0.013,
    "CMM Emissions (CO2e 20 years)": 1.1,
    "CMM Emissions (CO2e 100 years)": 0.4,
}


def mine(**changes: Any) -> Row:
    """A row of either sheet; keys are the headers with underscores for what Python does not take."""
    titles = {_word(title): title for title in (*APRIL_2024_OPEN, *APRIL_2024_CLOSED, *MAY_2025_OPEN)}
    return {**BOGDANKA, **{titles[word]: value for word, value in changes.items()}}


def closed_mine(**changes: Any) -> Row:
    """A row of the closed sheet."""
    return mine(**{"Status": "", "Closing_Year": 2015, "Reason_for_Closure": "Reserve exhausted", **changes})


def tracker(
    open_rows: Sequence[Row] = (),
    closed_rows: Sequence[Row] = (),
    *,
    opened: Sequence[str] = APRIL_2024_OPEN,
    closed: Sequence[str] = APRIL_2024_CLOSED,
    release: str = "April 2024",
    more: Mapping[str, list[list[Any]]] | None = None,
) -> bytes:
    """A release as workbook."""
    return workbook(
        {
            "About": [[f"Global Coal Mine Tracker - {release}"]],
            "GCMT Non-closed Mines": cells(opened, open_rows),
            "GCMT Closed Mines": cells(closed, closed_rows),
            **(more or {}),
        }
    )


def cells(header: Sequence[str], rows: Sequence[Row]) -> list[list[Any]]:
    """Header and rows as a sheet has them."""
    return [list(header), *([row.get(title, "") for title in header] for row in rows)]


def tracker_csv(header: Sequence[str], rows: Sequence[Row], delimiter: str = ",") -> bytes:
    """One sheet of a release as a spreadsheet program exports it."""
    content = io.StringIO()
    csv.writer(content, delimiter=delimiter).writerows(cells(header, rows))
    return b"\xef\xbb\xbf" + content.getvalue().encode()


def shifted(row: list[Any], start: int, by: int) -> list[Any]:
    """The row with its cells from `start` on moved right (or left, losing some)."""
    if by > 0:
        return [*row[:start], *[""] * by, *row[start:]]
    return [*row[:start], *row[start - by :]]


def _word(title: str) -> str:
    return "_".join("".join(sign if sign.isalnum() else " " for sign in title).split())
