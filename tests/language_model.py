"""A server on loopback that speaks OpenAI's chat completions and behaves as its model's name says: well, or badly.

What it stands for is a server that fails; answering well is tested with a real model elsewhere.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.asgi_server import served


@dataclass
class LanguageModel:
    """The running server and what it was asked."""

    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    sent_bytes: int = 0
    said: list[str] = field(default_factory=list)
    """What `says` answers, round by round."""

    async def answer(self, request: Request) -> Response:
        """POST /v1/chat/completions."""
        body = await request.json()
        self.asked.append(body)
        behaviour = body["model"]
        if behaviour == "fails":
            return JSONResponse({"error": {"message": "out of order, key sk-very-secret"}}, status_code=500)
        if behaviour == "newer":
            if "max_tokens" in body or "temperature" in body:
                return JSONResponse({"error": {"message": "max_tokens is not supported"}}, status_code=400)
            behaviour = "says"
        if behaviour == "repeats":
            behaviour = "says"
        if behaviour == "nonsense":
            return Response("<html>not an API</html>", media_type="text/html")
        return StreamingResponse(self._counted(getattr(self, f"_{behaviour}")(body)), media_type="text/event-stream")

    async def _counted(self, pieces: AsyncIterator[str]) -> AsyncIterator[str]:
        async for piece in pieces:
            self.sent_bytes += len(piece)
            yield piece

    async def _says(self, body: dict[str, Any]) -> AsyncIterator[str]:
        """Call the score's tool once, if there are tools; then say what `said` has, with the fact that came back."""
        told = [message for message in body["messages"] if message["role"] == "tool"]
        if not told and body.get("tools"):
            mine = re.search(r"(?:msha|gem):\w+", json.dumps(body["messages"]))
            arguments = json.dumps({"mine_id": mine[0] if mine else "msha:0000000", "horizon_years": 10})
            repeats = body["model"] == "repeats"  # as llama.cpp's server does
            for part in (arguments[:9], arguments[9:]):
                function = {"name": "scores" if repeats or part == arguments[:9] else None, "arguments": part}
                yield _chunk({"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": function}]})
            yield _chunk({}, "tool_calls")
        else:
            fact = json.loads(told[-1]["content"])[0]["id"] if told and "error" not in told[-1]["content"] else "F1"
            for word in re.findall(r"\S+\s*", " ".join(self.said).replace("{fact}", fact)):
                yield _chunk({"content": word})
            yield _chunk({}, "stop")
        yield _usage(100, 20)
        yield "data: [DONE]\n\n"

    async def _stops(self, _: dict[str, Any]) -> AsyncIterator[str]:
        yield _chunk({"content": "The score of the mine is 12"})
        yield _chunk({"content": ".3 [F1]. It will be "})
        raise RuntimeError("gone in mid-answer")

    async def _ends_early(self, _: dict[str, Any]) -> AsyncIterator[str]:
        yield _chunk({"content": "The score of the mine is 12"})

    async def _floods(self, _: dict[str, Any]) -> AsyncIterator[str]:
        while True:
            yield _chunk({"content": "more and more words " * 50})
            await asyncio.sleep(0)

    async def _endless_line(self, _: dict[str, Any]) -> AsyncIterator[str]:
        yield "data: "
        while True:
            yield "x" * 65_536
            await asyncio.sleep(0)

    async def _hangs(self, _: dict[str, Any]) -> AsyncIterator[str]:
        yield _chunk({"content": "Well "})
        await asyncio.sleep(60)

    async def _only_tools(self, _: dict[str, Any]) -> AsyncIterator[str]:
        function = {"name": "data_age", "arguments": "{}"}
        yield _chunk({"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": function}]})
        yield _chunk({}, "tool_calls")


def _chunk(delta: dict[str, Any], finish: str | None = None) -> str:
    choice = {"index": 0, "delta": {"role": "assistant", **delta}, "finish_reason": finish}
    return f"data: {json.dumps(_shell([choice]))}\n\n"


def _usage(prompt: int, completion: int) -> str:
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return f"data: {json.dumps({**_shell([]), 'usage': usage})}\n\n"


def _shell(choices: list[Any]) -> dict[str, Any]:
    return {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": choices}


@contextmanager
def language_model() -> Iterator[LanguageModel]:
    """The server on a free port of loopback until the block ends."""
    model = LanguageModel()
    app = Starlette(routes=[Route("/v1/chat/completions", model.answer, methods=["POST"])])
    with served(app) as url:
        model.url = f"{url}/v1"
        yield model
