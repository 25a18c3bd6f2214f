"""The catalogue and the watch over the features, on a small simulated warehouse: what mart.feature_catalogue says is
computed again from gold, and a shift in the newest year's file is seen in the features that it moves and in no other.
"""

from __future__ import annotations

import csv
import io
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import psycopg
import pytest
from psycopg import sql

from fvi_pipeline.definitions import build_defs
from fvi_pipeline.features.catalogue import Catalogue, FeatureColumn, load_catalogue
from fvi_pipeline.features.errors import CatalogueError
from fvi_pipeline.features.groups import groups_of
from fvi_pipeline.feeds.ingest import ingest_folder
from fvi_pipeline.monitoring.catalogue_rows import CatalogueRow, CatalogueUnavailable, catalogue_rows
from fvi_pipeline.monitoring.drift import Drift
from fvi_pipeline.monitoring.measurements import Measurement, drifts, measure_features
from fvi_pipeline.monitoring.store import newest_cohort, newest_measurements, write_measurements
from fvi_pipeline.monitoring.training_rows import TrainingRows, training_rows
from fvi_pipeline.platform.dbt_manifest import ensure_manifest
from fvi_pipeline.platform.servers import Servers
from fvi_pipeline.platform.settings import PROJECT_ROOT, Settings, get_settings
from fvi_pipeline.simulator import SimulationConfig, write_landing_folder
from tests.commands import BIN, run_tool
from tests.integration.warehouse import OwnWarehouse, new_warehouse

LAST_YEAR = 2013
# when the newest year is published, and the day after: no month of prices lies between
RECEIVED_AT, RESTATED_AT = datetime(LAST_YEAR + 1, 10, 1, tzinfo=UTC), datetime(LAST_YEAR + 1, 10, 2, tzinfo=UTC)
EMPLOYEES = "silver_mine_years.average_employees"
MIDNIGHT, NEXT_DAY = datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC)


@dataclass(frozen=True)
class Watched:
    """A warehouse whose newest year was restated with three times the employees, and what was measured before."""

    warehouse: OwnWarehouse
    training: TrainingRows
    before: list[Measurement]
    moves_before: Mapping[str, Drift]
    catalogue_before: list[CatalogueRow]


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    settings = get_settings()
    return load_catalogue(ensure_manifest(settings.dbt_project_dir, settings.home))


@pytest.fixture(scope="module")
def watched(servers: Servers, catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    root = tmp_path_factory.mktemp("catalogue")
    config = SimulationConfig(mines=260, first_year=2001, last_year=LAST_YEAR, foreign_mines=10, defects=False)
    write_landing_folder(root / "landing", config)
    _more_employees(root / "landing", root / "restated")
    features = list(catalogue.model_features())
    with new_warehouse(servers, root / "home") as warehouse:
        _take_in(warehouse, root / "landing", RECEIVED_AT)
        with psycopg.connect(warehouse.url) as connection:
            before_measuring = catalogue_rows(connection)
            training = _training(connection, features)
            cohort = newest_cohort(connection, features)
            assert cohort is not None
            moves = drifts(cohort, features, training)
            before = measure_features(cohort, features, training, moves)
        _take_in(warehouse, root / "restated", RESTATED_AT)
        yield Watched(warehouse, training, before, moves, before_measuring)


def _take_in(warehouse: OwnWarehouse, folder: Path, received_at: datetime) -> None:
    """Ingest the folder and build what the catalogue and the training rows are made of."""
    with psycopg.connect(warehouse.url) as connection:
        ingest_folder(connection, folder, simulated=True, now=lambda: received_at)
    models = ("--resource-type", "model", "--resource-type", "seed")
    warehouse.dbt("build", *models, "--select", "+feature_catalogue", "+gold_mine_outcomes")


def _more_employees(folder: Path, target: Path) -> None:
    """The newest year's file again, with three times the employees."""
    (file,) = (folder / "eia_coal").glob(f"*{LAST_YEAR}*")
    rows = list(csv.reader(io.StringIO(file.read_bytes().decode("utf-8-sig"), newline="")))
    start = next(number for number, row in enumerate(rows) if "MSHA ID" in row)
    column = rows[start].index("Average Employees")
    for row in rows[start + 1 :]:
        if len(row) > column and row[column].replace(",", "").isdigit():
            row[column] = str(3 * int(row[column].replace(",", "")))
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    (target / "eia_coal").mkdir(parents=True)
    (target / "eia_coal" / file.name).write_text(text.getvalue(), encoding="utf-8", newline="")


def _training(connection: psycopg.Connection, features: list[str]) -> TrainingRows:
    """What a model of 2010 would have been fitted on: features as first known, with their outcomes."""
    names = sql.SQL(", ").join(sql.Identifier("history", name) for name in features)
    rows = connection.execute(
        sql.SQL(
            "select history.mine_id, history.as_of_year, outcomes.horizon_years, outcomes.outcome_year, "
            "outcomes.viable::int, {} from gold.gold_mine_outcomes as outcomes "
            "join gold.gold_mine_feature_history as history using (mine_id, as_of_year) "
            "join gold.gold_vintages as vintages on vintages.is_first and vintages.as_of_year = history.as_of_year "
            "and vintages.created_timestamp = history.created_timestamp order by 1, 2, 3"
        ).format(names)
    ).fetchall()
    keys = ["mine_id", "as_of_year", "horizon_years", "outcome_year", "viable"]
    schema = {name: pl.Int64 for name in keys} | {"mine_id": pl.String} | dict.fromkeys(features, pl.Float64)
    return training_rows(pl.DataFrame(rows, schema=schema, orient="row"), 2010, frozenset(features), "a challenger")


def _described(catalogue: Catalogue) -> list[FeatureColumn]:
    return [column for column in catalogue.features if column.role == "feature"]


def test_the_catalogue_says_what_the_project_says(watched: Watched, catalogue: Catalogue) -> None:
    rows = watched.catalogue_before
    assert [row.position for row in rows] == list(range(1, len(rows) + 1))
    for row, column in zip(rows, _described(catalogue), strict=True):
        assert row.feature == column.name
        assert " ".join(row.description.split()) == column.description
        assert (row.category, row.unit) == (column.category, column.unit)
        assert " ".join(row.null_means.split()) == column.null_means
        assert tuple(row.sources) == column.sources
        # told by SQL in the mart and by Python for the rest: they may not part
        assert row.fact_groups == [group.name for group in groups_of(column)]
        assert all((row.description, row.unit, row.null_means, row.sources))


def test_its_figures_are_those_of_the_latest_vintages(watched: Watched, catalogue: Catalogue) -> None:
    features = list(catalogue.model_features())
    names = sql.SQL(", ").join(map(sql.Identifier, features))
    with psycopg.connect(watched.warehouse.url) as connection:
        rows = catalogue_rows(connection)
        values = connection.execute(sql.SQL("select {} from gold.gold_mine_features").format(names)).fetchall()
    gold = pl.DataFrame(values, schema=dict.fromkeys(features, pl.Float64), orient="row")
    assert {row.rows for row in rows} == {gold.height}
    for row in rows:
        column = gold[row.feature]
        assert row.null_rate == pytest.approx(column.null_count() / gold.height, abs=1e-12), row.feature
        assert (row.minimum, row.maximum) == (column.min(), column.max()), row.feature
        for ours, theirs in ((row.mean, column.mean()), (row.standard_deviation, column.std())):
            close = None if theirs is None else pytest.approx(theirs, rel=1e-6, abs=1e-9)
            assert ours == close, row.feature
    restated = {row.feature: row.mean for row in rows}
    assert restated["average_employees"] > next(
        row.mean or 0 for row in watched.catalogue_before if row.feature == "average_employees"
    )


def test_before_the_first_measurement_it_stands_without_drift(watched: Watched) -> None:
    assert {(row.drift_psi, row.information_gain, row.measured_at) for row in watched.catalogue_before} == {
        (None, None, None)
    }
    assert {row.model_role for row in watched.catalogue_before} == {"candidate"}


def test_a_shift_in_the_newest_year_is_seen_where_it_is_and_nowhere_else(
    watched: Watched, catalogue: Catalogue
) -> None:
    features = list(catalogue.model_features())
    made_of_employees = {
        column.name
        for column in _described(catalogue)
        if any(re.match(rf"{EMPLOYEES}\[(\S*\.\.)?t\]", source) for source in column.sources)
    }
    assert {"average_employees", "employees_change_1y", "labor_hours_per_employee"} <= made_of_employees
    with psycopg.connect(watched.warehouse.url) as connection:
        cohort = newest_cohort(connection, features)
    assert cohort is not None
    assert cohort.as_of_year == LAST_YEAR
    moves = drifts(cohort, features, watched.training)
    for name in features:
        if name in made_of_employees:
            assert moves[name].level != "stable", name
            assert moves[name].psi > watched.moves_before[name].psi, name
        else:
            assert moves[name] == watched.moves_before[name], name
    newly = {n for n in features if moves[n].level != "stable"} - {
        n for n in features if watched.moves_before[n].level != "stable"
    }
    assert newly
    assert newly <= made_of_employees


def test_the_newest_measurements_stand_in_the_catalogue(watched: Watched, catalogue: Catalogue) -> None:
    features = list(catalogue.model_features())
    with psycopg.connect(watched.warehouse.url) as connection:
        assert write_measurements(connection, watched.before, MIDNIGHT) == len(watched.before)
        # the same again adds nothing, whenever it was measured
        assert write_measurements(connection, watched.before[::-1], NEXT_DAY) == 0
        assert {row.measured_at for row in catalogue_rows(connection)} == {MIDNIGHT}
        cohort = newest_cohort(connection, features)
        assert cohort is not None
        moves = drifts(cohort, features, watched.training)
        after = measure_features(cohort, features, watched.training, moves)
        assert write_measurements(connection, after, NEXT_DAY) == len(after)
        rows = {row.feature: row for row in catalogue_rows(connection)}
        kept = connection.execute("select measured_at, count(*) from ops.monitoring group by 1 order by 1").fetchall()
        assert kept == [(MIDNIGHT, len(watched.before)), (NEXT_DAY, len(after))]
        key = lambda each: (each.name, each.measure)  # noqa: E731
        assert newest_measurements(connection, "feature") == sorted(after, key=key)
    measured = {(each.name, each.measure): each.value for each in after}
    for name, row in rows.items():
        assert row.drift_psi == measured[name, "psi"]
        assert row.drift_ks == measured[name, "ks"]
        assert row.information_gain == measured[name, "information_gain"]
        assert row.drift_level == moves[name].level
        assert (row.model_role, row.measured_at) == ("input", NEXT_DAY)
    with psycopg.connect(watched.warehouse.url) as connection:
        without_model = measure_features(cohort, features, None, {})
        write_measurements(connection, without_model, datetime(2026, 11, 22, tzinfo=UTC))
        rows = {row.feature: row for row in catalogue_rows(connection)}
    # what cannot be measured any more is not shown as if it still could
    assert {(row.drift_psi, row.drift_level, row.model_role) for row in rows.values()} == {(None, None, "candidate")}


def test_what_is_not_there_is_said_with_what_is(watched: Watched) -> None:
    with psycopg.connect(watched.warehouse.url) as connection:
        (row,) = catalogue_rows(connection, feature="average_employees")
        assert row.as_json()["category"] == "operations"
        assert {row.category for row in catalogue_rows(connection, category="market")} == {"market"}
        with pytest.raises(CatalogueUnavailable, match=r"Did you mean average_employees"):
            catalogue_rows(connection, feature="avrage_employees")
        with pytest.raises(CatalogueUnavailable, match=r"Choose one of: operations, "):
            catalogue_rows(connection, category="geology")


def test_an_empty_warehouse_has_no_catalogue(database_url: str) -> None:
    with psycopg.connect(database_url) as connection, pytest.raises(CatalogueUnavailable, match="fvi run"):
        catalogue_rows(connection)


def test_a_feature_without_its_description_is_refused(
    watched: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking = {
        "production_to_peak": "description",
        "average_employees": "unit",
        "labor_hours": "category",
        "years_producing": "null_means",
        "is_union": "sources",
    }
    project = _project_without(tmp_path, lacking)
    build = ["build", "--select", "feature_catalogue", "--project-dir", str(project), "--profiles-dir", str(project)]
    scratch = {"DBT_TARGET_PATH": str(tmp_path / "target"), "DBT_LOG_PATH": str(tmp_path / "logs")}
    built = run_tool(watched.warehouse.environment | scratch, str(BIN / "dbt"), *build)
    assert built.returncode != 0
    monkeypatch.setattr(Settings, "dbt_project_dir", property(lambda _: project))
    with pytest.raises(CatalogueError) as refused:
        build_defs(settings=Settings(home=tmp_path / "home", database_url=None, redis_url=None))
    for feature, part in lacking.items():
        assert re.search(rf"{feature} needs (a |meta\.){part}", built.stdout), built.stdout
        assert f"{feature}: {part} is missing" in str(refused.value)


def _project_without(folder: Path, lacking: Mapping[str, str]) -> Path:
    """A copy of the dbt project in which each of these features lacks a part of its description."""
    project = folder / "dbt_project"
    shutil.copytree(PROJECT_ROOT / "dbt_project", project, ignore=shutil.ignore_patterns("target", "logs"))
    path = project / "models" / "gold" / "gold_mine_features.yml"
    text = path.read_text()
    for feature, part in lacking.items():
        before, _, after = text.partition(f"      - name: {feature}\n")
        entry, rest = re.split(r"(?=\n      - name: )", after, maxsplit=1)
        # the part with its lines below, which are indented further or are items of a list
        shorter = re.sub(rf"^( +){part}:.*\n(?:\1 .*\n)*", "", entry + "\n", count=1, flags=re.MULTILINE)
        assert shorter != entry + "\n"
        text = f"{before}      - name: {feature}\n{shorter.rstrip()}{rest}"
    path.write_text(text)
    return project
