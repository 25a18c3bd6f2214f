"""The feeds of the World Bank. Descriptions only: how one is read belongs to `parse`."""

from __future__ import annotations

from fvi_pipeline.feeds.catalogue.columns import number
from fvi_pipeline.feeds.description import (
    Column,
    DownloadAddress,
    FactPeriod,
    Feed,
    Form,
    Freshness,
    Kind,
    OtherColumns,
    Part,
)
from fvi_pipeline.feeds.releases import world_bank_release

WORLD_BANK_PRICES = Feed(
    name="world_bank_prices",
    publisher="World Bank",
    title="Commodity Price Data (The Pink Sheet), monthly",
    licence="CC BY 4.0",
    attribution="World Bank, Commodity Price Data (The Pink Sheet)",
    summary="Monthly world market prices of coal, gas and oil since 1960, in nominal U.S. dollars.",
    folder="world_bank",
    patterns=("*.xlsx", "*.xls"),
    form=frozenset({Form.WORKBOOK, Form.SPREADSHEETML}),
    table="world_bank_prices",
    parts=(
        Part(
            "",
            # every price is a mark: among seventy others a renamed one would only be missing, and nobody would see it
            frozenset({"coal, australian", "coal, south african"})
            | {"natural gas, us", "natural gas, europe", "crude oil, average"},
            (
                Column(
                    "month",
                    Kind.MONTH,
                    # the month's column has no header
                    ("month", ""),
                    required=True,
                    description="First day of the month that the prices are the average of",
                ),
                number(
                    "coal_australian_usd_per_tonne",
                    "coal, australian",
                    about="Thermal coal, Newcastle, Australia",
                    unit="USD/tonne",
                    printed_unit="($/mt)",
                ),
                number(
                    "coal_south_african_usd_per_tonne",
                    "coal, south african",
                    about="Thermal coal, Richards Bay, South Africa",
                    unit="USD/tonne",
                    printed_unit="($/mt)",
                ),
                number(
                    "natural_gas_us_usd_per_mmbtu",
                    "natural gas, us",
                    about="Natural gas, Henry Hub, United States",
                    unit="USD/MMBtu",
                    printed_unit="($/mmbtu)",
                ),
                number(
                    "natural_gas_europe_usd_per_mmbtu",
                    "natural gas, europe",
                    about="Natural gas, Europe",
                    unit="USD/MMBtu",
                    printed_unit="($/mmbtu)",
                ),
                number(
                    "crude_oil_average_usd_per_barrel",
                    "crude oil, average",
                    about="Crude oil, average of Brent, Dubai and West Texas Intermediate",
                    unit="USD/barrel",
                    printed_unit="($/bbl)",
                    # crude oil has been sold below zero
                    minimum=None,
                ),
            ),
        ),
    ),
    release=world_bank_release,
    null_tokens=frozenset({"", "-", "…", "...", "..", "n.a."}),
    loose_numbers=True,
    keys=("month",),
    publication_lag="a month is known seven days after its end",
    freshness=Freshness(warn_days=45, error_days=120),
    other_columns=OtherColumns.LEFT_OUT,
    fact_period=FactPeriod(
        columns=("month",), public_at_sql="(r.month + interval '1 month' + interval '7 days') at time zone 'UTC'"
    ),
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
