"""Stored scores of one mine, read from the marts. Computing a score belongs to `model`, serving one to `bentos`."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import dict_row


def stored_score(connection: psycopg.Connection, mine_id: str, horizon_years: int) -> dict[str, Any] | None:
    """The score of `mine_id` at the horizon with interval, index and reasons; None when there is no such mine.

    A mine outside the cohort (closed, or without a production history) has `fvi_score` None and a `reason`.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        mine = cursor.execute(
            "select mine_id, mine_name, country from silver.silver_mine_profiles where mine_id = %s", [mine_id]
        ).fetchone()
        if mine is None:
            return None
        index = cursor.execute(
            "select index_score, coverage from mart.fvi_index where mine_id = %s order by as_of_year desc limit 1",
            [mine_id],
        ).fetchone()
        score = cursor.execute(
            "select as_of_year, horizon_years, fvi_score, interval_low, interval_high, model_version, scored_at "
            "from mart.fvi_scores where mine_id = %s and horizon_years = %s order by as_of_year desc limit 1",
            [mine_id, horizon_years],
        ).fetchone()
        reasons = cursor.execute(
            "select feature, value, contribution from mart.score_reasons "
            "where mine_id = %s and horizon_years = %s order by rank",
            [mine_id, horizon_years],
        ).fetchall()
    answer: dict[str, Any] = {**mine, "horizon_years": horizon_years, "fvi_score": None}
    answer |= index or {"index_score": None}
    if score is None:
        answer["reason"] = "outside the cohort: it does not produce in the latest year, or has no production history"
        return answer
    return answer | score | {"top_features": reasons}
