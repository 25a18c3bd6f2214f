"""The warehouse does not remember in which order files came: late years, late prices, restatements."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from fvi_pipeline.feeds.ingest import ingest_folder
from fvi_pipeline.platform.servers import Servers
from fvi_pipeline.simulator import SimulationConfig, write_landing_folder
from tests.integration.warehouse import OwnWarehouse, new_warehouse

RECEIVED_AT = datetime(2026, 1, 1, tzinfo=UTC)
RESTATED_AT = datetime(2026, 3, 1, tzinfo=UTC)
LATE_YEAR, RESTATED_YEAR, LAST_YEAR = 2007, 2009, 2011
# which number a file got is the order of arrival itself
FILE_COLUMNS = ("file_id", "energy_file_id", "emissions_file_id", "superseded_by_file_id")


@dataclass(frozen=True)
class Arrivals:
    """Two warehouses with the same files: one got them in order and was built once, the other night by night."""

    in_order: OwnWarehouse
    out_of_order: OwnWarehouse
    dropped_mine: str
    """It is in the first file of the restated year, not in the second."""


def _take_in(warehouse: OwnWarehouse, folder: Path, now: datetime) -> None:
    with psycopg.connect(warehouse.url) as connection:
        report = ingest_folder(connection, folder, simulated=True, now=lambda: now)
    assert report.new_files


def _folder_with(source: Path, target: Path, *patterns: str) -> Path:
    for path in sorted({path for pattern in patterns for path in source.glob(pattern)}):
        (target / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target / path.parent.name)
    return target


def _restated(file: Path, target: Path) -> str:
    """Write the year's file anew without its first mine and with twice the production; return that mine."""
    rows = list(csv.reader(io.StringIO(file.read_bytes().decode("latin-1"), newline="")))
    start = next(number for number, row in enumerate(rows) if "MSHA ID" in row)
    mine, tons = (rows[start].index(title) for title in ("MSHA ID", "Production (short tons)"))
    dropped = next(row[mine] for row in rows[start + 1 :] if len(row) > tons and row[mine].isdigit())
    kept = rows[: start + 1]
    for row in rows[start + 1 :]:
        if len(row) > tons and row[mine].strip().zfill(7) == dropped.zfill(7):
            continue
        if len(row) > tons and row[tons].replace(",", "").isdigit():
            row[tons] = str(2 * int(row[tons].replace(",", "")))
        kept.append(row)
    text = io.StringIO(newline="")
    csv.writer(text).writerows(kept)
    target.parent.mkdir(parents=True)
    target.write_bytes(text.getvalue().encode("latin-1"))
    return f"msha:{dropped.zfill(7)}"


@pytest.fixture(scope="module")
def arrivals(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arrivals]:
    """A year and the prices come late, the last year with a restatement after that."""
    root = tmp_path_factory.mktemp("arrivals")
    every = root / "every"
    write_landing_folder(every, SimulationConfig(mines=120, first_year=2005, last_year=LAST_YEAR, foreign_mines=10))
    names = {path.name: path for path in (every / "eia_coal").iterdir()}
    late, restated, last = (
        next(name for name in names if str(year) in name) for year in (LATE_YEAR, RESTATED_YEAR, LAST_YEAR)
    )
    restatement = root / "restatement"
    dropped = _restated(names[restated], restatement / "eia_coal" / restated)
    first = _folder_with(every, root / "first", "eia_coal/*", "gem/*", "owid/*")
    for name in (late, last):
        (first / "eia_coal" / name).unlink()
    second = _folder_with(every, root / "second", f"eia_coal/{late}", "world_bank/*")
    third = _folder_with(every, root / "third", f"eia_coal/{last}")
    with (
        new_warehouse(servers, root / "home") as in_order,
        new_warehouse(servers, root / "home") as out_of_order,
    ):
        _take_in(in_order, every, RECEIVED_AT)
        _take_in(in_order, restatement, RESTATED_AT)
        in_order.build(tests=False)
        _take_in(out_of_order, first, RECEIVED_AT)
        out_of_order.build(tests=False)
        _take_in(out_of_order, second, RECEIVED_AT)
        out_of_order.build(tests=False)
        _take_in(out_of_order, restatement, RESTATED_AT)
        _take_in(out_of_order, third, RECEIVED_AT)
        out_of_order.build()
        yield Arrivals(in_order, out_of_order, dropped)


def _contents(warehouse: OwnWarehouse, *, with_file_numbers: bool) -> dict[str, tuple[int, str]]:
    """Per table of silver, gold and mart: rows, and a digest of them whatever their order."""
    tables = warehouse.rows(
        "select table_schema || '.' || table_name from information_schema.tables "
        "where table_schema in ('silver', 'gold', 'mart') order by 1"
    )
    left_out = [] if with_file_numbers else list(FILE_COLUMNS)
    rule = "row ->> 'precedence_rule'"
    words = rule if with_file_numbers else f"regexp_replace({rule}, '[0-9]+', 'N')"
    return {
        table: warehouse.rows(
            f"select count(*), coalesce(md5(string_agg(line, ';' order by line)), '') from ("
            f"select concat({words}, (row - 'precedence_rule' - %s::text[])::text) as line "
            f"from (select to_jsonb(t) as row from {table} as t) as rows) as lines",
            left_out,
        )[0]
        for (table,) in tables
    }


def test_late_files_end_in_the_same_tables_as_files_in_order(arrivals: Arrivals) -> None:
    in_order = _contents(arrivals.in_order, with_file_numbers=False)
    assert in_order["gold.gold_mine_feature_history"][0] > 300
    assert _contents(arrivals.out_of_order, with_file_numbers=False) == in_order


def test_a_full_refresh_changes_nothing(arrivals: Arrivals) -> None:
    night_by_night = _contents(arrivals.out_of_order, with_file_numbers=True)
    arrivals.out_of_order.dbt("run", "--full-refresh")
    assert _contents(arrivals.out_of_order, with_file_numbers=True) == night_by_night


def test_a_mine_that_a_restatement_drops_is_closed_and_not_deleted(arrivals: Arrivals) -> None:
    history = arrivals.out_of_order.rows(
        "select known_until, superseded_by_file_id, precedence_rule from silver.silver_mine_metrics_history "
        "where mine_id = %s and as_of_year = %s",
        arrivals.dropped_mine,
        RESTATED_YEAR,
    )
    restating = arrivals.out_of_order.value(
        "select file_id from silver.silver_mine_releases where as_of_year = %s and known_until is null",
        RESTATED_YEAR,
    )
    assert history
    assert set(history) == {(RESTATED_AT, restating, "first file of its year")}
    current = "select count(*) from silver.silver_mine_metrics where mine_id = %s and as_of_year = %s"
    assert arrivals.out_of_order.value(current, arrivals.dropped_mine, RESTATED_YEAR) == 0


def test_each_row_says_which_rule_made_it_hold(arrivals: Arrivals) -> None:
    rules = arrivals.out_of_order.rows(
        "select as_of_year, precedence_rule from silver.silver_mine_metrics group by 1, 2 order by 1"
    )
    replaced = arrivals.out_of_order.value(
        "select file_id from silver.silver_mine_releases where as_of_year = %s and known_until is not null",
        RESTATED_YEAR,
    )
    said = dict(rules)
    assert said.pop(RESTATED_YEAR) == f"restates file {replaced} from its receipt"
    assert set(said.values()) == {"first file of its year"}


def test_what_was_known_before_the_restatement_stays_readable(arrivals: Arrivals) -> None:
    known = (
        "select sum(production_short_tons) from silver.silver_mine_metrics_history "
        "where as_of_year = %s and known_at <= %s and (known_until is null or known_until > %s)"
    )
    landed = (
        "select sum(production_short_tons) from landing.eia_coal_mines "
        "where file_id = (select {}(file_id) from landing.files where period = %s and feed = 'eia_coal_mines')"
    )
    warehouse = arrivals.out_of_order
    for moment, which in ((RECEIVED_AT, "min"), (RESTATED_AT, "max")):
        as_of = warehouse.value(known, RESTATED_YEAR, moment, moment)
        assert as_of == warehouse.value(landed.format(which), str(RESTATED_YEAR))


def test_a_file_has_no_history_before_its_shared_operations_are_known(arrivals: Arrivals) -> None:
    rows = "select count(*) from silver.silver_mine_metrics_history where as_of_year = %s"
    with psycopg.connect(arrivals.in_order.url) as connection:
        assert connection.execute(rows.encode(), [LATE_YEAR]).fetchone() != (0,)
        connection.execute(
            "delete from ops.built_parts where model = 'silver_shared_operations' and part in "
            "(select file_id::text from silver.silver_mine_releases where as_of_year = %s)",
            [LATE_YEAR],
        )
        assert connection.execute(rows.encode(), [LATE_YEAR]).fetchone() == (0,)
        connection.rollback()


def test_a_year_named_in_rebuild_years_is_built_anew(arrivals: Arrivals) -> None:
    warehouse = arrivals.in_order
    before = _contents(warehouse, with_file_numbers=True)
    with psycopg.connect(warehouse.url) as connection:
        for table in (
            "silver.silver_shared_operations",
            "silver.silver_mine_years",
            "gold.gold_mine_feature_history",
        ):
            connection.execute(
                f"update {table} set production_short_tons = production_short_tons + 1 where as_of_year = %s".encode(),
                [RESTATED_YEAR],
            )
    warehouse.dbt("run", rebuild_years=[RESTATED_YEAR])
    assert _contents(warehouse, with_file_numbers=True) == before
