"""POST /feedback. What feedback is, and how it is stored, belongs in `feedback`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from fvi_pipeline.serving.backends import Backends, current_backends
from fvi_pipeline.serving.contract import ErrorResponse
from fvi_pipeline.serving.errors import StoreUnavailableError
from fvi_pipeline.serving.feedback import FeedbackRequest, FeedbackResponse

router = APIRouter()


# a plain function: FastAPI runs it in a thread, where it may wait for PostgreSQL
@router.post(
    "/feedback",
    status_code=201,
    responses={404: {"model": ErrorResponse, "description": "A prediction that this caller was not given"}},
)
def feedback(
    request: Request, feedback: FeedbackRequest, backends: Annotated[Backends, Depends(current_backends)]
) -> FeedbackResponse:
    """Say what you think of an answer; `X-Request-ID` in its head names it."""
    if backends.feedback is None:
        raise StoreUnavailableError("There is no store of feedback: ask again later.")
    return backends.feedback.add(feedback, request.scope.get("fvi.client"))
