"""Answers of publishers' APIs on their whole way: fetched from a local server, taken into PostgreSQL, told by dbt."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from fvi_pipeline.feeds.catalogue import FEEDS
from fvi_pipeline.feeds.download import download_publishers
from fvi_pipeline.feeds.ingest import ingest_folder
from fvi_pipeline.feeds.report import IngestReport
from fvi_pipeline.platform.environment import tool_environment
from fvi_pipeline.platform.servers import Servers
from fvi_pipeline.platform.settings import Settings
from tests.commands import BIN, clean_environment, run_tool
from tests.publisher_apis import GDP, KEYS, PublisherApis, indicator, loopback_client, mine, price, publisher_apis

RECEIVED = datetime(2026, 9, 1, 12, tzinfo=UTC)
LATER = RECEIVED + timedelta(days=40)


@pytest.fixture
def publishers() -> Iterator[PublisherApis]:
    with publisher_apis() as server:
        yield server


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url) as opened:
        yield opened


def night(
    publishers: PublisherApis, connection: psycopg.Connection, folder: Path, received: datetime = RECEIVED
) -> IngestReport:
    """Fetch what is new, and take it in."""
    feeds = [publishers.feed(feed) for feed in FEEDS.values() if feed.api is not None]
    download_publishers(folder, loopback_client, feeds=feeds, this_year=2026, keys=KEYS)
    return ingest_folder(connection, folder, now=lambda: received)


def rows(connection: psycopg.Connection, query: str) -> list[tuple[Any, ...]]:
    found = connection.execute(query.encode()).fetchall()
    connection.rollback()
    return found


def test_every_answer_is_a_file_with_its_rows(
    publishers: PublisherApis, connection: psycopg.Connection, tmp_path: Path
) -> None:
    report = night(publishers, connection, tmp_path)
    assert report.files_by_status == {"loaded": 9, "rejected": 0, "ignored": 0, "known": 0}
    assert (report.rows_read, report.rows_loaded, report.rows_quarantined) == (18, 18, 0)
    assert rows(
        connection,
        "select f.name, m.row_number, m.msha_id, m.production_short_tons, f.known_at from landing.files f "
        "join landing.eia_api_mine_production m using (file_id) where m.row_number = 2",
    ) == [("eia_api/mine-production-2013.json", 2, "4801353", 111005549.0, datetime(2014, 10, 1, tzinfo=UTC))]
    known = dict(rows(connection, "select feed || ' ' || period, known_at from landing.files"))
    assert known[f"world_bank_indicators {GDP}"] == datetime(2025, 7, 1, tzinfo=UTC)
    assert known["imf_outlook NGDP_RPCH"] == known["un_comtrade_coal 2019"] == RECEIVED
    again = night(publishers, connection, tmp_path, LATER)
    assert again.files_by_status == {"loaded": 0, "rejected": 0, "ignored": 0, "known": 9}


def test_a_restated_answer_is_known_from_its_receipt(
    publishers: PublisherApis, connection: psycopg.Connection, tmp_path: Path
) -> None:
    night(publishers, connection, tmp_path)
    # the World Bank's weekly date alone says nothing new; a new value does
    publishers.updated = "2026-10-01"
    publishers.indicators[GDP][0]["value"] = 15800.5
    publishers.mines.append(mine(2015, "0100347", "12"))
    report = night(publishers, connection, tmp_path, LATER)
    assert {file.name: file.status for file in report.new_files} == {
        "eia_api/mine-production-2015.json": "loaded",
        f"world_bank_api/{GDP}.json": "loaded",
        "world_bank_api/NY.GDP.COAL.RT.ZS.json": "ignored",
        "world_bank_api/EG.ELC.COAL.ZS.json": "ignored",
    }
    assert rows(
        connection,
        f"select known_at, restates_file_id is not null from landing.files where period = '{GDP}' order by file_id",
    ) == [(datetime(2025, 7, 1, tzinfo=UTC), False), (LATER, True)]


def test_a_damaged_answer_is_rejected_and_the_others_load(
    publishers: PublisherApis, connection: psycopg.Connection, tmp_path: Path
) -> None:
    folder = tmp_path / "imf"
    folder.mkdir()
    (folder / "NGDP_RPCH.json").write_text(json.dumps({"values": {"NGDP_RPCH": {"POL": {"2019": 1}}}})[:-4])
    (folder / "PCPIPCH.json").write_text(json.dumps({"message": "no such indicator"}))
    (folder / "LUR.json").write_text(json.dumps({"values": {"LUR": {"POL": {"2019": 3.3}}}}))
    report = ingest_folder(connection, tmp_path, now=lambda: RECEIVED)
    assert {file.name: file.status for file in report.files} == {
        "imf/LUR.json": "loaded",
        "imf/NGDP_RPCH.json": "rejected",
        "imf/PCPIPCH.json": "rejected",
    }
    assert "no such indicator" in str(report.files[2].reason)


def test_countries_are_told_as_of_any_day(
    publishers: PublisherApis,
    connection: psycopg.Connection,
    database_url: str,
    servers: Servers,
    tmp_path: Path,
) -> None:
    publishers.prices.append({**price(2013, "WY", "37.24"), "stateRegionId": "US"})
    publishers.trade["2019"][1]["netWgt"] = 0
    landing, home = tmp_path / "landing", tmp_path / "home"
    night(publishers, connection, landing)
    publishers.indicators[GDP][0]["value"] = 15800.5
    del publishers.indicators[GDP][1]
    publishers.indicators[GDP].append(indicator(GDP, "XKX", "Kosovo", 2019, 4416.0))
    publishers.outlook["NGDP_RPCH"] = {"POL": {"2019": 4.5, "2020": -2.5, "2031": 2.7}, "DEU": {"2019": 1.0}}
    night(publishers, connection, landing, LATER)
    tools = tool_environment(Settings(home=home, database_url=None, redis_url=None), Servers(database_url, ""))
    environment = clean_environment(home) | tools
    chosen = ("--select", "path:models/bronze", "+silver_country_indicators", "--indirect-selection", "cautious")
    built = run_tool(environment, str(BIN / "dbt"), "build", "--quiet", *chosen)
    assert built.returncode == 0, built.stdout + built.stderr
    columns = "country, indicator, as_of_year, value, unit, is_projection, known_at, known_until"
    held = rows(connection, f"select {columns} from silver.silver_country_indicators order by 2, 1, 3, 7")

    def known(year: int) -> datetime:
        return datetime(year, 10, 1, tzinfo=UTC)

    april, updated = datetime(2015, 4, 1, tzinfo=UTC), datetime(2025, 7, 1, tzinfo=UTC)
    dollars, percent = "U.S. dollars of the year", "% a year"
    assert held == [
        ("Poland", "coal_exports_value", 2019, 2.5e8, "U.S. dollars", False, RECEIVED, None),
        ("Poland", "coal_imports_value", 2019, 1.5e9, "U.S. dollars", False, RECEIVED, None),
        ("Poland", "coal_imports_weight", 2019, 16_700_000.0, "tonnes", False, RECEIVED, None),
        ("United States", "coal_price_at_mine", 2013, 37.24, "U.S. dollars per short ton", False, april, None),
        ("Poland", "coal_rents", 2019, 0.41, "% of GDP", False, updated, None),
        ("World", "electricity_from_coal", 2015, 39.1, "% of electricity", False, updated, None),
        ("Kosovo", "gdp_per_person", 2019, 4416.0, dollars, False, LATER, None),
        ("Poland", "gdp_per_person", 2018, 15504.5, dollars, False, known(2019), LATER),
        ("Poland", "gdp_per_person", 2019, 15699.9, dollars, False, known(2020), LATER),
        ("Poland", "gdp_per_person", 2019, 15800.5, dollars, False, LATER, None),
        ("POL", "inflation", 2019, 2.2, percent, False, known(2020), None),
        ("DEU", "real_gdp_growth", 2019, 1.0, percent, False, LATER, None),
        ("POL", "real_gdp_growth", 2019, 4.5, percent, False, known(2020), None),
        ("POL", "real_gdp_growth", 2020, -2.0, percent, False, known(2021), LATER),
        ("POL", "real_gdp_growth", 2020, -2.5, percent, False, LATER, None),
        ("POL", "real_gdp_growth", 2031, 2.7, percent, True, RECEIVED, None),
        ("WEOWORLD", "real_gdp_growth", 2019, 2.9, percent, False, known(2020), LATER),
    ]
