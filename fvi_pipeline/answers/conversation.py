"""What was said before in a conversation: bounded in turns, characters and time, in Redis with a store of this process
beside it. What a follow-up takes from it belongs to `questions`.
"""

from __future__ import annotations

import json
import re
import time
from collections import OrderedDict
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from fvi_pipeline.answers.grammar import Kind

MAXIMUM_TURNS = 6
MAXIMUM_ANSWER_CHARACTERS = 1_500
MAXIMUM_CONVERSATIONS = 1_000
KEEP_SECONDS = 3_600
_KEY = "fvi:conversation"
_IDENTIFIER = re.compile(r"^[A-Za-z0-9_-]{1,64}$")


@dataclass(frozen=True)
class Turn:
    """A question and what was answered; the mines and the quantity are what follow-ups go by."""

    question: str
    answer: str
    mine_ids: tuple[str, ...] = ()
    quantity: str | None = None
    kind: Kind | None = None
    horizon_years: int | None = None
    was_asked_back: bool = False
    """The answer was which of several mines is meant: what comes next may say so."""


class RedisLike(Protocol):
    """The two commands that are needed; raises an OSError or redis.RedisError when the store is away."""

    def get(self, name: str) -> Any:
        """The value of a key."""

    def setex(self, name: str, time: int, value: str) -> Any:
        """Set a value that ends by itself."""


class Conversations:
    """The last turns of each conversation; a client sees its own alone."""

    def __init__(self, redis: RedisLike | None = None) -> None:
        """Without Redis, or while it is away, this process keeps the newest conversations."""
        self._redis = redis
        self._local: OrderedDict[str, tuple[float, tuple[Turn, ...]]] = OrderedDict()

    def turns(self, client: str, conversation_id: str | None) -> tuple[Turn, ...]:
        """The turns so far, oldest first; none of an unknown conversation."""
        if conversation_id is None or not is_identifier(conversation_id):
            return ()
        key = f"{_KEY}:{client}:{conversation_id}"
        if self._redis is not None:
            try:
                raw = self._redis.get(key)
                if raw is not None:
                    return tuple(_turn(turn) for turn in json.loads(raw))
            except (OSError, ValueError, TypeError, KeyError, _redis_error()):
                pass
        kept = self._local.get(key)
        return kept[1] if kept is not None and kept[0] > time.monotonic() else ()

    def add(self, client: str, conversation_id: str | None, turn: Turn) -> None:
        """Keep a turn; the oldest beyond the bound are forgotten."""
        if conversation_id is None or not is_identifier(conversation_id):
            return
        key = f"{_KEY}:{client}:{conversation_id}"
        short = replace(
            turn,
            question=turn.question[:MAXIMUM_ANSWER_CHARACTERS],
            answer=turn.answer[:MAXIMUM_ANSWER_CHARACTERS],
        )
        turns = (*self.turns(client, conversation_id), short)[-MAXIMUM_TURNS:]
        self._local[key] = (time.monotonic() + KEEP_SECONDS, turns)
        self._local.move_to_end(key)
        while len(self._local) > MAXIMUM_CONVERSATIONS:
            self._local.popitem(last=False)
        if self._redis is not None:
            try:
                self._redis.setex(key, KEEP_SECONDS, json.dumps([asdict(kept) for kept in turns]))
            except (OSError, _redis_error()):
                pass


def is_identifier(text: str) -> bool:
    """Whether a text may name a conversation."""
    return _IDENTIFIER.match(text) is not None


def _turn(raw: dict[str, Any]) -> Turn:
    return Turn(**{**raw, "mine_ids": tuple(raw.get("mine_ids", ()))})


def _redis_error() -> type[Exception]:
    import redis

    return redis.RedisError
