"""Explanations in the marts: written by difference, and read as the matrix of a cohort. One mine's are `run.scores`'.

`mart.score_explanations` has a row per score and feature, so only what is not there yet is written.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import polars as pl
import psycopg
from psycopg import sql

from fvi_pipeline.model.dataset import HORIZON
from fvi_pipeline.model.explanations.plots import Contributions

_SCORE_KEY = ("mine_id", "as_of_year", HORIZON)
_TABLES = {
    "score_explanations": ((*_SCORE_KEY, "feature"), ("value", "contribution", "model_version")),
    "score_explanation_bases": (_SCORE_KEY, ("base", "model_version", "feature_service")),
}


def write_explanations(
    connection: psycopg.Connection, contributions: pl.DataFrame, bases: pl.DataFrame, as_of_year: int
) -> int:
    """Make the year's explanations those of the frames; returns how many rows were written or taken away.

    A row that is stored as it should be is left alone. What is not in the frames goes. The caller commits.
    """
    frames = {"score_explanations": contributions, "score_explanation_bases": bases}
    return sum(_write_difference(connection, table, frames[table], as_of_year) for table in _TABLES)


def read_contributions(connection: psycopg.Connection, as_of_year: int, horizon_years: int) -> Contributions | None:
    """Values and contributions of all mines of a year at one horizon; None when there are none."""
    rows = connection.execute(
        sql.SQL(
            "select array_agg(feature order by feature), array_agg(value order by feature), "
            "array_agg(contribution order by feature) from mart.score_explanations "
            "where as_of_year = %s and {} = %s group by mine_id order by mine_id"
        ).format(sql.Identifier(HORIZON)),
        [as_of_year, horizon_years],
    ).fetchall()
    if not rows:
        return None
    return Contributions(
        horizon_years=horizon_years,
        features=tuple(rows[0][0]),
        values=np.array([row[1] for row in rows], dtype=np.float64),
        contributions=np.array([row[2] for row in rows], dtype=np.float64),
    )


def _write_difference(connection: psycopg.Connection, table: str, frame: pl.DataFrame, as_of_year: int) -> int:
    key, values = _TABLES[table]
    names = {
        "table": sql.Identifier("mart", table),
        "staged": sql.Identifier(f"staged_{table}"),
        "columns": _listed([*key, *values]),
        "key": _listed(key),
        "same_key": sql.SQL(" and ").join(
            sql.SQL("stored.{0} = made.{0}").format(sql.Identifier(name)) for name in key
        ),
        "new_values": sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in values),
        "stored_values": _listed(values, "stored"),
        "made_values": _listed(values, "excluded"),
    }

    def run(statement: str, *parameters: object) -> int:
        return connection.execute(sql.SQL(statement).format(**names), parameters or None).rowcount

    # a temporary table of this connection; a transaction that came before may have left one of its own
    run("drop table if exists pg_temp.{staged}")
    run("create temporary table {staged} (like {table})")
    written = io.BytesIO()
    frame.select(*key, *values).write_csv(written, include_header=False)
    with (
        connection.cursor() as cursor,
        cursor.copy(sql.SQL("copy {staged} ({columns}) from stdin (format csv)").format(**names)) as copy,
    ):
        copy.write(written.getbuffer())
    run("analyze {staged}")
    gone = run(
        "delete from {table} as stored where as_of_year = %s "
        "and not exists (select from {staged} as made where {same_key})",
        as_of_year,
    )
    written_rows = run(
        "insert into {table} as stored ({columns}) select {columns} from {staged} order by {key} "
        "on conflict ({key}) do update set {new_values} where ({stored_values}) is distinct from ({made_values})"
    )
    run("drop table {staged}")
    return gone + written_rows


def _listed(names: Sequence[str], source: str | None = None) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(source, name) if source else sql.Identifier(name) for name in names)
