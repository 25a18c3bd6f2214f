"""Years, backfills and parallel runs on a real PostgreSQL with a real dbt: what a run touches, and what it leaves."""

import fcntl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from fvi_pipeline.definitions import MAIN_JOB, build_defs
from fvi_pipeline.defs.landing import landing_key
from fvi_pipeline.defs.resources import LandingFolder, Warehouse
from fvi_pipeline.platform.dbt_manifest import project_digest
from fvi_pipeline.platform.servers import Servers
from fvi_pipeline.platform.settings import Settings
from fvi_pipeline.simulator import SimulationConfig, write_landing_folder
from tests.commands import BIN
from tests.integration.warehouse import OwnWarehouse, new_warehouse

_EIA = landing_key("eia_coal_mines")
_YEARS = dg.AssetKey(["silver", "silver_mine_years"])
_PANEL = [
    dg.AssetKey(["bronze", "bronze_eia_coal_mines"]),
    dg.AssetKey(["silver", "silver_mine_releases"]),
    dg.AssetKey(["silver", "silver_shared_operations"]),
    dg.AssetKey(["silver", "silver_mine_metrics_history"]),
    _YEARS,
]
_TONS = """
    select as_of_year, count(*), sum(production_short_tons)::bigint from silver.silver_mine_years
    group by as_of_year order by as_of_year
"""
_RECEIPTS = "select name, period, known_at, ingested_at, facts_digest from landing.files where feed = 'eia_coal_mines'"


@dataclass
class Works:
    """Definitions, an instance that remembers, and the warehouse that they work on."""

    definitions: dg.Definitions
    instance: dg.DagsterInstance
    warehouse: OwnWarehouse
    home: Path

    def run(self, keys: list[dg.AssetKey]) -> dg.ExecuteInProcessResult:
        """These assets as the sensor's job runs them, without years."""
        job = self.definitions.resolve_job_def(MAIN_JOB)
        return job.execute_in_process(instance=self.instance, asset_selection=keys)

    def backfill(self, keys: list[dg.AssetKey], first: int, last: int) -> dg.ExecuteInProcessResult:
        """These assets as a backfill of adjacent years runs them."""
        years = {"dagster/asset_partition_range_start": str(first), "dagster/asset_partition_range_end": str(last)}
        job = self.definitions.resolve_implicit_global_asset_job_def()
        return job.execute_in_process(instance=self.instance, asset_selection=keys, tags=years)

    def years(self, key: dg.AssetKey) -> set[str]:
        """The years of an asset that Dagster shows as materialised."""
        return self.instance.get_materialized_partitions(key)


@pytest.fixture(scope="module")
def works(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Works]:
    folder, home = tmp_path_factory.mktemp("landing"), tmp_path_factory.mktemp("home")
    write_landing_folder(folder, SimulationConfig(mines=60, first_year=2007, last_year=2012, foreign_mines=5))
    settings = Settings(home=home, database_url=None, redis_url=None)
    with (
        new_warehouse(servers, home) as warehouse,
        dg.DagsterInstance.ephemeral() as instance,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in warehouse.environment.items():
            patch.setenv(name, value)
        resources = {
            "landing_folder": LandingFolder(path=str(folder)),
            "warehouse": Warehouse(database_url=warehouse.url),
        }
        works = Works(build_defs(resources, settings), instance, warehouse, home)
        _execute(warehouse, "insert into ops.dbt_state (project_digest, built_at) values (%s, now())", _project())
        works.run([_EIA, *_PANEL])
        yield works


def _project() -> str:
    return project_digest(Settings(database_url=None, redis_url=None).dbt_project_dir)


def _execute(warehouse: OwnWarehouse, statement: str, *parameters: Any) -> None:
    import psycopg

    with psycopg.connect(warehouse.url) as connection:
        connection.execute(statement.encode(), parameters)


def test_a_run_without_years_notes_those_that_it_touched(works: Works) -> None:
    loaded = {row[0] for row in works.warehouse.rows("select period from landing.files where feed = 'eia_coal_mines'")}
    assert loaded - {None} == {str(year) for year in range(2007, 2013)}
    assert works.years(_EIA) == loaded - {None}
    assert works.years(_YEARS) == loaded - {None}
    before = works.instance.get_latest_materialization_event(_YEARS)
    works.run([_EIA, *_PANEL])
    after = works.instance.get_latest_materialization_event(_YEARS)
    assert before is not None
    assert after is not None
    assert after.timestamp > before.timestamp
    assert after.asset_materialization is not None
    assert after.asset_materialization.partition is None, "nothing was new: no year was touched"


def test_a_backfill_rebuilds_its_years_and_no_other(works: Works) -> None:
    whole = works.warehouse.rows(_TONS)
    _execute(
        works.warehouse,
        "update silver.silver_mine_years set production_short_tons = 1 where as_of_year in (2010, 2012)",
    )
    damaged = works.warehouse.rows(_TONS)
    assert works.backfill(_PANEL, 2009, 2010).success
    rebuilt = works.warehouse.rows(_TONS)
    assert rebuilt[:-1] == whole[:-1]
    assert rebuilt[-1] == damaged[-1] != whole[-1], "2012 was not asked for"
    assert works.backfill(_PANEL, 2012, 2012).success
    assert works.warehouse.rows(_TONS) == whole


def test_a_backfill_of_landing_reads_its_years_again_as_they_were_received(works: Works) -> None:
    receipts, whole = works.warehouse.rows(_RECEIPTS), works.warehouse.rows(_TONS)
    assert works.backfill([_EIA], 2009, 2012).success
    assert works.warehouse.rows(_RECEIPTS) == receipts, "the same parser reads the same"
    # as if an earlier parser had read this year otherwise
    _execute(works.warehouse, "update landing.eia_coal_mines set production_short_tons = 7 where as_of_year = 2011")
    _execute(works.warehouse, "update landing.files set facts_digest = 'of an earlier parser' where period = '2011'")
    assert works.backfill([_EIA, *_PANEL], 2011, 2011).success
    assert sorted(works.warehouse.rows(_RECEIPTS)) == sorted(receipts)
    assert works.warehouse.rows(_TONS) == whole


def test_another_dbt_project_makes_every_table_anew(works: Works) -> None:
    whole = works.warehouse.rows(_TONS)
    _execute(works.warehouse, "update silver.silver_mine_years set production_short_tons = 1")
    _execute(works.warehouse, "update ops.dbt_state set project_digest = 'another'")
    assert works.run(_PANEL).success
    assert works.warehouse.rows(_TONS) == whole
    # a part of the models is no proof that all are of this project
    assert works.warehouse.rows("select project_digest from ops.dbt_state") == [("another",)]


def test_two_dbt_at_once_follow_each_other(works: Works) -> None:
    command = [str(BIN / "fvi-dbt"), "run", "--quiet", "--select", "silver_mine_releases", "silver_mine_years"]
    both = [
        subprocess.Popen(command, env=works.warehouse.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for _ in range(2)
    ]
    for process in both:
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output.decode()


def test_dbt_waits_for_the_one_that_is_at_work(works: Works) -> None:
    lock = works.home / "dbt" / "build.lock"
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        command = [str(BIN / "fvi-dbt"), "build", "--help"]
        with subprocess.Popen(
            command, env=works.warehouse.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as waiting:
            assert waiting.stderr is not None
            assert "waiting" in waiting.stderr.readline()
            assert waiting.poll() is None
            fcntl.flock(held, fcntl.LOCK_UN)
            waiting.communicate(timeout=120)
    assert waiting.returncode == 0


def test_a_run_of_some_models_puts_back_the_views_that_it_dropped(works: Works) -> None:
    works.run([dg.AssetKey(["silver", "silver_mine_metrics"])])
    views = "select schemaname, viewname from pg_views where schemaname in ('bronze', 'silver') order by 1, 2"
    before = works.warehouse.rows(views)
    _execute(works.warehouse, "update ops.dbt_state set project_digest = 'another'")  # every table is replaced
    assert works.run(_PANEL).success
    assert ("silver", "silver_mine_metrics") in before
    assert works.warehouse.rows(views) == before
