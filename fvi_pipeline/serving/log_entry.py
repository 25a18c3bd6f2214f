"""What is noted of an answer. Writing it to the warehouse belongs in `prediction_log`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple, Protocol


class PredictionEntry(NamedTuple):
    """One answered prediction. A tuple, because the request's path makes one for every answer."""

    at: float
    """When it was answered, in seconds since 1970."""
    request_id: str
    endpoint: str
    mine_id: str
    prediction_type: str
    horizon_years: int | None
    what_if: Mapping[str, float | None] | None
    """The caller's own values by feature; None without any."""
    as_of_asked: str | None
    """The past that was asked for; None: now."""
    feature_service: str | None
    as_of_year: int | None
    known_at: datetime | None
    """When the features of the answer became known; their age counts from it."""
    fvi_score: float | None
    model_name: str
    model_version: str
    arm: str
    latency_ms: float
    is_cached: bool
    is_degraded: bool
    client: str | None
    """Who asked, as the guard knows it."""
    answer: Mapping[str, Any] | None = None
    """The forecast as answered, where it is no score."""


class PredictionLog(Protocol):
    """Takes entries off the request's path."""

    def offer(self, entry: PredictionEntry) -> None:
        """Take an entry; never blocks and never raises."""


class NoLog:
    """Keeps nothing: for an application without a warehouse."""

    def offer(self, entry: PredictionEntry) -> None:
        """Forget the entry."""
