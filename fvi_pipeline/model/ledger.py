"""Promotions and their ledger, `ops.promotions`: the alias and the ledger move here and nowhere else.

The decision itself is `gate`'s; the registry of versions is `registry`'s; what leads from one to the other `promotion`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import psycopg
from psycopg.rows import class_row

from fvi_pipeline.model.errors import RegistryError
from fvi_pipeline.model.gate import Verdict
from fvi_pipeline.model.registry import ModelRegistry, RegisteredVersion
from fvi_pipeline.platform.database import advisory_lock

Decision = Literal["promoted", "refused", "rolled_back", "challenging"]


@dataclass(frozen=True)
class Entry:
    """One decision of the ledger."""

    promoted_at: datetime
    model_name: str
    version: str
    previous_version: str | None
    decision: Decision
    reason: str
    refused_for: list[str]
    metrics: dict[str, float]
    actor: str
    onnx_sha256: str | None
    train_until_year: int | None


def entries(connection: psycopg.Connection, model_name: str | None = None, limit: int | None = None) -> list[Entry]:
    """The decisions on one model or on all, the newest first: so many, or all."""
    with connection.cursor(row_factory=class_row(Entry)) as cursor:
        return cursor.execute(
            "select promoted_at, model_name, version, previous_version, decision, reason, refused_for, metrics, actor, "
            "onnx_sha256, train_until_year from ops.promotions where model_name = coalesce(%s, model_name) "
            "order by promoted_at desc limit %s",
            [model_name, limit],
        ).fetchall()


def rolled_back_from(connection: psycopg.Connection, model_name: str, version: str) -> Entry | None:
    """The decision by which people went back from a version that nobody has promoted since; None: there is none."""
    for entry in entries(connection, model_name):
        if entry.decision == "promoted" and entry.version == version:
            return None
        if entry.decision == "rolled_back" and entry.previous_version == version:
            return entry
    return None


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

    Args:
        connection: to the database with the ledger.
        registry: of the model.
        version: the version that was judged.
        verdict: the gate's.
        metrics: what was measured on the version otherwise; the gate's own figures are added.
        actor: who asked for it.
    """
    if verdict.decision == "kept":
        return version
    with advisory_lock(connection, f"fvi.promotions.{registry.name}"):
        previous = _champion_version(registry)
        _note(
            connection,
            registry.get(version),
            registry.name,
            previous,
            verdict.decision,
            verdict.reason,
            actor,
            metrics={**metrics, **verdict.metrics},
            refused_for=verdict.refused_for,
        )
        registry.annotate(
            version,
            {
                "gate_decision": verdict.decision,
                "gate_reason": verdict.reason,
                "gate_refused_for": ", ".join(verdict.refused_for),
            },
        )
        registry.describe(version, f"{verdict.decision.capitalize()} by the gate: {verdict.reason}")
        if verdict.decision == "promoted":
            registry.set_champion(version)
        return _champion_version(registry)


def promote(connection: psycopg.Connection, registry: ModelRegistry, version: str, *, reason: str, actor: str) -> str:
    """Make a registered version the champion by hand and return it; nothing happens if it is already.
    Commits.

    Raises:
        RegistryError: the registry has no such version.
    """
    registered = registry.get(version)
    with advisory_lock(connection, f"fvi.promotions.{registry.name}"):
        previous = _champion_version(registry)
        if previous != version:
            _note(connection, registered, registry.name, previous, "promoted", reason, actor)
            registry.describe(version, f"Promoted by {actor}, past the gate: {reason}")
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
        _note(connection, registry.get(target), registry.name, current, "rolled_back", reason, actor)
        registry.describe(current, f"Rolled back by {actor} to version {target}: {reason}")
        registry.set_champion(target)
        return target


def challenge(
    connection: psycopg.Connection, registry: ModelRegistry, version: str | None, *, reason: str, actor: str
) -> None:
    """Let a version be asked beside the champion, or none. Commits.

    People choose it, the gate does not: a new training never puts another model before customers by itself.

    Raises:
        RegistryError: the registry has no such version, or it is the champion.
    """
    registered = registry.get(version) if version is not None else None
    with advisory_lock(connection, f"fvi.promotions.{registry.name}"):
        champion, before = _champion_version(registry), registry.challenger()
        if registered is not None and version == champion:
            raise RegistryError(f"Version {version} is the champion. Name another one, or `none`.")
        noted = registered or before
        if noted is None or (registered is not None and before is not None and before.version == version):
            return
        text = reason if registered is not None else f"No longer asked: {reason}"
        _note(connection, noted, registry.name, champion, "challenging", text, actor)
        registry.set_challenger(version)


def note_bento(connection: psycopg.Connection, model_name: str, version: str, tag: str) -> None:
    """Note the Bento that was built of the version that reigns, beside the decision that it reigns by. Commits."""
    connection.execute(
        "update ops.promotions set bento_tag = %s where bento_tag is distinct from %s and (model_name, promoted_at) = "
        "(select model_name, promoted_at from ops.promotions where model_name = %s and version = %s "
        "and decision in ('promoted', 'rolled_back') order by promoted_at desc limit 1)",
        [tag, tag, model_name, version],
    )
    connection.commit()


def _champion_version(registry: ModelRegistry) -> str | None:
    champion = registry.champion()
    return champion.version if champion else None


def _note(
    connection: psycopg.Connection,
    registered: RegisteredVersion,
    model_name: str,
    previous: str | None,
    decision: Decision,
    reason: str,
    actor: str,
    *,
    metrics: Mapping[str, float] | None = None,
    refused_for: Sequence[str] = (),
) -> None:
    last = next(iter(entries(connection, model_name, limit=1)), None)
    # a refusal names figures, the time of a row among them, which are not the same twice
    repeats = (
        last is not None
        and (last.version, last.previous_version, last.decision) == (registered.version, previous, decision)
        and (last.refused_for == list(refused_for) if decision == "refused" else last.reason == reason)
    )
    if not repeats:
        connection.execute(
            "insert into ops.promotions (promoted_at, model_name, version, previous_version, decision, reason, "
            "refused_for, metrics, actor, onnx_sha256, train_until_year) "
            "values (clock_timestamp(), %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                model_name,
                registered.version,
                previous,
                decision,
                reason,
                list(refused_for),
                json.dumps(dict(metrics or {})),
                actor,
                registered.onnx_sha256,
                registered.train_until_year,
            ],
        )
    connection.commit()
