"""The two arms of a search: candidates by words and by vectors, filtered, without near-duplicates.

What a word scores is in `bm25`, what becomes of the two in `fusion`.
"""

from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from fvi_pipeline.evidence.bm25 import TextHits
from fvi_pipeline.evidence.filters import NARROW, Filter
from fvi_pipeline.evidence.fusion import Candidate, distinct
from fvi_pipeline.evidence.vectors import EmbeddingModel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# What an arm brings to the fusion.
ARM_DEPTH = 100
# How many neighbours the graph's search keeps: recall@10 against exact search is in docs/evidence.md. Filters make it
# miss more.
EF_SEARCH = 110
EF_SEARCH_FILTERED = 160
_MAXIMUM_EF_SEARCH = 1_000
_MAXIMUM_SCANNED = 200_000

_FACTS = sql.SQL("p.passage_no, p.chunk_id, p.document_id, p.duplicate_group, p.content_sha256")
_NUMBERED = sql.SQL("select {}, {} from evidence.passages as p where p.passage_no = any(%(numbers)s) and {}")
_HAS_VECTOR = sql.SQL("exists (select from {} as e where e.embedded_sha256 = p.embedded_sha256)")
_NEAREST = sql.SQL(
    """
    with nearest as materialized (
        select e.embedded_sha256, e.embedding from {table} as e
        order by {indexed} <=> %(vector)s::halfvec({dimension}) limit %(count)s
    )
    select {facts}, 1 - (e.embedding <=> %(vector)s::vector)
    from nearest as e left join evidence.passages as p using (embedded_sha256)
    """
)
_FILTERED = sql.SQL(
    """
    select {facts}, 1 - (e.embedding <=> %(vector)s::vector)
    from {table} as e join evidence.passages as p using (embedded_sha256)
    where {condition}
    order by {indexed} <=> %(vector)s::halfvec({dimension}) limit %(count)s
    """
)
_EXACT = sql.SQL(
    """
    select {facts}, 1 - (e.embedding <=> %(vector)s::vector) as similarity
    from evidence.passages as p join {table} as e using (embedded_sha256)
    where p.passage_no = any(%(allowed)s)
    order by similarity desc, p.chunk_id
    """
)


def by_words(
    connection: psycopg.Connection,
    hits: TextHits,
    allowed: "NDArray[np.int64] | None",
    only: Filter,
    model: EmbeddingModel | None = None,
) -> list[Candidate]:
    """Return the first ARM_DEPTH of what full text found that may be shown, one of each group of near-duplicates.

    With a model, each says whether it has a vector of it.
    """
    has_vector = sql.SQL("true") if model is None else _HAS_VECTOR.format(model.table)
    if allowed is not None:
        hits = hits.only(allowed)
    depth = ARM_DEPTH + ARM_DEPTH // 4  # near-duplicates go
    while True:
        numbers, scores = hits.best(depth)
        by_number = dict(zip(numbers.tolist(), scores.tolist(), strict=True))
        rows = connection.execute(
            _NUMBERED.format(_FACTS, has_vector, only.condition),
            {"numbers": numbers.tolist(), **only.values},
        ).fetchall()
        found = distinct(_candidate(row, by_number[row[0]], has_vector=row[-1]) for row in rows)
        if len(found) >= ARM_DEPTH or len(numbers) >= len(hits.passage_nos):
            return found[:ARM_DEPTH]
        depth *= 4


def by_vector(
    connection: psycopg.Connection,
    model: EmbeddingModel,
    vector: str,
    allowed: "NDArray[np.int64] | None",
    only: Filter,
) -> list[Candidate]:
    """Return the first ARM_DEPTH passages by cosine similarity that may be shown, one of each group."""
    values = {"vector": vector, "allowed": None if allowed is None else allowed.tolist(), **only.values}
    if allowed is not None and len(allowed) <= NARROW:
        # so few that all are compared: the graph would have to be searched for long to find them
        return _candidates(_rows(connection, _EXACT, model, only.condition, values))
    conditions = [only.condition] + ([sql.SQL("p.passage_no = any(%(allowed)s)")] if allowed is not None else [])
    filtered = bool(only.values) or allowed is not None
    count = ARM_DEPTH
    while True:
        _search_settings(connection, max(count, EF_SEARCH_FILTERED if filtered else EF_SEARCH), filtered=filtered)
        rows = _rows(
            connection,
            _FILTERED if filtered else _NEAREST,
            model,
            sql.SQL(" and ").join(conditions),
            {**values, "count": count},
        )
        found = _candidates(rows)
        if len(found) >= ARM_DEPTH // 2 or len(rows) < count or count >= _MAXIMUM_EF_SEARCH:
            return found
        count = min(4 * count, _MAXIMUM_EF_SEARCH)


def _search_settings(connection: psycopg.Connection, kept: int, *, filtered: bool) -> None:
    """Until the end of the transaction: scan the graph in strict order until the filters have let enough through."""
    connection.execute(
        "select set_config('hnsw.ef_search', %s, true), set_config('hnsw.iterative_scan', %s, true), "
        "set_config('hnsw.max_scan_tuples', %s, true)",
        (str(kept), "strict_order" if filtered else "off", str(_MAXIMUM_SCANNED)),
    )


def _rows(
    connection: psycopg.Connection,
    statement: sql.SQL,
    model: EmbeddingModel,
    condition: sql.Composable,
    values: dict[str, Any],
) -> list[tuple[Any, ...]]:
    composed = statement.format(
        facts=_FACTS,
        table=model.table,
        indexed=model.indexed,
        dimension=sql.Literal(model.dimension),
        condition=condition,
    )
    return connection.execute(composed, values).fetchall()


def _candidates(rows: list[tuple[Any, ...]]) -> list[Candidate]:
    # a vector without a passage: embedded, and not yet published
    return distinct(_candidate(row, float(row[-1])) for row in rows if row[0] is not None)[:ARM_DEPTH]


def _candidate(row: tuple[Any, ...], score: float, *, has_vector: bool = True) -> Candidate:
    passage_no, chunk_id, document_id, duplicate_group, content_sha256 = row[:5]
    return Candidate(passage_no, chunk_id, document_id, duplicate_group, content_sha256, score, has_vector)
