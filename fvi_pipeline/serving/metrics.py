"""Counters of the service, in /metrics. prometheus_client is imported at the first count: BentoML has to set up its
folder of metrics before.
"""

from __future__ import annotations

from functools import cache
from typing import Any

_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


@cache
def counter(name: str, description: str, *labels: str) -> Any:
    """The counter of the name."""
    from prometheus_client import Counter

    return Counter(name, description, labels)


@cache
def _durations() -> Any:
    from prometheus_client import Histogram

    return Histogram("fvi_request_seconds", "Requests, answered or refused", ("endpoint", "status"), buckets=_BUCKETS)


@cache
def _durations_of(endpoint: str, status: int) -> Any:
    return _durations().labels(endpoint, status)


def observe_request(endpoint: str, status: int, seconds: float) -> None:
    """Note how long a request took, to its last byte, under the name of its rule."""
    _durations_of(endpoint, status).observe(seconds)


def count_cached(hits: int, misses: int) -> None:
    """Count answers that the cache had, and those that it had not."""
    if hits:
        counter("fvi_cache_hits_total", "Answers taken from the cache").inc(hits)
    if misses:
        counter("fvi_cache_misses_total", "Answers that the cache did not have").inc(misses)


def count_computed(explanations: int) -> None:
    """Count explanations that were computed, because none was stored for the model and the values."""
    counter("fvi_explanations_computed_total", "Explanations computed at a request").inc(explanations)


def count_refused(code: str) -> None:
    """Count a request that the guard refused, by the code of its error."""
    counter("fvi_refused_total", "Requests that the guard refused", "code").labels(code).inc()


def count_lost(entries: int) -> None:
    """Count predictions that were answered and will not be in ops.predictions."""
    counter("fvi_log_lost_total", "Answered predictions that were not logged").inc(entries)
