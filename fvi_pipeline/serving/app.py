"""The HTTP application: routes, limits, errors. Scores come from `predictor`, stores from whoever mounts it.

Endpoints that wait for a store are plain functions: FastAPI runs them in threads, so that a slow store
never holds up /livez.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from fvi_pipeline.serving.contract import (
    MAXIMUM_BODY_BYTES,
    ErrorResponse,
    PredictBatchRequest,
    PredictBatchResponse,
    Prediction,
    PredictRequest,
    RetrieveRequest,
    RetrieveResponse,
    WeightsResponse,
)
from fvi_pipeline.serving.errors import ServingError, StoreUnavailableError
from fvi_pipeline.serving.limits import BodyLimit

logger = logging.getLogger(__name__)

_CODES = {404: "not_found", 405: "method_not_allowed", 400: "invalid_request"}


class Scorer(Protocol):
    """What answers predictions: see predictor.Predictor."""

    def predict(self, request: PredictRequest) -> Prediction:
        """Answer one request."""

    def predict_batch(self, requests: list[PredictRequest]) -> list[Prediction]:
        """Answer many, in their order."""


@dataclass(frozen=True)
class Backends:
    """What the routes call. `retrieve` takes (query, k); `weights` reads the dynamic weights."""

    scorer: Scorer
    retrieve: Callable[[str, int], Awaitable[list[dict[str, Any]]]]
    weights: Callable[[], WeightsResponse]


def create_app(docs_assets: Path | None = None) -> FastAPI:
    """Return the application; it answers 503 until `app.state.backends` is set to Backends.

    `docs_assets` is a folder with swagger-ui's files, so that /docs works without the internet;
    without it the browser fetches them from FastAPI's default address.
    """
    responses: dict[int | str, dict[str, Any]] = {
        status: {"model": ErrorResponse, "description": text}
        for status, text in {
            413: "Too large a body or batch",
            422: "A malformed request",
            500: "An error of the service",
            503: "A store that is down",
        }.items()
    }
    unknown_mine: dict[int | str, dict[str, Any]] = {404: {"model": ErrorResponse, "description": "An unknown mine"}}
    app = FastAPI(
        title="FVI scoring service",
        description="Future Viability Index: scores, weights and evidence of coal mines.",
        docs_url=None,
        redoc_url=None,
        responses=responses,
    )
    app.state.backends = None
    _add_error_handlers(app)
    _add_docs(app, docs_assets)

    @app.post("/predict", responses=unknown_mine)
    def predict(request: PredictRequest, backends: Annotated[Backends, Depends(_backends)]) -> Prediction:
        """Score one mine at one horizon."""
        return backends.scorer.predict(request)

    @app.post("/predict_batch", responses=unknown_mine)
    def predict_batch(
        batch: PredictBatchRequest, backends: Annotated[Backends, Depends(_backends)]
    ) -> PredictBatchResponse:
        """Score up to 1,000 mines and horizons."""
        return PredictBatchResponse(predictions=backends.scorer.predict_batch(batch.requests))

    @app.post("/retrieve")
    async def retrieve(request: RetrieveRequest, backends: Annotated[Backends, Depends(_backends)]) -> RetrieveResponse:
        """Find passages of the documents by meaning."""
        passages = await backends.retrieve(request.query, request.k)
        return RetrieveResponse.model_validate({"passages": passages})

    @app.get("/weights")
    def weights(backends: Annotated[Backends, Depends(_backends)]) -> WeightsResponse:
        """Return the dynamic weights of the index's metrics, as computed last."""
        return backends.weights()

    return app


def with_body_limit(app: FastAPI) -> BodyLimit:
    """Wrap the application so that no larger body than MAXIMUM_BODY_BYTES is read."""
    return BodyLimit(app, MAXIMUM_BODY_BYTES)


def _backends(request: Request) -> Backends:
    backends: Backends | None = request.app.state.backends
    if backends is None:
        raise StoreUnavailableError("The service is starting: ask again in a moment.")
    return backends


def error_response(status: int, code: str, message: str) -> JSONResponse:
    """Return {error: {code, message}} with the status."""
    return JSONResponse({"error": {"code": code, "message": message}}, status_code=status)


def _add_error_handlers(app: FastAPI) -> None:
    @app.exception_handler(ServingError)
    async def told(_: Request, error: ServingError) -> Response:
        return error_response(error.status, error.code, error.message)

    @app.exception_handler(RequestValidationError)
    async def malformed(_: Request, error: RequestValidationError) -> Response:
        return error_response(422, "invalid_request", _describe(error))

    @app.exception_handler(HTTPException)
    async def http_error(_: Request, error: HTTPException) -> Response:
        if error.status_code == 400:
            # Starlette's answer to a body that cannot be read: to the caller it is a malformed request.
            return error_response(422, "invalid_request", "The body cannot be read: send JSON in UTF-8.")
        code = _CODES.get(error.status_code, "http_error")
        response = error_response(error.status_code, code, str(error.detail))
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(Exception)
    async def unexpected(request: Request, _: Exception) -> Response:
        logger.exception("Unexpected error in %s %s", request.method, request.url.path)
        return error_response(500, "internal_error", "The service failed; the log says why.")


def _describe(error: RequestValidationError) -> str:
    """Say in one sentence what is wrong and where; never repeat the caller's values."""
    parts = []
    for problem in error.errors()[:5]:
        if problem["type"] == "json_invalid":
            return "The body is not valid JSON."
        place = ".".join(str(part) for part in problem["loc"] if part != "body")[:100]
        parts.append(f"{place}: {problem['msg']}" if place else problem["msg"])
    return "; ".join(dict.fromkeys(parts))


def _add_docs(app: FastAPI, docs_assets: Path | None) -> None:
    addresses: dict[str, Any] = {}
    if docs_assets is not None:
        app.mount("/docs/assets", StaticFiles(directory=docs_assets), name="docs-assets")
        addresses = {
            "swagger_js_url": "/docs/assets/swagger-ui-bundle.js",
            "swagger_css_url": "/docs/assets/swagger-ui.css",
            "swagger_favicon_url": "/docs/assets/favicon-light-32x32.png",
        }

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return get_swagger_ui_html(openapi_url="/openapi.json", title="FVI scoring service", **addresses)

    @app.get("/", include_in_schema=False)
    async def root() -> RedirectResponse:
        return RedirectResponse("/docs")
