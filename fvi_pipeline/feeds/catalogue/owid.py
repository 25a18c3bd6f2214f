"""The feeds of Our World in Data. Descriptions only: how one is read belongs to `parse`."""

from __future__ import annotations

from fvi_pipeline.feeds.catalogue.columns import number, text, year
from fvi_pipeline.feeds.description import Column, DownloadAddress, Feed, Form, Part
from fvi_pipeline.feeds.releases import owid_release

_OWID_KEYS = (
    text("iso_code", "iso_code"),
    text("country", "country", required=True),
    year("as_of_year", "year", required=True, minimum=1700),
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


OWID_ENERGY = _owid(
    "owid_energy",
    "Data on Energy",
    "*energy*.csv",
    {"coal_share_elec", "coal_consumption"},
    (
        number("coal_share_of_electricity_percent", "coal_share_elec", maximum=100.5),
        number("coal_production_twh", "coal_production"),
        number("coal_consumption_twh", "coal_consumption"),
        number("electricity_generation_twh", "electricity_generation"),
        number("coal_electricity_twh", "coal_electricity"),
        number("gas_electricity_twh", "gas_electricity"),
        number("coal_share_of_energy_percent", "coal_share_energy", maximum=100.5),
    ),
    "energy-data",
)

OWID_CO2 = _owid(
    "owid_co2",
    "Data on CO2 and Greenhouse Gas Emissions",
    "*co2*.csv",
    {"co2", "coal_co2"},
    (
        # Our World in Data has negative CO2 where a territory is a net exporter in the accounts
        number("co2_million_tonnes", "co2", minimum=None),
        number("coal_co2_million_tonnes", "coal_co2", minimum=None),
        number("population", "population"),
        number("gdp_usd", "gdp"),
    ),
    "co2-data",
)
