"""The dbt project on a real PostgreSQL: totals, what was known when, no fact from the future in a feature."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from fvi_pipeline.features.catalogue import load_catalogue
from fvi_pipeline.feeds.ingest import ingest_folder
from fvi_pipeline.model.companions.predictor import STATUSES
from fvi_pipeline.platform.servers import Servers
from fvi_pipeline.simulator import SimulatedTruth
from tests.integration.warehouse import OwnWarehouse, new_warehouse
from tests.publishers_totals import YEARLY_TOTALS

RESTATED_AT = datetime(2026, 3, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Restated:
    """A warehouse built, given a restatement of one year, built again; `before.*` keeps the first state."""

    warehouse: OwnWarehouse
    year: int
    file_id: int


@pytest.fixture(scope="module")
def restated(
    servers: Servers, simulated: tuple[Path, SimulatedTruth], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Restated]:
    """The simulated files; then a file known in 2026 that trebles a year and leaves out some mines."""
    folder, _ = simulated
    with new_warehouse(servers, tmp_path_factory.mktemp("warehouse")) as warehouse:
        with psycopg.connect(warehouse.url) as connection:
            ingest_folder(connection, folder, simulated=True)
            # one row that names no mine, whatever the simulator drew
            connection.execute(
                "update landing.eia_coal_mines set msha_id = null where (file_id, row_number) = "
                "(select file_id, min(row_number) from landing.eia_coal_mines "
                "group by file_id order by file_id limit 1)"
            )
        warehouse.build()
        year = int(warehouse.value("select (min(as_of_year) + max(as_of_year)) / 2 from silver.silver_mine_metrics"))
        with psycopg.connect(warehouse.url) as connection:
            connection.execute("create schema before")
            for table in (
                "gold.gold_mine_feature_history",
                "gold.gold_mine_outcomes",
                "gold.gold_mine_next_year",
                "silver.silver_mine_metrics",
            ):
                connection.execute(f"create table before.{table.split('.')[1]} as table {table}".encode())
            file_id = _restate(connection, year)
        warehouse.build()
        yield Restated(warehouse, year, file_id)


def _restate(connection: psycopg.Connection, year: int) -> int:
    row = connection.execute(
        "insert into landing.files (publisher, feed, name, sha256, period, known_at, ingested_at, "
        "rows_read, rows_loaded, rows_quarantined, status) "
        "select publisher, feed, 'eia_coal/restated.csv', 'restated', %s, %s, %s, 0, 0, 0, 'loaded' "
        "from landing.files where feed = 'eia_coal_mines' and status = 'loaded' limit 1 returning file_id",
        (str(year), RESTATED_AT, RESTATED_AT),
    ).fetchone()
    assert row is not None
    file_id = int(row[0])
    connection.execute(
        "create temporary table planted as select * from landing.eia_coal_mines where as_of_year = %s",
        (year,),
    )
    connection.execute("delete from planted where right(msha_id, 1) = '0'")
    connection.execute("update planted set file_id = %s, production_short_tons = production_short_tons * 3", (file_id,))
    connection.execute("insert into landing.eia_coal_mines table planted")
    connection.execute(
        "update landing.files set (rows_read, rows_loaded) = (select count(*), count(*) from planted) "
        "where file_id = %s",
        (file_id,),
    )
    return file_id


def test_first_vintages_ignore_what_became_known_later(restated: Restated) -> None:
    first = (
        "select history.* from gold.gold_mine_feature_history as history "
        "join gold.gold_vintages using (as_of_year, created_timestamp) where is_first"
    )
    before = "select * from before.gold_mine_feature_history"
    assert restated.warehouse.value(f"select count(*) from ({before}) as kept") > 100
    assert restated.warehouse.rows(f"({before}) except all ({first})") == []
    assert restated.warehouse.rows(f"({first}) except all ({before})") == []


@pytest.mark.parametrize("table", ["gold_mine_outcomes", "gold_mine_next_year"])
def test_outcomes_are_those_of_the_first_release(restated: Restated, table: str) -> None:
    new, old = f"gold.{table}", f"before.{table}"
    assert restated.warehouse.value(f"select count(*) from {old}") > 100
    assert restated.warehouse.rows(f"(table {new}) except all (table {old})") == []
    assert restated.warehouse.rows(f"(table {old}) except all (table {new})") == []


def test_every_row_of_the_cohort_has_a_next_year_that_agrees_with_its_outcome(restated: Restated) -> None:
    unlike = (
        "select count(*) from gold.gold_mine_outcomes as outcomes "
        "full join gold.gold_mine_next_year as years using (mine_id, as_of_year, outcome_year, outcome_known_at) "
        "where (outcomes.horizon_years = 1 or outcomes.horizon_years is null) "
        "and outcomes.viable is distinct from (years.production_short_tons_next > 0)"
    )
    assert restated.warehouse.value(unlike) == 0
    statuses = restated.warehouse.rows(
        "select status_next, count(*) from gold.gold_mine_next_year where outcome_year >= 2001 group by 1"
    )
    assert {status for status, _ in statuses} == set(STATUSES)


def test_a_restatement_reaches_the_latest_vintage_of_its_year_and_later_ones(restated: Restated) -> None:
    vintages = restated.warehouse.rows(
        "select as_of_year, count(distinct created_timestamp), max(created_timestamp) = %s "
        "from gold.gold_mine_feature_history group by as_of_year",
        RESTATED_AT,
    )
    assert vintages
    assert all(
        (count, is_late) == ((2, True) if year >= restated.year else (1, False)) for year, count, is_late in vintages
    )
    assert restated.warehouse.value(
        "select bool_and(now.production_short_tons = 3 * before.production_short_tons) "
        "from gold.gold_mine_features as now "
        "join before.gold_mine_feature_history as before using (mine_id, as_of_year) where as_of_year = %s",
        restated.year,
    )
    assert restated.warehouse.value(
        "select bool_and(now.production_short_tons_1y_ago = 3 * before.production_short_tons_1y_ago) "
        "from gold.gold_mine_features as now "
        "join before.gold_mine_feature_history as before using (mine_id, as_of_year) "
        "where as_of_year = %s and now.production_short_tons_1y_ago is not null",
        restated.year + 1,
    )


def test_a_restatement_closes_the_rows_that_it_replaces(restated: Restated) -> None:
    periods = restated.warehouse.rows(
        "select file_id = %s, known_until from silver.silver_mine_metrics_history where as_of_year = %s group by 1, 2",
        restated.file_id,
        restated.year,
    )
    assert sorted(periods, key=str) == sorted([(False, RESTATED_AT), (True, None)], key=str)
    as_of = (
        "select sum(production_short_tons) from silver.silver_mine_metrics_history where as_of_year = %s "
        "and known_at <= %s and (known_until is null or known_until > %s)"
    )
    before = restated.warehouse.value(
        "select sum(production_short_tons) from before.silver_mine_metrics where as_of_year = %s",
        restated.year,
    )
    eve = datetime(2026, 2, 28, tzinfo=UTC)
    assert restated.warehouse.value(as_of, restated.year, eve, eve) == before
    assert restated.warehouse.value(as_of, restated.year, RESTATED_AT, RESTATED_AT) == restated.warehouse.value(
        "select sum(production_short_tons) from silver.silver_mine_metrics where as_of_year = %s",
        restated.year,
    )


def test_yearly_totals_are_those_of_landing(restated: Restated) -> None:
    totals = "select as_of_year, sum(production_short_tons) from {} where file_id <> %s group by 1 order by 1"
    file_id = restated.file_id
    silver = restated.warehouse.rows(totals.format("silver.silver_mine_metrics_history"), file_id)
    assert silver == restated.warehouse.rows(totals.format("landing.eia_coal_mines"), file_id)


def test_rows_that_name_no_mine_stay_in_silver(restated: Restated) -> None:
    named = "select count(*) from {} where mine_id like 'eia:%%'"
    assert restated.warehouse.value(named.format("silver.silver_mine_metrics")) >= 1
    for table in ("mine_feature_history", "mine_features", "mine_outcomes", "mine_next_year", "mine_index_metrics"):
        assert restated.warehouse.value(named.format(f"gold.gold_{table}")) == 0


def test_the_trackers_facts_are_in_no_row_that_is_older_than_its_release(restated: Restated) -> None:
    assert (
        restated.warehouse.value("select count(*) from gold.gold_mine_index_metrics where reserves_mt is not null") > 0
    )
    assert (
        restated.warehouse.rows(
            "select * from gold.gold_mine_index_metrics, (select min(known_at) as released "
            "from landing.files where feed = 'gem_coal_mines' and status = 'loaded') as tracker "
            "where created_timestamp < released "
            "and coalesce(reserves_mt, methane_tonnes_per_tonne) is not null"
        )
        == []
    )


def test_the_catalogue_and_the_tables_have_the_same_columns(restated: Restated, manifest: Path) -> None:
    catalogue = load_catalogue(manifest)
    assert [
        feature
        for (feature,) in restated.warehouse.rows("select feature from mart.feature_catalogue order by position")
    ] == list(catalogue.model_features())
    assert {metric for (metric,) in restated.warehouse.rows("select metric from mart.vw_metric_dq")} == {
        metric.name for metric in catalogue.index_metrics()
    }


def test_the_real_panel_has_the_publishers_totals(servers: Servers, real_landing: Path, tmp_path: Path) -> None:
    with new_warehouse(servers, tmp_path) as warehouse:
        with psycopg.connect(warehouse.url) as connection:
            ingest_folder(connection, real_landing, feeds=["eia_coal_mines"])
        warehouse.build()
        totals = {
            int(year): round(float(total) / 1e6, 3)
            for year, total in warehouse.rows(
                "select as_of_year, sum(production_short_tons) from silver.silver_mine_metrics group by 1"
            )
        }
        assert {year: totals[year] for year in YEARLY_TOTALS} == YEARLY_TOTALS
        assert (
            warehouse.value(
                "select count(*) from silver.silver_mine_metrics where as_of_year = 2019 and production_short_tons > 0"
            )
            == 669
        )
        closing = warehouse.rows(
            "select horizon_years, count(*), round(100 * avg((not viable)::int), 2)::float8 "
            "from gold.gold_mine_outcomes where horizon_years in (1, 3) and as_of_year >= 2014 "
            "and outcome_year <= 2019 group by 1 order by 1"
        )
        assert closing == [(1, 2828, 2.97), (3, 1756, 26.08)]
