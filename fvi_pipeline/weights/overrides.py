"""Weights that people set in place of the dynamic ones: who, when and why. What becomes of them in a night belongs to
`dynamic_weights`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from fvi_pipeline.weights import store
from fvi_pipeline.weights.dynamic_weights import Override, shares
from fvi_pipeline.weights.errors import WeightsError

if TYPE_CHECKING:
    import redis


def overrides_in_force(connection: psycopg.Connection) -> dict[str, Override]:
    """The overrides that nobody has ended, by metric."""
    with connection.cursor(row_factory=class_row(Override)) as cursor:
        rows = cursor.execute(
            "select metric, weight, author, reason from mart.fvi_weight_overrides where ended_at is null "
            "order by metric"
        ).fetchall()
    return {row.metric: row for row in rows}


def set_override(connection: psycopg.Connection, client: redis.Redis, override: Override, at: datetime) -> None:
    """Put a weight in place of a metric's dynamic one, in the newest night and those to come; an earlier override of
    it ends. Table and Redis change in one step.

    Raises:
        WeightsError: the metric has no weight yet, the weight is not within 0 and 1, author or reason is missing, or
            no metric would have any weight.
    """
    if not 0 <= override.weight <= 1:
        raise WeightsError(f"A weight is between 0 and 1, not {override.weight:g}.")
    if not override.author.strip() or not override.reason.strip():
        raise WeightsError("An override needs its author and its reason: they are kept and shown.")

    def change(cursor: psycopg.Cursor) -> None:
        _known_metric(connection, override.metric)
        _end(cursor, override.metric, at, override.author)
        cursor.execute(
            "insert into mart.fvi_weight_overrides (metric, weight, author, reason, set_at) "
            "values (%s, %s, %s, %s, %s)",
            [override.metric, override.weight, override.author, override.reason, at],
        )
        _share_anew(connection, cursor, at)

    store.change_and_publish(connection, client, change)


def release_override(
    connection: psycopg.Connection, client: redis.Redis, metric: str, author: str, at: datetime
) -> None:
    """End a metric's override: its dynamic weight, which went on beneath, is in force again.

    Raises:
        WeightsError: there is none, or the author is missing.
    """
    if not author.strip():
        raise WeightsError("The release of an override needs its author: it is kept.")

    def change(cursor: psycopg.Cursor) -> None:
        if not _end(cursor, metric, at, author):
            raise WeightsError(f"There is no override of {metric}. `fvi weights` shows those in force.")
        _share_anew(connection, cursor, at)

    store.change_and_publish(connection, client, change)


def _known_metric(connection: psycopg.Connection, metric: str) -> None:
    known: Sequence[str] = sorted(store.newest_weights(connection))
    if not known:
        raise WeightsError("There are no weights yet. Compute the night's weights first: `fvi run`.")
    if metric not in known:
        raise WeightsError(f"There is no metric {metric}. The metrics are {', '.join(known)}.")


def _end(cursor: psycopg.Cursor, metric: str, at: datetime, author: str) -> bool:
    cursor.execute(
        "update mart.fvi_weight_overrides set ended_at = %s, ended_by = %s where metric = %s and ended_at is null",
        [at, author, metric],
    )
    return bool(cursor.rowcount)


def _share_anew(connection: psycopg.Connection, cursor: psycopg.Cursor, at: datetime) -> None:
    ((night, weights),) = store.newest_nights(connection, 1)
    try:
        shared = shares(weights, overrides_in_force(connection))
    except ValueError as error:
        raise WeightsError(str(error)) from error
    names = ("weight", "override_weight", "override_author", "override_reason")
    sets = sql.SQL(", ").join(sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in names)
    cursor.executemany(
        sql.SQL(
            "update mart.fvi_weights set {}, computed_at = %(at)s where night = %(night)s and metric = %(metric)s"
        ).format(sets),
        [{**{n: getattr(w, n) for n in names}, "metric": w.metric, "night": night, "at": at} for w in shared],
    )
