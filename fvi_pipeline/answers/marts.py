"""Reading the marts for answers: one short read-only transaction with a time limit, rows as dictionaries, names of
mines for people. What is read belongs to `facts_*`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row

from fvi_pipeline.platform.errors import PlatformError

STATEMENT_MILLISECONDS = 3_000
MAXIMUM_ROWS = 200
HORIZONS = (1, 2, 3, 5, 10, 20)


class NoSuchFactError(PlatformError):
    """The warehouse does not have what was asked for; the message says what it has instead."""


class Marts:
    """One connection inside `reading`; everything is bound, nothing is written."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection

    def rows(self, query: LiteralString, parameters: Mapping[str, Any] | Sequence[Any] = ()) -> list[dict[str, Any]]:
        """At most MAXIMUM_ROWS rows of a query."""
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query, parameters).fetchmany(MAXIMUM_ROWS)

    def row(self, query: LiteralString, parameters: Mapping[str, Any] | Sequence[Any] = ()) -> dict[str, Any] | None:
        """The first row of a query."""
        found = self.rows(query, parameters)
        return found[0] if found else None

    def profile(self, mine_id: str) -> dict[str, Any]:
        """The profile of a mine; raises NoSuchFactError when there is no such mine."""
        found = self.row("select * from silver.silver_mine_profiles where mine_id = %s", [mine_id])
        if found is None:
            raise NoSuchFactError(f"There is no mine {mine_id} in the data.")
        return found

    def label(self, mine_id: str) -> str:
        """What people read for a mine: name and identifier."""
        return label_of(self.profile(mine_id))


@contextmanager
def reading(connection: psycopg.Connection[Any], milliseconds: int = STATEMENT_MILLISECONDS) -> Iterator[Marts]:
    """The marts in one read-only transaction, of one moment, in which no statement takes longer."""
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read, read only")
        connection.execute("select set_config('statement_timeout', %s, true)", [str(milliseconds)])
        yield Marts(connection)


def label_of(profile: Mapping[str, Any]) -> str:
    """Name and identifier of a mine."""
    name = str(profile.get("mine_name") or "").strip()
    return f"{name} ({profile['mine_id']})" if name else f"the mine {profile['mine_id']}"


def place_of(profile: Mapping[str, Any]) -> str:
    """County, state and country of a mine as far as they are known."""
    county = profile.get("mine_county")
    parts = [
        f"{county} County" if county and profile.get("country") == "United States" else county,
        profile.get("state_province"),
        profile.get("country"),
    ]
    return ", ".join(str(part) for part in parts if part)


def integer(value: float | None) -> str:
    """A whole number with thousands apart."""
    return "not known" if value is None else f"{value:,.0f}"


def points(value: float | None) -> str:
    """Points of 100 with one decimal, and as many as it takes not to say 100 or 0 of what is neither."""
    if value is None:
        return "not known"
    for digits in (1, 2, 3):
        text = f"{value:.{digits}f}"
        if float(text) not in (0.0, 100.0) or value in (0, 100):
            return text
    return f"{value:.4f}"


def signed_percent(change: float) -> str:
    """A change as percent with its sign; small ones with a decimal."""
    return f"{100 * change:+.1f}%"
