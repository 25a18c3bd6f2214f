"""What is generated from the descriptions of feeds, on a real PostgreSQL: tables of today and of earlier ones, and
a feed that nobody has written a line of code for.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from types import MappingProxyType

import psycopg
import pytest

from fvi_pipeline.feeds import ingest
from fvi_pipeline.feeds.catalogue import FEEDS
from fvi_pipeline.feeds.description import Column, FactPeriod, Feed, Form, Kind, Part, Release, ReleaseContext
from fvi_pipeline.feeds.generate import NOTE, landing_sql, write
from fvi_pipeline.feeds.generate.columns import landing_columns
from fvi_pipeline.platform.environment import tool_environment
from fvi_pipeline.platform.servers import Servers
from fvi_pipeline.platform.settings import PROJECT_ROOT, Settings
from tests.commands import BIN, clean_environment, run_tool


def test_landing_tables_are_as_their_feeds_are_described(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        for feed in FEEDS.values():
            found = connection.execute(
                "select attname, format_type(atttypid, atttypmod), attnotnull, col_description(attrelid, attnum) "
                "from pg_attribute where attrelid = %s::regclass and attnum > 0 order by attnum",
                [f"landing.{feed.table}"],
            ).fetchall()
            expected = [(c.name, c.data_type, c.required, c.description) for c in landing_columns(feed)]
            assert found == expected, feed.name


def test_a_table_of_an_earlier_description_follows_with_its_rows(database_url: str) -> None:
    feed = FEEDS["eia_coal_mines"]
    with psycopg.connect(database_url) as connection:
        connection.execute("alter table landing.eia_coal_mines drop column union_code")
        connection.execute("alter table landing.eia_coal_mines alter column labor_hours type integer")
        connection.execute(
            "insert into landing.eia_coal_mines (file_id, row_number, as_of_year, production_short_tons, labor_hours) "
            "values (1, 5, 1999, 10, 20)"
        )
        # a view on the table, and one on both
        connection.execute("create view bronze.mines as select labor_hours, file_id from landing.eia_coal_mines")
        connection.execute("create view bronze.files as select m.* from bronze.mines as m, landing.eia_coal_mines")

        for _ in range(2):
            connection.execute(landing_sql([feed], NOTE).encode())

        columns = connection.execute(
            "select column_name, data_type from information_schema.columns where table_name = %s", [feed.table]
        ).fetchall()
        assert set(columns) == {(column.name, column.data_type) for column in landing_columns(feed)}
        assert connection.execute("select labor_hours, union_code from landing.eia_coal_mines").fetchall() == [
            (20, None)
        ]


def _release(context: ReleaseContext) -> Release:
    return Release("all", None)


_FREIGHT = Feed(
    name="freight_rates",
    publisher="A port authority",
    title="Freight rates by month",
    licence="CC0",
    attribution="A port authority",
    folder="port",
    patterns=("*.csv",),
    form=frozenset({Form.CSV}),
    table="freight_rates",
    parts=(
        Part(
            "",
            frozenset({"month", "rate"}),
            (
                Column("month", Kind.MONTH, ("month",), required=True),
                Column("rate_usd_per_tonne", Kind.NUMBER, ("rate",), minimum=0, maximum=500, unit="USD/tonne"),
            ),
        ),
    ),
    release=_release,
    fact_period=FactPeriod(("month",), "(r.month + interval '1 month') at time zone 'UTC'"),
)


def test_a_new_feed_of_a_known_form_needs_a_description_and_no_code(
    database_url: str, servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    feeds = {**FEEDS, _FREIGHT.name: _FREIGHT}
    monkeypatch.setattr(ingest, "FEEDS", MappingProxyType(feeds))
    repository, landing = tmp_path / "repository", tmp_path / "landing" / "port"
    shutil.copytree(PROJECT_ROOT / "dbt_project", repository / "dbt_project")
    write(repository, feeds.values())
    landing.mkdir(parents=True)
    (landing / "rates.csv").write_text("Month,Rate,Port\n2020M01,12.5,Newcastle\n2020M02,900,Newcastle\nsome day,1,\n")

    with psycopg.connect(database_url) as connection:
        connection.execute((repository / "fvi_pipeline/platform/sql/11_landing_feeds.sql").read_bytes())
    with psycopg.connect(database_url) as connection:
        (file,) = ingest.ingest_folder(connection, landing.parent).files
    assert (file.feed, file.rows_loaded, file.rows_quarantined) == ("freight_rates", 2, 1)

    settings = Settings(home=tmp_path, database_url=None, redis_url=None)
    environment = clean_environment(tmp_path) | tool_environment(settings, Servers(database_url, servers.redis_url))
    project = str(repository / "dbt_project")
    result = run_tool(
        environment | {"DBT_PROJECT_DIR": project, "DBT_PROFILES_DIR": project},
        *(str(BIN / "dbt"), "build", "--quiet", "--select", "bronze", "--indirect-selection", "cautious"),
    )
    assert result.returncode == 0, result.stdout + result.stderr
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "select month::text, rate_usd_per_tonne, other_values, file_name, row_number, "
            "known_at::date::text, known_at_rule from bronze.bronze_freight_rates order by month"
        ).fetchall()
    rule = "first file with its period: known when that period was public"
    assert rows == [
        ("2020-01-01", 12.5, {"Port": "Newcastle"}, "port/rates.csv", 2, "2020-02-01", rule),
        ("2020-02-01", None, {"Port": "Newcastle"}, "port/rates.csv", 3, "2020-03-01", rule),
    ]
