"""Two simulated worlds of one seed through the real warehouse, one of which publishes labor hours otherwise in its last
year: the features whose values differ are newly named as moved, and no other. Without a warehouse: the unit test of a
simulated shift.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl
import psycopg
import pytest
from psycopg import sql

from fvi_pipeline.features.catalogue import load_catalogue
from fvi_pipeline.feeds.ingest import ingest_folder
from fvi_pipeline.monitoring.measurements import Cohort, drifts
from fvi_pipeline.monitoring.store import newest_cohort
from fvi_pipeline.monitoring.training_rows import TrainingRows
from fvi_pipeline.platform.servers import Servers
from fvi_pipeline.simulator import PublishedShift, SimulationConfig, write_landing_folder
from tests.integration.warehouse import new_warehouse

pytestmark = pytest.mark.slow
_LAST_YEAR = 2015


@dataclass(frozen=True)
class World:
    """The newest cohort and the years before it, in which nothing was shifted."""

    cohort: Cohort
    past: pl.DataFrame

    def moved(self, features: list[str]) -> set[str]:
        """The features that are named as moved."""
        training = TrainingRows(self.past, pl.DataFrame(), frozenset(features), "the years before")
        return {name for name, each in drifts(self.cohort, features, training).items() if each.level != "stable"}


def _world(servers: Servers, root: Path, features: list[str], *shifts: PublishedShift) -> World:
    config = SimulationConfig(
        mines=600, first_year=2001, last_year=_LAST_YEAR, foreign_mines=10, defects=False, shifts=shifts
    )
    write_landing_folder(root / "landing", config)
    names = sql.SQL(", ").join(map(sql.Identifier, features))
    query = sql.SQL(
        "select as_of_year, {} from gold.gold_mine_features where in_cohort and as_of_year <= %s order by mine_id, 1"
    ).format(names)
    with new_warehouse(servers, root / "home") as warehouse, psycopg.connect(warehouse.url) as connection:
        ingest_folder(connection, root / "landing", simulated=True)
        connection.commit()
        models = ("--resource-type", "model", "--resource-type", "seed")
        warehouse.dbt("build", *models, "--select", "+gold_mine_features")
        cohort = newest_cohort(connection, features)
        rows = connection.execute(query, [_LAST_YEAR - 3]).fetchall()
    assert cohort is not None
    assert cohort.as_of_year == _LAST_YEAR
    schema = {"as_of_year": pl.Int64} | dict.fromkeys(features, pl.Float64)
    return World(cohort, pl.DataFrame(rows, schema=schema, orient="row"))


def test_exactly_what_differs_between_the_worlds_is_newly_named(
    servers: Servers, manifest: Path, tmp_path: Path
) -> None:
    features = list(load_catalogue(manifest).model_features())
    usual = _world(servers, tmp_path / "usual", features)
    shifted = _world(servers, tmp_path / "shifted", features, PublishedShift("labor_hours", _LAST_YEAR, 2.0))
    assert usual.past.equals(shifted.past)
    differ = {name for name in features if _differs(usual.cohort.rows[name], shifted.cohort.rows[name])}
    assert {"labor_hours", "labor_hours_per_employee", "productivity_short_tons_per_hour"} <= differ
    assert {"production_short_tons", "average_employees", "coal_price_usd_per_tonne"}.isdisjoint(differ)
    before, after = usual.moved(features), shifted.moved(features)
    assert after - before == differ - before
    assert before - after <= differ


def _differs(usual: pl.Series, shifted: pl.Series) -> bool:
    # a ratio of two shifted figures is the same but for its last bits
    if usual.is_null().ne(shifted.is_null()).any():
        return True
    return bool(((usual - shifted).abs() > 1e-9 * usual.abs()).any())
