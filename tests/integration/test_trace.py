"""The way of a number on a real warehouse: every step is there, and at its end the cell of the publisher's file."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from fvi_pipeline.model.dataset import HORIZON
from fvi_pipeline.platform.servers import Servers
from fvi_pipeline.platform.settings import PROJECT_ROOT
from fvi_pipeline.simulator import SimulationConfig, write_landing_folder
from fvi_pipeline.simulator.gem_files import build_gem, write_tracker
from fvi_pipeline.simulator.mines import draw_attributes
from fvi_pipeline.simulator.process import draw_population
from fvi_pipeline.trace.cells import with_cells
from fvi_pipeline.trace.errors import TraceError
from fvi_pipeline.trace.gold import FEATURES, METRICS
from fvi_pipeline.trace.sources import Lineage, load_lineage
from fvi_pipeline.trace.step import Step
from fvi_pipeline.trace.way import trace, traceable_columns
from tests.commands import run_fvi
from tests.integration.warehouse import OwnWarehouse, new_warehouse

YEAR, RESTATED_YEAR, TRACKER_RELEASE = 2012, 2010, 2012
UNREADABLE = "many hours"


@dataclass(frozen=True)
class Traced:
    """A warehouse in which the file of one year was restated, its landing folder, and a mine with a score."""

    warehouse: OwnWarehouse
    folder: Path
    lineage: Lineage
    mine: str
    restated_at: datetime
    scored_at: datetime

    def way(self, mine: str, year: int, column: str, **options: Any) -> Step:
        """`trace` with a connection of its own."""
        with psycopg.connect(self.warehouse.url) as connection:
            return trace(connection, self.lineage, mine, year, column, **options)


@pytest.fixture(scope="module")
def traced(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    folder = tmp_path_factory.mktemp("traced-landing")
    config = SimulationConfig(mines=120, first_year=2003, last_year=YEAR, foreign_mines=10)
    write_landing_folder(folder, config)
    # a release that rows of the panel may use, beside that of 2024
    write_tracker(folder, build_gem(config, draw_population(config), draw_attributes(config)), year=TRACKER_RELEASE)
    with new_warehouse(servers, tmp_path_factory.mktemp("traced-home")) as warehouse:
        warehouse.take_in(folder)
        _restate(folder)
        warehouse.take_in(folder)
        ((restated_at,),) = warehouse.rows("select max(known_at) from landing.files where feed = 'eia_coal_mines'")
        scored_at = restated_at + timedelta(minutes=1)
        with psycopg.connect(warehouse.url) as connection:
            mine = _mine_with_a_past(connection)
            _score(connection, mine, scored_at)
        yield Traced(warehouse, folder, load_lineage(PROJECT_ROOT / "dbt_project"), mine, restated_at, scored_at)


def _file_of(folder: Path, year: int) -> Path:
    return next(folder.glob(f"eia_coal/coalpublic{year}.*"))


def _restate(folder: Path) -> None:
    """The year's file again, under the same name: one more ton wherever there are any, and hours that are no number."""
    path = _file_of(folder, RESTATED_YEAR)
    table = list(csv.reader(path.read_text(encoding="utf-8-sig", errors="replace").splitlines()))
    header = next(number for number, row in enumerate(table) if "MSHA ID" in row)
    mine, tons, hours = (table[header].index(name) for name in ("MSHA ID", "Production (short tons)", "Labor Hours"))
    for row in table[header + 1 :]:
        if len(row) > tons and row[tons].replace(",", "").isdigit() and row[tons] != "0":
            row[tons] = str(int(row[tons].replace(",", "")) + 1)
    named = next(row for row in table[header + 1 :] if row[mine].isdigit())
    named[hours] = UNREADABLE
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(table)


def _mine_with_a_past(connection: psycopg.Connection) -> str:
    """The mine of the cohort with the most operations: its way is the one with the most branches."""
    row = connection.execute(
        "select mine_id from gold.gold_mine_features where as_of_year = %s and in_cohort "
        "and production_short_tons_3y_ago > 0 and operator_lost_share_1y is not null "
        "and productivity_change_1y is not null "
        "order by operations_count desc, mine_id limit 1",
        [YEAR],
    ).fetchone()
    assert row is not None
    return str(row[0])


def _score(connection: psycopg.Connection, mine: str, scored_at: datetime) -> None:
    key = [mine, YEAR]
    values = connection.execute(
        "select production_short_tons, years_producing from gold.gold_mine_features "
        "where mine_id = %s and as_of_year = %s",
        key,
    ).fetchone()
    assert values is not None
    connection.execute(
        f"insert into mart.fvi_scores (mine_id, as_of_year, {HORIZON}, fvi_score, interval_low, interval_high, "
        "model_version, scored_at) values (%s, %s, 5, 71.5, 60, 80, '3', %s)",
        [*key, scored_at],
    )
    for rank, (feature, value) in enumerate(zip(("production_short_tons", "years_producing"), values, strict=True), 1):
        connection.execute(
            f"insert into mart.score_reasons (mine_id, as_of_year, {HORIZON}, rank, feature, value, contribution, "
            "reason_in_words) values (%s, %s, 5, %s, %s, %s, 0.5, 'It speaks for the mine.')",
            [*key, rank, feature, value],
        )


def _leaves(step: Step, layer: str) -> list[Step]:
    found = [step] if step.layer == layer else []
    return found + [leaf for source in step.sources for leaf in _leaves(source, layer)]


# --- the whole way --------------------------------------------------------------------------------


def test_a_score_leads_to_the_cells_of_the_publishers_file(traced: Traced) -> None:
    way = traced.way(traced.mine, YEAR, "fvi_score_5")
    assert (way.table, way.value) == ("mart.fvi_scores", 71.5)
    assert (way.details["model_version"], way.details["scored_at"]) == ("3", traced.scored_at)
    production = way.sources[0]
    assert (production.table, production.column) == ("mart.score_reasons", "production_short_tons")
    assert production.details["in_words"] == "It speaks for the mine."
    gold = production.sources[0]
    assert gold.table == "gold.gold_mine_features"
    assert gold.value == production.value
    assert gold.details["created_timestamp"] <= traced.scored_at
    assert [step.table for step in gold.sources] == ["silver.silver_mine_years"]
    operations = gold.sources[0].sources
    assert {step.table for step in operations} == {"silver.silver_mine_metrics_history"}
    assert sum(step.value for step in operations) == gold.value
    path = _file_of(traced.folder, YEAR)
    lines = list(csv.reader(path.read_text(encoding="utf-8-sig", errors="replace").splitlines()))
    header = next(row for row in lines if "MSHA ID" in row)
    for operation in operations:
        (bronze,) = operation.sources
        (file,) = bronze.sources
        assert file.details["name"] == f"eia_coal/{path.name}"
        assert file.details["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        written = [
            int(dict(zip(header, lines[number - 1], strict=True))["Production (short tons)"].replace(",", ""))
            for number in file.details["row_numbers"]
        ]
        assert sum(written) == operation.value
        assert {"known_at", "ingested_at", "publisher"} <= file.details.keys()


def test_every_column_that_has_a_value_leads_to_a_file(traced: Traced) -> None:
    with psycopg.connect(traced.warehouse.url) as connection:
        columns = traceable_columns(connection, traced.lineage)
        assert {len(names) > 5 for names in columns.values()} == {True}
        for model, names in columns.items():
            for name in names:
                way = trace(connection, traced.lineage, traced.mine, YEAR, f"{model}.{name}")
                assert way.files() or way.value is None, f"{model}.{name}"


def test_peers_are_the_rows_that_the_number_was_made_of(traced: Traced) -> None:
    gold = _leaves(traced.way(traced.mine, YEAR, "state_production_change_1y"), "gold")[0]
    totals = {step.row[:4]: step.value for step in gold.sources}
    assert gold.value == pytest.approx(totals[str(YEAR)] / totals[str(YEAR - 1)] - 1)
    for step in gold.sources:
        assert sum(row["value"] for row in step.rows) == step.value
        (bronze,) = step.sources
        assert sum(row["value"] for row in bronze.rows or ({"value": bronze.value},)) == step.value


def test_all_rows_of_the_country_are_there_for_what_they_add_up_to(traced: Traced) -> None:
    gold = _leaves(traced.way(traced.mine, YEAR, "us_production_change_1y"), "gold")[0]
    totals = {step.row: step.value for step in gold.sources}
    assert gold.value == pytest.approx(totals[f"{YEAR}, all rows"] / totals[f"{YEAR - 1}, all rows"] - 1)


def test_survivors_are_the_mines_that_the_operator_had_the_year_before(traced: Traced) -> None:
    gold = _leaves(traced.way(traced.mine, YEAR, "operator_lost_share_1y"), "gold")[0]
    years = {int(step.row[:4]): {row["mine_id"]: row["value"] for row in step.rows} for step in gold.sources}
    before = {mine for mine, value in years[YEAR - 1].items() if value}
    lost = {mine for mine in before if not years.get(YEAR, {}).get(mine)}
    assert gold.value == pytest.approx(len(lost) / len(before))


def test_a_mine_of_the_tracker_leads_to_its_sheet_and_row(traced: Traced) -> None:
    ((mine, year, production),) = traced.warehouse.rows(
        "select mine_id, as_of_year, production_short_tons from gold.gold_mine_index_metrics "
        "where mine_id like 'gem:%%' and production_short_tons is not null order by 1 limit 1"
    )
    way = traced.way(mine, year, "production_short_tons")
    assert (way.table, way.value) == (f"gold.{METRICS}", production)
    (profile,) = way.sources
    assert profile.table == "silver.silver_mine_profiles"
    (file,) = way.files().values()
    assert file.details["name"].startswith("gem/")
    assert "sheet open, row" in file.row
    told = _leaves(with_cells(way, traced.folder), "bronze")[0]
    assert float(told.details["written"].strip("'")) == pytest.approx(told.value)


def test_a_feature_from_the_tracker_leads_to_the_release_that_the_row_could_know(traced: Traced) -> None:
    ((mine, depth),) = traced.warehouse.rows(
        f"select mine_id, mine_depth_m from gold.{FEATURES} where as_of_year = %s and mine_depth_m is not null "
        "order by 1 limit 1",
        YEAR,
    )
    way = traced.way(mine, YEAR, "mine_depth_m")
    assert way.value == depth
    (silver,) = _leaves(way, "silver")
    assert (silver.value, silver.row) == (depth, f"{mine}, release of {TRACKER_RELEASE}")
    assert silver.details["known_at"] <= _leaves(way, "gold")[0].details["created_timestamp"]
    assert [file.details["name"] for file in way.files().values()] == [
        f"gem/Global-Coal-Mine-Tracker-April-{TRACKER_RELEASE}.xlsx"
    ]
    assert depth in {
        float(row["value"]) for leaf in _leaves(way, "bronze") for row in leaf.rows or ({"value": leaf.value},)
    }


def test_cells_are_read_again_while_the_file_is_there_unchanged(traced: Traced, tmp_path: Path) -> None:
    way = traced.way(traced.mine, YEAR, f"{FEATURES}.labor_hours")
    (file,) = way.files().values()
    assert _leaves(with_cells(way, tmp_path), "file")[0].details["in_folder"] == "not there any more"
    copy = tmp_path / file.details["name"]
    copy.parent.mkdir()
    copy.write_bytes((traced.folder / file.details["name"]).read_bytes())
    for bronze in _leaves(with_cells(way, tmp_path), "bronze"):
        assert bronze.details["written"].strip("'").replace(",", "") == str(bronze.value)
    copy.write_bytes(copy.read_bytes() + b"\n")
    changed = with_cells(way, tmp_path)
    assert _leaves(changed, "file")[0].details["in_folder"] == "there, but changed since"
    assert "written" not in _leaves(changed, "bronze")[0].details


def test_a_refused_value_is_there_as_it_was_written(traced: Traced) -> None:
    ((mine, reason),) = traced.warehouse.rows(
        "select 'msha:' || msha_id, reason from landing.rejected_values "
        "inner join landing.eia_coal_mines using (file_id, row_number) where raw = %s",
        UNREADABLE,
    )
    bronze = _leaves(traced.way(mine, RESTATED_YEAR, "silver_mine_metrics.labor_hours"), "bronze")
    told = " ".join(f"{step.details.get('refused')} {step.rows}" for step in bronze)
    assert UNREADABLE in told
    assert reason in told


# --- what was known when --------------------------------------------------------------------------


def test_before_and_after_a_restatement_the_way_leads_to_different_files(traced: Traced) -> None:
    eve = traced.restated_at - timedelta(seconds=1)
    for column in ("silver_mine_metrics.production_short_tons", f"{FEATURES}.production_short_tons"):
        old = traced.way(traced.mine, RESTATED_YEAR, column, as_of=eve)
        new = traced.way(traced.mine, RESTATED_YEAR, column)
        assert new.value == old.value + sum(leaf.value > 0 for leaf in _leaves(new, "bronze"))
        assert old.files().keys().isdisjoint(new.files())
        closed = _leaves(old, "silver")[-1].details
        assert closed["known_until"] == traced.restated_at
        assert closed.get("superseded_by_file_id", next(iter(new.files()))) in new.files()
        assert _leaves(new, "silver")[-1].details["known_until"] is None
    later = traced.way(traced.mine, RESTATED_YEAR + 1, "production_short_tons_1y_ago")
    first = traced.way(traced.mine, RESTATED_YEAR + 1, "production_short_tons_1y_ago", as_of=eve)
    assert later.files().keys().isdisjoint(first.files())
    assert _leaves(later, "gold")[0].details["vintage"] == "2 of 2"


def test_what_was_not_known_yet_has_no_way(traced: Traced) -> None:
    for column in ("production_change_1y", "silver_mine_metrics.labor_hours"):
        with pytest.raises(TraceError, match="was known by 2012-06-01"):
            traced.way(traced.mine, YEAR, column, as_of=datetime(2012, 6, 1, tzinfo=UTC))
    with pytest.raises(TraceError, match="fvi_score_history has the ones before it"):
        traced.way(traced.mine, YEAR, "fvi_score", as_of=traced.restated_at)


@pytest.mark.parametrize(
    ("mine", "year", "column", "said"),
    [
        ("msha:0000001", YEAR, "labor_hours", "There is no mine msha:0000001"),
        (None, 1950, "production_change_1y", r"for 1950; it has years from 20\d\d to 2012"),
        (None, 1950, "silver_mine_metrics.union_code", r"years that were published: .*2012"),
        (None, 1950, "index_score", "no row of .* for 1950"),
        (None, YEAR, "production_chang_1y", "Did you mean production_change_1y"),
        (None, YEAR, "xyz", "There are fvi_score, index_score; gold_mine_features: in_cohort"),
        (None, YEAR, "silver_mine_metrics.production_change_1y", "There is no column"),
        (None, YEAR, "fvi_score_7", "for 2012 at 7 years; there is 2012 at 5 years"),
    ],
)
def test_an_error_says_what_there_is(traced: Traced, mine: str | None, year: int, column: str, said: str) -> None:
    with pytest.raises(TraceError, match=said):
        traced.way(mine or traced.mine, year, column)


def test_a_bare_number_of_a_mine_is_understood_in_the_error(traced: Traced) -> None:
    with pytest.raises(TraceError, match=f"Did you mean {traced.mine}"):
        traced.way(traced.mine.removeprefix("msha:"), YEAR, "labor_hours")


# --- the command ----------------------------------------------------------------------------------


def test_the_command_prints_a_tree_json_and_errors(traced: Traced) -> None:
    told = run_fvi(traced.warehouse.environment, "trace", traced.mine, str(YEAR), "production_change_1y")
    assert told.returncode == 0, told.stderr
    sha256 = hashlib.sha256(_file_of(traced.folder, YEAR).read_bytes()).hexdigest()
    for part in ("mart.fvi_scores", "gold.gold_mine_features", "silver.silver_mine_years", "bronze.bronze_eia", sha256):
        assert part in told.stdout
    arguments = ("trace", traced.mine, str(RESTATED_YEAR), "production_change_1y", "--as-of", "2011-10-01", "--json")
    way = json.loads(run_fvi(traced.warehouse.environment, *arguments).stdout)
    assert way["details"]["created_timestamp"] == "2011-10-01T00:00:00+00:00"
    assert way["sources"][0]["layer"] == "silver"
    wrong = run_fvi(traced.warehouse.environment, "trace", traced.mine, str(YEAR), "no_such_column")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "There is no column no_such_column" in wrong.stderr
    assert "Traceback" not in wrong.stderr
