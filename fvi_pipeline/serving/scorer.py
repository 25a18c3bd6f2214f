"""Scores and reasons of feature values: taken from what was computed beside the batch scores, else computed now.

A stored record is the same function of the same values by the same model, bound to both; see model.online_answers.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fvi_pipeline.model.online_answers import SECONDS_KEPT, ScoredRow, record_field, row_digest, unpack
from fvi_pipeline.serving.arms import ServedModel
from fvi_pipeline.serving.metrics import count_computed
from fvi_pipeline.serving.redis_link import RedisLink


class Question(NamedTuple):
    """A mine, a horizon, perhaps values of the caller's, and the model that is asked."""

    served: ServedModel
    mine_id: str
    horizon_years: int
    what_if: Mapping[str, float | None] | None


class Scorer:
    """Gives the scored row of each question; what it had to compute it keeps for the next one."""

    def __init__(self, link: RedisLink | None = None) -> None:
        """Without a link nothing is kept."""
        self._link = link
        # TreeSHAP takes milliseconds and frees the interpreter: threads, so that other requests go on meanwhile
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="fvi-scorer")

    def warm_up(self, served: ServedModel) -> None:
        """Run the whole way once."""
        row = np.full((1, len(served.model.features)), np.nan, dtype=np.float32)
        for horizon in served.model.horizons:
            _computed(served, horizon, row)

    @staticmethod
    def record_command(served: ServedModel, questions: Sequence[Question]) -> tuple[Any, ...]:
        """The command that reads the stored records of the questions."""
        return ("HMGET", served.records, *(record_field(q.mine_id, q.horizon_years) for q in questions))

    async def score(
        self,
        served: ServedModel,
        asked: Sequence[tuple[Question, NDArray[np.float32]]],
        records: Sequence[bytes | None],
    ) -> list[tuple[NDArray[np.float32], ScoredRow]]:
        """Return the values [F] and the scored row of each question, of one model, in order."""
        features = len(served.model.features)
        rows = [with_what_if(served, row, question.what_if) for question, row in asked]
        digests = [row_digest(row) for row in rows]
        found = [unpack(record, digest, features) for record, digest in zip(records, digests, strict=True)]
        missing: dict[int, list[int]] = defaultdict(list)
        for place, (question, _) in enumerate(asked):
            if found[place] is None:
                missing[question.horizon_years].append(place)
        loop = asyncio.get_running_loop()
        for horizon, places in missing.items():
            matrix = np.vstack([rows[place] for place in places])
            computed = await loop.run_in_executor(self._pool, _computed, served, horizon, matrix)
            count_computed(len(places))
            for place, scored in zip(places, computed, strict=True):
                found[place] = scored
        if missing and self._link is not None:
            kept = [
                (record_field(question.mine_id, question.horizon_years), scored.pack(digests[place]))
                for places in missing.values()
                for place in places
                for (question, _), scored in [(asked[place], found[place])]
                if scored is not None and not question.what_if
            ]
            if kept:
                pairs = [part for pair in kept for part in pair]
                self._link.tell([("HSET", served.records, *pairs), ("EXPIRE", served.records, SECONDS_KEPT)])
        return [(row, scored) for row, scored in zip(rows, found, strict=True) if scored is not None]

    def close(self) -> None:
        """Let the thread go."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def with_what_if(
    served: ServedModel, row: NDArray[np.float32], what_if: Mapping[str, float | None] | None
) -> NDArray[np.float32]:
    """The values [F] with the caller's own in place of the stored ones."""
    if not what_if:
        return row
    changed = row.copy()
    for name, value in what_if.items():
        changed[served.positions[name]] = np.nan if value is None else value
    return changed


def _computed(served: ServedModel, horizon_years: int, matrix: NDArray[np.float32]) -> list[ScoredRow]:
    scores = served.model.score_at(matrix, horizon_years)
    explanation = served.model.explain(matrix, horizon_years)
    return [
        ScoredRow(score.viability_probability, score.interval_low, score.interval_high, float(base), contributions)
        for score, base, contributions in zip(scores, explanation.base, explanation.contributions, strict=True)
    ]
