"""From a request to its answer: the cache, the stored features, the model in force, the reasons.

Reading the online store belongs in `feature_reader`, the past in `history`, running the model in `scorer`, and the form
of answers in `answers`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fvi_pipeline.model.explanations.reasons import Phrasebook
from fvi_pipeline.model.online_answers import ScoredRow, forecasts_key
from fvi_pipeline.serving.answers import TOP_FEATURES, Answer, strongest
from fvi_pipeline.serving.arms import Board, ServedModel, Standing
from fvi_pipeline.serving.cache import AnswerCache, Looked, answer_key
from fvi_pipeline.serving.contract import MAXIMUM_BATCH, ExplainRequest, PredictRequest
from fvi_pipeline.serving.errors import StoreUnavailableError, TooLargeError, UnknownMineError
from fvi_pipeline.serving.mines import StoredMine, why_no_score
from fvi_pipeline.serving.replies import Scored, explained_answer, forecast_answer, score_answer
from fvi_pipeline.serving.scorer import Question, Scorer
from fvi_pipeline.serving.what_if import check_what_if

_SHOWN = 5


class Store(Protocol):
    """The online store: see feature_reader.OnlineReader."""

    async def read(
        self, served: ServedModel, mine_ids: Sequence[str], *also: tuple[Any, ...], version: bytes | None = None
    ) -> tuple[list[StoredMine | None], list[Any]]:
        """Return mines in order, and the replies to further commands; `version` is that of the store."""


class Warehouse(Protocol):
    """The same from PostgreSQL, by way of a thread, for when the online store is down."""

    def read(self, served: ServedModel, mine_ids: Sequence[str]) -> list[StoredMine | None]:
        """Return mines in order."""

    def newest_year(self) -> int | None:
        """Return the as-of year that mines are scored for."""

    def forecast(self, kind: str, mine_id: str) -> dict[str, Any] | None:
        """Return the forecast of a kind; see model.online_answers.read_forecasts."""


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
        phrasebook: Phrasebook | None = None,
    ) -> None:
        """Without `cache` nothing is kept, without `fallback` a store that is down is an error, without `past` any
        question about it. `newest_year` is the as-of year of now, until the cache tells it. Without `phrasebook` values
        are stated as they stand.
        """
        self._board = board
        self._store = store
        self._scorer = scorer
        self._cache = cache
        self._fallback = fallback
        self._past = past
        self._newest_year = newest_year
        # most values of a mine are the same at all horizons
        self._sentence = lru_cache(maxsize=65_536)((phrasebook or Phrasebook({})).sentence)

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
        answers, _ = await self._scores(standing, plain)
        given = iter(answers)
        return [
            next(given) if request.prediction_type == "viability" and request.as_of is None
            # few, and each its own query
            else await self.predict(request)
            for request in requests
        ]  # fmt: skip

    async def prepare(self, requests: Sequence[PredictRequest]) -> bytes | None:
        """Make the answers of plain questions about viability that are not kept yet, and keep them.

        Returns the version of the online store that they are kept under; None: none may be. Raises what `predict`
        raises.
        """
        _, version = await self._scores(self._board.standing, requests, is_asked=False)
        return version

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

    async def _look(self, keys: Sequence[str], *, is_asked: bool = True) -> Looked | None:
        """Ask the cache; None when there is none, or it is down."""
        if self._cache is None:
            return None
        try:
            looked = await self._cache.look(keys, is_asked=is_asked)
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
            mines, replies = await self._store.read(served, mine_ids, *also, version=looked.version if looked else None)
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

    async def _scores(
        self, standing: Standing, requests: Sequence[PredictRequest], *, is_asked: bool = True
    ) -> tuple[list[Answer], bytes | None]:
        """Answer questions about viability together: one look into the cache, one read and one scoring an arm.

        Also returns the version of the online store that they are kept under.
        """
        questions = [Question(standing.of(r.mine_id), r.mine_id, r.horizon_years or 0, r.features) for r in requests]
        keys = [answer_key(q.served, "viability", q.mine_id, q.horizon_years, q.what_if) for q in questions]
        looked = await self._look(keys, is_asked=is_asked) if keys else None
        if not is_asked and (looked is None or looked.version is None):
            return [], None  # nothing could be kept
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
                mine_id = question.mine_id
                fresh[key] = score_answer(
                    question, read.mines[mine_id], reasons[mine_id], by_key.get(key), is_degraded=read.is_degraded
                )
                if number % 100 == 99:
                    await asyncio.sleep(0)  # others may go on
        if self._cache is not None and looked is not None:
            self._cache.keep(looked.version, fresh)
        version = looked.version if looked is not None else None
        return [fresh.get(key) or _known(answers[key]) for key in keys], version

    async def _scored(self, question: Question, read: _Read) -> Answer:
        reason, scored = await self._score_of(question, read, TOP_FEATURES)
        return score_answer(question, read.mines[question.mine_id], reason, scored, is_degraded=read.is_degraded)

    async def _explained(self, question: Question, read: _Read) -> Answer:
        reason, scored = await self._score_of(question, read, None)
        mine = read.mines[question.mine_id]
        return explained_answer(question, mine, reason, scored, self._sentence, is_degraded=read.is_degraded)

    async def _score_of(
        self, question: Question, read: _Read, strongest: int | None
    ) -> tuple[str | None, Scored | None]:
        """Why there is no score, or the score; with as many of its strongest reasons, None: with all of them."""
        mine = read.mines[question.mine_id]
        reason = why_no_score(mine, read.newest_year)
        if reason is not None:
            return reason, None
        record = read.replies[0][0] if read.replies else None
        ((row, values),) = await self._scorer.score(question.served, [(question, _row(mine))], [record])
        (columns,) = _strongest([values], strongest)
        return None, (row, values, columns)

    def _forecast(self, kind: str) -> Callable[[Question, _Read], Awaitable[Answer]]:
        async def made(question: Question, read: _Read) -> Answer:
            mine = read.mines[question.mine_id]
            if read.is_degraded and self._fallback is not None:
                forecast = await asyncio.to_thread(self._fallback.forecast, kind, question.mine_id)
            else:
                forecast = json.loads(read.replies[0]) if read.replies and read.replies[0] else None
            reason = why_no_score(mine, read.newest_year)
            return forecast_answer(question, kind, mine, reason, forecast, is_degraded=read.is_degraded)

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
