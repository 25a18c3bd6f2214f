"""Answers kept in Redis, each under what it follows from: the model's bytes, the version of the online store, the
question.

An answer of another version of the online store is none; the version is read in the same round trip as the answer.
Making answers belongs to `predictor`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fvi_pipeline.features.online_version import NEWEST_YEAR_KEY, VERSION_KEY, is_settled, new_version
from fvi_pipeline.serving.answers import Answer, Facts
from fvi_pipeline.serving.arms import ServedModel
from fvi_pipeline.serving.metrics import count_cached
from fvi_pipeline.serving.redis_link import RedisLink

if TYPE_CHECKING:
    import redis

# also the code's: an answer of another form is none
_FORM = "2"
_PREFIX = "fvi:answer:"


class Looked(NamedTuple):
    """What was found: the version of the online store, under which whatever follows from it is kept (None: it may not
    be), the newest as-of year, and an answer a key.
    """

    version: bytes | None
    newest_year: int | None
    answers: list[Answer | None]


class AnswerCache:
    """Looks answers up and keeps them; `seconds` bounds how long, 0 keeps none."""

    def __init__(self, link: RedisLink, seconds: int) -> None:
        self._link = link
        self._seconds = seconds

    async def look(self, keys: Sequence[str], *, is_asked: bool = True) -> Looked:
        """Find the answers of the keys in one round trip, counted if somebody asks. Raises StoreUnavailableError."""
        wanted = keys if self._seconds else ()
        ((version, year, *found),) = await self._link.call([("MGET", VERSION_KEY, NEWEST_YEAR_KEY, *wanted)])
        newest_year = int(year) if year else None
        if not is_settled(version) or not self._seconds:
            count_cached(0, len(keys) * is_asked)
            return Looked(version if is_settled(version) else None, newest_year, [None] * len(keys))
        head = version + b"\n"
        answers = [_read(entry, head) for entry in found]
        hits = len(answers) - answers.count(None)
        if is_asked:
            count_cached(hits, len(answers) - hits)
        return Looked(version, newest_year, answers)

    def keep(self, version: bytes | None, answers: Mapping[str, Answer]) -> None:
        """Keep answers that were made from what the store held under the version; nobody waits for it."""
        if version is None or not self._seconds:
            return
        self._link.tell(
            [
                ("SET", key, b"\n".join((version, json.dumps(answer.facts).encode(), answer.body)), "EX", self._seconds)
                for key, answer in answers.items()
                if not answer.is_degraded
            ]
        )


def settle(client: redis.Redis, newest_year: int | None) -> None:
    """Give a store its version and year that was filled by code from before there were any."""
    client.set(VERSION_KEY, new_version(), nx=True)
    if newest_year is not None:
        client.set(NEWEST_YEAR_KEY, newest_year, nx=True)


def answer_key(
    served: ServedModel,
    kind: str,
    mine_id: str,
    horizon_years: int | None,
    what_if: Mapping[str, float | None] | None,
) -> str:
    """The key of an answer; `kind` is what is asked for."""
    asked = ""
    if what_if:
        told = json.dumps(sorted(what_if.items())).encode()
        asked = hashlib.blake2b(told, digest_size=16).hexdigest()
    sha = served.model.onnx_sha256[:16]
    return f"{_PREFIX}{_FORM}:{served.version}:{sha}:{served.arm}:{kind}:{horizon_years}:{asked}:{mine_id}"


def _read(entry: bytes | None, head: bytes) -> Answer | None:
    if entry is None or not entry.startswith(head):
        return None
    facts, _, body = entry[len(head) :].partition(b"\n")
    return Answer(body, Facts(*json.loads(facts)), is_cached=True)
