"""The asset ops/monitoring on a real registry: no model, a challenger, a champion; and what `fvi run` leaves."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import polars as pl
import psycopg
import pytest

from fvi_pipeline.defs import monitoring
from fvi_pipeline.defs.model import TRAINING_FILE
from fvi_pipeline.defs.resources import ModelWorkshop, Warehouse
from fvi_pipeline.features.catalogue import load_catalogue
from fvi_pipeline.model.challenger import train_challenger
from fvi_pipeline.model.dataset import SplitPolicy
from fvi_pipeline.model.training import TrainingSettings
from fvi_pipeline.model.viability_candidate import ViabilityCandidate
from fvi_pipeline.monitoring.document import figures_from_page
from fvi_pipeline.platform.database import with_search_path
from fvi_pipeline.platform.dbt_manifest import ensure_manifest
from tests.commands import run_fvi
from tests.conftest import Demo
from tests.unit.model.panel import FEATURES, HORIZONS, LAST_YEAR, survival_panel

pytestmark = pytest.mark.xdist_group("demo")
_INPUTS = FEATURES[:3]


class _Features:
    """A catalogue of the panel's features; one of them is newer than the model."""

    def model_features(self) -> tuple[str, ...]:
        return tuple(FEATURES)


@dataclass(frozen=True)
class Watch:
    """Gold with a cohort that has moved in one feature, and the resources of the asset."""

    url: str
    workshop: ModelWorkshop

    def run(self) -> dict[str, object]:
        """Materialise the asset; returns its metadata."""
        resources = {"warehouse": Warehouse(database_url=self.url), "model_workshop": self.workshop}
        result = dg.materialize([monitoring.monitoring], resources=resources)
        (made,) = result.asset_materializations_for_node(monitoring.monitoring.op.name)
        return {name: value.value for name, value in made.metadata.items()}

    def newest(self, measure: str) -> dict[str, float | None]:
        """The newest values of a measure."""
        with psycopg.connect(self.url) as connection:
            rows = connection.execute(
                "select name, value from ops.monitoring where measure = %s and measured_at = ("
                "select max(measured_at) from ops.monitoring)",
                [measure],
            )
            return dict(rows.fetchall())


@pytest.fixture
def watch(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watch:
    monkeypatch.setattr(monitoring, "catalogue", _Features)
    cohort = survival_panel().filter(pl.col("as_of_year") == LAST_YEAR - 1).unique("mine_id", keep="first")
    with psycopg.connect(database_url) as connection:
        columns = ", ".join(f"{name} double precision" for name in FEATURES)
        connection.execute(
            f"create table gold.gold_mine_features (mine_id text, as_of_year int, in_cohort bool, {columns})".encode()
        )
        with connection.cursor() as cursor, cursor.copy("copy gold.gold_mine_features from stdin") as copy:
            for mine_id, *values in cohort.select("mine_id", *FEATURES).iter_rows():
                copy.write_row((mine_id, 2018, True, values[0], values[1] + 2, *values[2:]))
    url = with_search_path(database_url, "mlflow")
    workshop = ModelWorkshop(
        mlflow_tracking_uri=url, optuna_storage_url="", home=str(tmp_path / "home"), seed=3, trials=1
    )
    return Watch(database_url, workshop)


def test_it_compares_with_the_champion_else_the_newest_challenger_else_nothing(watch: Watch) -> None:
    metadata = watch.run()
    assert metadata["rows_added"] == metadata["dagster/row_count"] == 11 * len(FEATURES)
    assert "drift" not in metadata
    assert set(watch.newest("psi").values()) == {None}
    assert None not in watch.newest("mean").values()
    assert watch.run()["rows_added"] == 0

    panel = survival_panel()
    panel.write_parquet(watch.workshop.training_folder / TRAINING_FILE)
    challenger = train_challenger(
        panel,
        _INPUTS,
        size_feature="log_size",
        feature_service="fvi_v1",
        settings=TrainingSettings(seed=3, trials=1, maximum_rounds=30, stopping_rounds=5),
        policy=SplitPolicy(minimum_comparable_rows=200),
        horizons=HORIZONS,
    )
    registry = watch.workshop.registry()
    version = registry.register(ViabilityCandidate(challenger)).version
    metadata = watch.run()
    assert str(metadata["compared_with"]).startswith(f"training data of a challenger, version {version}: ")
    assert metadata["features_that_moved"] == ["trend", "hours"]
    assert watch.newest("model_input") == {"log_size": 1, "trend": 1, "noise": 1, "hours": 0}
    # the feature that moved most stands first, and the picture is one
    assert re.findall(r"^\| (\w+) \| large", str(metadata["drift"]), re.MULTILINE)[0] == "trend"
    assert "](data:image/png;base64,iVBOR" in str(metadata["picture"])

    registry.set_champion(version)
    assert str(watch.run()["compared_with"]).startswith(f"training data of the champion, version {version}: ")
    assert watch.run()["rows_added"] == 0


def test_a_run_measures_every_feature_against_the_champion_of_the_same_run(demo: Demo) -> None:
    features = load_catalogue(ensure_manifest(demo.settings.dbt_project_dir, demo.settings.home)).model_features()
    with psycopg.connect(demo.environment["FVI_DATABASE_URL"]) as connection:
        rows = connection.execute(
            "select feature, model_role, rows, null_rate, drift_psi, drift_level, measured_at "
            "from mart.feature_catalogue order by position"
        ).fetchall()
        reference = connection.execute("select distinct reference from ops.monitoring where measure = 'psi'").fetchall()
        champion = connection.execute("select max(version::int) from ops.promotions where decision = 'promoted'")
        (version,) = champion.fetchone() or (None,)
    assert tuple(row[0] for row in rows) == features
    assert all(row[1] == "input" and row[2] > 1000 and 0 <= row[3] <= 1 for row in rows)
    assert all(row[4] >= 0 and row[5] in ("stable", "moderate", "large") and row[6] for row in rows)
    assert all(text.startswith(f"training data of the champion, version {version}: ") for (text,) in reference)
    # of the features that the simulator draws anew each year by the same rule, none has run away
    moved = {row[0]: row[5] for row in rows}
    assert moved["is_underground"] == "stable"
    assert moved["us_coal_share_of_electricity_percent"] == "large"


def test_the_command_shows_what_the_view_has(demo: Demo, tmp_path: Path) -> None:
    listed = run_fvi(demo.environment, "catalogue", "--json")
    rows = json.loads(listed.stdout)
    assert len(rows) >= 60
    table = run_fvi(demo.environment, "catalogue", "--category", "time").stdout
    in_time = [row["feature"] for row in rows if row["category"] == "time"]
    assert all(name in table for name in in_time)
    assert "average_employees" not in table
    one = run_fvi(demo.environment, "catalogue", "--feature", "productivity_to_peers").stdout
    assert "rows with the same mine_state, mine_type" in one
    assert "PSI" in one
    unknown = run_fvi(demo.environment, "catalogue", "--feature", "productivity_to_peer")
    assert unknown.returncode == 1
    assert "Did you mean productivity_to_peers" in unknown.stderr
    assert "Traceback" not in unknown.stderr

    page = tmp_path / "features.md"
    written = run_fvi(demo.environment, "catalogue", "--markdown", str(page))
    assert written.returncode == 0, written.stderr
    text = page.read_text()
    assert "fvi catalogue --markdown" in text
    assert "simulated mines" in text
    assert set(figures_from_page(text).lines) == {row["feature"] for row in rows}
    both = run_fvi(demo.environment, "catalogue", "--json", "--markdown", str(page))
    assert both.returncode == 2
