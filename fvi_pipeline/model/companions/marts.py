"""The companions' marts: frames made from the champions' bytes, and their writing in one transaction each.

How a forecast is made belongs to the companions, when to make it to `defs`.
"""

from __future__ import annotations

import tempfile
from datetime import datetime
from pathlib import Path

import polars as pl
import psycopg
from psycopg import sql

from fvi_pipeline.model.companions.predictor import CompanionModel
from fvi_pipeline.model.dataset import feature_matrix
from fvi_pipeline.model.errors import ScoringError
from fvi_pipeline.model.registry import ModelRegistry
from fvi_pipeline.model.scoring import ONNX_FILE

_MADE_AT = "scored_at"


def production_forecasts(
    mines: pl.DataFrame, model: CompanionModel, *, size_feature: str, model_version: str, scored_at: datetime
) -> pl.DataFrame:
    """Rows for mart.production_forecasts; `mines`: mine_id, as_of_year and the model's features, each mine once."""
    ordered = mines.sort("mine_id")
    low, median, high = model.predict(feature_matrix(ordered, model.features)).T
    return ordered.select(
        "mine_id",
        pl.col("as_of_year").cast(pl.Int64),
        forecast_year=pl.col("as_of_year").cast(pl.Int64) + 1,
        production_short_tons=pl.col(size_feature).cast(pl.Float64),
        median_short_tons=pl.Series(median),
        low_short_tons=pl.Series(low),
        high_short_tons=pl.Series(high),
        confidence=pl.lit(model.metadata.confidence),
        model_version=pl.lit(model_version),
        scored_at=pl.lit(scored_at),
    )


def status_forecasts(
    mines: pl.DataFrame, model: CompanionModel, *, model_version: str, scored_at: datetime
) -> pl.DataFrame:
    """Rows for mart.status_forecasts, one for each mine and status; `mines` as for `production_forecasts`."""
    ordered = mines.sort("mine_id")
    probability = model.predict(feature_matrix(ordered, model.features))
    return pl.concat(
        ordered.select(
            "mine_id",
            pl.col("as_of_year").cast(pl.Int64),
            forecast_year=pl.col("as_of_year").cast(pl.Int64) + 1,
            status=pl.lit(status),
            probability=pl.Series(probability[:, number]),
            model_version=pl.lit(model_version),
            scored_at=pl.lit(scored_at),
        )
        for number, status in enumerate(model.outputs)
    ).sort("mine_id", "status")


def load_companion(registry: ModelRegistry, version: str) -> CompanionModel:
    """The companion of a registered version, its bytes checked against the registered hash.

    Raises:
        RegistryError: there is no such version, its files are gone, or they are not the registered ones.
    """
    with tempfile.TemporaryDirectory() as folder:
        return CompanionModel((registry.files(version, Path(folder)) / ONNX_FILE).read_bytes())


def newest_scores(connection: psycopg.Connection) -> pl.DataFrame:
    """The rows of mart.fvi_scores of the newest as-of year, for closing years."""
    columns = {
        "mine_id": pl.String,
        "as_of_year": pl.Int64,
        "horizon_years": pl.Int64,
        "fvi_score": pl.Float64,
        "interval_low": pl.Float64,
        "interval_high": pl.Float64,
        "model_version": pl.String,
    }
    query = sql.SQL(
        "select {} from mart.fvi_scores where as_of_year = (select max(as_of_year) from mart.fvi_scores)"
    ).format(sql.SQL(", ").join(map(sql.Identifier, columns)))
    return pl.DataFrame(connection.execute(query).fetchall(), schema=columns, orient="row")


def backtest_of_closing_years(connection: psycopg.Connection) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What `measure_closing_years` compares: the predictions of every fold, and the years in which mines produced."""
    columns = {
        "train_until_year": pl.Int64,
        "mine_id": pl.String,
        "as_of_year": pl.Int64,
        "horizon_years": pl.Int64,
        "viability_probability": pl.Float64,
        "interval_low": pl.Float64,
        "interval_high": pl.Float64,
    }
    query = sql.SQL("select {} from mart.backtest_predictions").format(sql.SQL(", ").join(map(sql.Identifier, columns)))
    predictions = pl.DataFrame(connection.execute(query).fetchall(), schema=columns, orient="row")
    produced = connection.execute(
        "select distinct mine_id, as_of_year from silver.silver_mine_metrics where production_short_tons > 0"
    ).fetchall()
    return predictions, pl.DataFrame(produced, schema={"mine_id": pl.String, "year": pl.Int64}, orient="row")


def write_year(connection: psycopg.Connection, table: str, rows: pl.DataFrame) -> bool:
    """Replace the rows of the frame's as-of year in a mart of this package, in one transaction; commits.

    Returns whether anything changed: the same rows of the same version are left alone, with the time they were made.

    Raises:
        ScoringError: there is no row, or rows of several years.
    """
    if rows.is_empty() or rows["as_of_year"].n_unique() != 1:
        raise ScoringError(f"mart.{table} is written for one as-of year with at least one mine.")
    year = int(rows["as_of_year"][0])
    compared = [column for column in rows.columns if column != _MADE_AT]
    name = sql.Identifier("mart", table)
    with connection.transaction():
        stored = connection.execute(
            sql.SQL("select {} from {} where as_of_year = %s").format(
                sql.SQL(", ").join(map(sql.Identifier, compared)), name
            ),
            [year],
        ).fetchall()
        if set(stored) == set(rows.select(compared).iter_rows()):
            return False
        connection.execute(sql.SQL("delete from {} where as_of_year = %s").format(name), [year])
        statement = sql.SQL("copy {} ({}) from stdin").format(
            name, sql.SQL(", ").join(map(sql.Identifier, rows.columns))
        )
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows.iter_rows():
                copy.write_row(row)
    connection.commit()
    return True
