"""How long answers stay in ops.predictions. Writing them belongs in `prediction_log`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psycopg

_ROWS_AT_ONCE = 20_000
# what somebody has said something about stays with what was said
_DELETE = """
delete from ops.predictions where (request_id, entry_number) in (
    select predictions.request_id, predictions.entry_number from ops.predictions
    where predictions.answered_at < %(before)s and not exists (
        select 1 from ops.feedback where feedback.request_id = predictions.request_id
    )
    limit %(rows)s
)
"""


def delete_predictions(connection: psycopg.Connection, before: datetime, rows_at_once: int = _ROWS_AT_ONCE) -> int:
    """Delete what was answered before a moment, unless there is feedback on it; returns how many rows.

    A part is a transaction of its own, so that the log is never held up for long, and a stop loses nothing.
    """
    deleted = 0
    while True:
        part = connection.execute(_DELETE, {"before": before, "rows": rows_at_once}).rowcount
        connection.commit()
        deleted += part
        if part < rows_at_once:
            return deleted
