"""Batch scores: frames for the marts, made by the same code that serves, and their writing in one
transaction each.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pandas as pd
import polars as pl
import psycopg
from psycopg import sql

from fvi_pipeline.model.dataset import HORIZON, feature_matrix
from fvi_pipeline.model.errors import ScoringError
from fvi_pipeline.model.scoring import ViabilityModel

_SCORE_COLUMNS = (
    "mine_id",
    "as_of_year",
    HORIZON,
    "fvi_score",
    "interval_low",
    "interval_high",
    "model_version",
    "scored_at",
)
_REASON_COLUMNS = ("mine_id", "as_of_year", HORIZON, "rank", "feature", "value", "contribution")
_BACKTEST_COLUMNS = ("mine_id", "as_of_year", HORIZON, "train_until_year", "viability_probability", "viable")


def score_current(
    frame: pl.DataFrame | pd.DataFrame,
    model: ViabilityModel,
    *,
    model_version: str,
    scored_at: datetime,
    reasons_per_score: int = 5,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Score mines at every horizon: (rows for mart.fvi_scores, rows for mart.score_reasons).

    Args:
        frame: one row per mine of the cohort, all of one as-of year: mine_id, as_of_year and the model's
            features.
        model: the champion.
        model_version: its version in the registry.
        scored_at: the time to note; with a time zone.
        reasons_per_score: how many features to name for each score.

    Raises:
        ScoringError: the frame lacks a feature, repeats a mine or mixes as-of years.
    """
    mines = frame if isinstance(frame, pl.DataFrame) else pl.from_pandas(frame)
    absent = [name for name in ("mine_id", "as_of_year", *model.features) if name not in mines.columns]
    if absent:
        raise ScoringError(f"The frame to score lacks {absent}. Add them to the feature service.")
    if mines["mine_id"].is_duplicated().any() or mines["as_of_year"].n_unique() > 1:
        raise ScoringError("The frame to score must hold each mine once, and one as-of year only.")
    mines = mines.sort("mine_id")
    features = feature_matrix(mines, model.features)
    keys = mines.select("mine_id", pl.col("as_of_year").cast(pl.Int64)).rows()
    scores = [
        (*key, score.horizon_years, score.fvi_score, 100 * score.interval_low, 100 * score.interval_high)
        for key, of_mine in zip(keys, model.score(features), strict=True)
        for score in of_mine
    ]
    reasons = [
        (*key, horizon, rank, reason.feature, reason.value, reason.contribution)
        for horizon in model.horizons
        for key, of_mine in zip(keys, model.contributions(features, horizon, reasons_per_score), strict=True)
        for rank, reason in enumerate(of_mine, start=1)
    ]
    score_frame = pl.DataFrame(
        scores,
        schema={
            "mine_id": pl.String,
            "as_of_year": pl.Int64,
            HORIZON: pl.Int64,
            "fvi_score": pl.Float64,
            "interval_low": pl.Float64,
            "interval_high": pl.Float64,
        },
        orient="row",
    ).with_columns(pl.lit(model_version).alias("model_version"), pl.lit(scored_at).alias("scored_at"))
    reason_frame = pl.DataFrame(
        reasons,
        schema={
            "mine_id": pl.String,
            "as_of_year": pl.Int64,
            HORIZON: pl.Int64,
            "rank": pl.Int64,
            "feature": pl.String,
            "value": pl.Float64,
            "contribution": pl.Float64,
        },
        orient="row",
    )
    return score_frame, reason_frame


def write_scores(connection: psycopg.Connection, scores: pl.DataFrame, reasons: pl.DataFrame) -> bool:
    """Replace the scores and reasons of the frames' as-of year in one transaction; commits.

    Returns whether anything changed: the same scores of the same version are left alone, with the time they
    were made.
    """
    if scores.is_empty():
        raise ScoringError("There is no score to write. Is the cohort of the last as-of year empty?")
    year = int(scores["as_of_year"][0])
    with connection.transaction():
        compared = _SCORE_COLUMNS[:-1]
        if _same(connection, "fvi_scores", compared, scores, year) and _same(
            connection, "score_reasons", _REASON_COLUMNS, reasons, year
        ):
            return False
        for table, columns, frame in (
            ("fvi_scores", _SCORE_COLUMNS, scores),
            ("score_reasons", _REASON_COLUMNS, reasons),
        ):
            connection.execute(
                sql.SQL("delete from mart.{} where as_of_year = %s").format(sql.Identifier(table)), [year]
            )
            _copy(connection, table, columns, frame)
    connection.commit()
    return True


def write_backtest_predictions(connection: psycopg.Connection, predictions: pl.DataFrame) -> int:
    """Replace the predictions of the frame's train_until_year in one transaction; commits; returns the rows
    written.
    """
    with connection.transaction():
        for year in predictions["train_until_year"].unique().to_list():
            connection.execute("delete from mart.backtest_predictions where train_until_year = %s", [year])
        _copy(connection, "backtest_predictions", _BACKTEST_COLUMNS, predictions)
    connection.commit()
    return predictions.height


def _copy(connection: psycopg.Connection, table: str, columns: Sequence[str], frame: pl.DataFrame) -> None:
    statement = sql.SQL("copy mart.{} ({}) from stdin").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in frame.select(columns).iter_rows():
            copy.write_row(row)


def _same(
    connection: psycopg.Connection, table: str, columns: Sequence[str], frame: pl.DataFrame, as_of_year: int
) -> bool:
    statement = sql.SQL("select {} from mart.{} where as_of_year = %s").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(table)
    )
    stored = connection.execute(statement, [as_of_year]).fetchall()
    return set(stored) == set(frame.select(columns).iter_rows())
