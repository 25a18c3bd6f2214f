"""The World Bank's price workbook and Our World in Data's two country files.

Only the form and content of these files belong here. The monthly prices average exactly to the annual prices
that drive the survival process; the country figures bear on nothing.
"""

from __future__ import annotations

import csv
import io
from datetime import datetime
from pathlib import Path

import numpy as np

from fvi_pipeline.simulator.config import SimulationConfig
from fvi_pipeline.simulator.process import (
    COAL_MEAN_LOG_PRICE,
    COAL_REVERSION,
    COAL_SHOCK,
    GAS_MEAN_LOG_PRICE,
    GAS_REVERSION,
    GAS_SHOCK,
    Array,
    Population,
    stream,
)

PRICES_NAME = "world_bank/CMO-Historical-Data-Monthly.xlsx"
PRICES_SHEET = "Monthly Prices"
ENERGY_NAME = "owid/owid-energy-data.csv"
CO2_NAME = "owid/owid-co2-data.csv"
FIRST_PRICE_YEAR, FIRST_COAL_PRICE_YEAR = 1960, 1970
LAST_PRICE_YEAR, LAST_PRICE_MONTH = 2025, 4
_MISSING = "\u2026"
_PRICE_COLUMNS = (
    ("Crude oil, average", "($/bbl)"),
    ("Crude oil, Brent", "($/bbl)"),
    ("Crude oil, Dubai", "($/bbl)"),
    ("Crude oil, WTI", "($/bbl)"),
    ("Coal, Australian", "($/mt)"),
    ("Coal, South African **", "($/mt)"),
    ("Natural gas, US", "($/mmbtu)"),
    ("Natural gas, Europe", "($/mmbtu)"),
    ("Cocoa", "($/kg)"),
)
_ENERGY_COLUMNS = (
    "iso_code",
    "country",
    "year",
    "coal_prod_change_pct",
    "coal_share_elec",
    "coal_share_energy",
    "coal_consumption",
    "coal_production",
    "electricity_generation",
    "coal_electricity",
    "fossil_electricity",
    "gas_electricity",
)
_CO2_COLUMNS = (
    "iso_code",
    "country",
    "year",
    "co2",
    "co2_growth_prct",
    "cement_co2",
    "coal_co2",
    "gas_co2",
    "population",
    "gdp",
)
# iso code, name, electricity in TWh, coal's share of it in percent, population in millions
_COUNTRIES = (
    ("AUS", "Australia", 250, 60, 25), ("CHN", "China", 6000, 68, 1400), ("COL", "Colombia", 75, 10, 49),
    ("IND", "India", 1400, 72, 1340), ("IDN", "Indonesia", 250, 58, 265), ("POL", "Poland", 165, 77, 38),
    ("ZAF", "South Africa", 240, 86, 57), ("TUR", "Turkey", 290, 35, 82),
    ("USA", "United States", 4200, 38, 325),
    ("OWID_WRL", "World", 26000, 38, 7600), ("", "Africa", 830, 30, 1280),
)  # fmt: skip


def write_markets(folder: Path, config: SimulationConfig, population: Population) -> dict[tuple[str, str], int]:
    """Write the price workbook and both country files; returns the data rows of each (file, part)."""
    rows = {(PRICES_NAME, PRICES_SHEET): _write_prices(folder, config, population)}
    rng = stream(config, "owid")
    years = range(1985, config.last_year + 1)
    rows[ENERGY_NAME, ""] = _write_csv(folder / ENERGY_NAME, _ENERGY_COLUMNS, _energy_rows(rng, years))
    # The emissions end a year before the energy figures, as released.
    rows[CO2_NAME, ""] = _write_csv(folder / CO2_NAME, _CO2_COLUMNS, _co2_rows(rng, years[:-1]))
    return rows


def _annual(
    rng: np.random.Generator,
    config: SimulationConfig,
    known: Array,
    mean: float,
    reversion: float,
    shock: float,
) -> dict[int, float]:
    """Annual mean prices of every year of the workbook; those of the panel are the process's."""
    first_known = config.first_year - 1
    logs = {first_known + t: float(v) for t, v in enumerate(known)}
    for year in range(first_known - 1, FIRST_PRICE_YEAR - 1, -1):
        logs[year] = logs[year + 1] + reversion * (mean - logs[year + 1]) + shock * float(rng.standard_normal())
    for year in range(config.last_year + 1, LAST_PRICE_YEAR + 1):
        logs[year] = logs[year - 1] + reversion * (mean - logs[year - 1]) + shock * float(rng.standard_normal())
    return {year: float(np.exp(v)) for year, v in logs.items()}


def _write_prices(folder: Path, config: SimulationConfig, population: Population) -> int:
    import xlsxwriter

    rng = stream(config, "prices")
    coal = _annual(rng, config, population.log_coal_price, COAL_MEAN_LOG_PRICE, COAL_REVERSION, COAL_SHOCK)
    gas = _annual(rng, config, population.log_gas_price, GAS_MEAN_LOG_PRICE, GAS_REVERSION, GAS_SHOCK)
    title = "World Bank Commodity Price Data (The Pink Sheet)"
    notes = ("(monthly series are available only in nominal US dollars)", "Updated on May 02, 2025")
    count = 0
    with xlsxwriter.Workbook(str(folder / PRICES_NAME)) as workbook:
        workbook.set_properties({"title": "Simulated commodity prices", "created": datetime(2025, 5, 2)})
        workbook.add_worksheet("AFOSHEET")
        sheet = workbook.add_worksheet(PRICES_SHEET)
        for r, line in enumerate((title, "monthly prices in nominal US dollars, 1960 to present", *notes)):
            sheet.write_string(r, 0, line)
        sheet.write_row(4, 0, ["", *(name for name, _ in _PRICE_COLUMNS)])
        sheet.write_row(5, 0, ["", *(unit for _, unit in _PRICE_COLUMNS)])
        for year in range(FIRST_PRICE_YEAR, LAST_PRICE_YEAR + 1):
            # Twelve factors that average to one, so that a year's mean is the annual price.
            factors = np.exp(0.05 * rng.standard_normal((12, 2)))
            factors /= factors.mean(axis=0)
            for month in range(12 if year < LAST_PRICE_YEAR else LAST_PRICE_MONTH):
                coal_price, gas_price = coal[year] * factors[month, 0], gas[year] * factors[month, 1]
                oil = [round(9.0 * gas_price + k, 4) for k in range(4)]
                coals: list[float | str] = [round(coal_price, 6), round(coal_price * 0.93, 6)]
                if year < FIRST_COAL_PRICE_YEAR:
                    coals = [_MISSING, _MISSING]
                cocoa = "..." if year < FIRST_COAL_PRICE_YEAR else 2.1
                cells = [
                    f"{year}M{month + 1:02d}",
                    *oil,
                    *coals,
                    round(gas_price, 6),
                    round(gas_price * 1.8, 6),
                    cocoa,
                ]
                sheet.write_row(6 + count, 0, cells)
                count += 1
        workbook.add_worksheet("Description").write_string(0, 0, "SIMULATED CONTENT. No price is real.")
    return count


def _energy_rows(rng: np.random.Generator, years: range) -> list[list[str]]:
    rows = []
    for iso, country, electricity, share, _ in _COUNTRIES:
        level = np.exp(np.cumsum(rng.normal(0.01, 0.02, len(years))))
        shares = np.clip(share + np.cumsum(rng.normal(-0.3, 1.0, len(years))), 1, 99)
        for k, year in enumerate(years):
            generated, coal_share = electricity * level[k], shares[k]
            coal = generated * coal_share / 100
            production = f"{coal * 2.9:.3f}" if year >= 1990 else ""
            cells = [
                "", f"{coal_share:.3f}", f"{coal_share * 0.45:.3f}", f"{coal * 2.6:.3f}", production,
                f"{generated:.3f}", f"{coal:.3f}", f"{generated * 0.8:.3f}", f"{generated * 0.15:.3f}",
            ]  # fmt: skip
            rows.append([iso, country, str(year), *cells])
    return rows


def _co2_rows(rng: np.random.Generator, years: range) -> list[list[str]]:
    rows = []
    for iso, country, electricity, share, people in _COUNTRIES:
        level = np.exp(np.cumsum(rng.normal(0.01, 0.02, len(years))))
        for k, year in enumerate(years):
            co2 = electricity * 1.1 * level[k]
            population = int(people * 1e6 * (0.8 + 0.006 * k))
            gdp = str(int(population * 9000 * level[k])) if year <= 2016 else ""
            cells = [
                "",
                f"{co2 * 0.03:.3f}",
                f"{co2 * share / 120:.3f}",
                f"{co2 * 0.2:.3f}",
                str(population),
                gdp,
            ]
            rows.append([iso, country, str(year), f"{co2:.3f}", *cells])
    return rows


def _write_csv(path: Path, columns: tuple[str, ...], rows: list[list[str]]) -> int:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    path.write_bytes(b"\xef\xbb\xbf" + text.getvalue().encode("utf-8"))
    return len(rows)
