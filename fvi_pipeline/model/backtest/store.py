"""Folds in PostgreSQL: predictions and the digest of what each was computed from, in one transaction per fold.

Computing a fold belongs in `folds` and `rivals`, measuring it in `comparison`.
"""

from __future__ import annotations

import io
from collections.abc import Iterable

import polars as pl
import psycopg
from psycopg import sql

from fvi_pipeline.model.dataset import HORIZON
from fvi_pipeline.model.scoring import MODEL_NAME

PRODUCT = MODEL_NAME
_KEYS = ("mine_id", "as_of_year", HORIZON, "train_until_year", "viability_probability", "viable")
_TABLES: dict[bool, tuple[str, tuple[str, ...]]] = {
    True: ("backtest_predictions", (*_KEYS, "interval_low", "interval_high")),
    False: ("backtest_rival_predictions", ("model", *_KEYS)),
}
_READ_PRODUCT = "select '{product}' as model, {columns} from mart.backtest_predictions"
_READ_RIVALS = "select model, {columns} from mart.backtest_rival_predictions"
_SCHEMA = {
    "model": pl.String,
    "mine_id": pl.String,
    "as_of_year": pl.Int64,
    HORIZON: pl.Int64,
    "train_until_year": pl.Int64,
    "viability_probability": pl.Float64,
    "viable": pl.String,
}


def stored_digests(connection: psycopg.Connection, model: str) -> dict[int, str]:
    """The folds of a model that are stored: T and the digest of what it was computed from."""
    rows = connection.execute(
        "select train_until_year, inputs_digest from ops.backtest_folds where model = %s order by 1", [model]
    ).fetchall()
    connection.rollback()
    return {int(year): str(digest) for year, digest in rows}


def replace_fold(
    connection: psycopg.Connection,
    model: str,
    until: int,
    predictions: pl.DataFrame,
    *,
    digest: str,
    seconds: float,
    is_served: bool = False,
) -> None:
    """Store one fold of one model in place of the one before; commits."""
    table, columns = _TABLES[model == PRODUCT]
    frame = predictions.with_columns(pl.lit(model).alias("model")).select(columns)
    with connection.transaction():
        _delete(connection, model, until)
        statement = sql.SQL("copy mart.{} ({}) from stdin (format csv)").format(
            sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
        )
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            # 17 digits bring back every double as it was
            copy.write(frame.write_csv(include_header=False, float_scientific=True, float_precision=17))
        connection.execute(
            "insert into ops.backtest_folds (model, train_until_year, inputs_digest, is_served, test_rows, seconds) "
            "values (%s, %s, %s, %s, %s, %s)",
            [model, until, digest, is_served, frame.height, seconds],
        )
    connection.commit()


def remove_other_folds(connection: psycopg.Connection, model: str, years: Iterable[int]) -> list[int]:
    """Remove the folds of a model whose T is none of `years`; commits; returns their T."""
    kept = set(years)
    table, _ = _TABLES[model == PRODUCT]
    of_model = sql.SQL("") if model == PRODUCT else sql.SQL("where model = {}").format(sql.Literal(model))
    found = sql.SQL("select distinct train_until_year from mart.{} {}").format(sql.Identifier(table), of_model)
    # those that an earlier version of this code wrote are in no ledger
    present = {int(row[0]) for row in connection.execute(found).fetchall()} | set(stored_digests(connection, model))
    removed = sorted(present - kept)
    with connection.transaction():
        for until in removed:
            _delete(connection, model, until)
    connection.commit()
    return removed


def served_origin(connection: psycopg.Connection) -> int | None:
    """T of the fold that the challenger answered for itself, if it is stored."""
    row = connection.execute("select train_until_year from ops.backtest_folds where is_served").fetchone()
    connection.rollback()
    return int(row[0]) if row else None


def stored_models(connection: psycopg.Connection) -> list[str]:
    """The models that have a stored fold."""
    rows = connection.execute("select distinct model from ops.backtest_folds order by 1").fetchall()
    connection.rollback()
    return [str(row[0]) for row in rows]


def read_predictions(connection: psycopg.Connection, *, with_rivals: bool = True) -> pl.DataFrame:
    """Every stored prediction: model, mine_id, as_of_year, horizon_years, train_until_year, viability_probability,
    viable, in the order of their keys.
    """
    queries = [_READ_PRODUCT, *([_READ_RIVALS] if with_rivals else [])]
    statement = " union all ".join(queries).format(product=PRODUCT, columns=", ".join(_KEYS))
    buffer = io.BytesIO()
    with connection.cursor() as cursor, cursor.copy(f"copy ({statement}) to stdout (format csv)".encode()) as copy:
        for block in copy:
            buffer.write(block)
    connection.rollback()
    buffer.seek(0)
    frame = (
        pl.read_csv(buffer, has_header=False, schema=_SCHEMA)
        if buffer.getbuffer().nbytes
        else pl.DataFrame(schema=_SCHEMA)
    )
    return frame.with_columns(pl.col("viable") == "t").sort(
        "model", "train_until_year", HORIZON, "mine_id", "as_of_year"
    )


def _delete(connection: psycopg.Connection, model: str, until: int) -> None:
    if model == PRODUCT:
        connection.execute("delete from mart.backtest_predictions where train_until_year = %s", [until])
    else:
        connection.execute(
            "delete from mart.backtest_rival_predictions where train_until_year = %s and model = %s", [until, model]
        )
    connection.execute("delete from ops.backtest_folds where train_until_year = %s and model = %s", [until, model])
