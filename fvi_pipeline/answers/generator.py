"""Answers through a language model behind OpenAI's chat completions: tools in bounded rounds, tokens as they come.

What the model writes is cut into sentences with their citations; whether they hold is checked in `service`. Whatever
goes wrong raises ModelFailedError, and the answer goes on without the model.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from fvi_pipeline.answers.conversation import Turn
from fvi_pipeline.answers.prompts import Prompt
from fvi_pipeline.answers.tools import schemas

MAXIMUM_ROUNDS = 4
MAXIMUM_TOOL_CALLS = 8
MAXIMUM_OUTPUT_TOKENS = 700
MAXIMUM_CHARACTERS = 6_000
SECONDS = 60.0
FIRST_TOKEN_SECONDS = 20.0
CHARACTERS_PER_TOKEN = 4
_CITED = re.compile(r"\[\s*((?:[FP]\d{1,3})(?:\s*[,;]\s*[FP]\d{1,3})*)\s*\]")
_BREAK = re.compile(r"(?<=[.!?])(?P<cited>(?:\s*\[[FP\d,; ]+\])*)[.!?]?\s+(?!\[[FP])(?=[\"'(\[]?[A-Z0-9*-])|\n+")


class ModelFailedError(Exception):
    """The model did not answer to the end; the message says why, without anything of the server's own words."""


@dataclass(frozen=True)
class Token:
    """A piece of text as it came."""

    text: str


@dataclass(frozen=True)
class Written:
    """A whole sentence without its marks, and the references that it cites."""

    text: str
    references: tuple[str, ...]


@dataclass
class Usage:
    """Tokens of an answer, all rounds together; estimated from characters if the server does not count."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    rounds: int = 0
    tool_calls: int = 0
    is_estimated: bool = False

    def as_json(self) -> dict[str, Any]:
        """For events and traces."""
        return dict(vars(self))


ToolCaller = Callable[[str, str], Awaitable[str]]


class Generator(Protocol):
    """Whoever writes answers."""

    @property
    def model(self) -> str:
        """Its name."""

    def write(
        self, prompt: Prompt, question: str, evidence: str, history: Sequence[Turn], call: ToolCaller, usage: Usage
    ) -> AsyncIterator[Token | Written]:
        """The answer as tokens, and as sentences once they are whole; raises ModelFailedError."""


@dataclass
class _Round:
    """What one response of the model brought."""

    calls: dict[int, dict[str, str]] = field(default_factory=dict)
    text: list[str] = field(default_factory=list)
    finish: str | None = None
    counted: bool = False


class OpenAiGenerator:
    """A generator behind OpenAI's API, or any server that speaks it."""

    def __init__(
        self,
        model: str,
        api_key: str,
        base_url: str | None = None,
        *,
        seconds: float = SECONDS,
        first_seconds: float = FIRST_TOKEN_SECONDS,
    ) -> None:
        """`seconds` are for the whole answer, `first_seconds` for the longest silence in it."""
        from openai import AsyncOpenAI

        from fvi_pipeline.answers.bounded_http import bounded_client

        self._model = model
        self._seconds = seconds
        self._first_seconds = first_seconds
        self._client = AsyncOpenAI(
            api_key=api_key, base_url=base_url, max_retries=1, http_client=bounded_client(read_seconds=first_seconds)
        )

    @property
    def model(self) -> str:
        """Its name."""
        return self._model

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def write(
        self, prompt: Prompt, question: str, evidence: str, history: Sequence[Turn], call: ToolCaller, usage: Usage
    ) -> AsyncIterator[Token | Written]:
        """The answer; every wait is bounded, and so is what is read."""
        messages = _messages(prompt, question, evidence, history)
        deadline = time.monotonic() + self._seconds
        written = 0
        for number in range(MAXIMUM_ROUNDS):
            last = number == MAXIMUM_ROUNDS - 1 or usage.tool_calls >= MAXIMUM_TOOL_CALLS
            this = _Round()
            cutter = SentenceCutter()
            usage.rounds += 1
            async for piece in self._round(messages, this, usage, deadline, with_tools=not last):
                written += len(piece)
                if written > MAXIMUM_CHARACTERS:
                    raise ModelFailedError("The model wrote more than an answer can have.")
                yield Token(piece)
                for sentence in cutter.add(piece):
                    yield sentence
            if this.calls and not last:
                messages.append(_asked_for(this))
                for wanted in this.calls.values():
                    told = "[]"
                    if usage.tool_calls < MAXIMUM_TOOL_CALLS:
                        usage.tool_calls += 1
                        told = await call(wanted["name"], wanted["arguments"])
                    messages.append({"role": "tool", "tool_call_id": wanted["id"], "content": told})
                continue
            if this.calls:
                break
            for sentence in cutter.rest(is_whole=this.finish != "length"):
                yield sentence
            return
        raise ModelFailedError("The model went on asking for tools.")

    async def _round(
        self, messages: list[dict[str, Any]], this: _Round, usage: Usage, deadline: float, *, with_tools: bool
    ) -> AsyncIterator[str]:
        import httpx2
        import openai

        # its overloads know no messages that are put together at run time
        completions: Any = self._client.chat.completions
        asked: dict[str, Any] = {"tools": schemas(), "tool_choice": "auto"} if with_tools else {}
        try:
            async with asyncio.timeout(max(0.01, min(self._first_seconds, deadline - time.monotonic()))):
                stream = await _created(completions, model=self._model, messages=messages, stream=True,
                                        stream_options={"include_usage": True}, **asked)  # fmt: skip
            async with stream:
                chunks = stream.__aiter__()
                while True:
                    async with asyncio.timeout(max(0.01, deadline - time.monotonic())):
                        chunk = await anext(chunks, None)
                    if chunk is None:
                        break
                    if piece := _taken(chunk, this, usage):
                        yield piece
        except TimeoutError:
            raise ModelFailedError("The model did not answer in time.") from None
        except (
            openai.OpenAIError,
            httpx2.HTTPError,
            httpx2.StreamError,
            ValueError,
            KeyError,
            AttributeError,
            TypeError,
        ) as error:
            raise ModelFailedError(f"The model failed ({type(error).__name__}).") from error
        if this.finish is None:
            raise ModelFailedError("The model stopped in mid-answer.")
        if this.finish == "content_filter":
            raise ModelFailedError("The model's server withheld the answer.")
        if not this.counted:
            usage.is_estimated = True
            usage.prompt_tokens += sum(len(str(m.get("content"))) for m in messages) // CHARACTERS_PER_TOKEN
            usage.completion_tokens += len("".join(this.text)) // CHARACTERS_PER_TOKEN


# the second for models that refuse the first
_LIMITS: tuple[dict[str, Any], ...] = (
    {"max_tokens": MAXIMUM_OUTPUT_TOKENS, "temperature": 0},
    {"max_completion_tokens": MAXIMUM_OUTPUT_TOKENS},
)


async def _created(completions: Any, **asked: Any) -> Any:
    import openai

    for limits in _LIMITS[:-1]:
        try:
            return await completions.create(**asked, **limits)
        except openai.BadRequestError:
            continue
    return await completions.create(**asked, **_LIMITS[-1])


def _taken(chunk: Any, this: _Round, usage: Usage) -> str | None:
    """Note what a chunk of the stream brings; its text, if it has one."""
    if chunk.usage is not None:
        this.counted = True
        usage.prompt_tokens += chunk.usage.prompt_tokens
        usage.completion_tokens += chunk.usage.completion_tokens
    if not chunk.choices:
        return None
    choice = chunk.choices[0]
    this.finish = choice.finish_reason or this.finish
    for part in choice.delta.tool_calls or ():
        if part.index not in range(MAXIMUM_TOOL_CALLS):
            continue
        kept = this.calls.setdefault(part.index, {"id": f"call_{part.index}", "name": "", "arguments": ""})
        kept["id"] = part.id or kept["id"]
        if part.function is not None:
            name = part.function.name or ""
            if name != kept["name"]:  # llama.cpp's server repeats it with each piece of the arguments
                kept["name"] = (kept["name"] + name)[:64]
            kept["arguments"] = (kept["arguments"] + (part.function.arguments or ""))[:4_000]
    piece = choice.delta.content
    if piece:
        this.text.append(piece)
    return piece or None


def _messages(prompt: Prompt, question: str, evidence: str, history: Sequence[Turn]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = [{"role": "system", "content": prompt.text}]
    for turn in history:
        messages.append({"role": "user", "content": turn.question})
        messages.append({"role": "assistant", "content": turn.answer})
    return [*messages, {"role": "user", "content": f"{evidence}\n\nQuestion: {question}"}]


def _asked_for(this: _Round) -> dict[str, Any]:
    return {
        "role": "assistant",
        "content": "".join(this.text) or None,
        "tool_calls": [
            {"id": c["id"], "type": "function", "function": {"name": c["name"], "arguments": c["arguments"] or "{}"}}
            for c in this.calls.values()
        ],
    }


class SentenceCutter:
    """Cuts text that comes in pieces into sentences, each with the references that stand in or behind it."""

    def __init__(self) -> None:
        self._held = ""

    def add(self, piece: str) -> list[Written]:
        """The sentences that are whole now."""
        self._held += piece
        found = []
        while (match := _BREAK.search(self._held)) is not None:
            end = match.end("cited") if match["cited"] is not None else match.start()
            found += _written(self._held[:end])
            self._held = self._held[match.end() :]
        return found

    def rest(self, *, is_whole: bool) -> list[Written]:
        """What is left at the end; half a sentence is dropped."""
        held, self._held = self._held, ""
        return _written(held) if is_whole or re.search(r"[.!?]\s*(?:\[[^\]]*\])?\s*$", held) else []


def _written(text: str) -> list[Written]:
    references = [r.strip() for match in _CITED.finditer(text) for r in re.split(r"[,;]", match[1])]
    plain_text = re.sub(r"\s+([.,;!?])", r"\1", _CITED.sub(" ", text))
    plain_text = " ".join(plain_text.replace("**", "").split()).lstrip("-*• ").strip()
    return [Written(plain_text, tuple(dict.fromkeys(references)))] if re.search(r"\w", plain_text) else []


def tool_answer(facts: Sequence[tuple[str, Any]]) -> str:
    """Facts as a tool's answer: references, sentences and values."""
    told = [
        {
            "id": reference,
            "sentence": fact.sentence,
            "values": {v.name: v.value for v in fact.values},
            "mine_id": fact.mine_id,
        }
        for reference, fact in facts
    ]
    return json.dumps(told, default=str, ensure_ascii=False)
