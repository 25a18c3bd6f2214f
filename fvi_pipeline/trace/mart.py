"""Steps in the marts: a score with its reasons, the index with its metrics, a feature as it was served."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from fvi_pipeline.trace.errors import TraceError
from fvi_pipeline.trace.gold import feature_step, metric_step
from fvi_pipeline.trace.reader import Reader
from fvi_pipeline.trace.step import Step

_SCORES, _INDEX = "mart.fvi_scores", "mart.fvi_index"


def score_step(reader: Reader, mine_id: str, year: int, horizon_years: int, as_of: datetime | None) -> Step:
    """A stored score with the features that moved it most, each as known when it was scored.

    Raises:
        TraceError: there is no such score, or it is younger than `as_of` (reasons are kept of the newest scores only).
    """
    scores = _scores(reader, mine_id, year)
    score = next((row for row in scores if row["horizon_years"] == horizon_years), None)
    if score is None:
        raise TraceError(_no_score(reader, mine_id, year, horizon_years))
    if as_of is not None and score["scored_at"] > as_of:
        raise TraceError(
            f"The score was made on {score['scored_at']:%Y-%m-%d %H:%M} UTC; mart.fvi_score_history has the ones "
            "before it, without their reasons. Trace a feature with --as-of, or leave --as-of out."
        )
    reasons = reader.rows(
        "select feature, value, contribution, reason_in_words from mart.score_reasons "
        "where mine_id = %s and as_of_year = %s and horizon_years = %s order by rank",
        [mine_id, year, horizon_years],
    )
    return Step(
        layer="mart",
        table=_SCORES,
        column=f"fvi_score at {horizon_years} years",
        row=f"{mine_id}, {year}",
        value=score["fvi_score"],
        details={
            "interval": [score["interval_low"], score["interval_high"]],
            "model_version": score["model_version"],
            "scored_at": score["scored_at"],
        },
        sources=tuple(_reason_step(reader, mine_id, year, score, reason) for reason in reasons),
    )


def index_step(reader: Reader, mine_id: str, year: int, as_of: datetime | None) -> Step:
    """The index of a mine with every metric that it has a value for, and the metric's weight.

    Raises:
        TraceError: there is no index of the mine and year, or it is younger than `as_of`.
    """
    found = reader.rows(
        "select as_of_year, event_timestamp, created_timestamp, index_score, coverage, computed_at from mart.fvi_index "
        "where mine_id = %s",
        [mine_id],
    )
    index = next((row for row in found if row["as_of_year"] == year), None)
    if index is None:
        years = ", ".join(str(row["as_of_year"]) for row in found) or "none"
        raise TraceError(f"mart.fvi_index has no row of {mine_id} for {year}; years that it has: {years}.")
    if as_of is not None and index["created_timestamp"] > as_of:
        raise TraceError(
            f"The index rests on what was known on {index['created_timestamp']:%Y-%m-%d}, and mart.fvi_index keeps no "
            "older one. Trace a metric with --as-of, or leave --as-of out."
        )
    weights = reader.rows(
        "select metric, weight from mart.fvi_weights where night = (select max(night) from mart.fvi_weights "
        "where computed_at <= %s) order by weight desc, metric",
        [index["computed_at"]],
    ) or [{"metric": metric, "weight": None} for metric in reader.lineage.columns("gold_mine_index_metrics")]
    metrics = [
        replace(step, details={"weight": row["weight"], **step.details})
        for row in weights
        for step in [metric_step(reader, row["metric"], mine_id, year, index["created_timestamp"])]
        if step.value is not None
    ]
    return Step(
        layer="mart",
        table=_INDEX,
        column="index_score",
        row=f"{mine_id}, {year}",
        value=index["index_score"],
        details={
            "coverage": index["coverage"],
            "created_timestamp": index["created_timestamp"],
            "computed_at": index["computed_at"],
        },
        sources=tuple(metrics),
    )


def served_feature_step(reader: Reader, column: str, mine_id: str, year: int, as_of: datetime | None) -> Step:
    """A feature, below the scores that were made with it when there are any.

    Raises:
        TraceError: as for `feature_step`.
    """
    feature = feature_step(reader, column, mine_id, year, as_of)
    scores = [row for row in _scores(reader, mine_id, year) if as_of is None or row["scored_at"] <= as_of]
    if not scores or feature.details["created_timestamp"] > scores[0]["scored_at"]:
        return feature
    contributions = {
        row["horizon_years"]: row["contribution"]
        for row in reader.rows(
            "select horizon_years, contribution from mart.score_reasons "
            "where mine_id = %s and as_of_year = %s and feature = %s",
            [mine_id, year, column],
        )
    }
    return Step(
        layer="mart",
        table=_SCORES,
        column=column,
        row=f"{mine_id}, {year}",
        value=feature.value,
        details={"model_version": scores[0]["model_version"], "scored_at": scores[0]["scored_at"]},
        rows=tuple(
            {
                "horizon_years": row["horizon_years"],
                "fvi_score": row["fvi_score"],
                "contribution": contributions.get(row["horizon_years"]),
            }
            for row in scores
        ),
        sources=(feature,),
    )


def _scores(reader: Reader, mine_id: str, year: int) -> list[dict[str, Any]]:
    return reader.rows(
        "select horizon_years, fvi_score, interval_low, interval_high, model_version, scored_at from mart.fvi_scores "
        "where mine_id = %s and as_of_year = %s order by horizon_years",
        [mine_id, year],
    )


def _reason_step(reader: Reader, mine_id: str, year: int, score: dict[str, Any], reason: dict[str, Any]) -> Step:
    feature = feature_step(reader, reason["feature"], mine_id, year, score["scored_at"])
    return Step(
        layer="mart",
        table="mart.score_reasons",
        column=reason["feature"],
        row=f"{mine_id}, {year}, {score['horizon_years']} years",
        value=reason["value"],
        details={
            "contribution": reason["contribution"],
            "in_words": reason["reason_in_words"],
            **_difference(reason["value"], feature.value),
        },
        sources=(feature,),
    )


def _difference(served: float | None, found: Any) -> dict[str, Any]:
    # scores are made in single precision
    same = served == found or (served is not None and found is not None and abs(served - found) <= 1e-6 * abs(found))
    return {} if same else {"warning": f"gold holds {found} now: it was built anew after the score was made"}


def _no_score(reader: Reader, mine_id: str, year: int, horizon_years: int) -> str:
    found = reader.rows(
        "select as_of_year, array_agg(horizon_years order by horizon_years) as horizons from mart.fvi_scores "
        "where mine_id = %s group by 1 order by 1",
        [mine_id],
    )
    if not found:
        return (
            f"{mine_id} has no score: it is closed, has no production history, or nothing has been scored yet. "
            "Trace its index_score or a metric."
        )
    what = "; ".join(f"{row['as_of_year']} at {_horizons(row['horizons'])} years" for row in found)
    return f"There is no score of {mine_id} for {year} at {horizon_years} years; there is {what}."


def _horizons(horizons: Sequence[int]) -> str:
    return ", ".join(map(str, horizons))
