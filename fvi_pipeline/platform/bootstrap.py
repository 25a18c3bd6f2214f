"""Schemas, the vector extension and the tables that Python writes. What dbt builds does not belong here."""

from __future__ import annotations

import hashlib
from pathlib import Path

import psycopg

from fvi_pipeline.platform.database import advisory_lock

_SQL_FOLDER = Path(__file__).parent / "sql"
SCHEMAS = (
    "landing",
    "bronze",
    "silver",
    "gold",
    "mart",
    "ops",
    "evidence",
    "dagster",
    "mlflow",
    "optuna",
    "feast",
)


def bootstrap(connection: psycopg.Connection) -> None:
    """Create what is missing; safe to call by several processes at once and cheap when nothing is missing.

    The definitions are `sql/*.sql` in order of their names, each of them idempotent. A digest of them is
    kept, so that an unchanged database is left alone and never waits for a running job's locks.
    """
    files = sorted(_SQL_FOLDER.glob("*.sql"))
    statements = [f"create schema if not exists {schema}" for schema in SCHEMAS]
    statements.append("create extension if not exists vector with schema public")
    statements.extend(path.read_text() for path in files)
    digest = hashlib.sha256("\n".join(statements).encode()).hexdigest()
    if _bootstrapped_digest(connection) == digest:
        return
    with advisory_lock(connection, "fvi.bootstrap"):
        for statement in statements:
            connection.execute(statement.encode())
        connection.execute("create table if not exists ops.bootstrap (digest text not null)")
        connection.execute("delete from ops.bootstrap")
        connection.execute("insert into ops.bootstrap (digest) values (%s)", [digest])
        connection.commit()


def _bootstrapped_digest(connection: psycopg.Connection) -> str | None:
    found = connection.execute("select to_regclass('ops.bootstrap')").fetchone()
    if found is None or found[0] is None:
        return None
    row = connection.execute("select digest from ops.bootstrap").fetchone()
    return str(row[0]) if row else None
