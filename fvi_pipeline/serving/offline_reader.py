"""Mines from the warehouse, for the time in which Redis does not answer: slower, the same values, bounded in number.

What the online store holds is read in `feature_reader`; that both are the same, value by value, is a check of the
pipeline.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fvi_pipeline.features.names import number_of
from fvi_pipeline.model.online_answers import newest_year, read_forecasts
from fvi_pipeline.serving.arms import ServedModel
from fvi_pipeline.serving.errors import StoreUnavailableError
from fvi_pipeline.serving.mines import StoredMine

if TYPE_CHECKING:
    import psycopg

_CONNECTIONS = 4
_WAIT_SECONDS = 1.0
_STATEMENT_MILLISECONDS = 2_000
_YEAR_SECONDS = 30.0
_DOWN = "Neither Redis nor PostgreSQL answers: ask again in a moment."
_FROZEN = "select frozen_because from ops.feature_services where version = %s"
_FEATURES = (
    "select distinct on (mine_id) mine_id, as_of_year, in_cohort, created_timestamp, {features} "
    "from gold.gold_mine_feature_history where mine_id = any(%s) "
    "order by mine_id, event_timestamp desc, created_timestamp desc"
)
_INDEX = (
    "select distinct on (mine_id) mine_id, index_score from mart.fvi_index where mine_id = any(%s) "
    "order by mine_id, event_timestamp desc, created_timestamp desc"
)


class PostgresReader:
    """Reads the newest row of mines as the online store would have it."""

    def __init__(self, database_url: str) -> None:
        """Nothing is opened before the first read."""
        from psycopg_pool import ConnectionPool

        self._year: tuple[float, int | None] = (0.0, None)

        def prepared(connection: psycopg.Connection) -> None:
            connection.execute(f"set statement_timeout = {_STATEMENT_MILLISECONDS}".encode())

        self._pool = ConnectionPool(
            database_url,
            min_size=0,
            max_size=_CONNECTIONS,
            timeout=_WAIT_SECONDS,
            max_idle=60.0,
            reconnect_timeout=_WAIT_SECONDS,  # after a restart of PostgreSQL the next read tries at once
            check=ConnectionPool.check_connection,
            configure=prepared,
            kwargs={"autocommit": True, "connect_timeout": 2},
            open=True,
        )

    def read(self, served: ServedModel, mine_ids: Sequence[str]) -> list[StoredMine | None]:
        """Return one entry a mine, in order; None for one that has neither features nor an index.

        Raises StoreUnavailableError: PostgreSQL does not answer either, or it computes the model's features otherwise
        by now, so that only the online store has them.
        """
        import psycopg
        from psycopg import sql

        names = sql.SQL(", ").join(map(sql.Identifier, served.model.features))
        wanted = list(dict.fromkeys(mine_ids))
        try:
            with self._pool.connection() as connection:
                frozen = connection.execute(_FROZEN, [number_of(served.feature_service)]).fetchone()
                if frozen is None or frozen[0] is not None:
                    raise StoreUnavailableError(
                        f"Redis does not answer, and only it has the features of {served.feature_service}: ask again "
                        "in a moment."
                    )
                rows = connection.execute(sql.SQL(_FEATURES).format(features=names), [wanted]).fetchall()
                index: dict[str, float | None] = dict(connection.execute(_INDEX, [wanted]).fetchall())
        except psycopg.Error as error:
            raise StoreUnavailableError(_DOWN) from error
        found = {row[0]: row[1:] for row in rows}
        return [_mine(found.get(mine_id), index, mine_id) for mine_id in mine_ids]

    def newest_year(self) -> int | None:
        """Return the as-of year that mines are scored for, asked again every 30 s. Raises StoreUnavailableError."""
        import psycopg

        until, year = self._year
        if time.monotonic() >= until:
            try:
                with self._pool.connection() as connection:
                    year = newest_year(connection)
            except psycopg.Error as error:
                raise StoreUnavailableError(_DOWN) from error
            self._year = (time.monotonic() + _YEAR_SECONDS, year)
        return year

    def forecast(self, kind: str, mine_id: str) -> dict[str, Any] | None:
        """Return the forecast of a kind as the online store would have it. Raises StoreUnavailableError."""
        import psycopg

        try:
            with self._pool.connection() as connection:
                return read_forecasts(connection, kind, mine_id).get(mine_id)
        except psycopg.Error as error:
            raise StoreUnavailableError(_DOWN) from error

    def close(self) -> None:
        """Give the connections back."""
        with contextlib.suppress(Exception):
            self._pool.close()


def _mine(row: Sequence[Any] | None, index: Mapping[str, float | None], mine_id: str) -> StoredMine | None:
    if row is None:
        return StoredMine(None, None, False, index[mine_id]) if mine_id in index else None
    as_of_year, in_cohort, known_at, *values = row
    # single precision by way of double, as the online store gives them
    features: NDArray[np.float64] = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    return StoredMine(features.astype(np.float32), as_of_year, bool(in_cohort), index.get(mine_id), known_at)
