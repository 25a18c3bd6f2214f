"""Stored scores of one mine and their reasons, read from the marts. Computing a score belongs to `model`, serving one
to `bentos`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

from fvi_pipeline.features.versions import columns_in_words
from fvi_pipeline.model.explanations.reasons import Phrasebook, Reason, narrative
from fvi_pipeline.platform.errors import PlatformError


class NotExplainedError(PlatformError):
    """There is nothing to explain; the message says why and what to do."""


@dataclass(frozen=True)
class ExplainedScore:
    """A stored score, and what every feature adds to it, strongest first.

    `base` + all contributions is `log_odds`, that of the score.
    """

    score: dict[str, Any]
    base: float
    reasons: tuple[Reason, ...]

    @property
    def log_odds(self) -> float:
        """The sum, which the score follows from."""
        return self.base + sum(reason.contribution for reason in self.reasons)

    @property
    def narrative(self) -> str:
        """The strongest reasons for and against as a paragraph."""
        return narrative(self.reasons)


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
            "from mart.fvi_scores where mine_id = %s and horizon_years = %s "
            "and as_of_year = (select max(as_of_year) from mart.fvi_scores)",
            [mine_id, horizon_years],
        ).fetchone()
        reasons = cursor.execute(
            "select feature, value, contribution from mart.score_reasons "
            "where mine_id = %s and horizon_years = %s and as_of_year = %s order by rank",
            [mine_id, horizon_years, score["as_of_year"] if score else None],
        ).fetchall()
        horizons = cursor.execute(
            "select coalesce(array_agg(distinct horizon_years), '{}') as horizons from mart.fvi_scores"
        ).fetchone()
    answer: dict[str, Any] = {**mine, "horizon_years": horizon_years, "fvi_score": None}
    answer |= index or {"index_score": None}
    if score is None:
        known = sorted(horizons["horizons"]) if horizons else []
        answer["reason"] = (
            f"there are scores at {', '.join(map(str, known))} years only"
            if known and horizon_years not in known
            else "outside the cohort: it does not produce in the latest year, or has no production history"
        )
        return answer
    return answer | score | {"top_features": reasons}


def stored_explanation(connection: psycopg.Connection, mine_id: str, horizon_years: int) -> ExplainedScore:
    """The score of `mine_id` at the horizon with what every feature adds to it.

    Raises:
        NotExplainedError: there is no such mine, or it has no score, or one that is older than the explanations.
    """
    score = stored_score(connection, mine_id, horizon_years)
    if score is None:
        raise NotExplainedError(f"There is no mine {mine_id}. Find it with SQL: silver.silver_mine_profiles.")
    if score["fvi_score"] is None:
        raise NotExplainedError(f"{mine_id} has no score at {horizon_years} years ({score['reason']}).")
    key = [mine_id, score["as_of_year"], horizon_years, score["model_version"]]
    base = connection.execute(
        "select base, feature_service from mart.score_explanation_bases "
        "where mine_id = %s and as_of_year = %s and horizon_years = %s and model_version = %s",
        key,
    ).fetchone()
    if base is None:
        raise NotExplainedError(f"The score of {mine_id} was stored without its explanation. Run `fvi run` again.")
    phrasebook = Phrasebook(columns_in_words(connection, base[1]))
    found = connection.execute(
        "select feature, value, contribution from mart.score_explanations "
        "where mine_id = %s and as_of_year = %s and horizon_years = %s and model_version = %s "
        "order by abs(contribution) desc, feature",
        key,
    ).fetchall()
    return ExplainedScore(score, base[0], tuple(phrasebook.reason(*row) for row in found))
