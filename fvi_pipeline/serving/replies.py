"""The answer of each kind from what was read of a mine and what a model said of it. Nothing is asked for here: that is
`predictor`'s; the form of the bytes is in `answers`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fvi_pipeline.model.explanations.reasons import paragraph
from fvi_pipeline.model.online_answers import ScoredRow
from fvi_pipeline.serving.answers import Answer, Facts, contributions_of, encode, head, score_parts
from fvi_pipeline.serving.mines import StoredMine
from fvi_pipeline.serving.scorer import Question

Scored = tuple[NDArray[np.float32], ScoredRow, NDArray[np.intp]]
"""The values that were scored [F], the score with its reasons, and the columns of the strongest reasons in order."""
Sentence = Callable[[str, float | None], str]
# the model that a companion's forecast comes from, by type of prediction
_COMPANIONS = {"production": "fvi_production", "next_status": "fvi_next_status", "closing_year": "fvi_viability"}
_NO_FORECAST: dict[str, Any] = {"production": None, "next_status": None, "closing_year": None}


def score_answer(
    question: Question, mine: StoredMine, reason: str | None, scored: Scored | None, *, is_degraded: bool
) -> Answer:
    """A score with its strongest reasons, or the reason why there is none."""
    top: list[dict[str, Any]] = []
    if scored is not None:
        row, values, columns = scored
        top = contributions_of(question.served.model.features, row, values.contributions, columns)
    parts = {"top_features": top, "reason": reason, "prediction_type": "viability", **_NO_FORECAST}
    return _answer(question, mine, scored, parts, is_degraded=is_degraded)


def explained_answer(
    question: Question,
    mine: StoredMine,
    reason: str | None,
    scored: Scored | None,
    sentence: Sentence,
    *,
    is_degraded: bool,
) -> Answer:
    """What every feature adds to a score, in numbers and in words."""
    parts: dict[str, Any] = {"base": None, "log_odds": None, "narrative": None, "contributions": [], "reason": reason}
    if scored is not None:
        row, values, columns = scored
        contributions = contributions_of(question.served.model.features, row, values.contributions, columns)
        for each in contributions:
            each["in_words"] = sentence(each["feature"], each["value"])
        parts["base"] = values.base
        parts["log_odds"] = values.base + float(values.contributions.sum())
        parts["narrative"] = paragraph((each["in_words"], each["contribution"]) for each in contributions) or None
        parts["contributions"] = contributions
    return _answer(question, mine, scored, parts, is_degraded=is_degraded)


def forecast_answer(
    question: Question,
    kind: str,
    mine: StoredMine,
    reason: str | None,
    forecast: dict[str, Any] | None,
    *,
    is_degraded: bool,
) -> Answer:
    """A companion's forecast as it is stored, or the reason why there is none."""
    # one of another year is of a mine that has left, or that was not forecast again yet
    if forecast is not None and forecast["as_of_year"] != mine.as_of_year:
        forecast = None
    if reason is None and forecast is None:
        reason = "Nothing of this kind is forecast for the mine yet."
    told, version = None, ""
    if reason is None and forecast is not None:
        told = {name: value for name, value in forecast.items() if name not in ("model_version", "as_of_year")}
        version = forecast["model_version"]
    facts = _facts(question, mine, None)._replace(
        model_name=_COMPANIONS[kind], model_version=version, arm="champion", feature_service=None, forecast=told
    )
    values = head(
        question.mine_id,
        None if kind == "closing_year" else 1,
        score_parts(None),
        facts,
        mine.index_score,
        mine.known_at,
        is_degraded=is_degraded,
    )
    parts = {"top_features": [], "reason": reason, "prediction_type": kind, **_NO_FORECAST, kind: told}
    return Answer(encode(values | parts), facts, is_degraded=is_degraded)


def _facts(question: Question, mine: StoredMine, scored: ScoredRow | None) -> Facts:
    served = question.served
    return Facts(
        fvi_score=100.0 * scored.probability if scored else None,
        as_of_year=mine.as_of_year,
        known_at=mine.known_at.timestamp() if mine.known_at else None,
        model_name=served.name,
        model_version=served.version,
        arm=served.arm,
        feature_service=served.feature_service,
    )


def _answer(
    question: Question, mine: StoredMine, scored: Scored | None, parts: dict[str, Any], *, is_degraded: bool
) -> Answer:
    values = scored[1] if scored is not None else None
    facts = _facts(question, mine, values)
    told = head(
        question.mine_id,
        question.horizon_years,
        score_parts(values),
        facts,
        mine.index_score,
        mine.known_at,
        is_degraded=is_degraded,
    )
    return Answer(encode(told | parts), facts, is_degraded=is_degraded)
