"""The asset ops/monitoring on a real registry: no model, a challenger, a champion; and what `fvi run` leaves."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import psycopg
import pytest

from fvi_pipeline.defs import monitoring
from fvi_pipeline.defs.model import TRAINING_FILE
from fvi_pipeline.defs.resources import ModelWorkshop, Warehouse
from fvi_pipeline.features.catalogue import load_catalogue
from fvi_pipeline.model.batch import score_current, write_scores
from fvi_pipeline.model.challenger import train_challenger
from fvi_pipeline.model.dataset import SplitPolicy
from fvi_pipeline.model.training import TrainingSettings
from fvi_pipeline.model.viability_candidate import ViabilityCandidate
from fvi_pipeline.monitoring.document import figures_from_page
from fvi_pipeline.monitoring.outcomes import promises, scores_come_true
from fvi_pipeline.monitoring.performance import Promise, measure_performance, measure_promises, worse_in_words
from fvi_pipeline.monitoring.store import write_measurements
from fvi_pipeline.platform.database import with_search_path
from fvi_pipeline.platform.dbt_manifest import ensure_manifest
from tests.commands import clean_environment, run_fvi
from tests.conftest import Demo
from tests.unit.model.panel import FEATURES, HORIZONS, LAST_YEAR, survival_panel

pytestmark = pytest.mark.xdist_group("demo")
_INPUTS = FEATURES[:3]
_NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
_OUTCOME_TABLES = b"""
create table gold.gold_mine_outcomes (
    mine_id text, as_of_year int, horizon_years int, outcome_year int, viable bool, outcome_known_at timestamptz
);
create table gold.gold_vintage_releases (
    as_of_year int, created_timestamp timestamptz, fact_year int, file_id bigint
)
"""


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

    def history(self) -> list[tuple[datetime, int]]:
        """The scorings that were ever stored, with their rows."""
        with psycopg.connect(self.url) as connection:
            query = "select scored_at, count(*) from mart.fvi_score_history group by 1 order by 1"
            return connection.execute(query).fetchall()

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
        connection.execute(_OUTCOME_TABLES)
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
    assert metadata["rows_added"] == metadata["dagster/row_count"] == 12 * len(FEATURES)
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
    # `hours` is newer than the training set's first years, which is no move
    assert metadata["features_that_moved"] == ["trend"]
    assert watch.newest("model_input") == {"log_size": 1, "trend": 1, "noise": 1, "hours": 0}
    # the feature that moved most stands first, and the picture is one
    assert re.findall(r"^\| (\w+) \| large", str(metadata["drift"]), re.MULTILINE)[0] == "trend"
    assert "](data:image/png;base64,iVBOR" in str(metadata["picture"])

    registry.set_champion(version)
    assert str(watch.run()["compared_with"]).startswith(f"training data of the champion, version {version}: ")
    assert watch.run()["rows_added"] == 0

    # the champion's scores of the cohort, beside what it says of the rows that it learned from
    assert set(watch.newest("importance").values()) == {None}
    cohort = survival_panel().filter(pl.col("as_of_year") == LAST_YEAR - 1).unique("mine_id", keep="first")
    cohort = cohort.with_columns(as_of_year=pl.lit(2018, pl.Int64))
    for moment, moved in ((_NOON, 0.0), (_NOON + timedelta(days=1), 2.0), (_NOON + timedelta(days=2), 2.0)):
        frame = cohort.with_columns(pl.col("trend") + moved)
        with psycopg.connect(watch.url) as connection:
            scored = score_current(frame, registry.load(version), model_version=version, scored_at=moment)
            write_scores(connection, scored)
    assert watch.history() == [(_NOON, scored.scores.height), (_NOON + timedelta(days=1), scored.scores.height)]
    metadata = watch.run()
    assert len(re.findall(r"^\| h\d+ \|", str(metadata["scores"]), re.MULTILINE)) == len(HORIZONS)
    parts = watch.newest("importance")
    assert sum(part or 0 for part in parts.values()) == pytest.approx(1)
    assert parts["hours"] == 0
    assert metadata["importance_that_moved_far"] == pytest.approx(parts["trend"])
    assert watch.run()["rows_added"] == 0


def test_a_run_measures_every_feature_against_the_champion_of_the_same_run(demo: Demo) -> None:
    features = load_catalogue(ensure_manifest(demo.settings.dbt_project_dir, demo.settings.home)).model_features()
    with psycopg.connect(demo.environment["FVI_DATABASE_URL"]) as connection:
        rows = connection.execute(
            "select feature, model_role, rows, null_rate, drift_psi, drift_level, measured_at "
            "from mart.feature_catalogue order by position"
        ).fetchall()
        reference = connection.execute(
            "select distinct reference from ops.monitoring where subject = 'feature' and measure = 'psi'"
        ).fetchall()
        champion = connection.execute("select max(version::int) from ops.promotions where decision = 'promoted'")
        (version,) = champion.fetchone() or (None,)
        promise = promises(connection, [str(version)])
        noted = connection.execute("select count(*) from ops.monitoring where subject = 'promise'").fetchone()
    assert tuple(row[0] for row in rows) == features
    assert all(row[1] == "input" and row[2] > 1000 and 0 <= row[3] <= 1 for row in rows)
    assert all(row[5] in ("stable", "moderate", "large") and row[6] for row in rows)
    assert all(text.startswith(f"training data of the champion, version {version}: ") for (text,) in reference)
    # the test's years are kept for the time when the outcomes come
    assert {1, 2, 3, 5} <= {horizon for _, horizon in promise}
    assert len(promise[str(version), 1].by_year["brier"]) >= 3
    assert noted is not None
    assert noted[0] > 0
    # of the features that the simulator draws anew each year by the same rule, none has run away
    moved = {row[0]: row[5] for row in rows}
    assert moved["is_underground"] == "stable"
    # a price is judged by the years, not by a share of mines
    indices = {row[0]: row[4] for row in rows}
    assert indices["is_underground"] < 0.1
    assert indices["coal_price_usd_per_tonne"] is None
    assert list(moved.values()).count("stable") > len(moved) / 2


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


def _outcomes(
    url: str, came: Sequence[tuple[datetime, datetime]], scored_at: Sequence[datetime], mines: int = 60
) -> None:
    """Scores of 2019 made at these moments, and an outcome for each horizon: when it was public, when here."""
    with psycopg.connect(url) as connection:
        connection.execute(_OUTCOME_TABLES)
        for moment in scored_at:
            for number in range(mines):
                score = 100 * (number + 0.5) / mines
                row = [f"msha:{number:07}", score, max(score - 10, 0), min(score + 10, 100), moment]
                for horizon in range(1, len(came) + 1):
                    connection.execute(
                        "insert into mart.fvi_score_history values (%s, 2019, %s, %s, %s, %s, '1', %s)",
                        [row[0], horizon, *row[1:]],
                    )
        for horizon, (public, received) in enumerate(came, start=1):
            (file_id,) = connection.execute(
                "insert into landing.files (publisher, name, sha256, known_at, ingested_at, rows_read, rows_loaded, "
                "rows_quarantined, status) values ('eia', %s, %s, %s, %s, 0, 0, 0, 'loaded') returning file_id",
                [f"{2019 + horizon}.csv", f"{horizon:064}", public, received],
            ).fetchone() or (0,)
            connection.execute(
                "insert into gold.gold_vintage_releases values (%(year)s, %(public)s, %(year)s, %(file)s)",
                {"year": 2019 + horizon, "public": public, "file": file_id},
            )
            for number in range(mines):
                connection.execute(
                    "insert into gold.gold_mine_outcomes values (%s, 2019, %s, %s, %s, %s)",
                    [f"msha:{number:07}", horizon, 2019 + horizon, number % 2 == 0, public],
                )


def test_a_score_counts_when_its_outcome_was_not_here_yet(database_url: str) -> None:
    day = timedelta(days=1)
    before, later = _NOON - 400 * day, _NOON + 30 * day
    came = [
        (before, before),  # known and here before any score
        (later, later),  # public and here after both
        (before, later),  # public before, but taken in after both
        (_NOON + day, _NOON + day),  # between the two
    ]
    _outcomes(database_url, came, [_NOON, _NOON + 2 * day])
    with psycopg.connect(database_url) as connection:
        rows = scores_come_true(connection)
        counted = {(key[0], key[1]) for key, _ in rows.group_by("horizon_years", "was_public")}
        assert counted == {(2, False), (3, True), (4, False)}
        assert rows.height == 3 * 60
        assert not rows.select("mine_id", "horizon_years").is_duplicated().any()
        assert promises(connection, ["1"]) == {}
        connection.execute(
            "insert into ops.promotions (promoted_at, model_name, version, decision, reason, metrics, actor, "
            "train_until_year) values (now(), 'fvi_viability', '1', 'promoted', 'better', "
            """'{"test_brier": 0.1, "test_rows": 60, "test_brier_h2": 0.1, "test_auc_h2": 0.8}', 'pipeline', 2013)"""
        )
        promised = promises(connection, ["1", "1"])
        assert dict(promised["1", 2].figures) == {"brier": 0.1, "auc": 0.8}
        measured = measure_performance(rows, promised, "1")
        # noted while the fold is the version's own, it holds when the fold and the ledger are gone
        years = {"brier": {2014: 0.3, 2015: 0.6}, "auc": {2014: 0.8}}
        noted = {("1", 2): Promise({"brier": 0.1, "auc": 0.8}, years)}
        assert write_measurements(connection, measure_promises(noted), _NOON) == 2
        assert write_measurements(connection, measure_promises(noted), _NOON + day) == 0
        connection.execute("delete from ops.promotions")
        assert promises(connection, ["1"]) == noted
        assert promises(connection, ["1"])["1", 2].worst_year("brier") == 0.6
    # outcomes that have nothing to do with the scores
    assert [text.split(" is ")[0] for text in worse_in_words(measured)] == ["auc of v1 h2", "brier of v1 h2"]


def test_the_command_says_what_moved_and_what_it_asks_for(demo: Demo) -> None:
    shown = run_fvi(demo.environment, "drift")
    assert shown.returncode == 0, shown.stderr
    assert "judged against the years" in shown.stdout
    assert "No score has an outcome yet" in shown.stdout
    report = json.loads(run_fvi(demo.environment, "drift", "--json").stdout)
    assert len(report["features"]) >= 60
    assert {each["judged_by"] for each in report["features"]} == {"mines", "years"}
    assert [each["name"] for each in report["scores"]] == ["h1", "h2", "h3", "h5", "h10", "h20"]
    assert sum(each["importance"] for each in report["features"]) == pytest.approx(1)
    assert report["performance"] == []


def test_without_a_model_the_command_says_what_to_do(database_url: str, tmp_path: Path) -> None:
    environment = clean_environment(tmp_path) | {"FVI_DATABASE_URL": database_url}
    shown = run_fvi(environment, "drift")
    assert shown.returncode == 1
    assert "Run `fvi run` first" in shown.stderr
