"""Versions of the feature services: which there are, what each is made of, and which can still be computed.

A version is made of its columns and of what decides their values; when that changes, the next version begins, noted in
`ops.feature_services`. A version is live while gold has all its columns as it defines them; else it is frozen. Feast's
objects for a version are made in `views`, registered and removed in `store`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import psycopg

from fvi_pipeline.features.catalogue import Catalogue, FeatureColumn
from fvi_pipeline.features.errors import FeatureStoreError
from fvi_pipeline.features.names import number_of, service_name, serving_service_of, view_of

KEPT = 3
"""So many of the newest versions stay in the feature store; older ones only while something uses them."""

_NAMED = 5  # names in a reason


@dataclass(frozen=True)
class VersionColumn:
    """A column of a version and the digest of what decides its values."""

    column: FeatureColumn
    digest: str


@dataclass(frozen=True)
class FeatureVersion:
    """One version of the feature services: its columns, features before context; since when it is frozen, and why."""

    number: int
    columns: tuple[VersionColumn, ...]
    created_at: datetime | None = None
    frozen_at: datetime | None = None
    frozen_because: str | None = None

    @property
    def service(self) -> str:
        """The feature service with the model's inputs."""
        return service_name(self.number)

    @property
    def serving_service(self) -> str:
        """The feature service with the inputs, their context and the index."""
        return serving_service_of(self.service)

    @property
    def view(self) -> str:
        """The feature view."""
        return view_of(self.service)

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the model's inputs, in order."""
        return tuple(entry.column.name for entry in self.columns if entry.column.role == "feature")

    @property
    def store_columns(self) -> tuple[FeatureColumn, ...]:
        """What the view carries: the features, then the context."""
        return tuple(entry.column for entry in self.columns)

    @property
    def digest(self) -> str:
        """What makes it another version: the features' definitions, and the names and types of the context."""
        return _digest(sorted([entry.column.name, entry.digest] for entry in self.columns))

    @property
    def is_live(self) -> bool:
        """Whether gold still has its columns as it defines them."""
        return self.frozen_at is None


@dataclass(frozen=True)
class Change:
    """What is different from one version to the next."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]

    def reason(self) -> str:
        """Why the older one cannot be computed any more; empty when it can (added features do not matter to it)."""
        parts = [("computed in another way", self.changed), ("no longer computed", self.removed)]
        return "; ".join(f"{what}: {_listed(names)}" for what, names in parts if names)


def described_version(catalogue: Catalogue, number: int) -> FeatureVersion:
    """The version that the catalogue describes, under that number."""
    columns = tuple(VersionColumn(column, _column_digest(column)) for column in catalogue.store_columns())
    return FeatureVersion(number, columns)


def changes(older: FeatureVersion, newer: FeatureVersion) -> Change:
    """What `newer` has besides, in another way, or no more."""
    before = {entry.column.name: entry.digest for entry in older.columns}
    after = {entry.column.name: entry.digest for entry in newer.columns}
    return Change(
        added=tuple(name for name in after if name not in before),
        changed=tuple(name for name in after if name in before and after[name] != before[name]),
        removed=tuple(name for name in before if name not in after),
    )


def noted_versions(connection: psycopg.Connection) -> tuple[FeatureVersion, ...]:
    """The versions in the feature store, oldest first."""
    rows = connection.execute(
        "select version, columns, created_at, frozen_at, frozen_because from ops.feature_services "
        "where retired_at is null order by version"
    ).fetchall()
    return tuple(FeatureVersion(row[0], tuple(map(_from_json, row[1])), *row[2:]) for row in rows)


def live_versions(connection: psycopg.Connection) -> tuple[FeatureVersion, ...]:
    """Those of `noted_versions` whose columns gold has as they define them."""
    return tuple(version for version in noted_versions(connection) if version.is_live)


def newest_version(connection: psycopg.Connection) -> FeatureVersion:
    """The version that new models are made with.

    Raises:
        FeatureStoreError: there is none yet.
    """
    versions = noted_versions(connection)
    if not versions:
        raise FeatureStoreError("The feature store has no features yet. Materialise feature_store/registry first.")
    return versions[-1]


def version_of(connection: psycopg.Connection, service: str) -> FeatureVersion:
    """The version of a feature service `fvi_vN`.

    Raises:
        FeatureStoreError: the feature store has it no more, or never had it.
    """
    number = number_of(service)
    for version in noted_versions(connection):
        if version.number == number:
            return version
    raise FeatureStoreError(
        f"The feature store does not have {service} any more. Train a model with the newest features."
    )


def columns_in_words(connection: psycopg.Connection, service: str) -> Mapping[str, FeatureColumn]:
    """The columns of a feature service `fvi_vN` by name, for people.

    Words may have been added or improved since it was noted: while its columns are computed as it defines them, the
    newest version's words hold for it too.

    Raises:
        FeatureStoreError: as for `version_of`.
    """
    version = version_of(connection, service)
    columns = {entry.column.name: entry for entry in version.columns}
    for entry in newest_version(connection).columns:
        noted = columns.get(entry.column.name)
        if noted is not None and noted.digest == entry.digest:
            columns[entry.column.name] = entry
    return {name: entry.column for name, entry in columns.items()}


def planned_versions(connection: psycopg.Connection, catalogue: Catalogue) -> tuple[FeatureVersion, ...]:
    """The versions that there should be for the catalogue, frozen ones marked; nothing is written.

    When the newest one is not what the catalogue describes, the next one follows.
    """
    noted = noted_versions(connection)
    described = described_version(catalogue, _next_number(connection))
    planned = [_as_of(version, described) for version in noted]
    if not planned or planned[-1].digest != described.digest:
        planned.append(described)
    else:
        # words may have changed: the newest one has them as described
        planned[-1] = FeatureVersion(planned[-1].number, described.columns, planned[-1].created_at)
    return tuple(planned)


def note_versions(connection: psycopg.Connection, versions: Sequence[FeatureVersion]) -> None:
    """Write what `planned_versions` planned. The caller holds the lock of the feature store."""
    with connection.transaction():
        for version in versions:
            connection.execute(
                "insert into ops.feature_services as noted (version, digest, columns, frozen_at, frozen_because) "
                "values (%(version)s, %(digest)s, %(columns)s, case when %(because)s::text is not null then now() end, "
                "%(because)s) on conflict (version) do update set columns = excluded.columns, "
                "frozen_at = case when excluded.frozen_at is null then null "
                "else coalesce(noted.frozen_at, excluded.frozen_at) end, frozen_because = excluded.frozen_because",
                {
                    "version": version.number,
                    "digest": version.digest,
                    "columns": json.dumps([_as_json(entry) for entry in version.columns]),
                    "because": version.frozen_because,
                },
            )


def retirable(versions: Sequence[FeatureVersion], services_in_use: Collection[str]) -> tuple[FeatureVersion, ...]:
    """Those beyond the newest `KEPT` that nothing uses."""
    return tuple(version for version in versions[:-KEPT] if version.service not in services_in_use)


def note_retired(connection: psycopg.Connection, versions: Sequence[FeatureVersion]) -> None:
    """Write that the versions have left the feature store; their numbers are never used again."""
    connection.execute(
        "update ops.feature_services set retired_at = now() where version = any(%s)",
        [[version.number for version in versions]],
    )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _as_of(version: FeatureVersion, described: FeatureVersion) -> FeatureVersion:
    """The version, frozen or live by what the catalogue describes now."""
    because = changes(version, described).reason() or None
    frozen_at = (version.frozen_at or datetime.now().astimezone()) if because else None
    return FeatureVersion(version.number, version.columns, version.created_at, frozen_at, because)


def _next_number(connection: psycopg.Connection) -> int:
    row = connection.execute("select coalesce(max(version), 0) + 1 from ops.feature_services").fetchone()
    return int(row[0]) if row else 1


def _column_digest(column: FeatureColumn) -> str:
    # context accompanies the values and decides none: only where it can be found counts
    decides: list[str] = [column.role, column.kind]
    if column.role == "feature":
        decides += [column.unit, column.null_means, *sorted(column.sources), column.definition]
    return _digest(decides)


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _as_json(entry: VersionColumn) -> dict[str, Any]:
    described = asdict(entry.column)
    del described["definition"]  # long, and the digest stands for it
    return {**described, "digest": entry.digest}


def _from_json(entry: Mapping[str, Any]) -> VersionColumn:
    described = {name: value for name, value in entry.items() if name != "digest"}
    described |= {"sources": tuple(entry["sources"]), "in_words": tuple(map(tuple, entry.get("in_words", ())))}
    return VersionColumn(FeatureColumn(**described), entry["digest"])
