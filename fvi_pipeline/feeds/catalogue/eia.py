"""The feeds of the U.S. Energy Information Administration. Descriptions only: how one is read belongs to `parse`."""

from __future__ import annotations

from fvi_pipeline.feeds.catalogue.columns import text, year
from fvi_pipeline.feeds.description import Column, DownloadAddress, Feed, Form, Kind, Part
from fvi_pipeline.feeds.releases import eia_release

_EIA_FIRST_YEAR, _EIA_LAST_YEAR = 1983, 2100


_EIA_COLUMNS = (
    year("as_of_year", "year", required=True),
    Column("msha_id", Kind.MSHA_ID, ("msha id",)),
    text("mine_name", "mine name"),
    text("mine_state", "mine state"),
    text("mine_county", "mine county"),
    text("mine_basin", "mine basin"),
    text("coal_supply_region", "coal supply region"),
    text("mine_status", "mine status"),
    text("mine_type", "mine type"),
    text("company_type", "company type"),
    text("operation_type", "operation type"),
    text("operating_company", "operating company"),
    text("operating_company_address", "operating company address"),
    text("union_code", "union code"),
    # the largest mine there ever was produced 118 million short tons in a year
    Column(
        "production_short_tons",
        Kind.INTEGER,
        ("production (short tons)",),
        required=True,
        minimum=0,
        maximum=500_000_000,
    ),
    Column("average_employees", Kind.INTEGER, ("average employees",), minimum=0, maximum=100_000),
    Column("labor_hours", Kind.INTEGER, ("labor hours",), minimum=0, maximum=500_000_000),
)

EIA_COAL_MINES = Feed(
    name="eia_coal_mines",
    publisher="U.S. Energy Information Administration",
    title="Historical coal production data by mine, one file per year",
    licence="public domain",
    attribution="U.S. Energy Information Administration and U.S. Mine Safety and Health Administration",
    folder="eia_coal",
    patterns=("*.csv", "*.xls", "*.xlsx"),
    form=frozenset({Form.CSV, Form.WORKBOOK}),
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
