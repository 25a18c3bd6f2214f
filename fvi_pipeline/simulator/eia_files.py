"""EIA's `coalpublicYYYY.csv`: the four header forms, with the habits of the real files.

Only the form of these files belongs here: the byte-order mark, CRLF, thousands commas, lost leading zeros,
the many ways of writing nothing, several rows per mine. What a mine does is in `process`, what it is called
in `mines`.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fvi_pipeline.simulator.config import SimulationConfig
from fvi_pipeline.simulator.mines import OPERATOR_WIDTH, STATES, MineAttributes, draw_operator, pick
from fvi_pipeline.simulator.process import Population, stream

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_FIRST_YEAR_WITH_WORKFORCE = 2001
_SHARE_LINGERING = 0.4  # of closed mines: still listed, without production, in the first year after


@dataclass
class EiaRow:
    """One row of a year's file, before it is put in that year's form."""

    msha_id: str
    name: str
    state: int
    county: str
    status: str
    mine_type: str
    company_type: str
    operation: str
    operator: str
    address: str
    union: str
    production: int
    employees: int
    hours: int


@dataclass
class EiaYear:
    """The rows of one year, and lines that are added as they stand after them (planted defects)."""

    year: int
    rows: list[EiaRow]
    extra_lines: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The file's path relative to the landing folder."""
        return f"eia_coal/coalpublic{self.year}.csv"

    @property
    def row_count(self) -> int:
        """Data rows of the file, extra lines included."""
        return len(self.rows) + len(self.extra_lines)


def header(year: int) -> list[str]:
    """The header of a year's file."""
    columns = ["Year", "MSHA ID", "Mine Name", "Mine State", "Mine County"]
    if year <= 2011:
        columns.append("Mine Basin")
    columns += ["Mine Status", "Mine Type", "Company Type", "Operation Type", "Operating Company"]
    columns += ["Operating Company Address", "Union Code"]
    if year >= 2013:
        columns.append("Coal Supply Region")
    columns.append("Production (short tons)")
    if year >= _FIRST_YEAR_WITH_WORKFORCE:
        columns += ["Average Employees", "Labor Hours"]
    return columns


def cp1252_years(config: SimulationConfig) -> tuple[int, int]:
    """The two years whose files are not UTF-8; the first still begins with the UTF-8 byte-order mark."""
    return config.first_year + 2, config.first_year + 4


def build_years(config: SimulationConfig, population: Population, mines: list[MineAttributes]) -> list[EiaYear]:
    """The rows of every year, in the publisher's order (state, county, id; refuse recovery last)."""
    rng = stream(config, "eia")
    built = []
    for t, year in enumerate(config.years):
        rows: list[EiaRow] = []
        for i, mine in enumerate(mines):
            if population.producing[i, t]:
                rows += _rows_of_producer(population, mine, i, t)
            elif t > 0 and population.producing[i, t - 1] and rng.random() < _SHARE_LINGERING:
                rows.append(_row(mine, "Permanently abandoned", mine.operation, _type(population, i), 0, 0, 0))
        if t < 3:
            rows += [_row_without_id(rng, k) for k in range(2 + len(mines) // 300)]
        rows.sort(key=lambda row: (row.state == len(STATES) - 1, row.state, row.county, row.msha_id))
        built.append(EiaYear(year, rows))
    return built


def write_year(folder: Path, config: SimulationConfig, year: EiaYear) -> None:
    """Write one year's file below the folder."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(header(year.year))
    writer.writerows(_cells(year.year, row) for row in year.rows)
    body = text.getvalue() + "".join(line + "\r\n" for line in year.extra_lines)
    marked, unmarked = cp1252_years(config)
    content = body.encode("cp1252" if year.year in (marked, unmarked) else "utf-8")
    (folder / year.name).write_bytes(content if year.year == unmarked else _BYTE_ORDER_MARK + content)


def _cells(year: int, row: EiaRow) -> list[str]:
    state, _, _, basin, _, _ = STATES[row.state]
    # Some years kept the leading zero of an id, most did not.
    msha_id = row.msha_id if year % 4 == 0 or row.msha_id == "-" else str(int(row.msha_id))
    cells = [str(year), msha_id, row.name, state, row.county]
    if year <= 2011:
        cells.append(basin)
    nothing = "-" if year <= 2000 or year == 2012 else (" " if year == 2013 else "")
    company_type = row.company_type if year > 2000 or row.company_type != "Contractor" else "-"
    cells += [
        row.status,
        row.mine_type,
        company_type,
        row.operation,
        row.operator[:OPERATOR_WIDTH],
        row.address,
    ]
    cells.append(row.union or nothing)
    if year >= 2013:
        cells.append(basin)
    cells.append(f"{row.production:,}")
    if year >= _FIRST_YEAR_WITH_WORKFORCE:
        cells += [f"{row.employees:,}", f"{row.hours:,}"]
    return cells


def _type(population: Population, i: int) -> str:
    return "Underground" if population.underground[i] else "Surface"


def _row(
    mine: MineAttributes,
    status: str,
    operation: str,
    mine_type: str,
    production: int,
    employees: int,
    hours: int,
) -> EiaRow:
    return EiaRow(
        msha_id=mine.msha_id,
        name=mine.name,
        state=mine.state,
        county=mine.county,
        status=status,
        mine_type="Refuse" if STATES[mine.state][0] == "Refuse Recovery" else mine_type,
        company_type=mine.company_type,
        operation=operation,
        operator=mine.operator,
        address=mine.address,
        union=mine.union,
        production=production,
        employees=employees,
        hours=hours,
    )


def _rows_of_producer(population: Population, mine: MineAttributes, i: int, t: int) -> list[EiaRow]:
    """One row, or two that add up to the mine: a second mine type, or a plant that produces nothing."""
    production, employees, hours = (
        int(values[i, t]) for values in (population.production, population.employees, population.hours)
    )
    status, mine_type = str(population.status[i, t]), _type(population, i)
    if mine.has_second_type_row and production > 1000 and employees > 4:
        other = "Surface" if mine_type == "Underground" else "Underground"
        part = (production // 5, employees // 5, hours // 5)
        return [
            _row(
                mine,
                status,
                mine.operation,
                mine_type,
                production - part[0],
                employees - part[1],
                hours - part[2],
            ),
            _row(mine, status, mine.operation, other, *part),
        ]
    if mine.has_plant_row and employees > 8:
        plant = (0, employees // 8, hours // 8)
        return [
            _row(mine, status, mine.operation, mine_type, production, employees - plant[1], hours - plant[2]),
            _row(mine, status, "Preparation Plant", mine_type, *plant),
        ]
    return [_row(mine, status, mine.operation, mine_type, production, employees, hours)]


def _row_without_id(rng: np.random.Generator, k: int) -> EiaRow:
    """A small producer listed without an MSHA id: it is in no panel, but counts in the totals."""
    operator, address = draw_operator(rng)
    state = (2 * k) % (len(STATES) - 1)
    return EiaRow(
        msha_id="-",
        name="-" if k % 2 else f"{operator.split()[0]} Pit",
        state=state,
        county=pick(rng, STATES[state][4]),
        status="-",
        mine_type="Surface",
        company_type="-",
        operation="Mine only",
        operator=operator,
        address=address,
        union="",
        production=int(rng.integers(500, 9000)),
        employees=int(rng.integers(1, 9)),
        hours=int(rng.integers(300, 9000)),
    )
