"""Where replays lie: schemas of their own for each moment, beside the live layers, and dropped when nobody wants them.

dbt makes a replay in `gold_replay` and its neighbours. They get their moment's name when all is there: a schema with a
moment in its name holds a whole replay, and what a killed one leaves behind is the next one's to throw away.
"""

from __future__ import annotations

import psycopg
from psycopg import sql

from fvi_pipeline.replay.moment import Moment

LAYERS = ("bronze", "silver", "gold")
_IN_THE_MAKING = "replay"


def in_the_making(layer: str) -> str:
    """The schema in which dbt makes a layer of a replay (`macros/generate_schema_name.sql`)."""
    return f"{layer}_{_IN_THE_MAKING}"


def schema_of(layer: str, moment: Moment) -> str:
    """The schema that holds a layer of the replay of a moment."""
    return f"{layer}_{moment.name}"


def clear_the_making(connection: psycopg.Connection) -> None:
    """Throw away what a replay that was killed left behind."""
    _drop(connection, [in_the_making(layer) for layer in LAYERS])


def put_in_place(connection: psycopg.Connection, moment: Moment, comment: str) -> None:
    """Give the replay that was made its moment's name, in the place of an earlier one of that moment."""
    with connection.transaction():
        _drop(connection, [schema_of(layer, moment) for layer in LAYERS])
        for layer in LAYERS:
            made, named = sql.Identifier(in_the_making(layer)), sql.Identifier(schema_of(layer, moment))
            connection.execute(sql.SQL("alter schema {} rename to {}").format(made, named))
            connection.execute(sql.SQL("comment on schema {} is {}").format(named, sql.Literal(comment)))


def drop(connection: psycopg.Connection, moment: Moment) -> list[str]:
    """Drop the replay of a moment; the schemas that there were."""
    with connection.transaction():
        return _drop(connection, [schema_of(layer, moment) for layer in LAYERS])


def kept_replays(connection: psycopg.Connection) -> list[str]:
    """The names of the moments of which there is a replay."""
    rows = connection.execute(
        "select substr(nspname, 6) from pg_namespace where nspname ~ '^gold_as_(of|received)_[0-9]' order by 1"
    ).fetchall()
    return [str(row[0]) for row in rows]


def _drop(connection: psycopg.Connection, schemas: list[str]) -> list[str]:
    rows = connection.execute("select nspname from pg_namespace where nspname = any(%s)", [schemas]).fetchall()
    there = sorted(str(row[0]) for row in rows)
    if there:
        # in one statement: views of one layer look at tables of another
        names = sql.SQL(", ").join(map(sql.Identifier, there))
        connection.execute(sql.SQL("drop schema {} cascade").format(names))
    return there
