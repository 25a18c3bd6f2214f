"""The audit log of the service: who was refused, and who did what few may do, into ops.audit.

Which events there are is said in platform/sql/52_ops_audit.sql; when they happen belongs in `guard`. No token and no
body is ever an argument here.
"""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from fvi_pipeline.serving.batch_writer import BatchWriter, jsonb_text

MAXIMUM_ROWS = 10_000
_COLUMNS = ("happened_at", "event", "request_id", "client", "address", "method", "path", "details")
_PATH_CHARACTERS = 200
_REPEAT_SECONDS = 10.0
_MAXIMUM_REPEATS = 1_000


class AuditLog:
    """Takes events off the requests' path, what repeats itself once in ten seconds with its number."""

    def __init__(self, database_url: str, maximum_rows: int = MAXIMUM_ROWS) -> None:
        """Start the writing thread; PostgreSQL need not answer yet."""
        self._writer = BatchWriter(
            database_url, ("ops", "audit"), _COLUMNS, maximum_rows=maximum_rows, prepare=_as_written
        )
        self._repeats: dict[tuple[str, ...], list[float]] = {}

    def note(
        self,
        event: str,
        *,
        request_id: str | None = None,
        client: str | None = None,
        address: str | None = None,
        method: str | None = None,
        path: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Take an event. Never waits and never raises."""
        self._writer.offer((time.time(), event, request_id, client, address, method, path, dict(details or {})))

    def note_often(self, event: str, who: str, **facts: Any) -> None:
        """Take what `who` may do often; more of it within ten seconds is counted in the row that comes next."""
        key = (event, who, str(facts.get("path"))[:_PATH_CHARACTERS])
        now = time.monotonic()
        seen = self._repeats.get(key)
        if seen is not None and now - seen[0] < _REPEAT_SECONDS:
            seen[1] += 1
            return
        if len(self._repeats) >= _MAXIMUM_REPEATS:
            self._repeats.clear()
        self._repeats[key] = [now, 0]
        repeated = {"repeated": int(seen[1])} if seen is not None and seen[1] else {}
        self.note(event, **{**facts, "details": {**(facts.get("details") or {}), **repeated}})

    @property
    def lost(self) -> int:
        """Events that will never be written."""
        return self._writer.lost

    def flush(self, seconds: float) -> bool:
        """Wait until what was noted is written; False when that takes longer."""
        return self._writer.flush(seconds)

    def close(self, seconds: float = 10.0) -> None:
        """Write what waits and stop."""
        self._writer.close(seconds)


def _as_written(row: tuple[Any, ...]) -> list[Any]:
    moment, event, request_id, client, address, method, path, details = row
    # PostgreSQL's texts hold no NUL, and a path may come with anything in it
    path = None if path is None else path[:_PATH_CHARACTERS].replace("\x00", "\ufffd")
    return [
        datetime.fromtimestamp(moment, UTC),
        event,
        request_id,
        client,
        address,
        method,
        path,
        jsonb_text(details),
    ]
