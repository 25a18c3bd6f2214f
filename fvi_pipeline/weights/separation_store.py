"""What was measured of the index's separation, into mart. The measuring belongs to `separation`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import datetime

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from fvi_pipeline.weights.separation import Separated

_FIELDS = tuple(field.name for field in fields(Separated))
_NAMES = sql.SQL(", ").join(map(sql.Identifier, _FIELDS))


def write_separation(connection: psycopg.Connection, measured: Sequence[Separated], measured_at: datetime) -> None:
    """Replace what was measured before, in one transaction; commits."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("delete from mart.index_separation")
        cursor.executemany(
            sql.SQL("insert into mart.index_separation (measured_at, {}) values (%(measured_at)s, {})").format(
                _NAMES, sql.SQL(", ").join(map(sql.Placeholder, _FIELDS))
            ),
            [{**asdict(each), "measured_at": measured_at} for each in measured],
        )
    connection.commit()


def read_separation(connection: psycopg.Connection) -> list[Separated]:
    """What was measured last, year by year and then over years; nothing when it never was."""
    query = sql.SQL(
        "select {} from mart.index_separation order by last_year > first_year, first_year, weighting"
    ).format(_NAMES)
    with connection.cursor(row_factory=class_row(Separated)) as cursor:
        return cursor.execute(query).fetchall()
