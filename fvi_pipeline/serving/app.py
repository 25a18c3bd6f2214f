"""The HTTP application: routes, limits, errors. Scores come from `predictor`, stores from whoever mounts it.

Endpoints that wait for PostgreSQL are plain functions: FastAPI runs them in threads, so that a slow store never holds
up /livez. Those that answer about mines are in `routes_predict`, on a leaner way.
"""

import logging
from datetime import date
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from fvi_pipeline.serving import routes_chat, routes_feedback, routes_models
from fvi_pipeline.serving.access import rule_of
from fvi_pipeline.serving.backends import Backends, current_backends
from fvi_pipeline.serving.contract import (
    ErrorResponse,
    RetrieveRequest,
    RetrieveResponse,
    WeightHistoryResponse,
    WeightsResponse,
)
from fvi_pipeline.serving.errors import ServingError
from fvi_pipeline.serving.routes_predict import add_predict_routes

logger = logging.getLogger(__name__)

_CODES = {404: "not_found", 405: "method_not_allowed", 400: "invalid_request"}


def create_app(docs_assets: Path | None = None) -> FastAPI:
    """Return the application; it answers 503 until `app.state.backends` is set to Backends.

    `docs_assets` is a folder with swagger-ui's files, so that /docs works without the internet;
    without it the browser fetches them from FastAPI's default address.
    """
    responses: dict[int | str, dict[str, Any]] = {
        status: {"model": ErrorResponse, "description": text}
        for status, text in {
            401: "No token, or one that is not accepted",
            403: "A token without the scope",
            408: "A body that did not come in time",
            413: "Too large a body or batch",
            422: "A malformed request",
            429: "More calls than the limit",
            500: "An error of the service",
            503: "A store that is down, or no answer in time",
        }.items()
    }
    app = FastAPI(
        title="FVI scoring service",
        description="Future Viability Index: scores, weights and evidence of coal mines.",
        docs_url=None,
        redoc_url=None,
        responses=responses,
    )
    app.state.backends = None
    _add_error_handlers(app)
    add_predict_routes(app)
    _add_docs(app, docs_assets)

    @app.post("/retrieve")
    async def retrieve(
        request: RetrieveRequest, backends: Annotated[Backends, Depends(current_backends)]
    ) -> RetrieveResponse:
        """Find passages of the documents by their words and by meaning."""
        passages = await backends.retrieve(request)
        return RetrieveResponse.model_validate({"passages": passages})

    @app.get("/weights")
    async def weights(backends: Annotated[Backends, Depends(current_backends)]) -> WeightsResponse:
        """Return the dynamic weights of the index's metrics, as computed last."""
        return await backends.weights()

    @app.get("/weights/history")
    def weight_history(
        backends: Annotated[Backends, Depends(current_backends)],
        since: Annotated[date | None, Query(description="First night", examples=["2024-01-01"])] = None,
        until: Annotated[date | None, Query(description="Last night")] = None,
        metric: Annotated[str | None, Query(max_length=100, pattern=r"^[ -~]+$", description="One metric only")] = None,
    ) -> WeightHistoryResponse:
        """Return the weights of earlier nights, the newest first."""
        return backends.weight_history(since, until, metric)

    app.include_router(routes_chat.router)
    app.include_router(routes_feedback.router)
    app.include_router(routes_models.router)
    _name_tokens(app)
    return app


def _name_tokens(app: FastAPI) -> None:
    """Say in the OpenAPI document what the guard asks for, which FastAPI does not know of."""
    document = app.openapi()
    document["components"]["securitySchemes"] = {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "A token with the scope predict, explain, chat or admin; not asked for on loopback "
            "while no key is set.",
        }
    }
    document["security"] = [{"bearer": []}, {}]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            operation["description"] = f"{operation.get('description', '')} Scope: {rule_of(path).scope}.".strip()


def error_response(status: int, code: str, message: str) -> JSONResponse:
    """Return {error: {code, message}} with the status."""
    return JSONResponse({"error": {"code": code, "message": message}}, status_code=status)


def _add_error_handlers(app: FastAPI) -> None:
    @app.exception_handler(ServingError)
    async def told(_: Request, error: ServingError) -> Response:
        response = error_response(error.status, error.code, error.message)
        response.headers.update({name.decode(): value.decode() for name, value in error.headers})
        return response

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
