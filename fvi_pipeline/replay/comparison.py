"""Whether the gold of a replay is the gold that is stored: row for row, both ways, bit for bit.

Stored gold has later rows too, so of each table those count that were known at the replay's moment. Which these are,
and which columns tell of now and not of then, is said here for each table. How a replay is made does not belong here.

Not compared are gold_mine_index_metrics (its current rows show each mine with all that is known now) and
gold_feature_statistics (it follows from the history).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg import sql

from fvi_pipeline.replay.moment import Moment

LIVE = "gold"
_OF_A_MINE = ("mine_id", "as_of_year", "created_timestamp")
_AS_OF_JOIN = """
    select history.*
    from (
        select as_of_year, max(created_timestamp) as created_timestamp
        from {schema}.gold_vintages
        where created_timestamp <= {until}
        group by as_of_year
    ) as vintages
    inner join {schema}.gold_mine_feature_history as history using (as_of_year, created_timestamp)
"""
_MARKET = """
    select *
    from {schema}.gold_market_measures
    where (as_of_year, created_timestamp) in (
        select as_of_year, created_timestamp from {schema}.gold_vintages where created_timestamp <= {until}
    )
    and country in (select country from {replay}.gold_market_measures)
"""


@dataclass(frozen=True)
class ComparedTable:
    """A table of gold: the columns that name a row, the rows that were known at a moment, and in words which they are.

    `stored` and `replayed` are queries of {schema}, {replay} and {until}. What stands for a whole state of knowledge
    can be compared at the end of a day only.
    """

    name: str
    key: tuple[str, ...]
    rows: str
    stored: str
    replayed: str
    left_out: tuple[str, ...] = ()
    whole_days_only: bool = False


def _known(name: str, key: tuple[str, ...], known_at: str = "created_timestamp", left_out: str = "") -> ComparedTable:
    query = f"select * from {{schema}}.{name} where {known_at} <= {{until}}"  # noqa: S608  (names of this module)
    return ComparedTable(name, key, f"{known_at} by then", query, query, (left_out,) if left_out else ())


COMPARED = (
    # which vintage is the latest one is another question at every moment: gold_mine_features has the answer of then
    _known("gold_vintages", ("as_of_year", "created_timestamp"), left_out="is_latest"),
    _known("gold_vintage_releases", ("as_of_year", "created_timestamp", "fact_year")),
    _known("gold_mine_own_measures", _OF_A_MINE),
    _known("gold_mine_peer_measures", _OF_A_MINE),
    ComparedTable(
        "gold_market_measures",
        ("country", "as_of_year", "created_timestamp"),
        "at the vintages known by then, of the countries that had a mine then",
        _MARKET,
        _MARKET,
    ),
    _known("gold_mine_feature_history", _OF_A_MINE),
    _known("gold_mine_outcomes", ("mine_id", "as_of_year", "horizon_years"), "outcome_known_at"),
    _known("gold_mine_next_year", ("mine_id", "as_of_year"), "outcome_known_at"),
    ComparedTable(
        "gold_mine_features",
        ("mine_id", "as_of_year"),
        "the as-of join of the stored history",
        _AS_OF_JOIN,
        "select * from {schema}.gold_mine_features",
        whole_days_only=True,
    ),
)


@dataclass(frozen=True)
class Difference:
    """The first row in which both differ; without a column one of them does not have the row."""

    table: str
    key: dict[str, str]
    column: str | None
    stored: str | None
    replayed: str | None

    def __str__(self) -> str:
        row = ", ".join(f"{name} {value}" for name, value in self.key.items())
        if self.column is None:
            return f"{self.table}: {row} is {'stored only' if self.replayed is None else 'in the replay only'}"
        return f"{self.table}.{self.column}: {row}: stored {_shown(self.stored)}, replayed {_shown(self.replayed)}"


@dataclass(frozen=True)
class TableComparison:
    """Rows of both sides, those that only one of them has, and the first difference."""

    table: str
    rows: str
    stored_rows: int
    replayed_rows: int
    stored_only: int = 0
    replayed_only: int = 0
    first: Difference | None = None

    @property
    def equal(self) -> bool:
        """Whether both sides have the same rows."""
        return self.first is None


def compare(connection: psycopg.Connection, replay: str, moment: Moment) -> list[TableComparison]:
    """Compare the gold in schema `replay`, which is that of a moment, with the stored one."""
    tables = [table for table in COMPARED if moment.is_whole_day or not table.whole_days_only]
    return [_compare(connection, table, replay, moment.settled_until) for table in tables]


def _compare(connection: psycopg.Connection, table: ComparedTable, replay: str, until: datetime) -> TableComparison:
    stored, replayed = (
        sql.SQL(query).format(schema=sql.Identifier(schema), replay=sql.Identifier(replay), until=sql.Literal(until))
        for query, schema in ((table.stored, LIVE), (table.replayed, replay))
    )
    columns = [name for name in _columns(connection, stored) if name not in table.left_out]
    others = [name for name in _columns(connection, replayed) if name not in table.left_out]
    odd = sorted(set(columns) ^ set(others))
    counts = _counts(connection, [name for name in columns if name not in odd], stored, replayed)
    first = None
    if odd:
        sides = ("there", None) if odd[0] in columns else (None, "there")
        first = Difference(table.name, {"every": "row"}, odd[0], *sides)
    elif counts[2] or counts[3]:
        first = _first_difference(connection, table, columns, stored, replayed)
    return TableComparison(table.name, table.rows, *counts, first)


def _columns(connection: psycopg.Connection, query: sql.Composed) -> list[str]:
    described = connection.execute(sql.SQL("select * from ({}) as q limit 0").format(query)).description
    return [column.name for column in described or ()]


def _counts(
    connection: psycopg.Connection, columns: Sequence[str], stored: sql.Composed, replayed: sql.Composed
) -> tuple[int, int, int, int]:
    """Rows of both sides, and those that only one has."""
    # a row's text has every bit of it: PostgreSQL writes floating-point numbers so that they read back the same
    line = sql.SQL("md5(row({})::text)::uuid").format(sql.SQL(", ").join(map(sql.Identifier, columns)))
    row = connection.execute(
        sql.SQL(
            "with stored as materialized (select {line} as line from ({stored}) as s), "
            "replayed as materialized (select {line} as line from ({replayed}) as r) "
            "select (select count(*) from stored), (select count(*) from replayed), "
            "(select count(*) from (select line from stored except all select line from replayed) as only_stored), "
            "(select count(*) from (select line from replayed except all select line from stored) as only_replayed)"
        ).format(line=line, stored=stored, replayed=replayed)
    ).fetchone()
    return row or (0, 0, 0, 0)


def _first_difference(
    connection: psycopg.Connection,
    table: ComparedTable,
    columns: Sequence[str],
    stored: sql.Composed,
    replayed: sql.Composed,
) -> Difference:
    texts = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(name)) for name in columns)
    key = sql.SQL(", ").join(map(sql.Identifier, table.key))
    row = connection.execute(
        sql.SQL(
            "select s.line, r.line from (select {key}, array[{texts}] as line from ({stored}) as s) as s "
            "full outer join (select {key}, array[{texts}] as line from ({replayed}) as r) as r using ({key}) "
            "where s.line is distinct from r.line order by {key} limit 1"
        ).format(key=key, texts=texts, stored=stored, replayed=replayed)
    ).fetchone()
    if row is None:  # the same rows, but not as often
        return Difference(table.name, {"some": "row"}, None, None, "there")
    before, after = row
    named = dict(zip(columns, before or after, strict=True))
    where = {name: named[name] for name in table.key}
    if before is None or after is None:
        return Difference(table.name, where, None, before and "there", after and "there")
    column, *values = next(values for values in zip(columns, before, after, strict=True) if values[1] != values[2])
    return Difference(table.name, where, column, *values)


def _shown(value: str | None) -> str:
    return "null" if value is None else value
