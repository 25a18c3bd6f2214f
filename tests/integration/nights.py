"""A simulated world that becomes known night by night: which files come when. What is asserted belongs to the tests.

Every night brings prices up to its month; October brings a year of the panel and of the countries' energy. One year of
the panel comes late, two are restated, and the mine tracker has two releases.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import xlsxwriter
from python_calamine import CalamineWorkbook

from fvi_pipeline.simulator import SimulationConfig, write_landing_folder

WORLD = SimulationConfig(mines=70, first_year=2003, last_year=2012, foreign_mines=8, defects=False)
_PRICES_FROM = 1998
_PRICES_PUBLIC_AFTER = timedelta(days=8)


@dataclass(frozen=True)
class Night:
    """A night and what it brings: years of the panel, years restated, a tracker release."""

    day: date
    years: tuple[int, ...] = ()
    restated: tuple[int, ...] = ()
    tracker: str | None = None
    owes: bool = False
    """A year of the panel is public but has not come."""

    @property
    def end(self) -> datetime:
        """What was known on this day was known by this moment."""
        return datetime.combine(self.day, time.max, UTC)


NIGHTS = (
    Night(date(2004, 10, 15), years=(2003,)),
    Night(date(2005, 10, 15), years=(2004,)),
    Night(date(2006, 10, 15), owes=True),
    Night(date(2007, 3, 10), restated=(2003,), owes=True),
    Night(date(2007, 10, 15), years=(2006,), owes=True),
    Night(date(2008, 2, 10), years=(2005,)),
    Night(date(2008, 10, 15), years=(2007,)),
    Night(date(2009, 5, 10), tracker="April 2009"),
    Night(date(2009, 10, 15), years=(2008,)),
    Night(date(2010, 10, 15), years=(2009,), restated=(2007,)),
    Night(date(2011, 6, 10), tracker="May 2011"),
    Night(date(2011, 10, 15), years=(2010,)),
)


def folders(root: Path) -> Iterator[tuple[Night, Path]]:
    """Each night's landing folder, in order."""
    world = root / "world"
    write_landing_folder(world, WORLD)
    panel = {year: next(world.glob(f"eia_coal/*{year}*")) for year in WORLD.years}
    for night in NIGHTS:
        folder = root / f"{night.day:%Y%m%d}"
        for name in ("eia_coal", "gem", "world_bank", "owid"):
            (folder / name).mkdir(parents=True)
        for year in night.years:
            (folder / "eia_coal" / panel[year].name).write_bytes(panel[year].read_bytes())
        for year in night.restated:
            _restate(panel[year], folder / "eia_coal" / panel[year].name)
        if night.tracker is not None:
            _tracker(next(world.glob("gem/*.xlsx")), folder / "gem", night.tracker)
        if night.day.month == 10:
            for source in world.glob("owid/*.csv"):
                _years_until(source, folder / "owid" / source.name, night.day.year - 1)
        _prices(next(world.glob("world_bank/*.xlsx")), folder / "world_bank" / "prices.xlsx", night.day)
        yield night, folder


def _restate(source: Path, target: Path) -> None:
    """The year's file without its first mine and with half as much again from the others."""
    rows = list(csv.reader(io.StringIO(source.read_bytes().decode("latin-1"), newline="")))
    start = next(number for number, row in enumerate(rows) if "MSHA ID" in row)
    tons = rows[start].index("Production (short tons)")
    for row in rows[start + 2 :]:
        if len(row) > tons and row[tons].replace(",", "").isdigit():
            row[tons] = str(int(row[tons].replace(",", "")) * 3 // 2)
    text = io.StringIO(newline="")
    csv.writer(text).writerows([*rows[: start + 1], *rows[start + 2 :]])
    target.write_bytes(text.getvalue().encode("latin-1"))


def _years_until(source: Path, target: Path, last: int) -> None:
    with source.open(encoding="utf-8-sig", newline="") as file:
        header, *rows = list(csv.reader(file))
    year = header.index("year")
    with target.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *(row for row in rows if 1995 <= int(row[year]) <= last)])


def _prices(source: Path, target: Path, day: date) -> None:
    """The months that were public on the day."""

    def months(row: Sequence[Any]) -> Sequence[Any] | None:
        name = str(row[0])
        if name.startswith("Updated on"):
            return [f"Updated on {day - timedelta(days=1):%b %d, %Y}"]
        if len(name) != len("2004M10") or name[4] != "M":
            return row
        year, month = int(name[:4]), int(name[5:])
        public = date(year + month // 12, month % 12 + 1, 1) + _PRICES_PUBLIC_AFTER
        return row if year >= _PRICES_FROM and public < day else None

    _rewrite(source, target, months)


def _tracker(source: Path, folder: Path, release: str) -> None:
    """The tracker's release under another date; an earlier one does not have every third mine yet."""
    first = release == "April 2009"
    numbers = iter(range(10_000))

    def rows(row: Sequence[Any]) -> Sequence[Any] | None:
        dated = [cell.replace("April 2024", release) if isinstance(cell, str) else cell for cell in row]
        return None if first and str(row[0]).startswith("M") and next(numbers) % 3 == 0 else dated

    _rewrite(source, folder / f"Global-Coal-Mine-Tracker-{release.replace(' ', '-')}.xlsx", rows)


def _rewrite(source: Path, target: Path, kept: Callable[[Sequence[Any]], Sequence[Any] | None]) -> None:
    """Copy a workbook row by row; rows for which `kept` gives nothing are left out."""
    with xlsxwriter.Workbook(str(target), {"strings_to_urls": False}) as copy:
        book = CalamineWorkbook.from_path(str(source))
        for name in book.sheet_names:
            sheet = copy.add_worksheet(name)
            rows = (kept(row) for row in book.get_sheet_by_name(name).to_python(skip_empty_area=False))
            for number, row in enumerate(row for row in rows if row is not None):
                sheet.write_row(number, 0, row)
