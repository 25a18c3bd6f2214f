"""The feeds that come from JSON APIs. Descriptions only: how an API is asked belongs to `api`, how an answer is read to
`parse`.
"""

from __future__ import annotations

from fvi_pipeline.feeds.api.description import (
    ApiKey,
    ApiQuery,
    JsonApi,
    KeyPlace,
    NumberedPages,
    OffsetPages,
    OnePage,
)
from fvi_pipeline.feeds.api.releases import (
    comtrade_release,
    eia_api_release,
    eia_api_year_release,
    imf_release,
    world_bank_api_release,
)
from fvi_pipeline.feeds.catalogue.columns import msha_id, number, text, year
from fvi_pipeline.feeds.description import FactPeriod, Feed, Form, Freshness, OtherColumns, Part
from fvi_pipeline.feeds.json_records import JsonRecords

_LAST_YEAR = 2100
_JSON = frozenset({Form.JSON})
_ISO3 = "[A-Z]{3}"
_INDICATOR = r"[A-Z0-9_.]+"

_EIA_KEY = ApiKey("FVI_EIA_API_KEY", KeyPlace.QUERY, "api_key", "https://www.eia.gov/opendata/register.php")
# EIA answers 5,000 rows at most, and stops a key that asks more than 5 times a second
_EIA_PAGES = OffsetPages("offset", "length", 5_000, ("response", "total"))
_EIA_RECORDS = JsonRecords(("response", "data"), unit_suffix="-units")
_EIA_ERRORS = (("error",),)
_EIA_WITHHELD = frozenset({"w", "--", "na"})


def _in_the_first_answer(public_at: str, *also: str) -> str:
    """When a fact was public that the first answer to a query carries. One that only a later answer carries is known
    from the receipt of that one: the API was asked before, and did not have it.
    """
    return f"case when {' and '.join(('f.restates_file_id is null', *also))} then {public_at} end"


def _eia_query(
    name: str, route: str, columns: tuple[str, ...], order: tuple[str, ...], of_year: int | None = None
) -> ApiQuery:
    data = tuple((f"data[{at}]", column) for at, column in enumerate(columns))
    span = () if of_year is None else (("start", str(of_year)), ("end", str(of_year)))
    # a stable order: without one, a row could move from one page to another while they are read
    sorting = tuple(
        parameter
        for at, column in enumerate(order)
        for parameter in ((f"sort[{at}][column]", column), (f"sort[{at}][direction]", "asc"))
    )
    return ApiQuery(name, f"{route}/data/", (("frequency", "annual"), *data, *span, *sorting), of_year)


EIA_API_MINE_PRODUCTION = Feed(
    name="eia_api_mine_production",
    publisher="U.S. Energy Information Administration",
    title="Open Data API v2: coal mine production, by year",
    licence="public domain",
    attribution="U.S. Energy Information Administration",
    summary="U.S. coal mines by year since 2001, from EIA's API: production by rank of coal, people, hours, place.",
    folder="eia_api",
    patterns=("mine-production*.json",),
    form=_JSON,
    table="eia_api_mine_production",
    parts=(
        Part(
            "",
            frozenset({"period", "minemshaid", "production"}),
            (
                year("as_of_year", "period", about="Year that the row describes", required=True),
                msha_id("minemshaid"),
                text("mine_name", "minename", about="Name of the mine"),
                text(
                    "state_code", "stateregionid", "stateid", "minestateid", about="Code of the mine's state or basin"
                ),
                text(
                    "state",
                    "stateregiondescription",
                    "statedescription",
                    "minestatedescription",
                    about="State of the mine, some with their part: Kentucky (East)",
                ),
                text("county_code", "minecountyid", about="Code of the mine's county"),
                text("county", "minecountyname", about="County of the mine"),
                text("supply_region_code", "supplyregionid", about="Code of the coal supply region"),
                text("supply_region", "supplyregiondescription", about="Coal supply region"),
                text("mine_status_code", "minestatusid", about="Code of the status"),
                text("mine_status", "minestatusdescription", about="Status at or after the end of the year"),
                text("mine_type_code", "minetypeid", about="Code of the kind of mine"),
                text("mine_type", "minetypedescription", about="Surface, underground or refuse"),
                text("coal_rank_code", "coalrankid", about="Code of the rank of coal"),
                text("coal_rank", "coalrankdescription", about="Rank of the coal"),
                text("operating_company", "operating-company", about="Company that operates the mine"),
                text("operating_company_address", "operating-company-address", about="Its address"),
                number(
                    "production_short_tons",
                    "production",
                    about="Coal produced in the year",
                    unit="short tons",
                    printed_unit="short tons",
                    maximum=500_000_000,
                ),
                number(
                    "average_employees",
                    "average-employees",
                    about="Average number of employees in the year",
                    unit="people",
                    maximum=100_000,
                ),
                number(
                    "labor_hours",
                    "labor-hours",
                    about="Hours worked in the year",
                    unit="hours",
                    printed_unit="hours",
                    maximum=500_000_000,
                ),
                number("latitude", "latitude", about="Latitude of the mine", unit="°", minimum=-90, maximum=90),
                number("longitude", "longitude", about="Longitude of the mine", unit="°", minimum=-180, maximum=180),
                text("refuse_flag", "refuse-flag", about="Whether the coal was recovered from refuse"),
            ),
        ),
    ),
    release=eia_api_year_release,
    single_year_column="as_of_year",
    unstated_tokens=_EIA_WITHHELD,
    keys=("as_of_year", "msha_id", "mine_type_code", "coal_rank_code", "refuse_flag"),
    publication_lag="a year is known from 1 October of the next year",
    freshness=Freshness(warn_days=430, error_days=550),
    records=_EIA_RECORDS,
    api=JsonApi(
        "https://api.eia.gov/v2",
        tuple(
            _eia_query(
                f"mine-production-{of_year}",
                "coal/mine-production",
                (
                    "production",
                    "average-employees",
                    "labor-hours",
                    "operating-company",
                    "operating-company-address",
                    "latitude",
                    "longitude",
                    "refuse-flag",
                ),
                ("period", "mineMSHAId", "mineTypeId", "coalRankId"),
                of_year,
            )
            for of_year in range(2001, _LAST_YEAR + 1)
        ),
        _EIA_PAGES,
        _EIA_ERRORS,
        calls_per_second=4,
        key=_EIA_KEY,
    ),
)

EIA_API_COAL_PRICES = Feed(
    name="eia_api_coal_prices",
    publisher="U.S. Energy Information Administration",
    title="Open Data API v2: coal prices by rank and region",
    licence="public domain",
    attribution="U.S. Energy Information Administration",
    summary="Price of U.S. coal at the mine by year since 2001, state or region, and rank of coal.",
    folder="eia_api",
    patterns=("price-by-rank*.json",),
    form=_JSON,
    table="eia_api_coal_prices",
    parts=(
        Part(
            "",
            frozenset({"period", "stateregionid", "coalrankid", "price"}),
            (
                year("as_of_year", "period", about="Year that the row describes", required=True),
                text("region_code", "stateregionid", about="Code of the state or region", required=True),
                text("region", "stateregiondescription", about="State or region"),
                text("coal_rank_code", "coalrankid", about="Code of the rank of coal, TOT for all", required=True),
                text("coal_rank", "coalrankdescription", about="Rank of the coal"),
                number(
                    "price_usd_per_short_ton",
                    "price",
                    about="Average price at the mine; nothing where it would show one company's",
                    unit="$/short ton",
                    printed_unit="dollars per short ton",
                ),
            ),
        ),
    ),
    release=eia_api_release,
    unstated_tokens=_EIA_WITHHELD,
    keys=("as_of_year", "region_code", "coal_rank_code"),
    publication_lag="a year is known from 1 April of the second year after it, when even the latest report was out",
    fact_period=FactPeriod(
        columns=("as_of_year", "region_code", "coal_rank_code"),
        public_at_sql=_in_the_first_answer("make_timestamptz(r.as_of_year + 2, 4, 1, 0, 0, 0, 'UTC')"),
    ),
    freshness=Freshness(warn_days=430, error_days=550),
    records=_EIA_RECORDS,
    api=JsonApi(
        "https://api.eia.gov/v2",
        (_eia_query("price-by-rank", "coal/price-by-rank", ("price",), ("period", "stateRegionId", "coalRankId")),),
        _EIA_PAGES,
        _EIA_ERRORS,
        calls_per_second=4,
        key=_EIA_KEY,
    ),
)

WORLD_BANK_INDICATORS = Feed(
    name="world_bank_indicators",
    publisher="World Bank",
    title="World Development Indicators, API v2",
    licence="CC BY 4.0",
    attribution="World Bank, World Development Indicators",
    summary="GDP per head, coal rents and coal's share of electricity by country and year since 1960.",
    folder="world_bank_api",
    patterns=("*.json",),
    form=_JSON,
    table="world_bank_indicators",
    parts=(
        Part(
            "",
            frozenset({"indicator.id", "country.value", "date", "value"}),
            (
                text(
                    "indicator_code", "indicator.id", about="Code of the indicator", required=True, pattern=_INDICATOR
                ),
                text("indicator_name", "indicator.value", about="The indicator in words"),
                text("country_iso2", "country.id", about="Two-letter code of the country or group"),
                text("country", "country.value", about="Country or group of countries", required=True),
                text(
                    "country_iso3",
                    "countryiso3code",
                    about="Three-letter code of the country or group, nothing for some groups",
                    pattern=_ISO3,
                ),
                year("as_of_year", "date", about="Year that the row describes", required=True),
                number("value", "value", about="The indicator's value; nothing where none is known", minimum=None),
                text("unit", "unit", about="Unit, where the World Bank states one"),
                text("observation_status", "obs_status", about="The World Bank's mark of an estimate or forecast"),
                text("decimals", "decimal", about="Decimals that the World Bank shows"),
            ),
        ),
    ),
    release=world_bank_api_release,
    keys=("indicator_code", "country", "as_of_year"),
    publication_lag="GDP of a year is known from 1 October of the next year; the others from the day of the update",
    fact_period=FactPeriod(
        columns=("indicator_code", "country", "as_of_year"),
        # only GDP comes every year in time; a year of the others came out up to eight years later
        public_at_sql=_in_the_first_answer(
            "make_timestamptz(r.as_of_year + 1, 10, 1, 0, 0, 0, 'UTC')", "r.indicator_code = 'NY.GDP.PCAP.CD'"
        ),
    ),
    freshness=Freshness(warn_days=200, error_days=400),
    records=JsonRecords((1,)),
    api=JsonApi(
        "https://api.worldbank.org/v2",
        tuple(
            ApiQuery(indicator, f"country/all/indicator/{indicator}", (("format", "json"),))
            for indicator in ("NY.GDP.PCAP.CD", "NY.GDP.COAL.RT.ZS", "EG.ELC.COAL.ZS")
        ),
        # 266 countries and groups × 65 years fit into one answer
        NumberedPages("page", "per_page", 20_000, (0, "pages"), (0, "total")),
        ((0, "message"),),
        calls_per_second=2,
    ),
)

UN_COMTRADE_COAL = Feed(
    name="un_comtrade_coal",
    publisher="United Nations",
    title="UN Comtrade: trade in coal (HS 2701) with the world, by year",
    licence="UN Comtrade's terms: internal use and derived results, no passing on of the data",
    attribution="United Nations Statistics Division, UN Comtrade",
    summary="Each country's imports and exports of coal by year since 2000, in U.S. dollars and by weight.",
    folder="un_comtrade",
    patterns=("coal-trade*.json",),
    form=_JSON,
    table="un_comtrade_coal",
    parts=(
        Part(
            "",
            frozenset({"refyear", "reportercode", "flowcode", "cmdcode", "primaryvalue"}),
            (
                year("as_of_year", "refyear", about="Year that the row describes", required=True),
                text("reporter_code", "reportercode", about="UN code of the country that reports", required=True),
                text("reporter_iso3", "reporteriso", about="Three-letter code of the country that reports"),
                text("reporter", "reporterdesc", about="Country that reports"),
                text("flow_code", "flowcode", about="M for imports, X for exports", required=True, one_of="m|x"),
                text("partner_code", "partnercode", about="UN code of the other side; 0 is the world", required=True),
                text("commodity_code", "cmdcode", about="Code of the Harmonised System", required=True),
                text("commodity", "cmddesc", about="The commodity in words"),
                number("net_weight_kg", "netwgt", about="Net weight; 0 where it is not known", unit="kg"),
                text(
                    "net_weight_estimated", "isnetwgtestimated", about="Whether the weight is estimated: true or false"
                ),
                number("value_usd", "primaryvalue", about="Value: imports with freight, exports without", unit="$"),
                text("reported", "isreported", about="Whether the country reported this total itself: true or false"),
            ),
        ),
    ),
    release=comtrade_release,
    single_year_column="as_of_year",
    keys=("as_of_year", "reporter_code", "flow_code", "partner_code", "commodity_code"),
    publication_lag="each country reports when it can: known from receipt",
    freshness=Freshness(warn_days=200, error_days=400),
    other_columns=OtherColumns.LEFT_OUT,
    records=JsonRecords(("data",)),
    api=JsonApi(
        "https://comtradeapi.un.org",
        tuple(
            ApiQuery(
                f"coal-trade-{of_year}",
                "data/v1/get/C/A/HS",
                (
                    ("period", str(of_year)),
                    ("cmdCode", "2701"),
                    ("flowCode", "M,X"),
                    # with the world, by all ways of transport and all customs procedures: one row per country and flow
                    ("partnerCode", "0"),
                    ("partner2Code", "0"),
                    ("motCode", "0"),
                    ("customsCode", "C00"),
                    ("includeDesc", "true"),
                ),
                of_year,
            )
            for of_year in range(2000, _LAST_YEAR + 1)
        ),
        OnePage(most_records=100_000, total=("count",)),
        (("error",), ("message",)),
        calls_per_second=1,
        key=ApiKey(
            "FVI_COMTRADE_API_KEY",
            KeyPlace.HEADER,
            "Ocp-Apim-Subscription-Key",
            "https://comtradedeveloper.un.org",
        ),
    ),
)

IMF_OUTLOOK = Feed(
    name="imf_outlook",
    publisher="International Monetary Fund",
    title="World Economic Outlook, DataMapper API",
    licence="IMF's terms: free use with attribution",
    attribution="International Monetary Fund, World Economic Outlook",
    summary="Growth and inflation by country and year since 1980, with the IMF's projections for the coming years.",
    folder="imf",
    patterns=("*.json",),
    form=_JSON,
    table="imf_outlook",
    parts=(
        Part(
            "",
            frozenset({"indicator_code", "country_code", "as_of_year", "value"}),
            (
                text(
                    "indicator_code", "indicator_code", about="Code of the indicator", required=True, pattern=_INDICATOR
                ),
                text("country_code", "country_code", about="Code of the country (ISO) or group", required=True),
                year("as_of_year", "as_of_year", about="Year that the row describes, past or projected", required=True),
                number("value", "value", about="Annual change", unit="%", minimum=None),
            ),
        ),
    ),
    release=imf_release,
    null_tokens=frozenset({"", "-", "no data", "n/a"}),
    keys=("indicator_code", "country_code", "as_of_year"),
    publication_lag="a year is known from 1 October of the next year; what is received before is a projection",
    fact_period=FactPeriod(
        columns=("indicator_code", "country_code", "as_of_year"),
        public_at_sql=_in_the_first_answer("make_timestamptz(r.as_of_year + 1, 10, 1, 0, 0, 0, 'UTC')"),
    ),
    freshness=Freshness(warn_days=250, error_days=400),
    records=JsonRecords(("values",), levels=("indicator_code", "country_code", "as_of_year")),
    api=JsonApi(
        "https://www.imf.org/external/datamapper/api/v1",
        tuple(ApiQuery(indicator, indicator) for indicator in ("NGDP_RPCH", "PCPIPCH")),
        OnePage(),
        (("error",), ("message",)),
        calls_per_second=1,
    ),
)
