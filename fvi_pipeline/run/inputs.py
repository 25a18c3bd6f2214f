"""Which feeds have changed since everything downstream was built. The building itself does not belong here."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from fvi_pipeline.platform.settings import PROJECT_ROOT, Settings

_CODE_FOLDERS = ("fvi_pipeline", "dbt_project/models", "dbt_project/macros", "feature_repo", "bentos")
_CODE_SUFFIXES = {".py", ".sql", ".yml", ".yaml"}
_WITHOUT_EFFECT = tuple(f"fvi_pipeline/{name}" for name in ("cli", "replay", "run", "simulator", "trace"))


def code_digest(settings: Settings, root: Path = PROJECT_ROOT) -> str:
    """Digest of the code and the settings that shape the tables: another one means that everything is built again."""
    digest = hashlib.sha256(f"{settings.seed}:{settings.optuna_trials}".encode())
    for folder in _CODE_FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            relative = path.relative_to(root).as_posix()
            if path.suffix in _CODE_SUFFIXES and not relative.startswith(_WITHOUT_EFFECT):
                digest.update(relative.encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()


def input_digests(connection: psycopg.Connection, code: str) -> dict[str, str]:
    """Per feed, the digest of its loaded files (name, content and what was read from it) and of the code."""
    rows = connection.execute(
        "select feed, string_agg(concat_ws(':', name, sha256, facts_digest), ',' order by name, sha256) "
        "from landing.files where status = 'loaded' group by feed"
    ).fetchall()
    return {str(feed): hashlib.sha256(f"{code}:{files}".encode()).hexdigest() for feed, files in rows}


def changed_feeds(connection: psycopg.Connection, digests: dict[str, str]) -> list[str]:
    """Feeds whose files or code differ from those that the tables downstream were last built from."""
    built: dict[str, str] = dict(connection.execute("select feed, digest from ops.refreshed_inputs").fetchall())
    return sorted(feed for feed, digest in digests.items() if built.get(feed) != digest)


def record_refreshed(connection: psycopg.Connection, digests: dict[str, str]) -> None:
    """Note that everything downstream of these feeds is built from these digests; called once all of it is."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(
            "insert into ops.refreshed_inputs (feed, digest, refreshed_at) values (%s, %s, %s) "
            "on conflict (feed) do update set digest = excluded.digest, refreshed_at = excluded.refreshed_at",
            [(feed, digest, datetime.now(UTC)) for feed, digest in digests.items()],
        )
