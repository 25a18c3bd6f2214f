"""What a client may spend on a language model in a day: tokens and money, counted in Redis for all processes.

A spending is reserved before the model is asked and settled afterwards, so that many answers at once cannot spend more
than there is. While Redis is away each process counts for itself. Calls a minute are limited in `serving.rate_limits`.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

_KEY = "fvi:spent"
_KEEP_SECONDS = 172_800
_MAXIMUM_CLIENTS = 10_000
_AWAY_SECONDS = 1.0
MICRO = 1_000_000
# U.S. dollars per million tokens, in and out, as published by OpenAI; FVI_LLM_PRICES adds to them or replaces them.
PRICES: Mapping[str, tuple[float, float]] = {"gpt-4o": (2.5, 10.0), "gpt-4o-mini": (0.15, 0.6)}

_RESERVE = """
local spent = redis.call('HMGET', KEYS[1], 'tokens', 'cost')
local tokens, cost = tonumber(spent[1]) or 0, tonumber(spent[2]) or 0
if tokens + ARGV[1] > tonumber(ARGV[3]) then return 0 end
if tonumber(ARGV[4]) >= 0 and cost + ARGV[2] > tonumber(ARGV[4]) then return 0 end
redis.call('HINCRBY', KEYS[1], 'tokens', ARGV[1])
redis.call('HINCRBY', KEYS[1], 'cost', ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[5])
return 1
"""


class RedisLike(Protocol):
    """The commands that are needed."""

    def eval(self, script: str, numkeys: int, *keys_and_args: Any) -> Any:
        """Run a script."""

    def hincrby(self, name: str, key: str, amount: int) -> Any:
        """Add to a field."""

    def hmget(self, name: str, keys: list[str]) -> Any:
        """Read fields."""


@dataclass(frozen=True)
class Reservation:
    """What was set aside for one answer."""

    key: str
    tokens: int
    microdollars: int
    in_redis: bool


def cost_microdollars(
    model: str, prompt_tokens: int, completion_tokens: int, prices: Mapping[str, tuple[float, float]]
) -> int | None:
    """What tokens of a model cost, in millionths of a dollar; None if its price is not known."""
    price = prices.get(model)
    return None if price is None else round(prompt_tokens * price[0] + completion_tokens * price[1])


class Budgets:
    """The day's spending of each client against its budget."""

    def __init__(
        self,
        redis: RedisLike | None,
        tokens_per_day: int,
        dollars_per_day: float | None = None,
        prices: Mapping[str, tuple[float, float]] = PRICES,
    ) -> None:
        """Without `dollars_per_day` tokens alone are limited."""
        self._redis = redis
        self._tokens = tokens_per_day
        self._microdollars = None if dollars_per_day is None else round(dollars_per_day * MICRO)
        self.prices = prices
        self._local: OrderedDict[str, list[int]] = OrderedDict()
        self._away_until = 0.0

    def reserve(self, client: str, model: str, prompt_tokens: int, completion_tokens: int) -> Reservation | None:
        """Set aside what an answer may take; None if the day's budget does not have it.

        With a budget in dollars a model without a price is not asked: what it costs could not be counted.
        """
        cost = cost_microdollars(model, prompt_tokens, completion_tokens, self.prices)
        if cost is None and self._microdollars is not None:
            return None
        tokens, cost = prompt_tokens + completion_tokens, cost or 0
        key = f"{_KEY}:{client}:{datetime.now(UTC).date().isoformat()}"
        limit = -1 if self._microdollars is None else self._microdollars
        if self._redis is not None and time.monotonic() >= self._away_until:
            try:
                granted = self._redis.eval(_RESERVE, 1, key, tokens, cost, self._tokens, limit, _KEEP_SECONDS)
            except (OSError, _redis_error()):
                self._away_until = time.monotonic() + _AWAY_SECONDS
            else:
                return Reservation(key, tokens, cost, True) if int(granted) == 1 else None
        spent = self._local.setdefault(key, [0, 0])
        if spent[0] + tokens > self._tokens or 0 <= limit < spent[1] + cost:
            return None
        spent[0] += tokens
        spent[1] += cost
        while len(self._local) > _MAXIMUM_CLIENTS:
            self._local.popitem(last=False)
        return Reservation(key, tokens, cost, False)

    def settle(self, reserved: Reservation, model: str, prompt_tokens: int, completion_tokens: int) -> None:
        """Put what was really spent in the place of what was set aside."""
        cost = cost_microdollars(model, prompt_tokens, completion_tokens, self.prices) or 0
        tokens = prompt_tokens + completion_tokens - reserved.tokens
        if reserved.in_redis and self._redis is not None:
            try:
                self._redis.hincrby(reserved.key, "tokens", tokens)
                self._redis.hincrby(reserved.key, "cost", cost - reserved.microdollars)
            except (OSError, _redis_error()):
                self._away_until = time.monotonic() + _AWAY_SECONDS
            return
        spent = self._local.setdefault(reserved.key, [0, 0])
        spent[0] += tokens
        spent[1] += cost - reserved.microdollars


def _redis_error() -> type[Exception]:
    import redis

    return redis.RedisError
