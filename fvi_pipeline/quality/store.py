"""Marks of quality in and out of the warehouse, with what landing says about the files behind them. Judging them
belongs to `marks`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple
from datetime import date, datetime

import polars as pl
import psycopg
from psycopg import sql
from psycopg.rows import class_row

from fvi_pipeline.quality.marks import COLUMNS, FileInForce, MetricMarks, Trouble

_MARKS = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
_LONGEST_REASON = 120


def current_marks(connection: psycopg.Connection) -> list[MetricMarks]:
    """The marks of every metric as the warehouse stands, worst first."""
    query = sql.SQL("select {marks} from mart.vw_metric_dq order by score nulls last, metric").format(marks=_MARKS)
    with connection.cursor(row_factory=class_row(MetricMarks)) as cursor:
        return cursor.execute(query).fetchall()


def newest_night(connection: psycopg.Connection, before: date | None = None) -> tuple[date | None, list[MetricMarks]]:
    """The newest recorded night (before `before`, when given) and its marks, worst first; none recorded: None, []."""
    row = connection.execute(
        "select max(night) from mart.metric_dq_history where %s::date is null or night < %s", [before, before]
    ).fetchone()
    night: date | None = row[0] if row else None
    query = sql.SQL(
        "select {marks} from mart.metric_dq_history where night = %s order by score nulls last, metric"
    ).format(marks=_MARKS)
    with connection.cursor(row_factory=class_row(MetricMarks)) as cursor:
        return night, cursor.execute(query, [night]).fetchall()


def record_night(
    connection: psycopg.Connection, marks: Sequence[MetricMarks], night: date, computed_at: datetime
) -> None:
    """Make `marks` the rows of `night`, in one transaction; rows that say the same are left as they are."""
    values = sql.SQL(", ").join(map(sql.Placeholder, (*COLUMNS, "night", "computed_at")))
    sets = sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in COLUMNS)
    old, new = (
        sql.SQL(", ").join(sql.Identifier(side, name) for name in COLUMNS) for side in ("metric_dq_history", "excluded")
    )
    upsert = sql.SQL(
        "insert into mart.metric_dq_history ({marks}, night, computed_at) values ({values}) "
        "on conflict (metric, night) do update set {sets}, computed_at = excluded.computed_at "
        "where ({old}) is distinct from ({new})"
    ).format(marks=_MARKS, values=values, sets=sets, old=old, new=new)
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(
            "delete from mart.metric_dq_history where night = %s and metric <> all(%s)",
            [night, [mark.metric for mark in marks]],
        )
        cursor.executemany(
            upsert,
            [
                {**dict(zip(COLUMNS, astuple(mark), strict=True)), "night": night, "computed_at": computed_at}
                for mark in marks
            ],
        )
    connection.commit()


def files_in_force(connection: psycopg.Connection, landing: Mapping[str, Sequence[str]]) -> dict[str, FileInForce]:
    """Per feed, the newest loaded file and what was wrong in the columns that the metrics are made of.

    Args:
        connection: an open connection to the warehouse.
        landing: for each metric its columns, as `feed.column`.
    """
    columns: dict[str, list[str]] = {}
    for column in sorted({column for made_of in landing.values() for column in made_of}):
        feed, name = column.split(".", 1)
        columns.setdefault(feed, []).append(name)
    rows = connection.execute(
        "select distinct on (feed) feed, file_id, name, to_char(known_at at time zone 'UTC', 'YYYY-MM-DD') "
        "from landing.files where status = 'loaded' and feed = any(%s) "
        "order by feed, period desc nulls last, known_at desc, file_id desc",
        [list(columns)],
    ).fetchall()
    return {
        feed: FileInForce(feed, name, known_since, tuple(_troubles(connection, feed, file_id, columns[feed])))
        for feed, file_id, name, known_since in rows
    }


def _troubles(connection: psycopg.Connection, feed: str, file_id: int, columns: Sequence[str]) -> list[Trouble]:
    stated = connection.execute(
        sql.SQL("select {counts} from {table} where file_id = %s").format(
            counts=sql.SQL(", ").join(sql.SQL("count({})").format(sql.Identifier(name)) for name in columns),
            table=sql.Identifier("landing", feed),
        ),
        [file_id],
    ).fetchone()
    rejected = connection.execute(
        "select column_name, count(*), min(reason) from landing.rejected_values "
        "where file_id = %s and column_name = any(%s) group by column_name order by 2 desc, 1",
        [file_id, list(columns)],
    ).fetchall()
    said = [
        Trouble(f"{name} has no value in any row", name)
        for name, count in zip(columns, stated or (), strict=True)
        if count == 0
    ]
    said += [Trouble(f"{count:,} value(s) of {name} rejected ({_short(why)})", name) for name, count, why in rejected]
    quarantined = connection.execute(
        "select count(*), min(reason) from landing.quarantine where file_id = %s having count(*) > 0", [file_id]
    ).fetchone()
    if quarantined is not None:
        said.append(Trouble(f"{quarantined[0]:,} row(s) in quarantine ({_short(quarantined[1])})"))
    refused = connection.execute(
        "select name, reason from landing.files where feed = %s and status = 'rejected' and file_id > %s "
        "order by file_id desc limit 1",
        [feed, file_id],
    ).fetchone()
    if refused is not None:
        said.append(Trouble(f"{refused[0]} was not loaded ({_short(refused[1])})"))
    return said


def panel_years(connection: psycopg.Connection, metrics: Sequence[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The metrics of the panel's mines in its newest year and in the year before it, each as first known.

    Both were seen with the same eyes, so what differs between them has changed in the world or in the files. A mine
    that only the tracker has is in neither.
    """
    newest = connection.execute("select max(as_of_year) from gold.gold_vintages").fetchone()
    year = newest[0] if newest else None
    query = sql.SQL(
        "select {metrics} from gold.gold_mine_index_metrics as metrics "
        "join gold.gold_vintages as vintages on vintages.is_first and vintages.as_of_year = metrics.as_of_year "
        "and vintages.created_timestamp = metrics.created_timestamp where metrics.as_of_year = %s order by mine_id"
    ).format(metrics=sql.SQL(", ").join(sql.Identifier("metrics", name) for name in metrics))
    schema = dict.fromkeys(metrics, pl.Float64)
    now, before = (
        pl.DataFrame(connection.execute(query, [wanted]).fetchall(), schema=schema, orient="row")
        for wanted in (year, None if year is None else year - 1)
    )
    return now, before


def _short(text: str | None) -> str:
    words = " ".join((text or "no reason").split()).rstrip(".")
    return words if len(words) <= _LONGEST_REASON else f"{words[:_LONGEST_REASON]}…"
