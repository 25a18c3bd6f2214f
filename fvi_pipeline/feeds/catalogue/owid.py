"""The feeds of Our World in Data. Descriptions only: how one is read belongs to `parse`."""

from __future__ import annotations

from fvi_pipeline.feeds.catalogue.columns import WORDS, number, text, year
from fvi_pipeline.feeds.description import (
    Column,
    DownloadAddress,
    FactPeriod,
    Feed,
    Form,
    Freshness,
    OtherColumns,
    Part,
)
from fvi_pipeline.feeds.releases import owid_release

_OWID_KEYS = (
    text(
        "iso_code",
        "iso_code",
        # OWID_WRL and the like stand for regions
        pattern="[A-Z][A-Z_]{2,}[A-Z0-9]*",
        about="ISO 3166 alpha-3 code of the country, OWID_… for some regions, nothing for others",
    ),
    text("country", "country", required=True, pattern=WORDS, about="Country or region, as Our World in Data names it"),
    year("as_of_year", "year", required=True, minimum=1700, about="Year that the row describes"),
)


def _owid(name: str, title: str, summary: str, pattern: str, columns: tuple[Column, ...], repository: str) -> Feed:
    all_columns = (*_OWID_KEYS, *columns)
    file_name = f"owid-{repository}.csv"
    folder = repository.removesuffix("-data")
    return Feed(
        name=name,
        publisher="Our World in Data",
        title=title,
        licence="CC BY 4.0",
        attribution=f"Our World in Data, {title}",
        summary=summary,
        folder="owid",
        patterns=(f"{pattern}.csv", f"{pattern}.xlsx"),
        form=frozenset({Form.CSV, Form.WORKBOOK}),
        table=name,
        # every column is a mark: among a hundred others a renamed one would only be missing, and nobody would see it
        parts=(Part("", frozenset(column.headers[0] for column in all_columns), all_columns),),
        release=owid_release,
        null_tokens=frozenset({""}),
        loose_numbers=True,
        keys=("country", "as_of_year"),
        publication_lag="a year is known from 1 October of the next year",
        freshness=Freshness(warn_days=430, error_days=550),
        other_columns=OtherColumns.LEFT_OUT,
        fact_period=FactPeriod(
            columns=("country", "as_of_year"),
            public_at_sql="make_timestamptz(r.as_of_year + 1, 10, 1, 0, 0, 0, 'UTC')",
        ),
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


OWID_ENERGY = _owid(
    "owid_energy",
    "Data on Energy",
    "Energy by country and year since 1900: coal's share of electricity, coal production and consumption.",
    "*energy*",
    (
        number(
            "coal_share_of_electricity_percent",
            "coal_share_elec",
            about="Share of the country's electricity that is generated from coal",
            unit="%",
            maximum=100.5,
        ),
        number("coal_production_twh", "coal_production", about="Coal produced, as energy", unit="TWh"),
        number("coal_consumption_twh", "coal_consumption", about="Primary energy consumed as coal", unit="TWh"),
        number("electricity_generation_twh", "electricity_generation", about="Electricity generated", unit="TWh"),
        number("coal_electricity_twh", "coal_electricity", about="Electricity generated from coal", unit="TWh"),
        number("gas_electricity_twh", "gas_electricity", about="Electricity generated from gas", unit="TWh"),
        number(
            "coal_share_of_energy_percent",
            "coal_share_energy",
            about="Share of primary energy consumption that comes from coal",
            unit="%",
            maximum=100.5,
        ),
    ),
    "energy-data",
)

OWID_CO2 = _owid(
    "owid_co2",
    "Data on CO2 and Greenhouse Gas Emissions",
    "CO2 emissions by country and year since 1750, in all and from coal, with population and GDP.",
    "*co2*",
    (
        # Our World in Data has negative CO2 where a territory is a net exporter in the accounts
        number(
            "co2_million_tonnes",
            "co2",
            about="CO2 emitted by the territory, without land-use change",
            unit="million tonnes",
            minimum=None,
        ),
        number("coal_co2_million_tonnes", "coal_co2", about="CO2 from coal", unit="million tonnes", minimum=None),
        number("population", "population", about="Population of the country", unit="people"),
        number(
            "gdp_usd",
            "gdp",
            about="Gross domestic product, adjusted for inflation and differences in the cost of living",
            unit="international-$",
        ),
    ),
    "co2-data",
)
