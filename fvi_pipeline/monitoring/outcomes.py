"""Scores whose outcome has come, out of the warehouse, and what was promised of their versions. What is measured on
them belongs to `performance`.

A score counts when its outcome was not here yet when it was made: the outcome became public after it, or its file was
received after it (who catches up takes in years that were public long ago; no model of this warehouse had seen them).
Of several scores of a version it is the newest of these, which was served until the outcome came.
"""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl
import psycopg

from fvi_pipeline.model.scoring import MODEL_NAME
from fvi_pipeline.monitoring.performance import PROMISE, Promise, by_year

_SERVED = """
with outcomes as (
    select
        outcomes.mine_id,
        outcomes.as_of_year,
        outcomes.horizon_years,
        outcomes.viable,
        outcomes.outcome_known_at,
        greatest(outcomes.outcome_known_at, files.ingested_at) as came_at
    from gold.gold_mine_outcomes as outcomes
    inner join gold.gold_vintage_releases as releases
        on releases.as_of_year = outcomes.outcome_year
        and releases.created_timestamp = outcomes.outcome_known_at
        and releases.fact_year = outcomes.outcome_year
    inner join landing.files as files on files.file_id = releases.file_id
    where outcomes.as_of_year in (select distinct as_of_year from mart.fvi_score_history)
)
select distinct on (scores.model_version, scores.mine_id, scores.as_of_year, scores.horizon_years)
    scores.model_version,
    scores.horizon_years,
    scores.mine_id,
    scores.as_of_year,
    scores.fvi_score / 100 as viability_probability,
    scores.interval_low / 100 as interval_low,
    scores.interval_high / 100 as interval_high,
    outcomes.viable,
    outcomes.outcome_known_at <= scores.scored_at as was_public
from mart.fvi_score_history as scores
inner join outcomes using (mine_id, as_of_year, horizon_years)
where outcomes.came_at > scores.scored_at
order by scores.model_version, scores.mine_id, scores.as_of_year, scores.horizon_years, scores.scored_at desc
"""
_SERVED_SCHEMA = {
    "model_version": pl.String,
    "horizon_years": pl.Int64,
    "mine_id": pl.String,
    "as_of_year": pl.Int64,
    "viability_probability": pl.Float64,
    "interval_low": pl.Float64,
    "interval_high": pl.Float64,
    "viable": pl.Boolean,
    "was_public": pl.Boolean,
}
_FOLD = (
    "select as_of_year, horizon_years, viability_probability, viable from mart.backtest_predictions "
    "where train_until_year = %s"
)
_LEDGER = (
    "select metrics, train_until_year from ops.promotions where model_name = %s and version = %s "
    "and metrics ? 'test_brier' order by promoted_at desc limit 1"
)
_NOTED = (
    "select distinct on (name, measure) name, measure, value, details -> 'years' from ops.monitoring "
    "where subject = %s and name like %s order by name, measure, measured_at desc"
)
_SAME_BRIER = 1e-6


def scores_come_true(connection: psycopg.Connection) -> pl.DataFrame:
    """Each version's scores with what came, as `performance.measure_performance` reads them; empty: none has come."""
    return pl.DataFrame(connection.execute(_SERVED.encode()).fetchall(), schema=_SERVED_SCHEMA, orient="row")


def promises(connection: psycopg.Connection, versions: Iterable[str]) -> dict[tuple[str, int], Promise]:
    """What the test of each version measured, by version and horizon: as it was noted while the stored fold was the
    version's own, or else from the ledger, with the years of the test if the fold is its own now.
    """
    found: dict[tuple[str, int], Promise] = {}
    for version in sorted(set(versions)):
        of_version = _noted(connection, version) or _from_ledger(connection, version)
        found |= {(version, horizon): promise for horizon, promise in of_version.items()}
    return found


def _noted(connection: psycopg.Connection, version: str) -> dict[int, Promise]:
    rows = connection.execute(_NOTED, [PROMISE, f"v{version} h%"]).fetchall()
    figures: dict[int, dict[str, float]] = {}
    years: dict[int, dict[str, dict[int, float]]] = {}
    for name, measure, value, of_years in rows:
        horizon = int(name.rpartition(" h")[2])
        figures.setdefault(horizon, {})[measure] = value
        years.setdefault(horizon, {})[measure] = {int(year): figure for year, figure in of_years.items()}
    return {horizon: Promise(figures[horizon], years[horizon]) for horizon in figures}


def _from_ledger(connection: psycopg.Connection, version: str) -> dict[int, Promise]:
    row = connection.execute(_LEDGER, [MODEL_NAME, version]).fetchone()
    if row is None:
        return {}  # promoted by hand and never judged: nothing was promised
    metrics, until = row
    years = _years_of_test(connection, until, metrics)
    found: dict[int, Promise] = {}
    for name in metrics:
        if not name.startswith("test_brier_h"):
            continue
        horizon = int(name.removeprefix("test_brier_h"))
        named = {
            measure: metrics.get(f"test_{measure}_h{horizon}") for measure in ("brier", "auc", "calibration_error")
        }
        named["coverage"] = metrics.get(f"interval_coverage_h{horizon}")
        figures = {measure: float(value) for measure, value in named.items() if value is not None}
        found[horizon] = Promise(figures, years.get(horizon, {}))
    return found


def _years_of_test(
    connection: psycopg.Connection, until: int | None, metrics: dict[str, float]
) -> dict[int, dict[str, dict[int, float]]]:
    schema = {"as_of_year": pl.Int64, "horizon_years": pl.Int64, "viability_probability": pl.Float64}
    fold = pl.DataFrame(
        connection.execute(_FOLD, [until]).fetchall(), schema=schema | {"viable": pl.Boolean}, orient="row"
    )
    error = ((pl.col("viability_probability") - pl.col("viable").cast(pl.Float64)) ** 2).mean()
    brier = None if fold.is_empty() else float(fold.select(error).item())
    # a fold belongs to the version that was trained last on it
    if brier is None or fold.height != metrics.get("test_rows") or abs(brier - metrics["test_brier"]) >= _SAME_BRIER:
        return {}
    return by_year(fold)
