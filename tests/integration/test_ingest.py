from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from fvi_pipeline.feeds import ingest as ingest_module
from fvi_pipeline.feeds import load, read_csv
from fvi_pipeline.feeds.catalogue import FEEDS
from fvi_pipeline.feeds.errors import FeedError, UnreadableFileError
from fvi_pipeline.feeds.ingest import ingest_folder, is_simulated, unseen_files
from fvi_pipeline.feeds.report import IngestReport
from tests.publishers_totals import YEARLY_TOTALS
from tests.unit.feeds.files import (
    ENERGY_CSV,
    HEADER_2013,
    ROWS_2013,
    eia_csv,
    gem_workbook,
    geojson,
    world_bank_workbook,
)

RECEIVED = datetime(2026, 9, 1, 12, tzinfo=UTC)


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = {
        "eia_coal/coalpublic2013.csv": eia_csv(rows=(*ROWS_2013, "2013,cut off")),
        "gem/tracker.xlsx": gem_workbook(),
        "gem/boundaries.geojson": geojson(),
        "world_bank/CMO.xlsx": world_bank_workbook(),
        "owid/owid-energy-data.csv": ENERGY_CSV,
    }
    for name, content in files.items():
        put(tmp_path, name, content)
    return tmp_path


def put(folder: Path, name: str, content: bytes) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def ingest(connection: psycopg.Connection, folder: Path, received: datetime = RECEIVED) -> IngestReport:
    return ingest_folder(connection, folder, now=lambda: received)


def tables(connection: psycopg.Connection) -> dict[str, list[tuple[object, ...]]]:
    """Everything in the landing tables, row for row."""
    names = ["files", "quarantine", "rejected_values", *FEEDS]
    held = {
        name: connection.execute(f"select * from landing.{name} order by 1, 2, 3, 4".encode()).fetchall()
        for name in names
    }
    connection.rollback()
    return held


def assert_reconciled(connection: psycopg.Connection) -> None:
    """The ledger's counts are those of the tables, for every file."""
    held = tables(connection)
    loaded: dict[object, int] = {}
    for feed in FEEDS:
        for row in held[feed]:
            loaded[row[0]] = loaded.get(row[0], 0) + 1
    quarantined: dict[object, int] = {}
    for row in held["quarantine"]:
        quarantined[row[0]] = quarantined.get(row[0], 0) + 1
    entries = connection.execute(
        "select file_id, rows_read, rows_loaded, rows_quarantined from landing.files"
    ).fetchall()
    connection.rollback()
    for file_id, read, in_tables, aside in entries:
        assert (in_tables, aside) == (loaded.get(file_id, 0), quarantined.get(file_id, 0))
        assert read == in_tables + aside


def test_a_folder_lands_with_its_ledger_and_a_second_run_changes_nothing(
    connection: psycopg.Connection, folder: Path
) -> None:
    progress: list[str] = []
    report = ingest_folder(connection, folder, now=lambda: RECEIVED, progress=lambda file: progress.append(file.name))
    assert report.files_by_status == {"loaded": 5, "rejected": 0, "ignored": 0, "known": 0}
    assert (report.rows_read, report.rows_loaded, report.rows_quarantined) == (17, 13, 4)
    assert progress == sorted(progress)
    assert [file.file_id for file in report.files] == [1, 2, 3, 4, 5]
    assert_reconciled(connection)
    before = tables(connection)
    quarantined = {(row[0], row[2]): (row[3], row[4]) for row in before["quarantine"]}
    assert quarantined[1, 5] == ("The row has 2 fields; the header has 16.", "2013,cut off")
    again = ingest(connection, folder, RECEIVED + timedelta(days=1))
    assert again.files_by_status == {"loaded": 0, "rejected": 0, "ignored": 0, "known": 5}
    assert again.rows_read == 0
    assert again.anything_loaded
    assert tables(connection) == before


def test_unusable_files_are_recorded_and_the_others_load(connection: psycopg.Connection, folder: Path) -> None:
    put(folder, "README.md", b"read me")
    put(folder, "eia_coal/empty.csv", b"")
    put(folder, "eia_coal/notes.txt", b"notes")
    put(folder, "gem/cut.xlsx", gem_workbook()[:3000])
    put(folder, "owid/owid-co2-data.csv", b"a,b\n1,2\n")
    put(folder, "world_bank/page.xlsx", b"<html>moved</html>")
    put(folder, "eia_coal/copy of coalpublic2013.csv", (folder / "eia_coal/coalpublic2013.csv").read_bytes())
    put(folder, "documents/report.txt", b"another reader's")
    put(folder, "eia_coal/.hidden.csv", b"not looked at")
    (folder / "eia_coal/gone.csv").symlink_to(folder / "nowhere.csv")
    put(folder, os.fsdecode(b"gem/not \xff unicode.txt"), b"a name of another encoding")
    report = ingest(connection, folder)
    outcomes = {file.name: (file.status, file.reason or "") for file in report.files}
    assert report.files_by_status == {"loaded": 5, "rejected": 5, "ignored": 4, "known": 0}
    for name, status, reason in [
        ("README.md", "ignored", "none of the feeds' folders"),
        ("eia_coal/copy of coalpublic2013.csv", "ignored", "same content as eia_coal/coalpublic2013.csv"),
        ("eia_coal/empty.csv", "rejected", "empty"),
        ("eia_coal/gone.csv", "rejected", "cannot be read"),
        ("eia_coal/notes.txt", "ignored", "eia_coal/ takes *.csv, *.xls, *.xlsx"),
        ("gem/not \N{REPLACEMENT CHARACTER} unicode.txt", "ignored", "gem/ takes"),
        ("gem/cut.xlsx", "rejected", "not a readable Excel workbook"),
        ("owid/owid-co2-data.csv", "rejected", "No header row was found"),
        ("world_bank/page.xlsx", "rejected", "a web page"),
    ]:
        assert outcomes[name][0] == status
        assert reason in outcomes[name][1]
    assert "documents/report.txt" not in outcomes
    assert_reconciled(connection)
    before = tables(connection)
    again = ingest(connection, folder)
    assert again.files_by_status["known"] == 14
    assert len(again.rejected) == 5
    assert tables(connection) == before


def test_nothing_loaded_is_told(connection: psycopg.Connection, tmp_path: Path) -> None:
    put(tmp_path, "eia_coal/coalpublic2013.csv", b"")
    assert not ingest(connection, tmp_path).anything_loaded


def test_a_restatement_is_known_when_it_comes(connection: psycopg.Connection, folder: Path) -> None:
    ingest(connection, folder)
    put(
        folder,
        "eia_coal/coalpublic2013.csv",
        eia_csv(rows=(ROWS_2013[0], ROWS_2013[1].replace("700", "900"))),
    )
    put(folder, "eia_coal/coalpublic2014.csv", eia_csv(rows=(ROWS_2013[1].replace("2013", "2014"),)))
    put(folder, "gem/tracker of may.xlsx", gem_workbook("May 2024"))
    later = RECEIVED + timedelta(days=30)
    assert ingest(connection, folder, later).files_by_status["loaded"] == 3
    known = dict(connection.execute("select name || ' ' || file_id, known_at from landing.files").fetchall())
    rules = connection.execute(
        "select file_id, known_at_rule, restates_file_id from landing.files where file_id in (1, 6, 7) order by 1"
    ).fetchall()
    assert rules == [
        (1, "publisher's date", None),
        (6, "received: restates file 1", 1),
        (7, "publisher's date", None),
    ]
    assert known == {
        "eia_coal/coalpublic2013.csv 1": datetime(2014, 10, 1, tzinfo=UTC),
        "gem/boundaries.geojson 2": datetime(2026, 5, 12, tzinfo=UTC),
        "gem/tracker.xlsx 3": datetime(2024, 4, 30, tzinfo=UTC),
        "owid/owid-energy-data.csv 4": datetime(2020, 10, 1, tzinfo=UTC),
        "world_bank/CMO.xlsx 5": datetime(2025, 5, 2, tzinfo=UTC),
        "eia_coal/coalpublic2013.csv 6": later,
        "eia_coal/coalpublic2014.csv 7": datetime(2015, 10, 1, tzinfo=UTC),
        "gem/tracker of may.xlsx 8": datetime(2024, 5, 31, tzinfo=UTC),
    }


def test_what_came_early_is_known_since_then(connection: psycopg.Connection, tmp_path: Path) -> None:
    put(tmp_path, "eia_coal/coalpublic2013.csv", eia_csv())
    early = datetime(2014, 8, 1, tzinfo=UTC)
    (file,) = ingest(connection, tmp_path, early).files
    assert (file.known_at, file.known_at_rule) == (early, "received: before the publisher's date")


def test_a_restatement_of_a_restatement_counts_against_the_newest(
    connection: psycopg.Connection, tmp_path: Path
) -> None:
    for content in (eia_csv(), eia_csv(rows=ROWS_2013[:2]), eia_csv(rows=ROWS_2013[:1])):
        put(tmp_path, "eia_coal/coalpublic2013.csv", content)
        ingest(connection, tmp_path)
    # what holds now, in another order of rows and columns
    columns = [line.split(",") for line in (HEADER_2013, ROWS_2013[1])]
    put(tmp_path, "eia_coal/turned.csv", "\n".join(",".join(reversed(row)) for row in columns).encode())
    put(tmp_path, "eia_coal/coalpublic2013.csv", eia_csv(rows=(ROWS_2013[1],)))
    report = ingest(connection, tmp_path)
    assert [(file.status, file.restates_file_id) for file in report.files] == [("loaded", 3), ("ignored", None)]


def test_content_that_comes_back_restates_what_replaced_it(connection: psycopg.Connection, tmp_path: Path) -> None:
    first, second = eia_csv(), eia_csv(rows=ROWS_2013[:2])
    for content in (first, second, first):
        put(tmp_path, "eia_coal/coalpublic2013.csv", content)
        assert unseen_files(connection, tmp_path) == ["eia_coal/coalpublic2013.csv"]
        connection.rollback()
        assert ingest(connection, tmp_path).files_by_status["loaded"] == 1
        assert ingest(connection, tmp_path).files_by_status["known"] == 1
        assert unseen_files(connection, tmp_path) == []
        connection.rollback()
    rules = connection.execute("select known_at_rule from landing.files order by file_id").fetchall()
    assert rules == [("publisher's date",), ("received: restates file 1",), ("received: restates file 2",)]
    connection.rollback()
    put(tmp_path, "eia_coal/a copy.csv", second)
    assert ingest(connection, tmp_path).files_by_status["ignored"] == 1


def test_columns_that_the_feed_does_not_describe_are_kept_and_named(
    connection: psycopg.Connection, tmp_path: Path
) -> None:
    header = f'{HEADER_2013},Mine\t"Depth",Refuse Recovery (tons)'.replace('"', "")
    rows = (ROWS_2013[0] + ',"350 ""ft""",-', ROWS_2013[1] + ", ,-")
    put(tmp_path, "eia_coal/coalpublic2013.csv", eia_csv(header, rows))
    (file,) = ingest(connection, tmp_path).files
    assert file.unknown_columns == ("Mine Depth", "Refuse Recovery (tons)")
    assert "Mine Depth, Refuse Recovery (tons)" in str(file.reason)
    kept = connection.execute("select other_values from landing.eia_coal_mines order by row_number").fetchall()
    assert kept == [({"Mine Depth": '350 "ft"'},), (None,)]


def test_what_another_parser_refused_is_tried_again(
    connection: psycopg.Connection, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder, "eia_coal/coalpublic2014.csv", b"cut off")
    with monkeypatch.context() as older:
        older.setattr(ingest_module, "parser_digest", lambda: "an older parser")
        older.setattr(load, "FileReading", _unable)
        first = ingest(connection, folder)
    assert first.files_by_status == {"loaded": 0, "rejected": 6, "ignored": 0, "known": 0}
    connection.rollback()
    assert len(unseen_files(connection, folder)) == 6
    connection.rollback()
    again = ingest(connection, folder)
    assert again.files_by_status == {"loaded": 5, "rejected": 1, "ignored": 0, "known": 0}
    assert unseen_files(connection, folder) == []
    connection.rollback()
    assert len(tables(connection)["files"]) == 6
    assert_reconciled(connection)


def _unable(*_: object) -> None:
    raise UnreadableFileError("This parser cannot read anything.")


def test_a_file_is_of_the_year_that_most_of_its_rows_have(
    connection: psycopg.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the first block holds rows of another year only
    monkeypatch.setattr(read_csv, "BLOCK_BYTES", 300)
    other = [ROWS_2013[1].replace("2013", "2012").replace("700", str(700 + at)) for at in range(5)]
    right = [ROWS_2013[1].replace("700", str(700 + at)) for at in range(10)]
    put(tmp_path, "eia_coal/coalpublic2013.csv", eia_csv(rows=(*other, *right)))
    (file,) = ingest(connection, tmp_path).files
    assert (file.rows_loaded, file.rows_quarantined) == (10, 5)
    reasons = connection.execute("select distinct reason from landing.quarantine").fetchall()
    assert reasons == [("as_of_year is 2012, but the file is of 2013",)]
    assert_reconciled(connection)


def test_a_file_that_changes_while_it_is_read_is_not_taken_in(
    connection: psycopg.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "eia_coal/coalpublic2013.csv", eia_csv())
    write_batch, path = load.write_batch, tmp_path / "eia_coal/coalpublic2013.csv"

    def touched_meanwhile(*arguments: Any) -> None:
        write_batch(*arguments)
        os.utime(path, ns=(0, 0))

    def written_meanwhile(*arguments: Any) -> None:
        write_batch(*arguments)
        path.write_bytes(eia_csv(rows=ROWS_2013[:1]))

    with monkeypatch.context() as patched:
        patched.setattr(load, "write_batch", written_meanwhile)
        (file,) = ingest(connection, tmp_path).files
    assert (file.status, file.rows_read) == ("rejected", 0)
    assert "changed while it was read" in str(file.reason)
    with monkeypatch.context() as patched:
        patched.setattr(load, "write_batch", touched_meanwhile)
        (file,) = ingest(connection, tmp_path).files
    assert (file.status, file.rows_read) == ("loaded", 1)
    assert_reconciled(connection)


def test_two_ingests_at_once_take_each_file_once(
    connection: psycopg.Connection, database_url: str, folder: Path
) -> None:
    for year in range(1990, 2010):
        put(folder, f"eia_coal/coalpublic{year}.csv", eia_csv(rows=(ROWS_2013[1].replace("2013", str(year)),)))
    reports: list[IngestReport] = []
    ready = threading.Barrier(2)

    def work() -> None:
        with psycopg.connect(database_url) as own:
            ready.wait()
            reports.append(ingest(own, folder))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(report.files_by_status["loaded"] for report in reports) == 25
    assert_reconciled(connection)
    names = [row[3] for row in tables(connection)["files"]]
    assert [row[0] for row in tables(connection)["files"]] == list(range(1, 26))
    assert names == sorted(names)


def test_a_killed_ingest_run_again_ends_in_the_same_tables(
    connection: psycopg.Connection, database_url: str, folder: Path
) -> None:
    killed = (
        "import os, signal, sys\n"
        "from datetime import datetime\n"
        "from pathlib import Path\n"
        "import psycopg\n"
        "from fvi_pipeline.feeds import ingest, writer\n"
        "done = []\n"
        "original = writer._copy_rows\n"
        "def dying(*arguments):\n"
        "    done.append(1)\n"
        "    if len(done) == 3:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    original(*arguments)\n"
        "writer._copy_rows = dying\n"
        "received = datetime.fromisoformat(sys.argv[3])\n"
        "ingest.ingest_folder(psycopg.connect(sys.argv[1]), Path(sys.argv[2]), now=lambda: received)\n"
    )
    ingest(connection, folder)
    undisturbed = tables(connection)
    connection.execute("truncate landing.files, landing.quarantine, landing.rejected_values")
    for feed in FEEDS:
        connection.execute(f"truncate landing.{feed}".encode())
    connection.commit()
    arguments = [sys.executable, "-c", killed, database_url, str(folder), RECEIVED.isoformat()]
    assert subprocess.run(arguments, check=False).returncode == -9
    assert [row[0] for row in tables(connection)["files"]] == [1, 2]
    assert_reconciled(connection)
    ingest(connection, folder)
    assert tables(connection) == undisturbed


def test_feeds_can_be_chosen_and_calls_are_checked(connection: psycopg.Connection, folder: Path) -> None:
    put(folder, "README.md", b"read me")
    report = ingest_folder(connection, folder, feeds=["owid_energy"], simulated=True)
    assert [file.name for file in report.files] == ["owid/owid-energy-data.csv"]
    assert connection.execute("select simulated from landing.files").fetchall() == [(True,)]
    with pytest.raises(FeedError, match="outside of a transaction"):
        ingest_folder(connection, folder)
    connection.rollback()
    with pytest.raises(FeedError, match="Unknown feed owid"):
        ingest_folder(connection, folder, feeds=["owid"])
    with pytest.raises(FeedError, match="does not exist"):
        ingest_folder(connection, folder / "nowhere")
    assert not is_simulated(folder)
    put(folder, "SIMULATED.json", b"{}")
    assert is_simulated(folder)


def test_a_value_that_the_database_refuses_costs_its_file_only(connection: psycopg.Connection, folder: Path) -> None:
    connection.execute("alter table landing.owid_energy add constraint no_poland check (country <> 'Poland')")
    connection.commit()
    report = ingest(connection, folder)
    refused = next(file for file in report.files if file.feed == "owid_energy")
    assert refused.status == "rejected"
    assert "no_poland" in str(refused.reason)
    assert report.files_by_status["loaded"] == 4
    assert_reconciled(connection)


def test_an_excel_year_that_says_the_same_is_ignored_and_one_that_does_not_restates(
    connection: psycopg.Connection, real_landing: Path, tmp_path: Path
) -> None:
    served = real_landing.parent / "formats" / "eia_coal"
    if not served.is_dir():
        pytest.skip(f"no real Excel years in {served}")
    (tmp_path / "eia_coal").mkdir()
    for year in (2008, 2013, 2019):
        for path in (real_landing / "eia_coal" / f"coalpublic{year}.csv", served / f"coalpublic{year}.xls"):
            shutil.copy(path, tmp_path / "eia_coal" / path.name)
    report = ingest(connection, tmp_path)
    assert [(file.status, file.rows_loaded, file.known_at_rule) for file in report.files] == [
        ("loaded", 1_934, "publisher's date"),
        ("ignored", 0, None),
        ("loaded", 1_450, "publisher's date"),
        ("ignored", 0, None),
        ("loaded", 934, "publisher's date"),
        # one address differs
        ("loaded", 934, "received: restates file 5"),
    ]
    reason = "The file says the same, row for row, as eia_coal/coalpublic2008.csv, which is loaded."
    assert report.files[1].reason == reason
    assert report.files[5].restates_file_id == 5
    assert_reconciled(connection)


def test_the_real_files_give_the_publishers_totals(connection: psycopg.Connection, real_landing: Path) -> None:
    report = ingest(connection, real_landing, datetime(2026, 11, 1, tzinfo=UTC))
    assert not report.rejected
    assert report.rows_read == report.rows_loaded
    assert_reconciled(connection)
    totals = dict(
        connection.execute(
            "select as_of_year, round(sum(production_short_tons) / 1e6, 3)::float8 "
            "from landing.eia_coal_mines group by as_of_year"
        ).fetchall()
    )
    assert {year: totals[year] for year in YEARLY_TOTALS} == YEARLY_TOTALS
    counts = connection.execute(
        "select (select count(*) from landing.eia_coal_mines), "
        "(select count(*) from landing.gem_coal_mines where sheet = 'open'), "
        "(select count(*) from landing.gem_coal_mines where sheet = 'closed'), "
        "(select count(distinct gem_mine_id) from landing.gem_mine_features), "
        "(select count(*) from landing.gem_mine_features)"
    ).fetchone()
    assert counts == (80_697, 5_226, 1_354, 250, 2_116)
    producing = connection.execute(
        "select count(distinct msha_id) from landing.eia_coal_mines "
        "where as_of_year = 2019 and production_short_tons > 0"
    ).fetchone()
    assert producing == (669,)
