"""The sensor on the landing folder, against a real ledger."""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg
import psycopg
import pytest

from fvi_pipeline.defs.landing import build_landing_sensor
from fvi_pipeline.defs.resources import LandingFolder, Warehouse
from fvi_pipeline.feeds.ingest import ingest_folder

_HEADER = (
    "Year,MSHA ID,Mine Name,Mine State,Mine County,Mine Status,Mine Type,Company Type,Operation Type,Operating Company,"
    "Operating Company Address,Union Code,Coal Supply Region,Production (short tons),Average Employees,Labor Hours"
)
_ROW = "2019,103489,John Poe Mine,Alabama,De Kalb,Active,Surface,-,Mine only,Kennedy,-,-,-,{tons},2,720"


def _write(folder: Path, year: int, *, seconds_ago: float = 60) -> None:
    path = folder / "eia_coal" / f"coalpublic{year}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{_HEADER}\n{_ROW.replace('2019', str(year), 1).format(tons=year)}\n")
    moment = path.stat().st_mtime - seconds_ago
    os.utime(path, (moment, moment))


@pytest.fixture
def sense(database_url: str, tmp_path: Path):
    job = dg.define_asset_job("job", selection=dg.AssetSelection.all())
    sensor = build_landing_sensor(job)
    cursor: list[str | None] = [None]

    def evaluate() -> dg.RunRequest | dg.SkipReason:
        context = dg.build_sensor_context(
            cursor=cursor[0],
            resources={
                "landing_folder": LandingFolder(path=str(tmp_path)),
                "warehouse": Warehouse(database_url=database_url),
            },
        )
        answer = sensor(context)
        cursor[0] = context.cursor
        return answer

    return evaluate


def test_one_run_for_each_state_that_holds_something_new(sense, database_url: str, tmp_path: Path) -> None:
    _write(tmp_path, 2018)
    first = sense()
    assert isinstance(first, dg.RunRequest)
    assert isinstance(sense(), dg.SkipReason), "the same state asks once"
    with psycopg.connect(database_url) as connection:
        ingest_folder(connection, tmp_path)
    _write(tmp_path, 2019)
    second = sense()
    assert isinstance(second, dg.RunRequest)
    assert second.run_key != first.run_key


def test_nothing_for_files_that_the_ledger_has(sense, database_url: str, tmp_path: Path) -> None:
    _write(tmp_path, 2018)
    with psycopg.connect(database_url) as connection:
        ingest_folder(connection, tmp_path)
    assert "in the ledger" in sense().skip_message


def test_a_file_that_is_still_being_written_waits(sense, tmp_path: Path) -> None:
    _write(tmp_path, 2018, seconds_ago=0)
    assert "still being written" in sense().skip_message
