"""The endpoints that answer about mines. What they answer is decided in `predictor`."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, FastAPI

from fvi_pipeline.serving.answers import Answer
from fvi_pipeline.serving.contract import (
    ErrorResponse,
    ExplainRequest,
    ExplainResponse,
    PredictBatchRequest,
    PredictBatchResponse,
    Prediction,
    PredictRequest,
)
from fvi_pipeline.serving.lean_route import Call, LeanRoute, Reply, call_of
from fvi_pipeline.serving.log_entry import PredictionEntry

_UNKNOWN: dict[int | str, dict[str, Any]] = {404: {"model": ErrorResponse, "description": "An unknown mine"}}
TheCall = Annotated[Call, Depends(call_of)]


def add_predict_routes(app: FastAPI) -> None:
    """Add the endpoints to the application."""
    for path, endpoint, answer in (
        ("/predict", predict, Prediction),
        ("/predict_batch", predict_batch, PredictBatchResponse),
        ("/explain", explain, ExplainResponse),
    ):
        # not by a router of their own, which would be matched a second time
        app.router.add_api_route(
            path,
            endpoint,
            methods=["POST"],
            response_model=answer,
            responses=_UNKNOWN,
            route_class_override=LeanRoute,
        )


async def predict(request: PredictRequest, call: TheCall) -> Reply:
    """Answer one question about one mine: its score at a horizon, or another type of prediction."""
    answer = await call.backends.predictor.predict(request)
    return Reply(answer.body, lambda: _note(call, "/predict", [request], [answer]))


async def predict_batch(request: PredictBatchRequest, call: TheCall) -> Reply:
    """Answer up to 1,000 questions, in their order, or none of them."""
    answers = await call.backends.predictor.predict_batch(request.requests)
    body = b'{"predictions":[' + b",".join([answer.body for answer in answers]) + b"]}"
    return Reply(body, lambda: _note(call, "/predict_batch", request.requests, answers))


async def explain(request: ExplainRequest, call: TheCall) -> Reply:
    """Say what every feature adds to a score: base and contributions add up to its log-odds."""
    answer = await call.backends.predictor.explain(request)
    asked = PredictRequest(mine_id=request.mine_id, horizon_years=request.horizon_years, features=request.features)
    return Reply(answer.body, lambda: _note(call, "/explain", [asked], [answer]))


def _note(call: Call, endpoint: str, requests: Sequence[PredictRequest], answers: Sequence[Answer]) -> None:
    """Offer what was answered to the log, and to the challenger in the shadow."""
    at, latency_ms = time.time(), call.latency_ms
    backends = call.backends
    standing = backends.board.standing
    for request, answer in zip(requests, answers, strict=True):
        facts = answer.facts
        backends.log.offer(
            PredictionEntry(
                at=at,
                request_id=call.request_id,
                endpoint=endpoint,
                mine_id=request.mine_id,
                prediction_type=request.prediction_type,
                horizon_years=request.horizon_years,
                what_if=request.features,
                as_of_asked=None if request.as_of is None else str(request.as_of),
                feature_service=facts.feature_service,
                as_of_year=facts.as_of_year,
                known_at=None if facts.known_at is None else datetime.fromtimestamp(facts.known_at, UTC),
                fvi_score=facts.fvi_score,
                model_name=facts.model_name,
                model_version=facts.model_version,
                arm=facts.arm,
                latency_ms=latency_ms,
                is_cached=answer.is_cached,
                is_degraded=answer.is_degraded,
                client=call.client,
                answer=facts.forecast,
            )
        )
        if (
            request.prediction_type != "viability"
            or request.horizon_years is None
            or request.features
            or request.as_of is not None
        ):
            continue
        if backends.asked is not None and endpoint != "/explain":
            backends.asked.note(request.mine_id, request.horizon_years)
        if (
            backends.shadow is not None
            and standing.mode == "shadow"
            and facts.fvi_score is not None
            and standing.drawn(request.mine_id)
        ):
            backends.shadow.offer(call.request_id, request.mine_id, request.horizon_years)
