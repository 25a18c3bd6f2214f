"""A replay from beginning to end: dbt makes it, it gets its schemas, it is compared. Who asks is not known here."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg import sql

from fvi_pipeline.platform.database import advisory_lock, is_locked
from fvi_pipeline.platform.dbt_command import DBT_LOCK
from fvi_pipeline.replay import schemas
from fvi_pipeline.replay.comparison import COMPARED, LIVE, TableComparison, compare
from fvi_pipeline.replay.dbt_process import replay_arguments
from fvi_pipeline.replay.errors import ReplayError
from fvi_pipeline.replay.moment import Moment

RunDbt = Callable[[Sequence[str]], None]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Replay:
    """What was made and how it compares; `not_compared` says why it was not."""

    moment: Moment
    schemas: tuple[str, ...]
    rows: dict[str, int]
    newest_fact: tuple[datetime, str] | None
    comparison: tuple[TableComparison, ...]
    not_compared: str | None
    seconds: float

    @property
    def differs(self) -> bool:
        """Whether a table was compared and differs."""
        return not all(table.equal for table in self.comparison)

    @property
    def equal(self) -> bool:
        """Whether everything was compared and is equal."""
        return self.not_compared is None and not self.differs

    @property
    def first_difference(self) -> str | None:
        """The first difference in words."""
        return next((str(table.first) for table in self.comparison if table.first is not None), None)


def replay(connection: psycopg.Connection, moment: Moment, project: str, run_dbt: RunDbt, say: Say) -> Replay:
    """Make gold anew from what was known at the moment, keep it beside the live layers, and compare both.

    `connection` is in autocommit; `project` is the digest of the dbt project that `run_dbt` runs. Waits for a dbt
    that is at work on the tables.

    Raises:
        ReplayError: nothing was known then, or dbt failed. The live tables, and an earlier replay of the moment, are as
            they were.
    """
    started = time.monotonic()
    _insist_on_facts(connection, moment)
    if is_locked(connection, DBT_LOCK):
        say("dbt is at work on the warehouse's tables; waiting for it")
    with advisory_lock(connection, DBT_LOCK):
        schemas.clear_the_making(connection)
        run_dbt(replay_arguments(moment))
        schemas.put_in_place(connection, moment, f"What `fvi run --as-of` made from what was known {moment}.")
        gold = schemas.schema_of("gold", moment)
        say("Comparing with what is stored")
        reason = _why_not_compared(connection, moment, project)
        compared = () if reason else tuple(compare(connection, gold, moment))
        return Replay(
            moment,
            tuple(schemas.schema_of(layer, moment) for layer in schemas.LAYERS),
            _row_counts(connection, gold),
            _newest_fact(connection, schemas.schema_of("bronze", moment)),
            compared,
            reason,
            time.monotonic() - started,
        )


def _insist_on_facts(connection: psycopg.Connection, moment: Moment) -> None:
    arrived = sql.SQL("greatest(known_at, ingested_at)" if moment.as_received else "known_at")
    row = connection.execute(
        sql.SQL(
            "select min({}) from landing.files where feed = 'eia_coal_mines' and status = 'loaded' and rows_loaded > 0"
        ).format(arrived)
    ).fetchone()
    first = row[0] if row else None
    if first is None:
        raise ReplayError("No file of the mines' panel was ever loaded. Run `fvi run` first.")
    if first > moment.at:
        raise ReplayError(
            f"Nothing about mines was known {moment}: the first file of the panel dates from {first:%Y-%m-%d}. "
            "Name that day or a later one."
        )


def _why_not_compared(connection: psycopg.Connection, moment: Moment, project: str) -> str | None:
    missing = [
        table.name
        for table in COMPARED
        if connection.execute("select to_regclass(%s)", [f"{LIVE}.{table.name}"]).fetchone() == (None,)
    ]
    if missing:
        return f"There is no {LIVE}.{missing[0]} yet. `fvi run` makes it."
    built = connection.execute("select project_digest from ops.dbt_state").fetchone()
    if built is not None and built[0] != project:
        return "The stored tables were made by other SQL than today's. `fvi run` makes them anew."
    if not moment.as_received:
        return None
    late = connection.execute(
        "select string_agg(name, ', ' order by name) from landing.files "
        "where status = 'loaded' and known_at <= %(at)s and ingested_at > %(at)s",
        {"at": moment.at},
    ).fetchone()
    if late is None or late[0] is None:
        return None
    return f"What was known by then came later, and the stored history has it: {late[0]}."


def _row_counts(connection: psycopg.Connection, schema: str) -> dict[str, int]:
    names = connection.execute(
        "select table_name from information_schema.tables where table_schema = %s order by 1", [schema]
    ).fetchall()
    counts = {}
    for (name,) in names:
        row = connection.execute(sql.SQL("select count(*) from {}").format(sql.Identifier(schema, name))).fetchone()
        counts[str(name)] = int(row[0]) if row else 0
    return counts


def _newest_fact(connection: psycopg.Connection, schema: str) -> tuple[datetime, str] | None:
    """The time at which the newest fact that the replay could read became known, and where it stands."""
    names = connection.execute("select viewname from pg_views where schemaname = %s", [schema]).fetchall()
    newest = []
    for (name,) in names:
        query = sql.SQL("select max(known_at) from {}").format(sql.Identifier(schema, name))
        row = connection.execute(query).fetchone()
        if row and row[0] is not None:
            newest.append((row[0], str(name)))
    return max(newest, default=None)
