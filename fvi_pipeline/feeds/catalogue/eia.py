"""The feeds of the U.S. Energy Information Administration. Descriptions only: how one is read belongs to `parse`."""

from __future__ import annotations

from fvi_pipeline.feeds.catalogue.columns import WORDS, count, msha_id, text, year
from fvi_pipeline.feeds.description import DownloadAddress, Feed, Form, Freshness, Part
from fvi_pipeline.feeds.releases import eia_release

_EIA_FIRST_YEAR, _EIA_LAST_YEAR = 1983, 2100


_EIA_COLUMNS = (
    year("as_of_year", "year", required=True, about="Year that the row describes"),
    msha_id("msha id"),
    text("mine_name", "mine name", about="Name of the mine"),
    text(
        "mine_state",
        "mine state",
        about="State of the mine; carries the sub-basin in brackets, and 'Refuse Recovery' for recovered waste coal",
    ),
    text("mine_county", "mine county", about="County of the mine"),
    text("mine_basin", "mine basin", about="Coal basin of the mine; in the files up to 2011"),
    text(
        "coal_supply_region",
        "coal supply region",
        pattern=WORDS,
        about="Coal supply region of the mine; in the files from 2013 on",
    ),
    text(
        "mine_status",
        "mine status",
        about="Status of the mine at or after the end of the year; unusable before 2001",
    ),
    text("mine_type", "mine type", about="Surface, Underground or Refuse"),
    text("company_type", "company type", about="Kind of the operating company, as the agency spells it"),
    text(
        "operation_type",
        "operation type",
        about="Mine, preparation plant or both; with the mine's type it tells apart the rows of one mine and year",
    ),
    text(
        "operating_company",
        "operating company",
        about="Company that operates the mine, cut at 30 characters",
    ),
    text("operating_company_address", "operating company address", about="Postal address of the operating company"),
    text("union_code", "union code", pattern=WORDS, about="Union of the workforce, in several spellings"),
    # the largest mine there ever was produced 118 million short tons in a year
    count(
        "production_short_tons",
        "production (short tons)",
        about="Coal produced in the year",
        unit="short tons",
        maximum=500_000_000,
        required=True,
    ),
    count(
        "average_employees",
        "average employees",
        about="Average number of employees in the year; in the files from 2001 on",
        unit="people",
        maximum=100_000,
    ),
    count(
        "labor_hours",
        "labor hours",
        about="Hours worked in the year; in the files from 2001 on",
        unit="hours",
        maximum=500_000_000,
    ),
)

EIA_COAL_MINES = Feed(
    name="eia_coal_mines",
    publisher="U.S. Energy Information Administration",
    title="Historical coal production data by mine, one file per year",
    licence="public domain",
    attribution="U.S. Energy Information Administration and U.S. Mine Safety and Health Administration",
    summary="Every U.S. coal mine in every year since 1983: production, employees, hours, status and operator.",
    folder="eia_coal",
    patterns=("*.csv", "*.xls", "*.xlsx"),
    form=frozenset({Form.CSV, Form.WORKBOOK, Form.SPREADSHEETML}),
    table="eia_coal_mines",
    parts=(
        Part(
            "",
            frozenset(
                {"year", "msha id", "mine name", "mine state", "mine type", "operation type"}
                | {"production (short tons)"}
            ),
            _EIA_COLUMNS,
        ),
    ),
    release=eia_release,
    single_year_column="as_of_year",
    keys=("as_of_year", "msha_id", "mine_type", "operation_type"),
    publication_lag="a year is known from 1 October of the next year",
    # a release may be late by half a year before somebody has to look
    freshness=Freshness(warn_days=430, error_days=550),
    # a row that slips to the left has a number for its union or region, and employees for tons
    shifted_row_signs=2,
    downloads=tuple(
        DownloadAddress(
            (f"coalpublic{year}.xls", f"coalpublic{year}.xlsx"),
            (
                f"https://www.eia.gov/coal/data/public/xls/coalpublic{year}.xls",
                f"https://www.eia.gov/coal/data/public/xls/coalpublic{year}.xlsx",
            ),
            year,
        )
        for year in range(_EIA_FIRST_YEAR, _EIA_LAST_YEAR + 1)
    ),
)
