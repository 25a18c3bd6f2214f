"""The log of predictions: entries into ops.predictions, off the request's path.

What an entry holds is said in `log_entry`; how rows get to PostgreSQL, and what if it is away, in `batch_writer`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from fvi_pipeline.serving.batch_writer import BatchWriter, jsonb_text
from fvi_pipeline.serving.log_entry import PredictionEntry

MAXIMUM_ROWS = 50_000
# the columns of ops.predictions in the order of `_as_written`
COLUMNS = (
    "entry_number",
    "answered_at",
    "request_id",
    "endpoint",
    "mine_id",
    "prediction_type",
    "horizon_years",
    "what_if",
    "as_of_asked",
    "feature_service",
    "as_of_year",
    "known_at",
    "fvi_score",
    "model_name",
    "model_version",
    "arm",
    "latency_milliseconds",
    "is_cached",
    "is_degraded",
    "client",
    "answer",
    "feature_age_seconds",
)
_AT = 1 + PredictionEntry._fields.index("at")
_WHAT_IF = 1 + PredictionEntry._fields.index("what_if")
_ANSWER = 1 + PredictionEntry._fields.index("answer")
_KNOWN_AT = 1 + PredictionEntry._fields.index("known_at")


class WarehouseLog:
    """A log_entry.PredictionLog that writes to ops.predictions."""

    def __init__(
        self, database_url: str, maximum_rows: int = MAXIMUM_ROWS, on_lost: Callable[[int], None] | None = None
    ) -> None:
        """Start the writing thread; PostgreSQL need not answer yet. `on_lost` is told of entries that were lost."""
        self._numbers = itertools.count()
        self._writer = BatchWriter(
            database_url,
            ("ops", "predictions"),
            COLUMNS,
            maximum_rows=maximum_rows,
            prepare=_as_written,
            on_lost=on_lost,
        )

    def offer(self, entry: PredictionEntry) -> None:
        """Take an entry; never blocks and never raises."""
        # The number tells rows of one request apart, and a row that is sent again from a new one. A plain tuple of
        # plain values is no work for the garbage collector, a subclass of tuple is.
        self._writer.offer((next(self._numbers), *entry))

    @property
    def waiting(self) -> int:
        """Entries that are not written yet."""
        return self._writer.waiting

    @property
    def written(self) -> int:
        """Entries that this process has written."""
        return self._writer.written

    @property
    def lost(self) -> int:
        """Entries that will never be written."""
        return self._writer.lost

    def flush(self, seconds: float) -> bool:
        """Wait until what was offered is written; False when that takes longer."""
        return self._writer.flush(seconds)

    def close(self, seconds: float = 10.0) -> None:
        """Write what waits and stop."""
        self._writer.close(seconds)


def _as_written(row: tuple[Any, ...]) -> list[Any]:
    values = list(row)
    answered_at, known_at = row[_AT], row[_KNOWN_AT]
    values[_AT] = datetime.fromtimestamp(answered_at, UTC)
    if row[_WHAT_IF] is not None:
        values[_WHAT_IF] = jsonb_text(dict(row[_WHAT_IF]))
    if row[_ANSWER] is not None:
        values[_ANSWER] = jsonb_text(dict(row[_ANSWER]))
    values.append(None if known_at is None else answered_at - known_at.timestamp())
    return values
