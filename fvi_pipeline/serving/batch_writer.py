"""Rows on their way to a table: taken without waiting, written by COPY from a thread, bounded in memory.

What the rows are belongs to whoever offers them (`prediction_log`, `audit`). PostgreSQL may be away: rows wait, and
those beyond the bound are counted as lost, never silently dropped.
"""

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import psycopg
from psycopg import sql

Row = tuple[Any, ...]

_BATCH_ROWS = 1_000
# The thread shares the interpreter with the requests: a long stretch of work here is a late answer there.
_STRETCH_ROWS = 6
_PAUSE_SECONDS = 0.0005
_INTERVAL_SECONDS = 0.25
_RETRY_SECONDS = 1.0
_WARNING_SECONDS = 30.0
# a PostgreSQL that has been away for so long when the service stops will not come back for its last rows
_AWAY_SECONDS = 2.0

logger = logging.getLogger(__name__)


class BatchWriter:
    """Writes rows of one table behind the requests that offer them."""

    def __init__(
        self,
        database_url: str,
        table: tuple[str, str],
        columns: Sequence[str],
        *,
        maximum_rows: int,
        prepare: Callable[[Row], Sequence[Any]] | None = None,
        on_lost: Callable[[int], None] | None = None,
    ) -> None:
        """`prepare` makes of a row what is written; it runs in the thread, off the requests' path.

        `on_lost` is told there how many rows more were lost.
        """
        self._database_url = database_url
        self._columns = tuple(columns)
        self._prepare = prepare
        self._on_lost = on_lost
        self._told = 0
        self._maximum_rows = maximum_rows
        self._waiting: deque[Row] = deque()
        self._batch: list[Row] = []
        self._connection: psycopg.Connection | None = None
        self._wake = threading.Event()
        self._idle = threading.Event()
        self._stopping = False
        self._deadline = self._away_deadline = float("inf")
        self._refused = 0
        self._spoiled = 0
        self._warned_at = -_WARNING_SECONDS
        self.written = 0
        names = sql.SQL(", ").join(map(sql.Identifier, self._columns))
        target = sql.Identifier(*table)
        self._copy = sql.SQL("COPY {} ({}) FROM STDIN").format(target, names)
        self._stage = sql.SQL("CREATE TEMP TABLE staged (LIKE {} INCLUDING GENERATED) ON COMMIT DROP").format(target)
        self._copy_staged = sql.SQL("COPY staged ({}) FROM STDIN").format(names)
        merge = sql.SQL("INSERT INTO {0} ({1}) SELECT {1} FROM staged ON CONFLICT DO NOTHING")
        self._merge = merge.format(target, names)
        self._thread = threading.Thread(target=self._run, name=f"writer of {'.'.join(table)}", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Rows that are not written yet."""
        return len(self._waiting) + len(self._batch)

    @property
    def lost(self) -> int:
        """Rows that were offered and will not be written."""
        return self._refused + self._spoiled

    def offer(self, row: Row) -> None:
        """Take a row. Never waits and never raises; beyond the bound, or after `close`, the row is counted as lost."""
        if len(self._waiting) >= self._maximum_rows or self._stopping:
            self._refused += 1
            return
        self._waiting.append(row)

    def offer_many(self, rows: Iterable[Row]) -> None:
        """Take several rows, as `offer` does."""
        for row in rows:
            self.offer(row)

    def flush(self, seconds: float) -> bool:
        """Wait until what was offered before is written; False when that takes longer."""
        deadline = time.monotonic() + seconds
        self._idle.clear()
        self._wake.set()
        while time.monotonic() < deadline:
            if self._idle.wait(0.01) and not self.waiting:
                return True
            self._idle.clear()
            self._wake.set()
        return not self.waiting

    def close(self, seconds: float = 10.0) -> None:
        """Write what waits and stop; what PostgreSQL does not take in that time is lost, counted and said.

        One that is away is tried for two seconds only.
        """
        self._deadline = time.monotonic() + seconds
        self._away_deadline = time.monotonic() + min(seconds, _AWAY_SECONDS)
        self._stopping = True
        self._wake.set()
        self._thread.join(seconds + 5)
        if self.waiting:
            self._spoiled += self.waiting
            self._waiting.clear()
            self._batch = []
        self._tell_lost()
        if self.lost:
            logger.warning("%s: %d rows were lost, %d written.", self._thread.name, self.lost, self.written)

    def _run(self) -> None:
        while True:
            self._wake.wait(_INTERVAL_SECONDS)
            self._wake.clear()
            written = self._write_waiting()
            self._tell_lost()
            if not self.waiting:
                self._idle.set()
            deadline = self._deadline if written else self._away_deadline
            if self._stopping and (not self.waiting or time.monotonic() >= deadline):
                break
            if not written:
                # not `_wake`: many flushes must not become many attempts
                time.sleep(0.05 if self._stopping else _RETRY_SECONDS)
        self._disconnect()

    def _tell_lost(self) -> None:
        more = self.lost - self._told
        if more and self._on_lost is not None:
            self._told += more
            self._on_lost(more)

    def _write_waiting(self) -> bool:
        """Write until nothing waits; False when PostgreSQL is away."""
        while self._batch or self._waiting:
            while self._waiting and len(self._batch) < _BATCH_ROWS:
                self._batch.append(self._waiting.popleft())
            try:
                self._write(self._batch)
            except psycopg.Error as error:
                self._disconnect()
                self._warn("PostgreSQL does not take rows (%s); %d wait.", str(error).strip(), self.waiting)
                return False
            self._batch = []
        return True

    def _write(self, rows: list[Row]) -> None:
        """Write the rows; those that cannot be written for what they hold are lost alone.

        Raises psycopg.Error when PostgreSQL is away, or not ready for any row.
        """
        try:
            try:
                self._copy_rows(rows)
            except psycopg.errors.UniqueViolation:
                self._merge_rows(rows)  # a commit whose answer was lost: some rows are there already
        except Exception as error:
            if isinstance(error, psycopg.Error) and not isinstance(error, psycopg.DataError | psycopg.IntegrityError):
                raise
            self._rollback()
            if len(rows) == 1:
                self._spoiled += 1
                self._warn("A row cannot be written: %s", str(error).strip())
                return
            middle = len(rows) // 2
            self._write(rows[:middle])
            self._write(rows[middle:])

    def _copy_rows(self, rows: list[Row]) -> None:
        connection = self._connected()
        with connection.cursor() as cursor, cursor.copy(self._copy) as copy:
            self._feed(copy, rows)
        connection.commit()
        self.written += len(rows)

    def _merge_rows(self, rows: list[Row]) -> None:
        self._rollback()
        connection = self._connected()
        with connection.cursor() as cursor:
            cursor.execute(self._stage)
            with cursor.copy(self._copy_staged) as copy:
                self._feed(copy, rows)
            cursor.execute(self._merge)
        connection.commit()
        self.written += len(rows)

    def _feed(self, copy: psycopg.Copy, rows: list[Row]) -> None:
        for start in range(0, len(rows), _STRETCH_ROWS):
            for row in rows[start : start + _STRETCH_ROWS]:
                copy.write_row(row if self._prepare is None else self._prepare(row))
            if not self._stopping and len(self._waiting) < self._maximum_rows // 2:
                time.sleep(_PAUSE_SECONDS)

    def _connected(self) -> psycopg.Connection:
        if self._connection is None or self._connection.closed:
            # A server that hangs must not hold the rows for ever: no statement here is a long one.
            self._connection = psycopg.connect(
                self._database_url, connect_timeout=3, tcp_user_timeout=10_000, application_name="fvi serving log"
            )
            self._connection.execute("SET statement_timeout = '10s'")
            self._connection.commit()
        return self._connection

    def _rollback(self) -> None:
        if self._connection is not None and not self._connection.closed:
            self._connection.rollback()

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _warn(self, message: str, *arguments: object) -> None:
        if time.monotonic() - self._warned_at >= _WARNING_SECONDS:
            self._warned_at = time.monotonic()
            logger.warning(message, *arguments)


def jsonb_text(value: Any) -> str:
    """The value as JSON that PostgreSQL's jsonb can hold: NUL is JSON, but no part of its texts."""
    return json.dumps(value).replace("\\u0000", "\\ufffd")
