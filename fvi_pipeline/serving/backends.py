"""What the routes call: models, stores and logs, given to the application by whoever mounts it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol

from fastapi import Request

from fvi_pipeline.serving.arms import Board
from fvi_pipeline.serving.contract import ChatRequest, RetrieveRequest, WeightHistoryResponse, WeightsResponse
from fvi_pipeline.serving.errors import StoreUnavailableError
from fvi_pipeline.serving.feedback import FeedbackStore
from fvi_pipeline.serving.health import HealthDesk
from fvi_pipeline.serving.log_entry import NoLog, PredictionLog
from fvi_pipeline.serving.predictor import Predictor

ChatEvents = AsyncGenerator[str, None]
"""Server-sent events, each a whole one."""


class ShadowScorer(Protocol):
    """Scores with the challenger what the champion has answered, off the request's path."""

    def offer(self, request_id: str, mine_id: str, horizon_years: int) -> None:
        """Take a question; never blocks and never raises."""


class Asked(Protocol):
    """Notes what is asked for: see warmer.Warmer."""

    def note(self, mine_id: str, horizon_years: int) -> None:
        """Note a question about viability; never waits and never raises."""


@dataclass(frozen=True)
class Backends:
    """Everything behind the routes. What is None is answered with 503."""

    predictor: Predictor
    board: Board
    retrieve: Callable[[RetrieveRequest], Awaitable[Sequence[dict[str, Any]]]]
    weights: Callable[[], Awaitable[WeightsResponse]]
    weight_history: Callable[[date | None, date | None, str | None], WeightHistoryResponse]
    log: PredictionLog = field(default_factory=NoLog)
    shadow: ShadowScorer | None = None
    health: HealthDesk | None = None
    feedback: FeedbackStore | None = None
    asked: Asked | None = None
    chat: Callable[[ChatRequest, str, str | None], ChatEvents] | None = None
    """A question of a client, with the request's id."""


def current_backends(request: Request) -> Backends:
    """The dependency of routes: Backends, or 503 while the service starts."""
    backends: Backends | None = request.app.state.backends
    if backends is None:
        raise StoreUnavailableError("The service is starting: ask again in a moment.")
    return backends
