"""Metrics as they were known at t beside viability at t+3: out of the warehouse, as Parquet, and which rows a night
measures. The measuring belongs to `information_gain`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl
import psycopg
from psycopg import sql

from fvi_pipeline.features.catalogue import IndexMetric
from fvi_pipeline.weights.frames import frame_of, metric_columns
from fvi_pipeline.weights.normalisation import percentiles_by_year

GAIN_HORIZON_YEARS = 3
GAIN_YEARS = 5
HISTORY_FILE = "metric_history.parquet"


def metric_history(connection: psycopg.Connection, metrics: Sequence[IndexMetric]) -> pl.DataFrame:
    """Metrics of each mine of the cohort and year as first known, with viability three years later.

    Only rows whose metrics were known before the outcome was: what is learned afterwards tells nothing of it.

    Returns:
        mine_id, as_of_year, created_timestamp (when the metrics were known), outcome_known_at, viable, and the
        metrics in their own units; by year and mine.
    """
    query = sql.SQL(
        "with first as materialized ("
        "select mine_id, as_of_year, min(created_timestamp) as created_timestamp "
        "from gold.gold_mine_index_metrics group by mine_id, as_of_year) "
        "select metrics.mine_id, metrics.as_of_year, metrics.created_timestamp, outcomes.outcome_known_at, "
        "outcomes.viable, {metrics} from first "
        "join gold.gold_mine_index_metrics as metrics using (mine_id, as_of_year, created_timestamp) "
        "join gold.gold_mine_outcomes as outcomes on outcomes.mine_id = metrics.mine_id "
        "and outcomes.as_of_year = metrics.as_of_year and outcomes.horizon_years = %s "
        "where metrics.created_timestamp < outcomes.outcome_known_at "
        "order by metrics.as_of_year, metrics.mine_id"
    ).format(metrics=metric_columns(metrics))
    return frame_of(connection, query, [GAIN_HORIZON_YEARS])


def export_history(history: pl.DataFrame, metrics: Sequence[IndexMetric], path: Path) -> None:
    """Write the history as the index reads it, each metric as its percentile among the mines of its year; whole or
    not at all.

    A year's level, which all its mines share, tells nothing between them, and some thirty years are too few for it to
    tell anything between years: percentiles leave it out.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    percentiles_by_year(history, [metric.name for metric in metrics]).write_parquet(temporary)
    temporary.replace(path)


def rows_to_measure(history: nw.LazyFrame[Any], known_at: datetime) -> nw.LazyFrame[Any]:
    """The rows of the newest five as-of years whose outcome was known at a moment.

    Five years of cohorts are some thousand rows, enough for ten bins, and what told of survival a decade ago need not
    tell now.
    """
    known = history.filter(nw.col("outcome_known_at") <= known_at)
    newest = known.select(nw.col("as_of_year").max()).collect("polars").item()
    if newest is None:
        return known
    return known.filter(nw.col("as_of_year") > newest - GAIN_YEARS)
