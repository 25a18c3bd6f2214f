"""Which versions reign, as the service is told: the registry's aliases, or the note of them in Redis.

Where a version's files are belongs in `model_files`, what follows from a change in `board`. MLflow itself is not
imported: a machine that only serves does not have it.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

from fvi_pipeline.serving.arms import CHALLENGER, CHAMPION
from fvi_pipeline.serving.errors import StoreUnavailableError

if TYPE_CHECKING:
    import psycopg
    import redis

NOTE_KEY = "fvi:champion"
"""A JSON object, an entry for each registered model: {"champion": {version, onnx_sha256, source}, "challenger": …}."""
_SECONDS = 3
_HASH_TAG = "onnx_sha256"
_ALIASES = """
    select aliases.alias, versions.version::text, coalesce(tags.value, ''), coalesce(versions.source, '')
    from registered_model_aliases as aliases
    inner join model_versions as versions on versions.name = aliases.name and versions.version = aliases.version
    left join model_version_tags as tags
        on tags.name = versions.name and tags.version = versions.version and tags.key = %s
    where aliases.name = %s and aliases.alias in ('champion', 'challenger')
"""


@dataclass(frozen=True)
class VersionRef:
    """A registered version, the hash of its served bytes, and the address of its files."""

    version: str
    onnx_sha256: str
    source: str = ""


@dataclass(frozen=True)
class Reign:
    """The versions of one model that carry an alias."""

    champion: VersionRef | None = None
    challenger: VersionRef | None = None

    def note(self) -> dict[str, dict[str, str] | None]:
        """The form that Redis and the disk keep."""
        return {
            CHAMPION: asdict(self.champion) if self.champion else None,
            CHALLENGER: asdict(self.challenger) if self.challenger else None,
        }

    @classmethod
    def of_note(cls, note: Mapping[str, Any]) -> Reign:
        """What `note` made.

        Raises:
            ValueError: it is none.
        """
        try:
            parts = {name: VersionRef(**note[name]) if note.get(name) else None for name in (CHAMPION, CHALLENGER)}
        except (TypeError, AttributeError) as error:
            raise ValueError(f"not a note of versions: {error}") from error
        return cls(parts[CHAMPION], parts[CHALLENGER])


class ReignSource(Protocol):
    """Tells which versions reign."""

    def read(self, model_name: str) -> Reign:
        """The versions of a model that carry an alias. Raises StoreUnavailableError when it does not answer."""


class RegistryTables:
    """Reads MLflow's own tables, where its store is a PostgreSQL database."""

    def __init__(self, tracking_uri: str) -> None:
        scheme, _, rest = tracking_uri.partition("://")
        self._url = f"{scheme.partition('+')[0]}://{rest}"
        self._connection: psycopg.Connection | None = None

    def read(self, model_name: str) -> Reign:
        """The versions of a model that carry an alias. Raises StoreUnavailableError when PostgreSQL does not answer."""
        import psycopg

        try:
            if self._connection is None or self._connection.closed:
                self._connection = psycopg.connect(
                    self._url, autocommit=True, connect_timeout=_SECONDS, tcp_user_timeout=1_000 * _SECONDS
                )
            rows = self._connection.execute(_ALIASES, [_HASH_TAG, model_name]).fetchall()
        except psycopg.Error as error:
            self.close()
            raise StoreUnavailableError("The model registry does not answer.") from error
        found = {alias: VersionRef(version, sha256, source) for alias, version, sha256, source in rows}
        return Reign(found.get(CHAMPION), found.get(CHALLENGER))

    def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class RegistryServer:
    """Asks an MLflow tracking server."""

    def __init__(self, tracking_uri: str) -> None:
        self._base = f"{tracking_uri.rstrip('/')}/api/2.0"

    def read(self, model_name: str) -> Reign:
        """The versions of a model that carry an alias. Raises StoreUnavailableError when it does not answer."""
        return Reign(self._version(model_name, CHAMPION), self._version(model_name, CHALLENGER))

    def _version(self, model_name: str, alias: str) -> VersionRef | None:
        query = urllib.parse.urlencode({"name": model_name, "alias": alias})
        address = f"{self._base}/mlflow/registered-models/alias?{query}"
        try:
            with urllib.request.urlopen(address, timeout=_SECONDS) as answer:  # noqa: S310 (the operator's own setting)
                found = json.load(answer)["model_version"]
        except urllib.error.HTTPError as error:
            if error.code in (400, 404):
                return None  # neither a model nor an alias yet
            raise StoreUnavailableError("The model registry does not answer.") from error
        except (OSError, ValueError, KeyError) as error:
            raise StoreUnavailableError("The model registry does not answer.") from error
        tags = {tag["key"]: tag["value"] for tag in found.get("tags", [])}
        source = str(found.get("source", ""))
        if source.startswith("mlflow-artifacts:"):
            path = urllib.parse.urlsplit(source).path.lstrip("/")
            source = f"{self._base}/mlflow-artifacts/artifacts/{path}"
        return VersionRef(str(found["version"]), tags.get(_HASH_TAG, ""), source)


class RedisNote:
    """Reads the note that a promotion leaves in Redis, for machines that do not see the registry."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def read(self, model_name: str) -> Reign:
        """The versions as noted. Raises StoreUnavailableError when there is no note, or no answer."""
        import redis

        try:
            noted = self._client.get(NOTE_KEY)
            return Reign.of_note(json.loads(str(noted, "utf-8"))[model_name])  # type: ignore[arg-type]
        except (redis.RedisError, TypeError, ValueError, KeyError) as error:
            raise StoreUnavailableError("Redis has no note of the versions that reign.") from error


def registry_source(tracking_uri: str | None) -> ReignSource | None:
    """What can read the registry at an address; None where only MLflow itself could (a file, SQLite)."""
    scheme = (tracking_uri or "").partition(":")[0]
    if tracking_uri and scheme in ("http", "https"):
        return RegistryServer(tracking_uri)
    if tracking_uri and scheme.partition("+")[0] in ("postgresql", "postgres"):
        return RegistryTables(tracking_uri)
    return None


def publish(client: redis.Redis, reigns: Mapping[str, Reign]) -> None:
    """Leave the note for services that do not see the registry."""
    client.set(NOTE_KEY, json.dumps({name: reign.note() for name, reign in reigns.items()}))
