"""POST /chat: an answer in words as server-sent events. Answering belongs to `answers`, in the RAG runner."""

import json
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse

from fvi_pipeline.serving.backends import Backends, ChatEvents, current_backends
from fvi_pipeline.serving.contract import ChatRequest, ErrorResponse
from fvi_pipeline.serving.errors import ServingError, StoreUnavailableError

router = APIRouter()
logger = logging.getLogger(__name__)
_EVENT = {
    "type": "object",
    "description": "One event of the stream",
    "required": ["event", "data"],
    "properties": {
        "event": {"enum": ["start", "sentence", "warning", "end", "error"]},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
}
_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The events start, sentence (text, citations, supported), warning and, last, end (status, "
        "citations, check); after a failure in mid-answer the last event is error.",
        "content": {"text/event-stream": {"schema": _EVENT}},
    },
    503: {"model": ErrorResponse, "description": "The RAG runner is down"},
}


@router.post("/chat", response_class=StreamingResponse, responses=_EVENTS)
async def chat(
    request: Request, question: ChatRequest, backends: Annotated[Backends, Depends(current_backends)]
) -> StreamingResponse:
    """Answer a question from the marts and the documents; each sentence cites what it rests on."""
    if backends.chat is None:
        raise StoreUnavailableError("There is no RAG runner here: ask again later.")
    client = request.scope.get("fvi.client") or "local"
    events = backends.chat(question, client, request.scope.get("fvi.request_id"))
    # the first event is waited for: a runner that is down is a 503, and not a stream that breaks off
    first = await anext(events, None)
    if first is None:
        raise StoreUnavailableError("The RAG runner does not answer: ask again in a moment.")
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(_from(first, events), media_type="text/event-stream", headers=headers)


async def _from(first: str, events: ChatEvents) -> AsyncIterator[str]:
    async with aclosing(events):
        yield first
        try:
            async for event in events:
                yield event
        except ServingError as error:
            yield _error(error.code, error.message)
        except Exception:
            logger.exception("Unexpected error in a stream of /chat")
            yield _error("internal_error", "The service failed; the log says why.")


def _error(code: str, message: str) -> str:
    return f"event: error\ndata: {json.dumps({'error': {'code': code, 'message': message}})}\n\n"
