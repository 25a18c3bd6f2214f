"""Passages for answers, through `evidence.retrieval`. Ranking belongs there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import psycopg

from fvi_pipeline.answers.fact import Passage, PassagesUnavailableError
from fvi_pipeline.evidence.filters import Filter
from fvi_pipeline.evidence.query import MAXIMUM_PASSAGES, InvalidQueryError, Mode
from fvi_pipeline.evidence.retrieval import Searcher

Connections = Callable[[], AbstractContextManager[psycopg.Connection[Any]]]
_MORE_BY_WORDS = 3
_PER_DOCUMENT = 2


class SearchedPassages:
    """Passages from PostgreSQL: by words where only words can be quoted, else by words and meaning."""

    def __init__(self, connections: Connections, searcher: Callable[[], Searcher | None]) -> None:
        """`searcher` gives one with its model loaded, or None while there is none."""
        self._connections = connections
        self._searcher = searcher
        self._by_words = Searcher(None)

    def search(
        self, query: str, k: int, mine_id: str | None = None, having: frozenset[str] = frozenset()
    ) -> Sequence[Passage]:
        """The k best passages, of the mine if one is named; with `having` more of them, since some will lack its words.

        Raises PassagesUnavailableError when PostgreSQL is away.
        """
        try:
            # what has to be quoted has the words: no model is asked
            searcher = None if having else self._searcher()
            mode: Mode = "text" if searcher is None else "hybrid"
            count = min(MAXIMUM_PASSAGES, k * _MORE_BY_WORDS) if having else k
            with self._connections() as connection:
                hits = (searcher or self._by_words).retrieve(
                    connection, query, count, mode=mode, only=Filter(mine_id=mine_id), per_document=_PER_DOCUMENT
                )
        except (psycopg.Error, InvalidQueryError) as error:
            raise PassagesUnavailableError(str(error)) from error
        return [
            Passage(
                hit.chunk_id, hit.document_id, hit.text, hit.source, hit.score, hit.title, hit.known_at,
                tuple(hit.mine_ids), hit.kind, hit.url, hit.licence,
            )
            for hit in hits
        ]  # fmt: skip
