"""How long answers stay in ops.predictions and ops.answers. Writing them belongs in `prediction_log` and `answers`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from psycopg import sql

if TYPE_CHECKING:
    import psycopg

_ROWS_AT_ONCE = 20_000
# what somebody has said something about stays with what was said
_DELETE = sql.SQL(
    """
delete from {table} where ({key}) in (
    select {key} from {table} as old
    where old.answered_at < %(before)s and not exists (
        select 1 from ops.feedback where feedback.request_id = old.{request_id}
    )
    limit %(rows)s
)
"""
)
_PREDICTIONS = _DELETE.format(
    table=sql.Identifier("ops", "predictions"),
    key=sql.SQL("request_id, entry_number"),
    request_id=sql.Identifier("request_id"),
)
_ANSWERS = _DELETE.format(
    table=sql.Identifier("ops", "answers"), key=sql.SQL("answer_id"), request_id=sql.Identifier("answer_id")
)


def delete_predictions(connection: psycopg.Connection, before: datetime, rows_at_once: int = _ROWS_AT_ONCE) -> int:
    """Delete what was predicted before a moment, unless there is feedback on it; returns how many rows.

    A part is a transaction of its own, so that the log is never held up for long, and a stop loses nothing.
    """
    return _delete(connection, _PREDICTIONS, before, rows_at_once)


def delete_answers(connection: psycopg.Connection, before: datetime, rows_at_once: int = _ROWS_AT_ONCE) -> int:
    """Delete what was answered in words before a moment, as `delete_predictions` does."""
    return _delete(connection, _ANSWERS, before, rows_at_once)


def _delete(connection: psycopg.Connection, statement: sql.Composed, before: datetime, rows_at_once: int) -> int:
    deleted = 0
    while True:
        part = connection.execute(statement, {"before": before, "rows": rows_at_once}).rowcount
        connection.commit()
        deleted += part
        if part < rows_at_once:
            return deleted
