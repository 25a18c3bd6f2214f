"""GET /models and GET /models/{name}/health. What is told is put together in `health`."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path

from fvi_pipeline.serving.backends import Backends, current_backends
from fvi_pipeline.serving.contract import ErrorResponse
from fvi_pipeline.serving.errors import StoreUnavailableError
from fvi_pipeline.serving.health import HealthDesk, ModelHealth, ModelsResponse

router = APIRouter()
_UNKNOWN: dict[int | str, dict[str, Any]] = {404: {"model": ErrorResponse, "description": "An unknown model"}}


def _desk(backends: Annotated[Backends, Depends(current_backends)]) -> HealthDesk:
    if backends.health is None:
        raise StoreUnavailableError("The service keeps no health of its models.")
    return backends.health


# plain functions: they wait for PostgreSQL, so FastAPI runs them in threads
@router.get("/models")
def models(desk: Annotated[HealthDesk, Depends(_desk)]) -> ModelsResponse:
    """List the models behind the answers, with the version that answers."""
    return desk.models()


@router.get("/models/{name}/health", responses=_UNKNOWN)
def model_health(
    name: Annotated[str, Path(max_length=64, examples=["fvi_viability"])],
    desk: Annotated[HealthDesk, Depends(_desk)],
) -> ModelHealth:
    """Tell a model's version and since when, its calls, latency and errors, drift, and the age of its data."""
    return desk.of(name)
