"""The feeds: one declarative description each, and nothing else. How a description is read belongs to
`parse`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from fvi_pipeline.feeds.description import Column, DownloadAddress, Feed, Form, Kind, Part
from fvi_pipeline.feeds.read_geojson import GEOMETRY_TYPE
from fvi_pipeline.feeds.releases import (
    eia_release,
    gem_features_release,
    gem_tracker_release,
    owid_release,
    world_bank_release,
)

_YEARS = (1900, 2100)
_EIA_FIRST_YEAR, _EIA_LAST_YEAR = 1983, 2100


def _text(name: str, *headers: str, required: bool = False) -> Column:
    return Column(name, Kind.TEXT, headers, required=required)


def _number(
    name: str, *headers: str, minimum: float | None = 0, maximum: float | None = None, unit: str | None = None
) -> Column:
    return Column(name, Kind.NUMBER, headers, minimum=minimum, maximum=maximum, printed_unit=unit)


def _year(name: str, *headers: str, required: bool = False, minimum: int = _YEARS[0]) -> Column:
    return Column(name, Kind.INTEGER, headers, required=required, minimum=minimum, maximum=_YEARS[1])


_EIA_COLUMNS = (
    _year("as_of_year", "year", required=True),
    Column("msha_id", Kind.MSHA_ID, ("msha id",)),
    _text("mine_name", "mine name"),
    _text("mine_state", "mine state"),
    _text("mine_county", "mine county"),
    _text("mine_basin", "mine basin"),
    _text("coal_supply_region", "coal supply region"),
    _text("mine_status", "mine status"),
    _text("mine_type", "mine type"),
    _text("company_type", "company type"),
    _text("operation_type", "operation type"),
    _text("operating_company", "operating company"),
    _text("operating_company_address", "operating company address"),
    _text("union_code", "union code"),
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

_EIA_COAL_MINES = Feed(
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

_GEM_NOTHING = frozenset({"", "-", "–", "—", "*", "＊"})
_GEM_FORM = "https://globalenergymonitor.org/projects/global-coal-mine-tracker/download-data/"

_GEM_COLUMNS = (
    _text("gem_mine_id", "gem mine id", required=True),
    Column("msha_id", Kind.MSHA_ID, ("msha id",)),
    _text("country", "country", "country / area"),
    _text("mine_name", "mine name"),
    _text("mine_name_aliases", "mine name akas"),
    _text("mine_name_local", "mine name (non-eng)"),
    _text("wiki_url", "gem wiki urls", "gem wiki page (eng)"),
    _text("status", "status"),
    _text("status_detail", "status detail"),
    _text("project_type", "project type"),
    _text("project_phase", "project phase"),
    _text("owners", "owners"),
    _text("parent_company", "parent company"),
    _number("capacity_mt_per_year", "capacity (mtpa)", maximum=1_000),
    _number("production_mt_per_year", "production (mtpa)", maximum=1_000),
    _year("production_year", "year of production"),
    _text("mine_type", "mine type"),
    _text("mining_method", "mining method"),
    _number("mine_size_km2", "mine size (km2)", maximum=100_000),
    _number("mine_depth_m", "mine depth (m)", maximum=10_000),
    _number("workforce_size", "workforce size", maximum=1_000_000),
    _text("coal_type", "coal type"),
    _text("coal_grade", "coal grade"),
    _number("reserves_mt", "total reserves (proven and probable, mt)", maximum=1_000_000),
    _number("resources_mt", "total resource (inferred, indicated, measured)", maximum=1_000_000),
    _number("reserve_to_production_years", "reserve to production ratio (r/p)", maximum=1_000_000),
    _year("opening_year", "opening year", minimum=1500),
    _year("closing_year", "closing year", minimum=1500),
    _number("reported_life_years", "reported life of mine", maximum=10_000),
    _text("closure_reason", "reason for closure"),
    _text("coalfield", "coalfield"),
    _text("state_province", "state, province"),
    _text("region", "region"),
    _number("latitude", "latitude", minimum=-90, maximum=90),
    _number("longitude", "longitude", minimum=-180, maximum=180),
    _number(
        "methane_million_tonnes_per_year",
        "gem coal mine methane emissions estimate (m tonnes/yr)",
        maximum=1_000,
    ),
    _number("co2e_20_years_million_tonnes", "cmm emissions (co2e 20 years)", maximum=10_000),
    _number("co2e_100_years_million_tonnes", "cmm emissions (co2e 100 years)", maximum=10_000),
)

_GEM_COAL_MINES = Feed(
    name="gem_coal_mines",
    publisher="Global Energy Monitor",
    title="Global Coal Mine Tracker",
    licence="CC BY 4.0",
    attribution="Global Energy Monitor, Global Coal Mine Tracker",
    folder="gem",
    patterns=("*.xlsx", "*.xls"),
    form=frozenset({Form.WORKBOOK}),
    table="gem_coal_mines",
    parts=(
        Part("closed", frozenset({"gem mine id", "mine name", "closing year"}), _GEM_COLUMNS),
        Part("open", frozenset({"gem mine id", "mine name", "status"}), _GEM_COLUMNS),
    ),
    release=gem_tracker_release,
    part_column="sheet",
    null_tokens=_GEM_NOTHING,
    unstated_tokens=frozenset({"tbd", "n/a", "unknown", "not found"}),
    loose_numbers=True,
    manual_download=f"Global Energy Monitor asks for a form; put the tracker's workbook in gem/: {_GEM_FORM}",
)

_GEM_MINE_FEATURES = Feed(
    name="gem_mine_features",
    publisher="Global Energy Monitor",
    title="Coal Mine Boundaries and Methane Sources",
    licence="CC BY 4.0",
    attribution="Global Energy Monitor, Coal Mine Boundaries and Methane Sources",
    folder="gem",
    patterns=("*.geojson",),
    form=frozenset({Form.GEOJSON}),
    table="gem_mine_features",
    parts=(
        Part(
            "",
            frozenset({"id", "gem mine id", "mine feature category"}),
            (
                _text("feature_id", "id", required=True),
                _text("gem_mine_id", "gem mine id"),
                _text("category", "mine feature category"),
                _text("subcategory", "mine feature subcategory"),
                _text("notes", "notes"),
                _text("description", "description"),
                _text("mine_name", "mine name"),
                _text("country", "country / area"),
                _text("owners", "owners"),
                _text("parent_company", "parent company"),
                _text("wiki_url", "gem wiki page (eng)"),
                Column("last_researched", Kind.DATE, ("last researched",)),
                Column("data_source_date", Kind.DATE, ("data source date",)),
                _text("geometry_type", GEOMETRY_TYPE),
            ),
        ),
    ),
    release=gem_features_release,
    unstated_tokens=frozenset({"none given", "unknown", "no source date information found"}),
    manual_download=f"Global Energy Monitor asks for a form; put the boundary GeoJSON in gem/: {_GEM_FORM}",
)

_WORLD_BANK_PRICES = Feed(
    name="world_bank_prices",
    publisher="World Bank",
    title="Commodity Price Data (The Pink Sheet), monthly",
    licence="CC BY 4.0",
    attribution="World Bank, Commodity Price Data (The Pink Sheet)",
    folder="world_bank",
    patterns=("*.xlsx", "*.xls"),
    form=frozenset({Form.WORKBOOK}),
    table="world_bank_prices",
    parts=(
        Part(
            "",
            frozenset({"coal, australian", "natural gas, us", "crude oil, average"}),
            (
                # the month's column has no header
                Column("month", Kind.MONTH, ("month", ""), required=True),
                _number("coal_australian_usd_per_tonne", "coal, australian", unit="($/mt)"),
                _number("coal_south_african_usd_per_tonne", "coal, south african", unit="($/mt)"),
                _number("natural_gas_us_usd_per_mmbtu", "natural gas, us", unit="($/mmbtu)"),
                _number("natural_gas_europe_usd_per_mmbtu", "natural gas, europe", unit="($/mmbtu)"),
                # crude oil has been sold below zero
                _number("crude_oil_average_usd_per_barrel", "crude oil, average", minimum=None, unit="($/bbl)"),
            ),
        ),
    ),
    release=world_bank_release,
    null_tokens=frozenset({"", "-", "…", "...", "..", "n.a."}),
    downloads=(
        DownloadAddress(
            ("CMO-Historical-Data-Monthly.xlsx",),
            (
                "https://thedocs.worldbank.org/en/doc/18675f1d1639c7a34d463f59263ba0a2-0050012025/related/"
                "CMO-Historical-Data-Monthly.xlsx",
            ),
        ),
    ),
)

_OWID_KEYS = (
    _text("iso_code", "iso_code"),
    _text("country", "country", required=True),
    _year("as_of_year", "year", required=True, minimum=1700),
)


def _owid(name: str, title: str, pattern: str, marks: set[str], columns: tuple[Column, ...], repository: str) -> Feed:
    file_name = f"owid-{repository}.csv"
    folder = repository.removesuffix("-data")
    return Feed(
        name=name,
        publisher="Our World in Data",
        title=title,
        licence="CC BY 4.0",
        attribution=f"Our World in Data, {title}",
        folder="owid",
        patterns=(pattern,),
        form=frozenset({Form.CSV}),
        table=name,
        parts=(Part("", frozenset({"country", "year"} | marks), (*_OWID_KEYS, *columns)),),
        release=owid_release,
        null_tokens=frozenset({""}),
        downloads=(
            DownloadAddress(
                (file_name,),
                (
                    f"https://nyc3.digitaloceanspaces.com/owid-public/data/{folder}/{file_name}",
                    f"https://raw.githubusercontent.com/owid/{repository}/master/{file_name}",
                ),
            ),
        ),
    )


_OWID_ENERGY = _owid(
    "owid_energy",
    "Data on Energy",
    "*energy*.csv",
    {"coal_share_elec", "coal_consumption"},
    (
        _number("coal_share_of_electricity_percent", "coal_share_elec", maximum=100.5),
        _number("coal_production_twh", "coal_production"),
        _number("coal_consumption_twh", "coal_consumption"),
        _number("electricity_generation_twh", "electricity_generation"),
        _number("coal_electricity_twh", "coal_electricity"),
        _number("gas_electricity_twh", "gas_electricity"),
        _number("coal_share_of_energy_percent", "coal_share_energy", maximum=100.5),
    ),
    "energy-data",
)

_OWID_CO2 = _owid(
    "owid_co2",
    "Data on CO2 and Greenhouse Gas Emissions",
    "*co2*.csv",
    {"co2", "coal_co2"},
    (
        # Our World in Data has negative CO2 where a territory is a net exporter in the accounts
        _number("co2_million_tonnes", "co2", minimum=None),
        _number("coal_co2_million_tonnes", "coal_co2", minimum=None),
        _number("population", "population"),
        _number("gdp_usd", "gdp"),
    ),
    "co2-data",
)

FEEDS: Mapping[str, Feed] = MappingProxyType(
    {
        feed.name: feed
        for feed in (
            _EIA_COAL_MINES,
            _GEM_COAL_MINES,
            _GEM_MINE_FEATURES,
            _WORLD_BANK_PRICES,
            _OWID_ENERGY,
            _OWID_CO2,
        )
    }
)
"""Every feed by its name, which is also the name of its landing table."""
