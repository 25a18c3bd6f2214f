"""How a worker's calls go: their number and latency by model version, and the share that the service failed.

Counted in memory since the worker started, in windows of the newest calls; what is kept for good is in ops.predictions.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from fvi_pipeline.serving.log_entry import PredictionEntry, PredictionLog
from fvi_pipeline.serving.shadow import SHADOW

_NEWEST = 4_096
# no right, too slow, too large, too often: said by the guard of the caller, not of the service
_REFUSALS = frozenset({401, 403, 408, 413, 429})


@dataclass
class Calls:
    """The calls that one version answered."""

    count: int = 0
    newest_latencies_ms: deque[float] = field(default_factory=lambda: deque(maxlen=_NEWEST))

    def percentile_ms(self, share: float) -> float | None:
        """The latency that this share of the newest calls stayed below, or reached."""
        ordered = sorted(self.newest_latencies_ms)
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None

    @property
    def mean_ms(self) -> float | None:
        """Mean latency of the newest calls."""
        newest = list(self.newest_latencies_ms)
        return math.fsum(newest) / len(newest) if newest else None


class CallMeter:
    """A log_entry.PredictionLog that counts what it passes on, and counts the answers of the scoring endpoints."""

    def __init__(self, log: PredictionLog) -> None:
        self.log = log
        self._calls: dict[tuple[str, str, str], Calls] = {}
        self._last_request = ""
        self.answers = 0
        self.failures = 0
        self.refused = 0

    def offer(self, entry: PredictionEntry) -> None:
        """Count the entry, a batch once, and pass it on; never blocks and never raises."""
        unseen = entry.arm == SHADOW  # from a thread of its own, between the items of a batch
        if unseen or entry.request_id != self._last_request:
            if not unseen:
                self._last_request = entry.request_id
            key = (entry.model_name, entry.model_version, entry.arm)
            calls = self._calls.get(key)
            if calls is None:
                calls = self._calls[key] = Calls()
            calls.count += 1
            calls.newest_latencies_ms.append(entry.latency_ms)
        self.log.offer(entry)

    def of(self, model_name: str, versions: Iterable[str] = ()) -> dict[tuple[str, str], Calls]:
        """The calls of a model by version and arm; versions that have none yet are not there."""
        wanted = set(versions)
        return {
            (version, arm): calls
            for (name, version, arm), calls in list(self._calls.items())
            if name == model_name and (not wanted or version in wanted)
        }

    @property
    def error_rate(self) -> float | None:
        """The share of the scoring endpoints' answers with a status of 500 and above, without refusals; None before the
        first.
        """
        return self.failures / self.answers if self.answers else None

    def answered(self, status: int) -> None:
        """Count what a scoring endpoint answered; a refusal is no error of the service's."""
        if status in _REFUSALS:
            self.refused += 1
            return
        self.answers += 1
        if status >= 500:
            self.failures += 1
