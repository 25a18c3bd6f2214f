"""Data quality on a real PostgreSQL: real files pass, each kind of damage is named and stops training, nights stay."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import psycopg
import pytest
import xlsxwriter
from python_calamine import CalamineWorkbook

from fvi_pipeline.definitions import MAIN_JOB, build_defs
from fvi_pipeline.defs.model import TRAINING_SET
from fvi_pipeline.defs.quality import QUALITY
from fvi_pipeline.defs.resources import ModelWorkshop, Pages, QualityFloor, Warehouse
from fvi_pipeline.platform.servers import Servers
from fvi_pipeline.platform.settings import Settings
from fvi_pipeline.quality import store
from fvi_pipeline.quality.marks import MetricMarks
from fvi_pipeline.simulator import SimulationConfig, write_landing_folder
from tests.integration.warehouse import OwnWarehouse, new_warehouse

NIGHT = date(2026, 1, 10)
TWO_O_CLOCK = datetime(2026, 1, 10, 2, tzinfo=UTC)
TRACKER = "gem/Global-Coal-Mine-Tracker-April-2024.xlsx"


def night(database_url: str, home: Path, *assets: dg.AssetKey, floor: float = 70) -> dg.ExecuteInProcessResult:
    """The given assets with their checks, as a night runs them."""
    resources = {
        "warehouse": Warehouse(database_url=database_url),
        "pages": Pages(folder=str(home / "pages")),
        "quality_floor": QualityFloor(floor=floor),
        "model_workshop": ModelWorkshop(
            mlflow_tracking_uri="unused:", optuna_storage_url="unused:", home=str(home), seed=1, trials=1
        ),
    }
    definitions = build_defs(resources, Settings(home=home, database_url=None, redis_url=None))
    job = definitions.resolve_job_def(MAIN_JOB)
    with dg.DagsterInstance.ephemeral() as instance:
        return job.execute_in_process(instance=instance, asset_selection=list(assets), raise_on_error=False)


def materialised(result: dg.ExecuteInProcessResult) -> set[dg.AssetKey]:
    return {event.asset_key for event in result.all_events if event.is_step_materialization and event.asset_key}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One home for all: what dbt has parsed serves every test."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def warehouse(servers: Servers, home: Path) -> Iterator[OwnWarehouse]:
    """An empty one for each test."""
    with new_warehouse(servers, home) as empty:
        yield empty


@pytest.mark.slow  # a warehouse of real files for itself
def test_real_files_pass(warehouse, home, real_landing) -> None:
    warehouse.take_in(real_landing)
    result = night(warehouse.url, home, QUALITY)
    assert result.success
    (check,) = result.get_asset_check_evaluations()
    assert check.passed
    with psycopg.connect(warehouse.url) as connection:
        _, marks = store.newest_night(connection)
        # in the unit that they say: the largest mines of the tracker produce tens of millions of short tons
        largest = connection.execute(
            "select max(production_short_tons) from gold.gold_mine_index_metrics where mine_id like 'gem:%'"
        ).fetchone()
    assert all(mark.score is not None and mark.score >= 70 for mark in marks)
    assert largest is not None
    assert 20e6 < largest[0] < 150e6
    (event,) = result.asset_materializations_for_node("mart__metric_dq_history")
    page = Path(str(event.metadata["path"].value))
    assert event.metadata["report"].value == page.as_uri()
    text = page.read_text()
    assert "training goes on" in text
    assert "productivity_short_tons_per_hour" in text
    assert "drawDashboard" in text  # Evidently's part


def test_each_damage_is_named_and_stops_training(warehouse, home, tmp_path) -> None:
    folder = tmp_path / "landing"
    write_landing_folder(folder, SimulationConfig(mines=150, first_year=2005, last_year=2019, foreign_mines=60))
    damage(folder)
    warehouse.take_in(folder)
    result = night(warehouse.url, home, QUALITY, TRAINING_SET)
    assert not result.success
    (check,) = result.get_asset_check_evaluations()
    assert not check.passed
    assert check.blocking
    assert QUALITY in materialised(result)
    assert TRAINING_SET not in materialised(result)
    reasons = str(check.metadata["reasons"].value)
    said = {line.split(" has ")[0].removeprefix("- "): line for line in reasons.splitlines()}
    assert "in completeness: 0% of the" in said["productivity_short_tons_per_hour"]
    assert "labor_hours has no value in any row" in said["productivity_short_tons_per_hour"]
    assert "in validity: " in said["mine_area_km2_per_mt"]
    assert "value(s) of mine_size_km2 rejected" in said["mine_area_km2_per_mt"]
    assert "in consistency: " in said["reserve_to_production_years"]
    assert "in freshness: " in said["production_to_peak"]
    assert "eia_coal/coalpublic2013.csv, known since 2014-10-01" in said["production_to_peak"]
    # what is not damaged is not blamed
    assert not {"reserves_mt", "methane_tonnes_per_tonne", "coal_price_change_1y", "capacity_utilisation"} & set(said)
    assert night(warehouse.url, home, QUALITY, floor=0).success


def damage(folder: Path) -> None:
    """A column that vanished, impossible values, contradictions, and a feed that has stopped: one of each."""
    for year in range(2014, 2020):
        (folder / "eia_coal" / f"coalpublic{year}.csv").unlink()
    newest = folder / "eia_coal" / "coalpublic2013.csv"
    with newest.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    header = next(row for row in rows if "Labor Hours" in row)
    place = header.index("Labor Hours")
    with newest.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([row[:place] + row[place + 1 :] for row in rows])
    path = folder / TRACKER
    source = CalamineWorkbook.from_path(path)
    sheets = {name: source.get_sheet_by_name(name).to_python() for name in source.sheet_names}
    with xlsxwriter.Workbook(str(path), {"strings_to_urls": False}) as workbook:
        for name, cells in sheets.items():
            sheet = workbook.add_worksheet(name)
            for number, row in enumerate(cells):
                sheet.write_row(number, 0, row if number == 0 else damaged(cells[0], row))


def damaged(header: list[object], row: list[object]) -> list[object]:
    values = dict(zip(header, row, strict=True))
    for name, value in values.items():
        if name == "Mine Size (Km2)" and isinstance(value, int | float):
            values[name] = -value - 1
        if str(name).startswith("Total Reserves") and isinstance(value, int | float):
            values[name] = value * 10
    return list(values.values())


def test_a_folder_is_judged_by_what_its_publishers_state(warehouse, home, tmp_path) -> None:
    complete, folder = tmp_path / "complete", tmp_path / "landing"
    write_landing_folder(complete, SimulationConfig(mines=60, first_year=2005, last_year=2009, foreign_mines=5))
    (folder / "eia_coal").mkdir(parents=True)
    os.link(complete / "eia_coal" / "coalpublic2009.csv", folder / "eia_coal" / "coalpublic2009.csv")
    warehouse.take_in(folder)
    assert night(warehouse.url, home, QUALITY).success
    with psycopg.connect(warehouse.url) as connection:
        _, marks = store.newest_night(connection)
    by_metric = {mark.metric: mark for mark in marks}
    assert by_metric["productivity_short_tons_per_hour"].score is not None
    # no tracker, no prices, no energy, and no year before to compare with
    for metric in ("reserves_mt", "coal_price_change_1y", "country_coal_share_of_energy_percent"):
        assert by_metric[metric].score is None
        assert by_metric[metric].rows == 0


MARKS = [
    MetricMarks("output", 100, 0.5, 0.9, 1.0, 1.0, 0.85, 0.55, 85.0, "freshness"),
    MetricMarks("unstated", 0, None, None, None, None, None, 1.0, None, None),
]


def test_a_night_is_recorded_once(database_url) -> None:
    later = TWO_O_CLOCK + timedelta(hours=5)
    with psycopg.connect(database_url) as connection:
        assert store.newest_night(connection) == (None, [])
        store.record_night(connection, MARKS, NIGHT - timedelta(days=1), TWO_O_CLOCK - timedelta(days=1))
        store.record_night(connection, MARKS, NIGHT, TWO_O_CLOCK)
        store.record_night(connection, MARKS, NIGHT, later)
        assert store.newest_night(connection) == (NIGHT, MARKS)
        assert store.newest_night(connection, before=NIGHT) == (NIGHT - timedelta(days=1), MARKS)
        times = "select metric, computed_at from mart.metric_dq_history where night = %s order by metric"
        assert connection.execute(times, [NIGHT]).fetchall() == [("output", TWO_O_CLOCK), ("unstated", TWO_O_CLOCK)]
        # the same night on other data: what differs is replaced, what is not measured any more goes
        changed = replace(MARKS[0], score=60.0, validity=0.6, weakest="validity")
        store.record_night(connection, [changed], NIGHT, later)
        assert store.newest_night(connection) == (NIGHT, [changed])
        assert connection.execute(times, [NIGHT]).fetchall() == [("output", later)]
        assert store.newest_night(connection, before=NIGHT)[1] == MARKS
