"""The same small warehouse three times: without planted facts, with facts of the future, and with the same facts known
in time. What has to follow is asserted in `test_leakage`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import psycopg
import pytest
from psycopg import sql

from fvi_pipeline.defs.audit import CHECKS
from fvi_pipeline.defs.features import catalogue, feature_registry
from fvi_pipeline.defs.model import TRAINING_FILE, training_set
from fvi_pipeline.defs.resources import ModelWorkshop, Warehouse
from fvi_pipeline.features.audit import audit_history
from fvi_pipeline.features.audit_times import FeatureAudit
from fvi_pipeline.features.store import historical_features, open_store
from fvi_pipeline.feeds.ingest import ingest_folder
from fvi_pipeline.platform.servers import Servers
from fvi_pipeline.platform.settings import PROJECT_ROOT, get_settings
from fvi_pipeline.simulator import SimulationConfig, write_landing_folder
from tests.integration.warehouse import OwnWarehouse, new_warehouse

YEAR = 2010
MOMENT = datetime(2011, 10, 1, tzinfo=UTC)
FUTURE = datetime(2030, 1, 1, tzinfo=UTC)
WITHOUT_A_PAST, LATER_YEAR = "msha:9999998", "msha:9999999"
_GOLD = ("own_measures", "peer_measures", "feature_history", "features", "outcomes")
HISTORY = "gold.gold_mine_feature_history"
Frame = pl.DataFrame


@dataclass(frozen=True)
class State:
    """Gold, the outcomes, Feast's answers and the training set at one time."""

    gold: Frame
    outcomes: Frame
    feast: Frame
    training: Frame

    def value(self, feature: str, mine: str, year: int = YEAR) -> Any:
        """What gold has at the first vintage."""
        return value_of(self.gold, feature, mine, year)


def value_of(frame: Frame, feature: str, mine: str, year: int) -> Any:
    rows = frame.filter(pl.col("mine_id") == mine, pl.col("as_of_year") == year)
    return None if rows.is_empty() else rows[feature][0]


@dataclass
class Works:
    """The warehouse, the pipeline's own assets and checks on it, and the mines that facts are planted about."""

    warehouse: OwnWarehouse
    home: Path
    mine: str = ""
    """In the panel from 2008 to the year, in the cohort."""
    new_mine: str = ""
    """In the panel of the year, not in that of the year before."""
    gone: tuple[str, int] = ("", 0)
    """In the cohort of that year, and the file of the year after does not have it."""
    asked: list[tuple[str, datetime]] = field(default_factory=list)

    def execute(self, statement: str | sql.Composed, *parameters: Any) -> None:
        """Change the warehouse."""
        with psycopg.connect(self.warehouse.url) as connection:
            connection.execute(statement.encode() if isinstance(statement, str) else statement, parameters)

    def run(self, assets: Sequence[Any], checks: Sequence[dg.AssetChecksDefinition]) -> dg.ExecuteInProcessResult:
        """These assets and checks, as a job of the pipeline runs them."""
        resources = {
            "warehouse": Warehouse(database_url=self.warehouse.url),
            "model_workshop": ModelWorkshop(
                mlflow_tracking_uri="", optuna_storage_url="", home=str(self.home), seed=1, trials=1
            ),
        }
        definitions = dg.Definitions(assets=assets, asset_checks=checks, resources=resources)
        return definitions.resolve_implicit_global_asset_job_def().execute_in_process(raise_on_error=False)

    def audit(self) -> tuple[FeatureAudit, ...]:
        """The audit of gold."""
        features = [column for column in catalogue().features if column.role == "feature"]
        with psycopg.connect(self.warehouse.url) as connection:
            return audit_history(connection, features)

    @property
    def training_file(self) -> Path:
        """What the training set is kept in."""
        return self.home / "training" / TRAINING_FILE

    def build_gold(self) -> None:
        """Gold anew from silver as it stands."""
        models = [*(f"gold_mine_{name}" for name in _GOLD), "gold_market_measures"]
        self.warehouse.dbt("run", "--full-refresh", "--select", *models)

    def state(self) -> State:
        """What gold, Feast and the training set say now; the audit must pass on the way."""
        run = self.run([feature_registry, training_set], CHECKS)
        assert run.success
        assert {check.check_name for check in run.get_asset_check_evaluations() if check.passed} == {
            "no_feature_knows_the_future",
            "training_set_is_the_as_of_join",
        }
        asked = pl.DataFrame(
            [*self.asked, *((mine, MOMENT) for mine in (WITHOUT_A_PAST, LATER_YEAR))],
            schema={"mine_id": pl.String, "event_timestamp": pl.Datetime("us", "UTC")},
            orient="row",
        )
        feast = historical_features(
            open_store(PROJECT_ROOT / "feature_repo", self.warehouse.environment), asked, "fvi_v1"
        )
        return State(
            self.frame(f"select * from {HISTORY} order by mine_id, as_of_year, created_timestamp"),
            self.frame("select * from gold.gold_mine_outcomes order by mine_id, as_of_year, horizon_years"),
            feast.sort("mine_id", "event_timestamp"),
            pl.read_parquet(self.training_file),
        )

    def frame(self, query: str) -> Frame:
        """The rows of a query."""
        with psycopg.connect(self.warehouse.url) as connection:
            return pl.read_database(query, connection, infer_schema_length=None)


@dataclass(frozen=True)
class Plant:
    """A row of a silver table, like another one but for some values, and what makes it a fact of the future, or not."""

    table: str
    template: str
    values: Mapping[str, Any]
    early: Mapping[str, Any]
    late: Mapping[str, Any] = field(default_factory=lambda: {"known_at": FUTURE})

    def put(self, works: Works, when: Mapping[str, Any]) -> None:
        """Write the row."""
        values = json.dumps({**self.values, "known_until": None, **when}, default=str)
        table = sql.Identifier("silver", self.table)
        statement = sql.SQL(
            "insert into {table} select planted.* "
            "from (select * from {table} as found where {which} limit 1) as template "
            "cross join lateral jsonb_populate_record(null::{table}, to_jsonb(template) || %s::jsonb) as planted"
        ).format(table=table, which=sql.SQL(self.template))
        works.execute(statement, values)

    def take_out(self, works: Works, when: Mapping[str, Any]) -> None:
        """Delete the row."""
        row = {**self.values, **when}
        where = sql.SQL(" and ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in row)
        works.execute(
            sql.SQL("delete from {} where {}").format(sql.Identifier("silver", self.table), where), *row.values()
        )


def _plants(works: Works) -> list[Plant]:
    files = dict(works.warehouse.rows("select as_of_year, file_id from silver.silver_mine_releases"))
    known = dict(works.warehouse.rows("select as_of_year, known_at from silver.silver_mine_releases"))
    mine = f"mine_id = '{works.mine}' and as_of_year = {YEAR}"
    soon = {"known_at": datetime(2011, 9, 15, tzinfo=UTC)}
    of_the_file = {"file_id": files[YEAR], "production_short_tons": 5e9}
    return [
        Plant(
            "silver_mine_years",
            f"mine_id = '{works.new_mine}' and as_of_year = {YEAR}",
            {"as_of_year": YEAR - 1, "file_id": files[YEAR - 1], "production_short_tons": 77777.0},
            early={"known_at": known[YEAR - 1]},
        ),
        Plant(
            "silver_mine_years",
            mine,
            {"mine_id": WITHOUT_A_PAST, "msha_id": WITHOUT_A_PAST[5:], **of_the_file},
            early={"known_at": known[YEAR]},
        ),
        Plant(
            "silver_mine_years",
            f"mine_id = '{works.gone[0]}' and as_of_year = {works.gone[1]}",
            {"as_of_year": works.gone[1] + 1, "file_id": files[works.gone[1] + 1], "production_short_tons": 66666.0},
            early={"known_at": known[works.gone[1] + 1]},
        ),
        # known in time, in the file of the year, but about the year after
        Plant(
            "silver_mine_years",
            mine,
            {"mine_id": LATER_YEAR, "msha_id": LATER_YEAR[5:], **of_the_file},
            early={"as_of_year": YEAR},
            late={"as_of_year": YEAR + 1},
        ),
        Plant(
            "silver_commodity_prices",
            "month = '2011-08-01'",
            {"month": "2011-09-01", "coal_australian_usd_per_tonne": 9999.0, "natural_gas_us_usd_per_mmbtu": 99.0},
            early=soon,
        ),
        Plant(
            "silver_country_energy",
            f"country = 'United States' and as_of_year = {YEAR}",
            {"coal_share_of_electricity_percent": 99.0, "coal_share_of_energy_percent": 98.0},
            early=soon,
        ),
        Plant(
            "silver_mine_tracker_history",
            "true",
            {"mine_id": works.mine, "release_year": 2008, "mine_depth_m": 4321.0, "opening_year": 1900},
            early={"known_at": datetime(2009, 4, 30, tzinfo=UTC)},
        ),
    ]


@dataclass(frozen=True)
class Story:
    """The same warehouse without the facts, with facts of the future, and with the same facts known in time."""

    works: Works
    before: State
    late: State
    early: State


@contextmanager
def told_story(servers: Servers, manifest: Path, folder: Path, home: Path) -> Iterator[Story]:
    """The story, from files to gold, Feast and training sets; gold's constraints are gone at its end."""
    write_landing_folder(folder, SimulationConfig(mines=90, first_year=2005, last_year=2012, foreign_mines=6))
    with new_warehouse(servers, home) as warehouse, pytest.MonkeyPatch.context() as patch:
        for name, value in warehouse.environment.items():
            patch.setenv(name, value)
        patch.setenv("FVI_HOME", str(manifest.parents[3]))  # where the dbt project is parsed already
        get_settings.cache_clear()
        works = Works(warehouse, home)
        with psycopg.connect(warehouse.url) as connection:
            ingest_folder(connection, folder, simulated=True)
        kinds = ("--resource-type", "model", "--resource-type", "seed")
        warehouse.dbt("build", *kinds, "--select", "+gold_mine_features", "+gold_mine_outcomes")
        _choose_mines(works)
        before = works.state()
        plants = _plants(works)
        for plant in plants:
            plant.put(works, plant.late)
        works.build_gold()
        late = works.state()
        for plant in plants:
            plant.take_out(works, plant.late)
            plant.put(works, plant.early)
        works.build_gold()
        early = works.state()
        _drop_constraints(works)
        yield Story(works, before, late, early)
    get_settings.cache_clear()


def _drop_constraints(works: Works) -> None:
    """The table itself refuses the crudest leaks: without that it takes what the audit has to find."""
    named = "select conname from pg_constraint where conrelid = %s::regclass and contype = 'c'"
    for (name,) in works.warehouse.rows(named, HISTORY):
        works.execute(f'alter table {HISTORY} drop constraint "{name}"')


def _choose_mines(works: Works) -> None:
    rows = works.warehouse.rows(f"select mine_id, as_of_year, created_timestamp, in_cohort from {HISTORY}")
    years: dict[str, set[int]] = {}
    for mine, year, _, in_cohort in rows:
        years.setdefault(mine, set()).update({year} if in_cohort else ())
    works.mine = min(mine for mine, of_mine in years.items() if {2008, 2009, YEAR, YEAR + 1} <= of_mine)
    works.new_mine = min(mine for mine, of_mine in years.items() if YEAR in of_mine and min(of_mine) == YEAR)
    ((mine, year),) = works.warehouse.rows(
        "select outcomes.mine_id, outcomes.as_of_year from gold.gold_mine_outcomes as outcomes where horizon_years = 1 "
        "and not exists (select from silver.silver_mine_years as years where years.mine_id = outcomes.mine_id "
        "and years.as_of_year = outcomes.outcome_year) order by 2 desc, 1 limit 1"
    )
    works.gone = mine, year
    works.asked = [(mine, created) for mine, _, created, _ in rows]
