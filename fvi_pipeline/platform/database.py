"""Connections to PostgreSQL: opening them and shaping their URLs. SQL of the domain does not belong here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote, unquote, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg.pq import TransactionStatus

from fvi_pipeline.platform.errors import PlatformError


def connect(database_url: str, *, autocommit: bool = False) -> psycopg.Connection:
    """Open one connection (psycopg 3) to the warehouse.

    Raises:
        PlatformError: nothing answers at the address.
    """
    try:
        return psycopg.connect(database_url, autocommit=autocommit, connect_timeout=10)
    except psycopg.Error as error:
        raise PlatformError(
            f"PostgreSQL at {redacted(database_url)} does not answer ({str(error).strip()}). "
            "Start the embedded server with `fvi up`, or correct FVI_DATABASE_URL."
        ) from error


@contextmanager
def advisory_lock(connection: psycopg.Connection, name: str) -> Iterator[None]:
    """Hold the database-wide lock `name` for the block; it is freed by the server if the process dies."""
    connection.execute("select pg_advisory_lock(hashtextextended(%s, 0))", [name])
    try:
        yield
    finally:
        if not connection.closed:
            if connection.info.transaction_status == TransactionStatus.INERROR:
                connection.rollback()  # else the unlocking would fail too, and hide the error of the block
            connection.execute("select pg_advisory_unlock(hashtextextended(%s, 0))", [name])


def is_locked(connection: psycopg.Connection, name: str) -> bool:
    """Whether another connection holds the lock `name`; it is not waited for and not kept."""
    row = connection.execute("select pg_try_advisory_xact_lock_shared(hashtextextended(%s, 0))", [name]).fetchone()
    connection.rollback()
    return row is None or not row[0]


def with_search_path(database_url: str, schema: str) -> str:
    """The same database, seen from `schema`: for tools that bring tables of their own (Dagster, MLflow,
    Optuna, Feast).
    """
    parts = urlsplit(database_url)
    pairs = _query(parts.query)
    # libpq takes the last of several values, so options of the user's stay and this one wins
    options = [value for name, value in pairs if name == "options"] + [f"-csearch_path={schema}"]
    query = [pair for pair in pairs if pair[0] != "options"] + [("options", " ".join(options))]
    # quote, not quote_plus: libpq reads a plus sign as a plus sign
    return urlunsplit(parts._replace(query=urlencode(query, quote_via=quote)))


def connection_parts(database_url: str) -> dict[str, str]:
    """Host (a name or a socket folder), port, user, password, database and sslmode of a URL, for tools
    without URLs.
    """
    parts = urlsplit(database_url)
    query = dict(_query(parts.query))
    host = query.get("host") or unquote(parts.hostname or "") or "localhost"
    return {
        "host": host,
        "port": query.get("port") or str(parts.port or 5432),
        "user": query.get("user") or unquote(parts.username or "postgres"),
        "password": query.get("password") or unquote(parts.password or ""),
        "database": query.get("dbname") or unquote(parts.path.lstrip("/")) or "postgres",
        # a Unix socket cannot speak TLS; a remote server should
        "sslmode": query.get("sslmode") or ("disable" if host.startswith("/") else "prefer"),
    }


def root_certificate(database_url: str) -> str | None:
    """The file of certificate authorities that a URL names (`sslrootcert`); None when it names none."""
    return dict(_query(urlsplit(database_url).query)).get("sslrootcert")


def redacted(url: str) -> str:
    """The URL with its password masked, for messages and logs."""
    parts = urlsplit(url)
    if parts.password:
        user, _, address = parts.netloc.rpartition("@")
        parts = parts._replace(netloc=f"{user.partition(':')[0]}:***@{address}")
    if any(name == "password" for name, _ in _query(parts.query)):
        kept = [(name, "***" if name == "password" else value) for name, value in _query(parts.query)]
        parts = parts._replace(query=urlencode(kept, quote_via=quote, safe="*/"))
    return urlunsplit(parts)


def _query(query: str) -> list[tuple[str, str]]:
    # not parse_qsl: it reads a plus sign as a space, libpq does not
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    return [(unquote(name), unquote(value)) for name, _, value in pairs]
