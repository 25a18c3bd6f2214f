"""Answers made before they are asked for: after a materialisation or a promotion nothing that was kept holds any more.

What was asked most comes first, then the other current mines; a few at a time, so that no request waits for it. Making
and keeping answers belongs to `predictor` and `cache`: a warmed answer is an ordinary one, and never an old one.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import Any

from fvi_pipeline.features.online_version import VERSION_KEY, is_settled
from fvi_pipeline.serving.arms import Board
from fvi_pipeline.serving.contract import PredictRequest
from fvi_pipeline.serving.errors import ServingError, StoreUnavailableError
from fvi_pipeline.serving.predictor import Predictor
from fvi_pipeline.serving.redis_link import RedisLink

LOOK_SECONDS = 0.25
_PART = 8
_PAUSE_SECONDS = 0.002
_REMEMBERED = 50_000
_DONE = "fvi:warmed"
logger = logging.getLogger(__name__)


class Warmer:
    """Watches the version of the online store and the models in force; one worker of all warms for each."""

    def __init__(self, predictor: Predictor, board: Board, link: RedisLink, *, maximum: int, seconds: int) -> None:
        """`maximum` bounds the answers that are made at once, 0 makes none; they are kept for `seconds`."""
        self._predictor = predictor
        self._board = board
        self._link = link
        self._maximum = maximum if seconds else 0
        self._seconds = seconds
        self._asked: Counter[tuple[str, int]] = Counter()
        self.made = 0

    def note(self, mine_id: str, horizon_years: int) -> None:
        """Note a question about viability; never waits and never raises."""
        if self._maximum:
            self._asked[mine_id, horizon_years] += 1

    async def run(self) -> None:
        """Warm whenever there is something new, until cancelled."""
        while self._maximum:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except StoreUnavailableError:
                continue  # Redis is away, and so is what would be warmed
            except Exception:  # the task must outlive whatever a store or a library does
                logger.exception("Answers could not be made in advance")

    async def look(self) -> int:
        """Warm if nobody has for what is in force now; how many answers were made. Raises StoreUnavailableError."""
        (version,) = await self._link.call([("GET", VERSION_KEY)])
        if not is_settled(version):
            return 0
        standing = self._board.standing
        models = [each for each in (standing.champion, standing.challenger) if each is not None]
        names = ":".join(f"{each.version}-{each.model.onnx_sha256[:16]}" for each in models)
        mark = f"{_DONE}:{version.decode()}:{names}:{standing.mode}:{standing.share}"
        (mine,) = await self._link.call([("SET", mark, "1", "NX", "EX", self._seconds)])
        return await self._warm(version) if mine else 0

    async def _warm(self, version: bytes) -> int:
        questions = await self._questions()
        made = 0
        for start in range(0, len(questions), _PART):
            part = questions[start : start + _PART]
            try:
                if await self._predictor.prepare(part) != version:
                    break  # something is new again: the next look begins anew
            except StoreUnavailableError:
                raise
            except ServingError:
                continue  # a mine that has left the store since it was asked for
            made += len(part)
            await asyncio.sleep(_PAUSE_SECONDS)
        self.made += made
        return made

    async def _questions(self) -> list[PredictRequest]:
        most = [question for question, _ in self._asked.most_common(self._maximum)]
        # what was popular once makes room for what is by and by
        self._asked = Counter({question: count // 2 for question, count in self._asked.items() if count > 1})
        if len(self._asked) > _REMEMBERED:
            self._asked = Counter(dict(self._asked.most_common(_REMEMBERED)))
        champion = self._board.standing.champion
        (stored,) = await self._link.call([("HKEYS", champion.records)])
        every = dict.fromkeys([*most, *(_question(field) for field in stored)])
        return [
            PredictRequest.model_validate({"mine_id": mine_id, "horizon_years": horizon})
            for mine_id, horizon in list(every)[: self._maximum]
            if horizon in champion.model.horizons
        ]


def _question(field: Any) -> tuple[str, int]:
    """The mine and the horizon of a stored record: see model.online_answers.record_field."""
    mine_id, _, horizon = field.decode().rpartition("|")
    return mine_id, int(horizon)
