"""What each endpoint asks of its caller: the scope of the token, the size of the body, the time, the rate.

How that is enforced belongs in `guard`. An endpoint that is not here is closed to all but administrators.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fvi_pipeline.serving.contract import MAXIMUM_BODY_BYTES

Scope = Literal["predict", "explain", "chat", "admin"]
SCOPES: tuple[Scope, ...] = ("predict", "explain", "chat", "admin")


@dataclass(frozen=True)
class Rule:
    """What holds for an endpoint."""

    scope: Scope | None
    """The scope that a token must have; None: open to everybody."""
    name: str
    """What its calls are counted under."""
    seconds: float = 5.0
    """Within which an answer is complete, and within which the body has come."""
    maximum_bytes: int = 256_000
    calls_per_minute: int = 600
    """Of one client, when callers have tokens and FVI_RATE_LIMITS does not say otherwise."""


_OPEN = Rule(scope=None, name="open")
_UNKNOWN = Rule(scope="admin", name="unknown")
_HEALTH = Rule(scope="predict", name="/models")
METRICS = Rule(scope="admin", name="/metrics")
# livez and readyz say nothing but that; the documents say nothing that is secret
_RULES = {
    **dict.fromkeys(("/", "/docs", "/openapi.json", "/livez", "/readyz", "/healthz"), _OPEN),
    "/predict": Rule("predict", "/predict", calls_per_minute=60_000),
    "/predict_batch": Rule("predict", "/predict_batch", 10.0, MAXIMUM_BODY_BYTES, calls_per_minute=600),
    "/explain": Rule("explain", "/explain", calls_per_minute=6_000),
    "/weights": Rule("predict", "/weights"),
    "/weights/history": Rule("predict", "/weights/history", 10.0),
    "/feedback": Rule("predict", "/feedback", calls_per_minute=60),
    "/retrieve": Rule("chat", "/retrieve", 30.0, calls_per_minute=120),
    "/chat": Rule("chat", "/chat", 120.0, calls_per_minute=30),
    "/models": _HEALTH,
    "/metrics": METRICS,
}


def rule_of(path: str) -> Rule:
    """The rule of a path, as the router will read it."""
    rule = _RULES.get(path)
    if rule is not None:
        return rule
    if path.startswith("/docs/assets/"):
        return _OPEN
    return _HEALTH if path.startswith("/models/") else _UNKNOWN


def limited_names() -> frozenset[str]:
    """The names that a limit can be set for."""
    return frozenset(rule.name for rule in _RULES.values() if rule.scope is not None)
