"""Feedback on predictions and answers in words: what it may say, and its way into ops.feedback. The route is in
`routes_feedback`."""

from __future__ import annotations

import time
from typing import Annotated, Literal
from uuid import UUID

import psycopg
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from fvi_pipeline.platform.database import connect
from fvi_pipeline.platform.errors import PlatformError
from fvi_pipeline.serving.contract import Horizon, MineId
from fvi_pipeline.serving.errors import ServingError, StoreUnavailableError
from fvi_pipeline.serving.prediction_log import WarehouseLog

# The log is written behind the answers, by each worker on its own: a row may be this late.
_LATE_SECONDS = 2.0
_LOOK_SECONDS = 0.25
_FRESH_SECONDS = 10.0


def _request_id(value: object) -> object:
    # pydantic would also take bytes and braces
    if not isinstance(value, str) or not 32 <= len(value) <= 36:
        raise ValueError("the X-Request-ID of an answer is needed: 32 hexadecimal digits")
    return value


class FeedbackRequest(BaseModel):
    """What somebody thinks of an answer, named by its X-Request-ID and, in a batch, by mine and horizon."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "request_id": "01980f3a7c3e7d52a4b19c7d2e5f6a70",
                    "verdict": "disagree",
                    "expected_viable": False,
                    "comment": "The owner has announced that it closes next year.",
                }
            ]
        },
    )

    request_id: Annotated[UUID, BeforeValidator(_request_id)] = Field(description="X-Request-ID of the answer")
    mine_id: MineId | None = Field(default=None, description="Which answer of a batch")
    horizon_years: Horizon | None = Field(default=None, description="Which answer of a batch")
    verdict: Literal["agree", "disagree", "unsure"]
    expected_viable: Annotated[bool, Field(strict=True)] | None = Field(
        default=None, description="Whether the mine will be producing at that horizon"
    )
    comment: Annotated[str, Field(strict=True, max_length=2_000, pattern=r"^[^\x00]*$")] | None = None


class FeedbackResponse(BaseModel):
    """The feedback is stored."""

    feedback_id: UUID
    request_id: UUID


class UnknownPredictionError(ServingError):
    """No such prediction of this caller's."""

    status = 404
    code = "unknown_prediction"


class AmbiguousFeedbackError(ServingError):
    """The request had several answers, and the feedback does not say which one it is about."""

    status = 422
    code = "invalid_request"


_PREDICTIONS = """
SELECT DISTINCT mine_id, horizon_years, NULL AS trace_id FROM ops.predictions
WHERE request_id = %(request_id)s
  AND client IS NOT DISTINCT FROM %(client)s
  AND mine_id = coalesce(%(mine_id)s, mine_id)
  AND horizon_years IS NOT DISTINCT FROM coalesce(%(horizon_years)s, horizon_years)
UNION ALL
SELECT coalesce(%(mine_id)s, mine_ids[1]), %(horizon_years)s::smallint, trace_id FROM ops.answers
WHERE answer_id = %(request_id)s
  AND client IS NOT DISTINCT FROM %(client)s
  AND (%(mine_id)s::text IS NULL OR %(mine_id)s = ANY (mine_ids))
LIMIT 2
"""
_STORE = """
INSERT INTO ops.feedback (request_id, mine_id, horizon_years, trace_id, client, verdict, expected_viable, comment)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s) RETURNING feedback_id
"""


def _is_fresh(request_id: UUID) -> bool:
    """Whether the request was made just now, by the time that the guard's identifiers (version 7) begin with."""
    return abs(time.time() - (request_id.int >> 80) / 1_000) < _FRESH_SECONDS


class FeedbackStore:
    """Ties feedback to the logged prediction and stores it; one connection a call, for calls are rare."""

    def __init__(self, database_url: str, log: WarehouseLog) -> None:
        """`log` is that of this process: it may hold the prediction still."""
        self._database_url = database_url
        self._log = log

    def add(self, request: FeedbackRequest, client: str | None) -> FeedbackResponse:
        """Store the feedback of a client on a prediction that it was given.

        Raises UnknownPredictionError, AmbiguousFeedbackError and StoreUnavailableError.
        """
        try:
            with connect(self._database_url) as connection:
                return self._add(connection, request, client)
        except (PlatformError, psycopg.OperationalError) as error:
            raise StoreUnavailableError("The store of feedback does not answer: ask again later.") from error

    def _add(self, connection: psycopg.Connection, request: FeedbackRequest, client: str | None) -> FeedbackResponse:
        asked = {
            "request_id": request.request_id,
            "client": client,
            "mine_id": request.mine_id,
            "horizon_years": request.horizon_years,
        }
        deadline = time.monotonic()
        if _is_fresh(request.request_id):
            deadline += _LATE_SECONDS
            self._log.flush(_LATE_SECONDS / 2)
        while not (found := connection.execute(_PREDICTIONS, asked).fetchall()):
            connection.rollback()
            if time.monotonic() >= deadline:
                # also for another client's prediction: that it exists is none of this one's business
                raise UnknownPredictionError("You were given no such prediction: see X-Request-ID of the answer.")
            time.sleep(_LOOK_SECONDS)
        if len(found) > 1:
            raise AmbiguousFeedbackError("The request had several answers: name mine_id and horizon_years.")
        mine_id, horizon_years, trace_id = found[0]
        row = connection.execute(
            _STORE,
            (
                request.request_id,
                mine_id,
                horizon_years,
                trace_id,
                client,
                request.verdict,
                request.expected_viable,
                request.comment,
            ),
        ).fetchone()
        if row is None:  # cannot be: RETURNING gives the row
            raise StoreUnavailableError("The feedback was not stored: ask again later.")
        return FeedbackResponse(feedback_id=row[0], request_id=request.request_id)
