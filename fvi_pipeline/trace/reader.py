"""Reading the warehouse for a trace: rows as dictionaries, and which columns a table has. No step is made here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from fvi_pipeline.trace.errors import TraceError
from fvi_pipeline.trace.sources import Lineage

_RULES = ("precedence_rule", "superseded_by_file_id")


@dataclass(frozen=True)
class Moment:
    """A mine and as-of year as known at a time: what a gold row is about."""

    mine_id: str
    as_of_year: int
    known_by: datetime


class Reader:
    """One connection and the described sources; remembers what it has read about tables and files."""

    def __init__(self, connection: psycopg.Connection, lineage: Lineage) -> None:
        self._connection = connection
        self.lineage = lineage
        self.columns = lru_cache(maxsize=None)(self._columns)
        self.file = lru_cache(maxsize=None)(self._file)

    def rows(self, query: sql.Composed | str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """The rows of a query.

        Raises:
            TraceError: the warehouse has not been built yet.
        """
        statement = query.encode() if isinstance(query, str) else query
        try:
            with self._connection.cursor(row_factory=dict_row) as cursor:
                return cursor.execute(statement, list(parameters)).fetchall()
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
            raise TraceError("The warehouse has not been built yet. Run `make demo` or `fvi run` first.") from error

    def validity(self, model: str, *, rules: bool = True) -> sql.Composed:
        """The columns of a silver model that say from when to when a row holds, and by which rule."""
        names = [
            "known_at",
            "known_until",
            *(name for name in _RULES if rules and name in self.columns("silver", model)),
        ]
        return sql.SQL(", ").join(sql.Identifier(name) for name in names)

    def _columns(self, schema: str, table: str) -> frozenset[str]:
        found = self.rows(
            "select column_name from information_schema.columns where table_schema = %s and table_name = %s",
            [schema, table],
        )
        return frozenset(row["column_name"] for row in found)

    def _file(self, file_id: int) -> dict[str, Any]:
        found = self.rows("select * from landing.files where file_id = %s", [file_id])
        if not found:
            raise TraceError(f"landing.files has no file {file_id}: the ledger was changed by hand. Run `fvi run`.")
        return found[0]


def known(moment: datetime, table: str) -> tuple[sql.Composed, list[datetime]]:
    """The condition that a row of a table (its name or alias in the query) held at a moment, and its parameters."""
    known_at, known_until = (sql.Identifier(table, name) for name in ("known_at", "known_until"))
    condition = sql.SQL("{0} <= %s and ({1} is null or {1} > %s)").format(known_at, known_until)
    return condition, [moment, moment]
