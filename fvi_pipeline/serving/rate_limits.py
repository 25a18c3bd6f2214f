"""Limits of calls per client and endpoint: token buckets in Redis that all workers share, drawn on ahead.

A worker takes permits from the shared bucket a handful at a time and spends them without asking anybody, so that
most requests wait for nothing; what all workers hand out is never more than the bucket gives. While Redis is away
each worker goes by a bucket of its own. Which limits there are belongs in `access` and the settings.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from fvi_pipeline.serving.errors import StoreUnavailableError

if TYPE_CHECKING:
    from fvi_pipeline.serving.redis_link import RedisLink

# Seconds of the rate that a bucket holds: what a client may ask at once after a rest.
BURST_SECONDS = 10.0
_MAXIMUM_DRAW = 200
_MAXIMUM_CLIENTS = 10_000
_RETRY_SECONDS = 1.0
_KEY = "fvi:limit"

_TAKE = b"""
local rate, burst, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local stored = redis.call('HMGET', KEYS[1], 'permits', 'at')
local permits = tonumber(stored[1]) or burst
local at = tonumber(stored[2]) or now
permits = math.min(burst, permits + math.max(0, now - at) * rate)
local granted = math.min(wanted, math.floor(permits + 0.000001))
redis.call('HSET', KEYS[1], 'permits', string.format('%.6f', permits - granted), 'at', string.format('%.6f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil(burst / rate * 1000) + 1000)
local wait = 0
if granted == 0 then wait = (1 - permits) / rate end
return {granted, string.format('%.6f', wait)}
"""


class RateLimiter:
    """Says of each call whether it may be made, or when."""

    def __init__(self, link: RedisLink | None) -> None:
        """`link` leads to the shared buckets; without one each process has its own."""
        self._link = link
        self._held: dict[tuple[str, str], int] = {}
        self._local: dict[tuple[str, str], tuple[float, float]] = {}
        self._refused: dict[tuple[str, str], float] = {}
        self._away_until = 0.0

    def held(self, client: str, endpoint: str) -> bool:
        """Spend a permit that was drawn before; False when there is none."""
        key = (client, endpoint)
        permits = self._held.get(key, 0)
        if permits <= 0:
            return False
        self._held[key] = permits - 1
        return True

    async def take(self, client: str, endpoint: str, calls_per_minute: int) -> float:
        """Permit a call (0), or return the seconds after which one may be made."""
        if self.held(client, endpoint):
            return 0.0
        key = (client, endpoint)
        now = time.monotonic()
        # A client that was told to wait is not asked about again before, so that hammering costs Redis nothing.
        until = self._refused.get(key, 0.0)
        if now < until:
            return until - now
        rate, burst = calls_per_minute / 60, burst_of(calls_per_minute)
        if self._link is not None and now >= self._away_until:
            wanted = max(1, min(burst // 10, _MAXIMUM_DRAW))
            command = (b"EVAL", _TAKE, b"1", f"{_KEY}:{endpoint}:{client}".encode(), *_numbers(rate, burst, wanted))
            try:
                (reply,) = await self._link.call([command])
                granted, wait = int(reply[0]), float(reply[1])
            except (StoreUnavailableError, TypeError, ValueError, IndexError):
                self._away_until = now + _RETRY_SECONDS
            else:
                return self._settle(key, granted, wait)
        permits, at = self._local.get(key, (float(burst), now))
        permits = min(burst, permits + (now - at) * rate)
        allowed = permits >= 1
        self._bound(self._local)
        self._local[key] = (permits - allowed, now)
        return self._settle(key, int(allowed), 0.0 if allowed else (1 - permits) / rate)

    def _settle(self, key: tuple[str, str], granted: int, wait: float) -> float:
        if granted == 0:
            self._bound(self._refused)
            self._refused[key] = time.monotonic() + wait
            return max(wait, 0.001)
        self._refused.pop(key, None)
        self._bound(self._held)
        # while this waited, another call of the client may have drawn as well
        self._held[key] = self._held.get(key, 0) + granted - 1
        return 0.0

    @staticmethod
    def _bound(kept: dict[tuple[str, str], Any]) -> None:
        if len(kept) >= _MAXIMUM_CLIENTS:
            kept.clear()


def burst_of(calls_per_minute: int) -> int:
    """How many calls a client may make at once."""
    return max(1, int(calls_per_minute / 60 * BURST_SECONDS))


def _numbers(*values: float) -> list[bytes]:
    return [repr(value).encode() for value in values]
