"""The companions in a real MLflow store and on a real PostgreSQL: registered, judged, forecast and written."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import psycopg
import pytest

from fvi_pipeline.features.versions import FeatureVersion, note_versions
from fvi_pipeline.model.companions.closing_year import closing_years
from fvi_pipeline.model.companions.marts import (
    backtest_of_closing_years,
    load_companion,
    newest_scores,
    production_forecasts,
    status_forecasts,
    write_year,
)
from fvi_pipeline.model.companions.predictor import PRODUCTION_MODEL, STATUS_MODEL, STATUSES
from fvi_pipeline.model.errors import ScoringError
from fvi_pipeline.model.leak_check import LeakReport
from fvi_pipeline.model.promotion import contend
from fvi_pipeline.model.registry import ModelRegistry
from fvi_pipeline.platform.database import connect, with_search_path
from tests.unit.model.companions.conftest import fit_production, fit_status, next_year_panel

NO_LEAKS = LeakReport([], {}, features=4, rows=5000)
NOON, LATER = datetime(2026, 4, 1, 12, tzinfo=UTC), datetime(2026, 4, 2, 12, tzinfo=UTC)


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    with connect(database_url) as opened:
        note_versions(opened, [FeatureVersion(1, ())])
        yield opened


def test_both_are_registered_judged_and_forecast_the_newest_cohort(
    connection: psycopg.Connection, database_url: str, tmp_path: Path
) -> None:
    panel = next_year_panel()
    cohort = panel.filter(pl.col("as_of_year") == 2018)
    stored = with_search_path(database_url, "mlflow")
    for name, candidate in ((PRODUCTION_MODEL, fit_production(panel)), (STATUS_MODEL, fit_status(panel))):
        registry = ModelRegistry(stored, tmp_path / "mlflow", name)
        first = contend(connection, registry, candidate, leaks=NO_LEAKS)
        assert first.verdict.decision == "promoted", first.verdict.reason
        again = contend(connection, registry, candidate, leaks=NO_LEAKS)
        assert (again.verdict.decision, again.registered.version) == ("kept", first.registered.version)
        model = load_companion(registry, "1")
        assert model.onnx_sha256 == candidate.files.onnx_sha256
        made = {"model_version": "1", "scored_at": NOON}
        if name == PRODUCTION_MODEL:
            rows = production_forecasts(cohort, model, size_feature="production_short_tons", **made)
        else:
            rows = status_forecasts(cohort, model, **made)
        table = "production_forecasts" if name == PRODUCTION_MODEL else "status_forecasts"
        assert write_year(connection, table, rows)
        # the same forecast keeps the time at which it was made
        assert not write_year(connection, table, rows.with_columns(pl.lit(LATER).alias("scored_at")))
        assert write_year(connection, table, rows.with_columns(pl.lit("2").alias("model_version")))
    counts = connection.execute(
        "select count(*), bool_and(low_short_tons < high_short_tons), min(forecast_year), max(model_version) "
        "from mart.production_forecasts"
    ).fetchone()
    assert counts == (cohort.height, True, 2019, "2")
    sums = connection.execute(
        "select count(distinct mine_id), count(*), max(abs(total - 1)) from (select mine_id, count(*) over (), "
        "sum(probability) over (partition by mine_id) as total from mart.status_forecasts) as of_mine"
    ).fetchone()
    assert sums is not None
    assert sums[:2] == (cohort.height, cohort.height * len(STATUSES))
    assert sums[2] < 1e-12
    models = connection.execute(
        "select model_name, version, decision from ops.promotions order by promoted_at"
    ).fetchall()
    assert models == [(PRODUCTION_MODEL, "1", "promoted"), (STATUS_MODEL, "1", "promoted")]


def test_closing_years_are_read_off_the_newest_scores_and_written(connection: psycopg.Connection) -> None:
    for year, mine, one, ten in ((2018, "old", 50, 10), (2019, "weak", 60, 20), (2019, "strong", 99, 80)):
        for horizon, score in ((1, one), (10, ten)):
            connection.execute(
                "insert into mart.fvi_scores values (%s, %s, %s, %s, %s, %s, '7', %s)",
                [mine, year, horizon, score, score - 5, score + 1, NOON],
            )
    scores = newest_scores(connection)
    rows = closing_years(scores, 1).with_columns(pl.lit("7").alias("model_version"), pl.lit(NOON).alias("scored_at"))
    assert write_year(connection, "closing_years", rows)
    found = connection.execute(
        "select mine_id, closing_year, closing_year_low, closing_year_high, is_tested, in_words "
        "from mart.closing_years order by mine_id"
    ).fetchall()
    assert found == [
        ("strong", None, None, None, False, "after 2029; tested until 2020"),
        ("weak", 2022, 2021, 2022, False, "2022, between 2021 and 2022; tested until 2020"),
    ]
    with pytest.raises(ScoringError, match="one as-of year"):
        write_year(connection, "closing_years", rows[:0])
    connection.execute(
        "create view silver.silver_mine_metrics as "
        "select 'a' as mine_id, 2014 as as_of_year, 5 as production_short_tons"
    )
    predictions, production = backtest_of_closing_years(connection)
    assert predictions.is_empty()
    assert production.rows() == [("a", 2014)]
