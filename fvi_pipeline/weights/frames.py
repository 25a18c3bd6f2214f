"""Rows of PostgreSQL as polars frames with the types of the metrics. Which rows belongs to who asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl
import psycopg
from psycopg import sql

from fvi_pipeline.features.catalogue import IndexMetric


def metric_columns(metrics: Sequence[IndexMetric]) -> sql.Composed:
    """The metrics as columns of a table that the query calls `metrics`."""
    return sql.SQL(", ").join(sql.Identifier("metrics", metric.name) for metric in metrics)


def frame_of(connection: psycopg.Connection, query: sql.Composed, parameters: Sequence[object] = ()) -> pl.DataFrame:
    """What a query returns; columns that are neither keys nor times are numbers."""
    cursor = connection.execute(query, parameters)
    names = [column.name for column in cursor.description or ()]
    types: Mapping[str, type[pl.DataType]] = {"mine_id": pl.String, "as_of_year": pl.Int64, "viable": pl.Boolean}
    timestamp = pl.Datetime("us", "UTC")
    schema = {
        name: timestamp if name.endswith(("_timestamp", "_known_at")) else types.get(name, pl.Float64) for name in names
    }
    return pl.DataFrame(cursor.fetchall(), schema=schema, orient="row")
