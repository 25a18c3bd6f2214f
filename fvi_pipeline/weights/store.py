"""Weights and index in and out of the warehouse and Redis. Arithmetic belongs to the other modules."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import polars as pl
import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from fvi_pipeline.features.catalogue import IndexMetric
from fvi_pipeline.weights.dynamic_weights import Weight
from fvi_pipeline.weights.errors import WeightsError
from fvi_pipeline.weights.index import KEYS

if TYPE_CHECKING:
    import redis

WEIGHTS_KEY = "fvi:weights"
GAIN_HORIZON_YEARS = 3


def metric_history(
    connection: psycopg.Connection, metrics: Sequence[IndexMetric], as_of: datetime | None = None
) -> pl.DataFrame:
    """Metrics of each mine and year as first known, with viability three years later.

    Only rows whose outcome is known `as_of` (default: all that the warehouse knows), and whose metrics were
    known before the outcome was: what is learned afterwards tells nothing of it.
    """
    query = sql.SQL(
        "select {metrics}, outcomes.viable from gold.gold_mine_index_metrics as metrics "
        "join gold.gold_mine_outcomes as outcomes on outcomes.mine_id = metrics.mine_id "
        "and outcomes.as_of_year = metrics.as_of_year and outcomes.horizon_years = %s "
        "where metrics.created_timestamp = ("
        "select min(first.created_timestamp) from gold.gold_mine_index_metrics as first "
        "where first.mine_id = metrics.mine_id and first.as_of_year = metrics.as_of_year) "
        "and metrics.created_timestamp < outcomes.outcome_known_at "
        "and (%s::timestamptz is null or outcomes.outcome_known_at <= %s)"
    ).format(metrics=_columns(metrics))
    return _frame(connection, query, [GAIN_HORIZON_YEARS, as_of, as_of])


def metric_quality(connection: psycopg.Connection) -> dict[str, float]:
    """Data quality of each metric, 0-1; one that no loaded file should state is absent."""
    return {
        str(name): float(quality)
        for name, quality in connection.execute(
            "select metric, quality from mart.vw_metric_dq where quality is not null"
        )
    }


def night_before(connection: psycopg.Connection, night: date) -> dict[str, float]:
    """Bounded weight of each metric on the last night before `night`, whatever `night` itself holds."""
    rows = connection.execute(
        "select distinct on (metric) metric, bounded_weight from mart.fvi_weights where night < %s "
        "order by metric, night desc",
        [night],
    ).fetchall()
    return {str(metric): float(weight) for metric, weight in rows}


def newest_weights(connection: psycopg.Connection) -> dict[str, float]:
    """The weights in force: each metric's share on the newest night."""
    rows = connection.execute(
        "select metric, weight from mart.fvi_weights where night = (select max(night) from mart.fvi_weights)"
    ).fetchall()
    return {str(metric): float(weight) for metric, weight in rows}


def write_weights(
    connection: psycopg.Connection,
    client: redis.Redis,
    weights: Sequence[Weight],
    night: date,
    computed_at: datetime,
) -> None:
    """Replace the night's rows in one transaction, then Redis's hash by the newest night in one MULTI.

    No reader sees half of either. A night that runs again with the same result keeps its rows and their
    computed_at. When the process dies between the two, running the night again brings Redis up to date.
    """
    rows = [{**asdict(weight), "night": night, "computed_at": computed_at} for weight in weights]
    with connection.transaction(), connection.cursor() as cursor:
        # two runs of one night follow each other
        cursor.execute("lock table mart.fvi_weights in share row exclusive mode")
        if _without_time(rows) != _without_time(_night(connection, night)):
            cursor.execute("delete from mart.fvi_weights where night = %s", [night])
            cursor.executemany(
                "insert into mart.fvi_weights (metric, night, weight, bounded_weight, information_gain, "
                "quality, base_weight, computed_at) values (%(metric)s, %(night)s, %(weight)s, "
                "%(bounded_weight)s, %(information_gain)s, %(quality)s, %(base_weight)s, %(computed_at)s)",
                rows,
            )
    connection.commit()
    publish_weights(connection, client)


def publish_weights(connection: psycopg.Connection, client: redis.Redis) -> None:
    """Bring the newest night of the table into Redis: one JSON object per metric in the hash `fvi:weights`.

    Raises:
        WeightsError: the table is empty.
    """
    newest = connection.execute("select max(night) from mart.fvi_weights").fetchone()
    rows = _night(connection, newest[0]) if newest and newest[0] else []
    connection.commit()
    if not rows:
        raise WeightsError("There are no weights to publish. Compute the night's weights first.")
    entries = {
        row["metric"]: json.dumps(
            {**row, "night": row["night"].isoformat(), "computed_at": row["computed_at"].isoformat()}
        )
        for row in rows
    }
    with client.pipeline(transaction=True) as pipeline:
        pipeline.delete(WEIGHTS_KEY)
        pipeline.hset(WEIGHTS_KEY, mapping=entries)
        pipeline.execute()


def current_metrics(connection: psycopg.Connection, metrics: Sequence[IndexMetric]) -> pl.DataFrame:
    """KEYS and metrics of every mine as known now, ordered by mine."""
    query = sql.SQL(
        "select {keys}, {metrics} from gold.gold_mine_index_metrics as metrics where is_current order by mine_id"
    ).format(keys=sql.SQL(", ").join(map(sql.Identifier, KEYS)), metrics=_columns(metrics))
    return _frame(connection, query, [])


def write_index(connection: psycopg.Connection, index: pl.DataFrame, computed_at: datetime) -> int:
    """Replace the index of every mine in one transaction; returns the number of rows.

    A mine whose row has not changed keeps it, computed_at included.
    """
    names = sql.SQL(", ").join(map(sql.Identifier, index.columns))
    values = [sql.Identifier(name) for name in index.columns if name not in ("mine_id", "as_of_year")]
    sets = sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(name) for name in values)
    old, new = (
        sql.SQL(", ").join(sql.SQL("{}.{}").format(sql.Identifier(side), name) for name in values)
        for side in ("fvi_index", "excluded")
    )
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("lock table mart.fvi_index in share row exclusive mode")
        cursor.execute(
            "create temporary table new_index (like mart.fvi_index including defaults) on commit drop; "
            "alter table new_index drop column computed_at"
        )
        with cursor.copy(sql.SQL("copy new_index ({}) from stdin").format(names)) as copy:
            for row in index.iter_rows():
                copy.write_row(row)
        cursor.execute(
            "delete from mart.fvi_index as old where not exists (select from new_index as new "
            "where new.mine_id = old.mine_id and new.as_of_year = old.as_of_year)"
        )
        cursor.execute(
            sql.SQL(
                "insert into mart.fvi_index ({names}, computed_at) select {names}, %s from new_index "
                "on conflict (mine_id, as_of_year) do update set {sets}, computed_at = excluded.computed_at "
                "where ({old}) is distinct from ({new})"
            ).format(names=names, sets=sets, old=old, new=new),
            [computed_at],
        )
    connection.commit()
    return index.height


def _night(connection: psycopg.Connection, night: date) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "select metric, night, weight, bounded_weight, information_gain, quality, base_weight, "
            "computed_at from mart.fvi_weights where night = %s order by metric",
            [night],
        ).fetchall()


def _without_time(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    bare = [{name: value for name, value in row.items() if name != "computed_at"} for row in rows]
    return sorted(bare, key=lambda row: str(row["metric"]))


def _columns(metrics: Sequence[IndexMetric]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier("metrics", metric.name) for metric in metrics)


def _frame(connection: psycopg.Connection, query: sql.Composed, parameters: Sequence[object]) -> pl.DataFrame:
    cursor = connection.execute(query, parameters)
    names = [column.name for column in cursor.description or ()]
    types: Mapping[str, type[pl.DataType]] = {
        "mine_id": pl.String,
        "as_of_year": pl.Int64,
        "viable": pl.Boolean,
    }
    timestamp = pl.Datetime("us", "UTC")
    schema = {name: timestamp if name.endswith("_timestamp") else types.get(name, pl.Float64) for name in names}
    return pl.DataFrame(cursor.fetchall(), schema=schema, orient="row")
