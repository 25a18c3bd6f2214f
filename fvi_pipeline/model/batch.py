"""Batch scores: frames for the marts, made by the same code that serves, and their writing in one
transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import pandas as pd
import polars as pl
import psycopg
from psycopg import sql

from fvi_pipeline.features.catalogue import FeatureColumn
from fvi_pipeline.model.dataset import HORIZON, feature_matrix
from fvi_pipeline.model.errors import ScoringError
from fvi_pipeline.model.explanations.cohort import explain_cohort
from fvi_pipeline.model.explanations.reasons import Phrasebook
from fvi_pipeline.model.explanations.store import write_explanations
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
_HISTORY = sql.SQL(
    "insert into mart.fvi_score_history ({columns}) select {columns} from mart.fvi_scores where as_of_year = %s "
    "on conflict do nothing"  # of a moment there is one scoring
)
_REASON_COLUMNS = ("mine_id", "as_of_year", HORIZON, "rank", "feature", "value", "contribution", "reason_in_words")


@dataclass(frozen=True)
class ScoredCohort:
    """Rows for mart.fvi_scores, mart.score_reasons, mart.score_explanations and mart.score_explanation_bases."""

    scores: pl.DataFrame
    reasons: pl.DataFrame
    explanations: pl.DataFrame
    bases: pl.DataFrame


def score_current(
    frame: pl.DataFrame | pd.DataFrame,
    model: ViabilityModel,
    *,
    model_version: str,
    scored_at: datetime,
    columns: Mapping[str, FeatureColumn] | None = None,
    reasons_per_score: int = 5,
) -> ScoredCohort:
    """Score mines at every horizon and explain each score.

    Args:
        frame: one row per mine of the cohort, all of one as-of year: mine_id, as_of_year and the model's
            features.
        model: the champion.
        model_version: its version in the registry.
        scored_at: the time to note; with a time zone.
        columns: the features as described, for reasons in words; one that is not there is stated plainly.
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
    keys = mines.select("mine_id", pl.col("as_of_year").cast(pl.Int64))
    scores = [
        (*key, score.horizon_years, score.fvi_score, 100 * score.interval_low, 100 * score.interval_high)
        for key, of_mine in zip(keys.rows(), model.score(features), strict=True)
        for score in of_mine
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
    explained = explain_cohort(
        keys,
        features,
        model,
        Phrasebook(columns or {}),
        model_version=model_version,
        reasons_per_score=reasons_per_score,
    )
    return ScoredCohort(score_frame, explained.reasons, explained.contributions, explained.bases)


def write_scores(connection: psycopg.Connection, scored: ScoredCohort) -> bool:
    """Make what the marts say of the frames' as-of year what the frames say, in one transaction; commits.

    New scores enter mart.fvi_score_history too, whole: a mine that they lack had left the cohort by then. Returns
    whether anything changed: the same scores of the same version are left alone, with the time they were made.
    """
    if scored.scores.is_empty():
        raise ScoringError("There is no score to write. Is the cohort of the last as-of year empty?")
    year = int(scored.scores["as_of_year"][0])
    with connection.transaction():
        rescored = _replace(connection, "fvi_scores", _SCORE_COLUMNS, scored.scores, year, compared=_SCORE_COLUMNS[:-1])
        if rescored:
            connection.execute(_HISTORY.format(columns=_listed(_SCORE_COLUMNS)), [year])
        changed = [
            rescored,
            _replace(connection, "score_reasons", _REASON_COLUMNS, scored.reasons, year, compared=_REASON_COLUMNS),
            write_explanations(connection, scored.explanations, scored.bases, year) > 0,
        ]
    connection.commit()
    return any(changed)


def _replace(
    connection: psycopg.Connection,
    table: str,
    columns: Sequence[str],
    frame: pl.DataFrame,
    as_of_year: int,
    *,
    compared: Sequence[str],
) -> bool:
    """Replace the rows of a year, unless they are the frame's in what is compared; returns whether it did."""
    names = {"table": sql.Identifier("mart", table), "columns": _listed(columns), "compared": _listed(compared)}
    stored = connection.execute(
        sql.SQL("select {compared} from {table} where as_of_year = %s").format(**names), [as_of_year]
    ).fetchall()
    if set(stored) == set(frame.select(compared).iter_rows()):
        return False
    connection.execute(sql.SQL("delete from {table} where as_of_year = %s").format(**names), [as_of_year])
    with (
        connection.cursor() as cursor,
        cursor.copy(sql.SQL("copy {table} ({columns}) from stdin").format(**names)) as copy,
    ):
        for row in frame.select(columns).iter_rows():
            copy.write_row(row)
    return True


def _listed(columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))
