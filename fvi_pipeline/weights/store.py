"""Weights in and out of the warehouse and Redis, both in one step. Arithmetic belongs to `dynamic_weights`, the
overrides to `overrides`, the index to `index_store`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, fields, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import polars as pl
import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from fvi_pipeline.weights.dynamic_weights import Weight
from fvi_pipeline.weights.errors import WeightsError

if TYPE_CHECKING:
    import redis

WEIGHTS_KEY = "fvi:weights"
REDIS_SECONDS = 10
"""What one call to Redis may take: while it lasts, the weights' table is locked."""
_FIELDS = tuple(field.name for field in fields(Weight))
_NAMES = sql.SQL(", ").join(map(sql.Identifier, _FIELDS))


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


def newest_nights(connection: psycopg.Connection, limit: int = 2) -> list[tuple[date, list[Weight]]]:
    """The newest nights and their weights, the newest first."""
    nights = connection.execute(
        "select distinct night from mart.fvi_weights order by night desc limit %s", [limit]
    ).fetchall()
    return [(night, [_weight(row) for row in _night(connection, night)]) for (night,) in nights]


def weight_history(connection: psycopg.Connection, nights: int = 365) -> pl.DataFrame:
    """night, metric, weight (share) of the newest nights, ascending."""
    rows = connection.execute(
        "select night, metric, weight from mart.fvi_weights where night > "
        "(select max(night) from mart.fvi_weights) - %s::int order by night, metric",
        [nights],
    ).fetchall()
    return pl.DataFrame(rows, schema={"night": pl.Date, "metric": pl.String, "weight": pl.Float64}, orient="row")


def write_weights(
    connection: psycopg.Connection,
    client: redis.Redis,
    weights: Sequence[Weight],
    night: date,
    computed_at: datetime,
) -> None:
    """Replace the night's rows, and Redis's hash by the newest night, in one step.

    A night that runs again with the same result keeps its rows and their computed_at.
    """

    def change(cursor: psycopg.Cursor) -> None:
        rows = [{**asdict(weight), "night": night, "computed_at": computed_at} for weight in weights]
        if _without_time(rows) == _without_time(_night(connection, night)):
            return
        cursor.execute("delete from mart.fvi_weights where night = %s", [night])
        cursor.executemany(
            sql.SQL(
                "insert into mart.fvi_weights (night, computed_at, {}) values (%(night)s, %(computed_at)s, {})"
            ).format(_NAMES, sql.SQL(", ").join(map(sql.Placeholder, _FIELDS))),
            rows,
        )

    change_and_publish(connection, client, change)


def change_and_publish(
    connection: psycopg.Connection, client: redis.Redis, change: Callable[[psycopg.Cursor], None]
) -> None:
    """Let `change` change the weights, and publish the newest night, so that both happen or neither; commits.

    Redis is written while the table's transaction is open: it changes at once for all its readers (MULTI), and when
    it does not answer, the table is left as it was. Changes follow each other.
    """
    import redis

    try:
        with connection.transaction(), connection.cursor() as cursor:
            cursor.execute("lock table mart.fvi_weights in share row exclusive mode")
            change(cursor)
            _publish(connection, client)
        connection.commit()
    except (psycopg.Error, redis.RedisError):
        # Redis may have it, also when its reply did not come: back to what the table holds, if there is a way to it
        if not connection.closed:
            connection.rollback()
            # the first error is the one to tell; what stays wrong is put right by the next night
            with suppress(psycopg.Error, redis.RedisError, WeightsError):
                publish_weights(connection, client)
        raise


def publish_weights(connection: psycopg.Connection, client: redis.Redis) -> None:
    """Bring the newest night of the table into Redis: one JSON object per metric in the hash `fvi:weights`.

    Raises:
        WeightsError: the table is empty.
    """
    with connection.transaction():
        connection.execute("lock table mart.fvi_weights in share row exclusive mode")
        _publish(connection, client)
    connection.commit()


def _publish(connection: psycopg.Connection, client: redis.Redis) -> None:
    newest = connection.execute("select max(night) from mart.fvi_weights").fetchone()
    rows = _night(connection, newest[0]) if newest and newest[0] else []
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


def _night(connection: psycopg.Connection, night: date) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            sql.SQL("select night, computed_at, {} from mart.fvi_weights where night = %s order by metric").format(
                _NAMES
            ),
            [night],
        ).fetchall()


def _weight(row: Mapping[str, Any]) -> Weight:
    weight = Weight(**{name: row[name] for name in _FIELDS})
    # a night from before targets were kept
    return weight if row["target_weight"] is not None else replace(weight, target_weight=weight.bounded_weight)


def _without_time(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    bare = [{name: value for name, value in row.items() if name != "computed_at"} for row in rows]
    return sorted(bare, key=lambda row: str(row["metric"]))
