"""Answers as bytes: made from plain values, because validating what the service itself says costs more than saying it.

`contract` describes the same forms; tests hold these bytes to it. What is answered is decided in `predictor`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic_core import to_json

from fvi_pipeline.model.online_answers import ScoredRow

TOP_FEATURES = 5


class Facts(NamedTuple):
    """What is said of an answer beside its body: enough for the log."""

    fvi_score: float | None
    as_of_year: int | None
    known_at: float | None
    """Seconds since 1970."""
    model_name: str
    model_version: str
    arm: str
    feature_service: str | None
    forecast: Mapping[str, Any] | None = None
    """What was answered in place of a score."""


class Answer(NamedTuple):
    """The JSON of an answer, and what the log notes of it."""

    body: bytes
    facts: Facts
    is_cached: bool = False
    is_degraded: bool = False


def strongest(contributions: NDArray[np.float64], count: int | None = None) -> NDArray[np.intp]:
    """The columns of each row [n, F], the strongest contribution first; equal ones in the model's order."""
    return np.argsort(-np.abs(contributions), axis=1, kind="stable")[:, :count]


def contributions_of(
    features: Sequence[str],
    row: NDArray[np.float32],
    contributions: NDArray[np.float64],
    columns: NDArray[np.intp],
) -> list[dict[str, Any]]:
    """The contributions of some columns of a row [F], in their order."""
    return [
        {"feature": features[column], "value": None if math.isnan(value) else value, "contribution": part}
        for column, value, part in zip(
            columns.tolist(), row[columns].tolist(), contributions[columns].tolist(), strict=True
        )
    ]


def score_parts(scored: ScoredRow | None) -> dict[str, Any]:
    """Score, probability and interval as they are answered."""
    if scored is None:
        return {"fvi_score": None, "viability_probability": None, "interval": None}
    return {
        "fvi_score": 100.0 * scored.probability,
        "viability_probability": scored.probability,
        "interval": (100.0 * scored.low, 100.0 * scored.high),
    }


def head(
    mine_id: str,
    horizon_years: int | None,
    parts: Mapping[str, Any],
    facts: Facts,
    index_score: float | None,
    known_at: datetime | None,
    *,
    is_degraded: bool,
) -> dict[str, Any]:
    """What every answer about a mine begins with."""
    return {
        "mine_id": mine_id,
        "horizon_years": horizon_years,
        **parts,
        "as_of": facts.as_of_year,
        "known_at": known_at,
        "index_score": index_score,
        "model": {"name": facts.model_name, "version": facts.model_version},
        "arm": facts.arm,
        "degraded": is_degraded,
    }


def encode(values: Mapping[str, Any]) -> bytes:
    """The JSON of an answer."""
    return to_json(values)
