"""Passages for a query, by meaning.

Reads only. Keeping the vectors in step belongs in `embedding`; HTTP belongs in `bentos`.
"""

from dataclasses import dataclass

import psycopg

from fvi_pipeline.evidence.embedding import Embedder

MAXIMUM_PASSAGES = 50
MAXIMUM_QUERY_CHARACTERS = 2_000
_NEIGHBOURS_LOOKED_AT = 100


class InvalidQueryError(ValueError):
    """The query is empty or too long, or k is out of range."""


@dataclass(frozen=True)
class Passage:
    """A chunk that answers a query; `score` is the cosine similarity, at most 1."""

    document_id: str
    chunk_id: str
    text: str
    score: float
    source: str


def retrieve(connection: psycopg.Connection, embedder: Embedder, query: str, k: int = 5) -> list[Passage]:
    """Return the k passages nearest to the query, best first; fewer when there are fewer chunks.

    Only vectors of the embedder's own model are compared. Raises InvalidQueryError for a blank query,
    one of more than MAXIMUM_QUERY_CHARACTERS, or k outside 1..MAXIMUM_PASSAGES.
    """
    if not query.strip() or len(query) > MAXIMUM_QUERY_CHARACTERS:
        raise InvalidQueryError(f"Give a query of 1 to {MAXIMUM_QUERY_CHARACTERS:,} characters.")
    if not 1 <= k <= MAXIMUM_PASSAGES:
        raise InvalidQueryError(f"Ask for 1 to {MAXIMUM_PASSAGES} passages, not {k}.")
    vector = embedder.encode([query])[0]
    literal = "[" + ",".join(repr(float(value)) for value in vector) + "]"
    with connection.transaction():
        # More neighbours than asked for, so that the approximate index misses almost none.
        connection.execute("SELECT set_config('hnsw.ef_search', %s, true)", (str(_NEIGHBOURS_LOOKED_AT),))
        rows = connection.execute(
            """
            WITH nearest AS MATERIALIZED (
                SELECT chunk_id, embedding <=> %(vector)s::vector AS distance
                FROM evidence.chunk_embeddings
                WHERE model_name = %(model)s
                ORDER BY embedding <=> %(vector)s::vector
                LIMIT %(k)s
            )
            SELECT c.document_id, c.chunk_id, c.text, 1 - n.distance, c.source
            FROM nearest AS n JOIN silver.silver_document_content AS c USING (chunk_id)
            ORDER BY n.distance, c.chunk_id
            """,
            {"vector": literal, "model": embedder.model_name, "k": k},
        ).fetchall()
    return [
        Passage(document_id, chunk_id, text, float(score), source)
        for document_id, chunk_id, text, score, source in rows
    ]
