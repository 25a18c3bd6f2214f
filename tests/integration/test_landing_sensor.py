"""The sensor on the landing folder, against a real ledger."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import psycopg
import pytest

from fvi_pipeline.defs import landing
from fvi_pipeline.defs.resources import LandingFolder, Warehouse
from fvi_pipeline.feeds.arrivals import still_arriving
from fvi_pipeline.feeds.ingest import ingest_folder
from fvi_pipeline.platform.database import advisory_lock

_HEADER = (
    "Year,MSHA ID,Mine Name,Mine State,Mine County,Mine Status,Mine Type,Company Type,Operation Type,Operating Company,"
    "Operating Company Address,Union Code,Coal Supply Region,Production (short tons),Average Employees,Labor Hours"
)
_ROW = "2019,103489,John Poe Mine,Alabama,De Kalb,Active,Surface,-,Mine only,Kennedy,-,-,-,{tons},2,720"


def _write(folder: Path, year: int) -> None:
    path = folder / "eia_coal" / f"coalpublic{year}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{_HEADER}\n{_ROW.replace('2019', str(year), 1).format(tons=year)}\n")


@pytest.fixture
def sense(database_url: str, tmp_path: Path):
    @dg.job
    def job() -> None:
        """Stands for the main job."""

    sensor = landing.build_landing_sensor(job)
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


def test_one_run_for_each_state_that_holds_something_new(sense, database_url: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(landing, "_SETTLED_SECONDS", 0.0)
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


def test_nothing_for_files_that_the_ledger_has(sense, database_url: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(landing, "_SETTLED_SECONDS", 0.0)
    _write(tmp_path, 2018)
    with psycopg.connect(database_url) as connection:
        ingest_folder(connection, tmp_path)
    assert "in the ledger" in sense().skip_message


def test_a_file_that_has_just_changed_waits(sense, tmp_path: Path) -> None:
    _write(tmp_path, 2018)
    assert "still being written" in sense().skip_message


def test_a_whole_file_goes_on_while_another_one_arrives(sense, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(landing, "_SETTLED_SECONDS", 0.0)
    _write(tmp_path, 2018)
    _write(tmp_path, 2019)
    arriving = tmp_path / "eia_coal" / "coalpublic2019.csv"
    with arriving.open("a") as writer:
        first = sense()
        assert isinstance(first, dg.RunRequest)
        writer.write(_ROW.format(tons=5))
        writer.flush()
        again = sense()
        assert isinstance(again, dg.RunRequest)
        assert again.run_key == first.run_key, "the growing file is no reason for another run"
    whole = sense()
    assert isinstance(whole, dg.RunRequest)
    assert whole.run_key != first.run_key


def test_nothing_while_fvi_run_takes_files_in(sense, database_url: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(landing, "_SETTLED_SECONDS", 0.0)
    _write(tmp_path, 2018)
    with psycopg.connect(database_url, autocommit=True) as run, advisory_lock(run, landing.RUN_LOCK):
        assert "under way" in sense().skip_message
    assert isinstance(sense(), dg.RunRequest)


def test_an_ingest_leaves_what_is_still_arriving(database_url: str, tmp_path: Path) -> None:
    _write(tmp_path, 2018)
    _write(tmp_path, 2019)
    (tmp_path / "eia_coal" / "coalpublic2018.csv").rename(tmp_path / "eia_coal" / "coalpublic2018.csv.part")
    with psycopg.connect(database_url) as connection:
        ingest_folder(connection, tmp_path, leave=still_arriving(tmp_path))
        assert connection.execute("select name from landing.files").fetchall() == [("eia_coal/coalpublic2019.csv",)]
