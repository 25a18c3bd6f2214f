"""The metrics of every mine out of gold, and the index into mart. The arithmetic belongs to `index`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import polars as pl
import psycopg
from psycopg import sql

from fvi_pipeline.features.catalogue import IndexMetric
from fvi_pipeline.weights.frames import frame_of, metric_columns
from fvi_pipeline.weights.index import KEYS


def current_metrics(connection: psycopg.Connection, metrics: Sequence[IndexMetric]) -> pl.DataFrame:
    """KEYS and metrics of every mine as known now, ordered by mine."""
    query = sql.SQL(
        "select {keys}, {metrics} from gold.gold_mine_index_metrics as metrics where is_current order by mine_id"
    ).format(keys=sql.SQL(", ").join(map(sql.Identifier, KEYS)), metrics=metric_columns(metrics))
    return frame_of(connection, query)


def mines_of_the_time(connection: psycopg.Connection, current: pl.DataFrame) -> pl.DataFrame:
    """The rows of `current` that mines are compared with: those seen in the panel's newest year or later.

    A mine that was last seen decades ago is placed among them and does not move them.
    """
    row = connection.execute("select max(as_of_year) from gold.gold_vintages").fetchone()
    newest = row[0] if row and row[0] is not None else 0
    return current.filter(pl.col("as_of_year") >= newest)


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
