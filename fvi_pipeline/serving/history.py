"""The past, read from the warehouse: scores as they were stored, weights of earlier nights. The present belongs to
`predictor` and `weights`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from fvi_pipeline.platform.errors import PlatformError
from fvi_pipeline.serving.answers import Answer, Facts, encode, head, score_parts
from fvi_pipeline.serving.contract import PredictRequest, WeightHistoryResponse, WeightOfNight
from fvi_pipeline.serving.errors import StoreUnavailableError, UnknownMineError

if TYPE_CHECKING:
    import psycopg

    from fvi_pipeline.serving.arms import ServedModel

_MAXIMUM_ROWS = 20_000
# the newest scoring by then, of the year that was asked for or of the newest one then
_SCORE = """
    with scoring as (
        select as_of_year, scored_at from mart.fvi_score_history
        where scored_at <= %(until)s and (%(year)s::integer is null or as_of_year = %(year)s)
        order by as_of_year desc, scored_at desc limit 1
    )
    select scoring.as_of_year, scoring.scored_at, stored.model_version,
        stored.fvi_score, stored.interval_low, stored.interval_high
    from scoring
    left join mart.fvi_score_history as stored
        on stored.as_of_year = scoring.as_of_year and stored.scored_at = scoring.scored_at
        and stored.mine_id = %(mine_id)s and stored.horizon_years = %(horizon)s
"""
# what a model said that knew nothing of the years after train_until_year; of several, the one that knew most
_BACKTEST = """
    select train_until_year, 100 * viability_probability, 100 * interval_low, 100 * interval_high
    from mart.backtest_predictions
    where mine_id = %(mine_id)s and horizon_years = %(horizon)s and as_of_year = %(year)s
    order by train_until_year desc limit 1
"""
_IS_KNOWN = "select exists (select 1 from silver.silver_mine_profiles where mine_id = %(mine_id)s)"
_REASONS = """
    select feature, value, contribution from mart.score_reasons
    inner join mart.score_explanation_bases using (mine_id, as_of_year, horizon_years)
    where mine_id = %(mine_id)s and horizon_years = %(horizon)s and as_of_year = %(year)s
        and model_version = %(version)s
    order by rank limit 5
"""
_WEIGHTS = """
    select night, metric, weight, information_gain, quality, override_weight from mart.fvi_weights
    where (%(since)s::date is null or night >= %(since)s) and (%(until)s::date is null or night <= %(until)s)
        and (%(metric)s::text is null or metric = %(metric)s)
    order by night desc, weight desc, metric limit %(limit)s
"""


class History:
    """Answers about the past over a connection of its own; each question is one short transaction in a thread."""

    def __init__(self, database_url: str) -> None:
        """Nothing is opened before the first question."""
        self._database_url = database_url
        self._connection: psycopg.Connection | None = None
        self._lock = threading.Lock()

    async def answer(self, request: PredictRequest, served: ServedModel) -> Answer:
        """Answer a prediction with `as_of`. Raises UnknownMineError and StoreUnavailableError."""
        return await asyncio.to_thread(self._answer, request, served)

    def weights(
        self, since: date | None = None, until: date | None = None, metric: str | None = None
    ) -> WeightHistoryResponse:
        """Return the weights of the nights from `since` to `until`, of one metric or of all.

        Raises StoreUnavailableError.
        """
        with self._cursor() as cursor:
            rows = cursor.execute(
                _WEIGHTS, {"since": since, "until": until, "metric": metric, "limit": _MAXIMUM_ROWS}
            ).fetchall()
        names = tuple(WeightOfNight.model_fields)
        return WeightHistoryResponse(
            nights=[WeightOfNight(**dict(zip(names, row, strict=True))) for row in rows],
        )

    def newest_score(self) -> tuple[int, str] | None:
        """Return the as-of year that mines are scored for, and one of them. Raises StoreUnavailableError."""
        with self._cursor() as cursor:
            row = cursor.execute(
                "select as_of_year, mine_id from mart.fvi_scores order by as_of_year desc, mine_id limit 1"
            ).fetchone()
        return None if row is None else (row[0], row[1])

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()

    def _answer(self, request: PredictRequest, served: ServedModel) -> Answer:
        year, until = _moment(request.as_of)
        given = {"mine_id": request.mine_id, "horizon": request.horizon_years, "year": year, "until": until}
        with self._cursor() as cursor:
            known = cursor.execute(_IS_KNOWN, given).fetchone()
            if known is None or not known[0]:
                raise UnknownMineError(f"No such mine: {request.mine_id}.")
            found = cursor.execute(_SCORE, given).fetchone()
            if found is not None:
                return self._stored(cursor, request, served, found)
            test = cursor.execute(_BACKTEST, given).fetchone() if year is not None else None
        if test is not None:
            facts = Facts(test[1], year, None, served.name, f"trained until {test[0]}", "backtest", None)
            return _told(request, facts, None, test[1:4], [], None)
        asked = f"as of {year}" if year is not None else f"by {until:%Y-%m-%d}"
        facts = Facts(None, year, None, served.name, "", "history", None)
        return _told(request, facts, None, None, [], f"Nothing had been scored {asked}.")

    @staticmethod
    def _stored(cursor: psycopg.Cursor, request: PredictRequest, served: ServedModel, found: tuple[Any, ...]) -> Answer:
        year, scored_at, version, *score = found
        if version is None:
            facts = Facts(None, year, scored_at.timestamp(), served.name, "", "history", None)
            reason = f"The mine was outside the cohort of {year} in the scoring of {scored_at:%Y-%m-%d}."
            return _told(request, facts, scored_at, None, [], reason)
        given = {"mine_id": request.mine_id, "horizon": request.horizon_years, "year": year, "version": version}
        reasons = [
            {"feature": feature, "value": value, "contribution": contribution}
            for feature, value, contribution in cursor.execute(_REASONS, given)
        ]
        facts = Facts(score[0], year, scored_at.timestamp(), served.name, version, "history", None)
        return _told(request, facts, scored_at, score, reasons, None)

    @contextmanager
    def _cursor(self) -> Iterator[psycopg.Cursor]:
        import psycopg

        try:
            with self._lock:
                if self._connection is None or self._connection.closed:
                    self._connection = psycopg.connect(
                        self._database_url, autocommit=True, connect_timeout=3, options="-c statement_timeout=4000"
                    )
                with self._connection.cursor() as cursor:
                    yield cursor
        except (PlatformError, psycopg.Error) as error:
            if self._connection is not None:
                self._connection.close()
            raise StoreUnavailableError("PostgreSQL does not answer: ask again in a moment.") from error


def _told(
    request: PredictRequest,
    facts: Facts,
    scored_at: datetime | None,
    score: Any,
    reasons: list[dict[str, Any]],
    reason: str | None,
) -> Answer:
    parts = score_parts(None)
    if score is not None:
        parts = {"fvi_score": score[0], "viability_probability": score[0] / 100, "interval": tuple(score[1:3])}
    values = head(request.mine_id, request.horizon_years, parts, facts, None, scored_at, is_degraded=False)
    rest = {"top_features": reasons, "reason": reason, "prediction_type": "viability"}
    return Answer(encode(values | rest | {"production": None, "next_status": None, "closing_year": None}), facts)


def _moment(as_of: int | datetime | date | None) -> tuple[int | None, datetime]:
    """The as-of year, if one was asked for, and the moment by which a score had to be stored."""
    now = datetime.now(UTC)
    if isinstance(as_of, int) or as_of is None:
        return as_of, now
    if isinstance(as_of, datetime):
        return None, as_of
    # a day counts to its end
    return None, datetime.combine(as_of + timedelta(days=1), time(), UTC)
