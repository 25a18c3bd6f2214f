"""Telling services which versions reign: the registry's aliases, left as a note in Redis.

Moving the aliases belongs to `ledger`; who reads the note, and when, to `serving.board`.
"""

from __future__ import annotations

from collections.abc import Callable

from fvi_pipeline.model.registry import MODELS, ModelRegistry, RegisteredVersion
from fvi_pipeline.serving.standing_note import Reign, VersionRef, publish


def announce(redis_url: str, registry_of: Callable[[str], ModelRegistry]) -> None:
    """Leave the note. A service that sees the registry itself has followed it already."""
    import redis

    reigns = {}
    for name in MODELS:
        registry = registry_of(name)
        reigns[name] = Reign(_ref(registry.champion()), _ref(registry.challenger()))
    with redis.Redis.from_url(redis_url) as client:
        publish(client, reigns)


def _ref(version: RegisteredVersion | None) -> VersionRef | None:
    return VersionRef(version.version, version.onnx_sha256, version.source) if version else None
