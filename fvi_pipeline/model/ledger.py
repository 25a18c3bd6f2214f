"""Promotions and their ledger, `ops.promotions`: the alias and the ledger move here and nowhere else.

The decision itself is `gate`'s; the registry of versions is `registry`'s.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Literal

import psycopg

from fvi_pipeline.model.errors import RegistryError
from fvi_pipeline.model.gate import Verdict
from fvi_pipeline.model.registry import ModelRegistry
from fvi_pipeline.platform.database import advisory_lock

Entry = Literal["promoted", "refused", "rolled_back"]


def apply_verdict(
    connection: psycopg.Connection,
    registry: ModelRegistry,
    version: str,
    verdict: Verdict,
    *,
    metrics: Mapping[str, float],
    actor: str,
) -> str | None:
    """Carry out a gate's verdict on a version and return the version that reigns afterwards (None: none yet).

    'promoted' moves the alias, 'refused' only notes the reason, 'kept' changes nothing. Commits. Safe to
    repeat after a kill at any point: the ledger is written first, the alias then, and a repeated verdict is
    not noted twice.
    """
    if verdict.decision == "kept":
        return version
    with advisory_lock(connection, f"fvi.promotions.{registry.name}"):
        previous = _champion_version(registry)
        _note(connection, registry.name, version, previous, verdict.decision, verdict.reason, metrics, actor)
        registry.annotate(version, {"gate_decision": verdict.decision, "gate_reason": verdict.reason})
        if verdict.decision == "promoted":
            registry.set_champion(version)
        return _champion_version(registry)


def promote(connection: psycopg.Connection, registry: ModelRegistry, version: str, *, reason: str, actor: str) -> str:
    """Make a registered version the champion by hand and return it; nothing happens if it is already.
    Commits.

    Raises:
        RegistryError: the registry has no such version.
    """
    registry.get(version)
    with advisory_lock(connection, f"fvi.promotions.{registry.name}"):
        previous = _champion_version(registry)
        if previous != version:
            _note(connection, registry.name, version, previous, "promoted", reason, {}, actor)
            registry.set_champion(version)
    return version


def roll_back(connection: psycopg.Connection, registry: ModelRegistry, *, reason: str, actor: str) -> str:
    """Make the version that the champion replaced the champion again and return it. Commits.

    Raises:
        RegistryError: there is no champion, or it replaced none.
    """
    with advisory_lock(connection, f"fvi.promotions.{registry.name}"):
        current = _champion_version(registry)
        if current is None:
            raise RegistryError("There is no champion to roll back. Train a model first.")
        row = connection.execute(
            "select previous_version from ops.promotions where model_name = %s and version = %s "
            "and decision = 'promoted' order by promoted_at desc limit 1",
            [registry.name, current],
        ).fetchone()
        if row is None or row[0] is None:
            raise RegistryError(f"Version {current} replaced no other version. `fvi promote VERSION` names one.")
        target = str(row[0])
        registry.get(target)
        _note(connection, registry.name, target, current, "rolled_back", reason, {}, actor)
        registry.set_champion(target)
        return target


def _champion_version(registry: ModelRegistry) -> str | None:
    champion = registry.champion()
    return champion.version if champion else None


def _note(
    connection: psycopg.Connection,
    model_name: str,
    version: str,
    previous: str | None,
    decision: Entry,
    reason: str,
    metrics: Mapping[str, float],
    actor: str,
) -> None:
    last = connection.execute(
        "select version, previous_version, decision, reason from ops.promotions where model_name = %s "
        "order by promoted_at desc limit 1",
        [model_name],
    ).fetchone()
    if last != (version, previous, decision, reason):
        connection.execute(
            "insert into ops.promotions (promoted_at, model_name, version, previous_version, "
            "decision, reason, "
            "metrics, actor) values (clock_timestamp(), %s, %s, %s, %s, %s, %s, %s)",
            [model_name, version, previous, decision, reason, json.dumps(dict(metrics)), actor],
        )
    connection.commit()
