"""The feeds of the World Bank. Descriptions only: how one is read belongs to `parse`."""

from __future__ import annotations

from fvi_pipeline.feeds.catalogue.columns import number
from fvi_pipeline.feeds.description import Column, DownloadAddress, Feed, Form, Kind, Part
from fvi_pipeline.feeds.releases import world_bank_release

WORLD_BANK_PRICES = Feed(
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
                number("coal_australian_usd_per_tonne", "coal, australian", unit="($/mt)"),
                number("coal_south_african_usd_per_tonne", "coal, south african", unit="($/mt)"),
                number("natural_gas_us_usd_per_mmbtu", "natural gas, us", unit="($/mmbtu)"),
                number("natural_gas_europe_usd_per_mmbtu", "natural gas, europe", unit="($/mmbtu)"),
                # crude oil has been sold below zero
                number("crude_oil_average_usd_per_barrel", "crude oil, average", minimum=None, unit="($/bbl)"),
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
