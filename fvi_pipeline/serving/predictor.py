"""From a request to its answer: the cache, the stored features, the model in force, the reasons.

Reading the online store belongs in `feature_reader`, the past in `history`, running the model in `scorer`, and the form
of answers in `answers`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fvi_pipeline.model.online_answers import ScoredRow, forecasts_key
from fvi_pipeline.serving.answers import (
    TOP_FEATURES,
    Answer,
    Facts,
    contributions_of,
    encode,
    head,
    score_parts,
    strongest,
)
from fvi_pipeline.serving.arms import Board, ServedModel, Standing
from fvi_pipeline.serving.cache import AnswerCache, Looked, answer_key
from fvi_pipeline.serving.contract import MAXIMUM_BATCH, ExplainRequest, PredictRequest
from fvi_pipeline.serving.errors import StoreUnavailableError, TooLargeError, UnknownMineError
from fvi_pipeline.serving.mines import StoredMine, why_no_score
from fvi_pipeline.serving.scorer import Question, Scorer
from fvi_pipeline.serving.what_if import check_what_if

# the model that a companion's forecast comes from, by type of prediction
_COMPANIONS = {"production": "fvi_production", "next_status": "fvi_next_status", "closing_year": "fvi_viability"}
_SHOWN = 5


class Store(Protocol):
    """The online store: see feature_reader.OnlineReader."""

    async def read(
        self, served: ServedModel, mine_ids: Sequence[str], *also: tuple[Any, ...]
    ) -> tuple[list[StoredMine | None], list[Any]]:
        """Return mines in order, and the replies to further commands."""


class Warehouse(Protocol):
    """The same from PostgreSQL, by way of a thread, for when the online store is down."""

    def read(self, served: ServedModel, mine_ids: Sequence[str]) -> list[StoredMine | None]:
        """Return mines in order."""

    def newest_year(self) -> int | None:
        """Return the as-of year that mines are scored for."""

    def forecast(self, kind: str, mine_id: str) -> dict[str, Any] | None:
        """Return the forecast of a kind; see model.online_answers.read_forecasts."""


Row = NDArray[np.float32]
Columns = NDArray[np.intp]
Past = Callable[[PredictRequest, ServedModel], Awaitable[Answer]]


@dataclass(frozen=True)
class _Read:
    """What was read for some mines."""

    mines: Mapping[str, StoredMine]
    newest_year: int | None
    replies: list[Any]
    is_degraded: bool


class Predictor:
    """Answers questions with the models on the board."""

    def __init__(
        self,
        board: Board,
        store: Store,
        scorer: Scorer,
        cache: AnswerCache | None = None,
        fallback: Warehouse | None = None,
        past: Past | None = None,
        newest_year: int | None = None,
    ) -> None:
        """Without `cache` nothing is kept, without `fallback` a store that is down is an error, without `past` any
        question about it. `newest_year` is the as-of year of now, until the cache tells it.
        """
        self._board = board
        self._store = store
        self._scorer = scorer
        self._cache = cache
        self._fallback = fallback
        self._past = past
        self._newest_year = newest_year

    async def predict(self, request: PredictRequest) -> Answer:
        """Answer one request.

        Raises UnknownMineError, InvalidRequestError (a what-if value that cannot be) and StoreUnavailableError.
        """
        served = self._board.standing.of(request.mine_id)
        if request.as_of is not None:
            if self._past is None:
                raise StoreUnavailableError("The history does not answer: ask again later.")
            return await self._past(request, served)
        kind = request.prediction_type
        if kind != "viability":
            return await self._one(served, kind, request.mine_id, None, None, self._forecast(kind))
        return await self._one(served, kind, request.mine_id, request.horizon_years, request.features, self._scored)

    async def explain(self, request: ExplainRequest) -> Answer:
        """Answer what every feature adds to one score; raises what `predict` raises."""
        served = self._board.standing.of(request.mine_id)
        return await self._one(
            served, "explain", request.mine_id, request.horizon_years, request.features, self._explained
        )

    async def predict_batch(self, requests: Sequence[PredictRequest]) -> list[Answer]:
        """Answer all requests in their order, or none: one unknown mine is an error of the batch.

        Raises TooLargeError beyond MAXIMUM_BATCH, and what `predict` raises.
        """
        if len(requests) > MAXIMUM_BATCH:
            raise TooLargeError(f"A batch holds at most {MAXIMUM_BATCH:,} requests, not {len(requests):,}.")
        standing = self._board.standing
        plain = [r for r in requests if r.prediction_type == "viability" and r.as_of is None]
        for request in plain:
            if request.features:
                check_what_if(standing.of(request.mine_id), request.features)
        answers = await self._scores(standing, plain)
        given = iter(answers)
        return [
            next(given) if request.prediction_type == "viability" and request.as_of is None
            # few, and each its own query
            else await self.predict(request)
            for request in requests
        ]  # fmt: skip

    async def _one(
        self,
        served: ServedModel,
        kind: str,
        mine_id: str,
        horizon_years: int | None,
        what_if: Mapping[str, float | None] | None,
        make: Callable[[Question, _Read], Awaitable[Answer]],
    ) -> Answer:
        if what_if:
            check_what_if(served, what_if)
        key = answer_key(served, kind, mine_id, horizon_years, what_if)
        looked = await self._look([key])
        if looked is not None and looked.answers[0] is not None:
            return looked.answers[0]
        question = Question(served, mine_id, horizon_years or 0, what_if)
        also: tuple[tuple[Any, ...], ...] = ()
        if kind in ("viability", "explain"):
            also = () if what_if else (self._scorer.record_command(served, [question]),)
        else:
            also = (("HGET", forecasts_key(kind), mine_id),)
        read = await self._read(served, [mine_id], looked, also)
        answer = await make(question, read)
        if self._cache is not None and looked is not None:
            self._cache.keep(looked.version, {key: answer})
        return answer

    async def _look(self, keys: Sequence[str]) -> Looked | None:
        """Ask the cache; None when there is none, or it is down."""
        if self._cache is None:
            return None
        try:
            looked = await self._cache.look(keys)
        except StoreUnavailableError:
            if self._fallback is None:
                raise
            return None
        if looked.newest_year is not None:
            self._newest_year = looked.newest_year
        return looked

    async def _read(
        self,
        served: ServedModel,
        mine_ids: Sequence[str],
        looked: Looked | None,
        also: Sequence[tuple[Any, ...]] = (),
    ) -> _Read:
        """Read mines online, or from the warehouse. Raises UnknownMineError, and StoreUnavailableError when neither
        answers.
        """
        is_degraded = False
        try:
            if looked is None and self._cache is not None:
                raise StoreUnavailableError("The online store does not answer: ask again in a moment.")
            mines, replies = await self._store.read(served, mine_ids, *also)
            if self._newest_year is None and self._fallback is not None:
                # an online store that was filled before it told the year
                self._newest_year = await asyncio.to_thread(self._fallback.newest_year)
            year = self._newest_year
            if None in mines and self._fallback is not None and not _is_whole(looked):
                # Redis has lost what it held: nobody is unknown for that
                raise StoreUnavailableError("The online store has lost its content: ask again in a moment.")
        except StoreUnavailableError:
            if self._fallback is None:
                raise
            is_degraded = True
            mines = await asyncio.to_thread(self._fallback.read, served, mine_ids)
            year, replies = await asyncio.to_thread(self._fallback.newest_year), []
        unknown = [mine_id for mine_id, mine in zip(mine_ids, mines, strict=True) if mine is None]
        if unknown:
            more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
            raise UnknownMineError(f"No such mine: {', '.join(unknown[:_SHOWN])}{more}.")
        found = {mine_id: mine for mine_id, mine in zip(mine_ids, mines, strict=True) if mine is not None}
        return _Read(found, year, replies, is_degraded)

    async def _scores(self, standing: Standing, requests: Sequence[PredictRequest]) -> list[Answer]:
        """Answer questions about viability together: one look into the cache, one read and one scoring an arm."""
        questions = [Question(standing.of(r.mine_id), r.mine_id, r.horizon_years or 0, r.features) for r in requests]
        keys = [answer_key(q.served, "viability", q.mine_id, q.horizon_years, q.what_if) for q in questions]
        looked = await self._look(keys) if keys else None
        answers = dict(zip(keys, looked.answers, strict=True)) if looked else {}
        fresh: dict[str, Answer] = {}
        for served in (standing.champion, standing.challenger):
            missing = {
                key: question
                for key, question in zip(keys, questions, strict=True)
                if answers.get(key) is None and question.served is served
            }
            if served is None or not missing:
                continue
            mine_ids = list(dict.fromkeys(question.mine_id for question in missing.values()))
            asked = list(missing.values())
            read = await self._read(served, mine_ids, looked, [self._scorer.record_command(served, asked)])
            reasons = {m: why_no_score(mine, read.newest_year) for m, mine in read.mines.items()}
            records = (read.replies or [[None] * len(asked)])[0]
            inside = [
                (key, question, record)
                for (key, question), record in zip(missing.items(), records, strict=True)
                if reasons[question.mine_id] is None
            ]
            scored = await self._scorer.score(
                served,
                [(question, _row(read.mines[question.mine_id])) for _, question, _ in inside],
                [record for _, _, record in inside],
            )
            top = _strongest([values for _, values in scored], TOP_FEATURES)
            by_key = {
                key: (row, values, columns)
                for (key, _, _), (row, values), columns in zip(inside, scored, top, strict=True)
            }
            for number, (key, question) in enumerate(missing.items()):
                fresh[key] = _prediction(question, read, reasons[question.mine_id], by_key.get(key))
                if number % 100 == 99:
                    await asyncio.sleep(0)  # others may go on
        if self._cache is not None and looked is not None:
            self._cache.keep(looked.version, fresh)
        return [fresh.get(key) or _known(answers[key]) for key in keys]

    async def _scored(self, question: Question, read: _Read) -> Answer:
        reason, scored = await self._score_of(question, read)
        if scored is None:
            return _prediction(question, read, reason, None)
        (columns,) = _strongest([scored[1]], TOP_FEATURES)
        return _prediction(question, read, reason, (*scored, columns))

    async def _explained(self, question: Question, read: _Read) -> Answer:
        reason, scored = await self._score_of(question, read)
        parts: dict[str, Any] = {"base": None, "log_odds": None, "contributions": [], "reason": reason}
        if scored is not None:
            row, values = scored
            parts["base"] = values.base
            (columns,) = _strongest([values])
            parts["contributions"] = contributions_of(
                question.served.model.features, row, values.contributions, columns
            )
            parts["log_odds"] = values.base + float(values.contributions.sum())
        return _answer(question, read, scored[1] if scored else None, parts)

    async def _score_of(self, question: Question, read: _Read) -> tuple[str | None, tuple[Any, ScoredRow] | None]:
        mine = read.mines[question.mine_id]
        reason = why_no_score(mine, read.newest_year)
        if reason is not None:
            return reason, None
        record = read.replies[0][0] if read.replies else None
        (scored,) = await self._scorer.score(question.served, [(question, _row(mine))], [record])
        return None, scored

    def _forecast(self, kind: str) -> Callable[[Question, _Read], Awaitable[Answer]]:
        async def made(question: Question, read: _Read) -> Answer:
            mine = read.mines[question.mine_id]
            if read.is_degraded and self._fallback is not None:
                forecast = await asyncio.to_thread(self._fallback.forecast, kind, question.mine_id)
            else:
                forecast = json.loads(read.replies[0]) if read.replies and read.replies[0] else None
            # one of another year is of a mine that has left, or that was not forecast again yet
            if forecast is not None and forecast["as_of_year"] != mine.as_of_year:
                forecast = None
            reason = why_no_score(mine, read.newest_year)
            if reason is None and forecast is None:
                reason = "Nothing of this kind is forecast for the mine yet."
            parts: dict[str, Any] = {"top_features": [], "reason": reason, "prediction_type": kind}
            version = ""
            if forecast is not None and reason is None:
                version = forecast.pop("model_version")
                forecast.pop("as_of_year")
                parts[kind] = forecast
            facts = _facts(question, mine)._replace(
                model_name=_COMPANIONS[kind], model_version=version, arm="champion", feature_service=None
            )
            horizon = None if kind == "closing_year" else 1
            body = encode(
                head(
                    question.mine_id,
                    horizon,
                    score_parts(None),
                    facts,
                    mine.index_score,
                    mine.known_at,
                    is_degraded=read.is_degraded,
                )
                | {"production": None, "next_status": None, "closing_year": None}
                | parts
            )
            return Answer(body, facts, is_degraded=read.is_degraded)

        return made


def _is_whole(looked: Looked | None) -> bool:
    """Whether the online store says that it holds everything."""
    return looked is not None and looked.version is not None


def _row(mine: StoredMine) -> Any:
    return mine.row


def _strongest(scored: Sequence[ScoredRow], count: int | None = None) -> Columns:
    return strongest(np.vstack([values.contributions for values in scored]), count) if scored else np.empty((0, 0), int)


def _known(answer: Answer | None) -> Answer:
    if answer is None:  # cannot be: what the cache has not was made
        raise StoreUnavailableError("The online store does not answer: ask again in a moment.")
    return answer


def _facts(question: Question, mine: StoredMine, scored: ScoredRow | None = None) -> Facts:
    served = question.served
    return Facts(
        fvi_score=100.0 * scored.probability if scored else None,
        as_of_year=mine.as_of_year,
        known_at=mine.known_at.timestamp() if mine.known_at else None,
        model_name=served.name,
        model_version=served.version,
        arm=served.arm,
        feature_service=served.feature_service,
    )


def _prediction(
    question: Question, read: _Read, reason: str | None, scored: tuple[Row, ScoredRow, Columns] | None
) -> Answer:
    top: list[dict[str, Any]] = []
    if scored is not None:
        row, values, columns = scored
        top = contributions_of(question.served.model.features, row, values.contributions, columns)
    parts = {
        "top_features": top,
        "reason": reason,
        "prediction_type": "viability",
        "production": None,
        "next_status": None,
        "closing_year": None,
    }
    return _answer(question, read, scored[1] if scored else None, parts)


def _answer(question: Question, read: _Read, scored: ScoredRow | None, parts: dict[str, Any]) -> Answer:
    mine = read.mines[question.mine_id]
    facts = _facts(question, mine, scored)
    values = head(
        question.mine_id,
        question.horizon_years,
        score_parts(scored),
        facts,
        mine.index_score,
        mine.known_at,
        is_degraded=read.is_degraded,
    )
    return Answer(encode(values | parts), facts, is_degraded=read.is_degraded)
