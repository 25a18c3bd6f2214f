"""Passages for a query: by words, by meaning, or by both, fused; filtered, without near-duplicates.

Reads only, and only what `index` has published. HTTP belongs in `bentos`.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row

from fvi_pipeline.evidence.arms import by_vector, by_words
from fvi_pipeline.evidence.bm25 import passages_with_phrases, search_words
from fvi_pipeline.evidence.embedding import Embedder, load_embedder
from fvi_pipeline.evidence.filters import Filter, narrow_to
from fvi_pipeline.evidence.fusion import RANK_CONSTANT, Candidate, Hit, fuse, spread
from fvi_pipeline.evidence.lexical import read_query
from fvi_pipeline.evidence.query import (
    KINDS,
    MAXIMUM_PASSAGES,
    MAXIMUM_QUERY_CHARACTERS,
    MODES,
    InvalidQueryError,
    Mode,
)
from fvi_pipeline.evidence.vectors import EmbeddingModel, current_model, find_model, vector_literal


@dataclass(frozen=True)
class Passage:
    """A chunk that answers a query.

    `score` orders the passages: in mode hybrid it is 1 for what is first by words and by meaning, in mode vector the
    cosine similarity, in mode text BM25. Ranks count from 1 among what the filters let through; None: not among the
    first by words (by meaning).
    """

    document_id: str
    chunk_id: str
    text: str
    score: float
    source: str
    title: str | None
    section: str | None
    kind: str
    url: str | None
    licence: str | None
    language: str | None
    mine_ids: list[str]
    known_at: datetime
    document_date: date | None
    text_rank: int | None
    text_score: float | None
    vector_rank: int | None
    similarity: float | None

    def as_json(self) -> dict[str, Any]:
        """Return its fields as JSON has them: times as ISO 8601."""
        return {name: value.isoformat() if isinstance(value, date) else value for name, value in asdict(self).items()}


class Searcher:
    """Searches with one embedder; remembers which of the stored vectors are its model's."""

    def __init__(self, embedder: Embedder | None, rank_constant: int = RANK_CONSTANT) -> None:
        self.embedder = embedder
        self._rank_constant = rank_constant
        self._model: EmbeddingModel | None = None
        # embeds while PostgreSQL searches by words
        self._beside = ThreadPoolExecutor(max_workers=2, thread_name_prefix="fvi-query")

    def retrieve(
        self,
        connection: psycopg.Connection,
        query: str,
        k: int = 5,
        *,
        mode: Mode = "hybrid",
        only: Filter | None = None,
        per_document: int | None = 1,
    ) -> list[Passage]:
        """Return the k best passages, best first; fewer when the filters let fewer through.

        Phrases in quotes have to be in a passage, if there is one that holds them all. More than `per_document`
        passages of a document come after those of the other documents. Before vectors of the embedder's model are
        there, the mode hybrid searches by words alone. Raises InvalidQueryError.
        """
        only = only or Filter()
        _check(query, k, mode, only)
        vector: Future[str] | None = None
        if mode != "text":
            if self.embedder is None:
                raise InvalidQueryError("Without an embedding model only the mode text can be searched.")
            vector = self._beside.submit(_embedded, self.embedder, query)
        with _snapshot(connection):
            allowed = narrow_to(connection, only)
            words = read_query(query)
            phrased = passages_with_phrases(connection, words)
            if phrased is not None and len(phrased):
                allowed = phrased if allowed is None else np.intersect1d(allowed, phrased)
            arms: dict[str, Sequence[Candidate]] = {}
            model = None if vector is None else self._stored_model(connection)
            if mode != "vector":
                arms["text"] = by_words(connection, search_words(connection, words), allowed, only, model)
            if vector is not None and model is not None:
                arms["vector"] = by_vector(connection, model, vector.result(), allowed, only)
            return _with_facts(connection, spread(fuse(arms, self._rank_constant), k, per_document))

    def _stored_model(self, connection: psycopg.Connection) -> EmbeddingModel | None:
        if self._model is not None:
            # dropped when two others followed it
            known = connection.execute(
                "select true from evidence.embedding_models where model_id = %s", (self._model.model_id,)
            ).fetchone()
            if known is None:
                self._model = None
        if self._model is None and self.embedder is not None:
            self._model = find_model(connection, self.embedder)
        return self._model


def open_searcher(connection: psycopg.Connection, model_name: str, exports: Path | None) -> Searcher:
    """Return a searcher with the model that the stored vectors are of; `model_name` before there are any.

    Raises EmbedderUnavailableError as `load_embedder` does. Commits.
    """
    stored = current_model(connection)
    connection.commit()
    return Searcher(load_embedder(stored.model_name if stored else model_name, exports))


def _embedded(embedder: Embedder, query: str) -> str:
    return vector_literal(embedder.encode_query(query))


def retrieve(
    connection: psycopg.Connection,
    embedder: Embedder | None,
    query: str,
    k: int = 5,
    *,
    mode: Mode = "hybrid",
    only: Filter | None = None,
    per_document: int | None = 1,
) -> list[Passage]:
    """Search once, as Searcher.retrieve does. Without an embedder only in mode text."""
    return Searcher(embedder).retrieve(connection, query, k, mode=mode, only=only, per_document=per_document)


def _check(query: str, k: int, mode: str, only: Filter) -> None:
    if not query.strip() or len(query) > MAXIMUM_QUERY_CHARACTERS or "\x00" in query:
        raise InvalidQueryError(f"Give a query of 1 to {MAXIMUM_QUERY_CHARACTERS:,} characters of text.")
    if not 1 <= k <= MAXIMUM_PASSAGES:
        raise InvalidQueryError(f"Ask for 1 to {MAXIMUM_PASSAGES} passages, not {k}.")
    if mode not in MODES:
        raise InvalidQueryError(f"There is no mode {mode}: ask for one of {', '.join(MODES)}.")
    if unknown := set(only.kinds or ()) - set(KINDS):
        raise InvalidQueryError(f"There is no kind {', '.join(sorted(unknown))}: ask for some of {', '.join(KINDS)}.")


@contextmanager
def _snapshot(connection: psycopg.Connection) -> Iterator[None]:
    """All reads of a search see the same passages, postings and vectors."""
    if connection.info.transaction_status != TransactionStatus.IDLE:
        yield  # what a transaction sees is its owner's choice
        return
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read, read only")
        yield


def _with_facts(connection: psycopg.Connection, hits: Sequence[Hit]) -> list[Passage]:
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            """
            select passage_no, text, source, title, section, kind, url, licence, language, mine_ids, known_at,
                document_date
            from evidence.passages where passage_no = any(%s)
            """,
            ([hit.candidate.passage_no for hit in hits],),
        ).fetchall()
    facts = {row.pop("passage_no"): row for row in rows}
    return [
        Passage(
            document_id=hit.candidate.document_id,
            chunk_id=hit.candidate.chunk_id,
            score=hit.score,
            text_rank=hit.text_rank,
            text_score=hit.text_score,
            vector_rank=hit.vector_rank,
            similarity=hit.similarity,
            **facts[hit.candidate.passage_no],
        )
        for hit in hits
    ]
