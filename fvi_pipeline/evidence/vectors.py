"""evidence.chunk_embeddings: the vectors of each embedding model, and which model is the one to search with.

Vectors are kept by the digest of the text that was embedded, so that equal texts share one and a text that comes back
costs nothing. Which passages there are belongs in `index`, searching in `retrieval`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import psycopg
from pgvector.psycopg import register_vector
from psycopg import sql

from fvi_pipeline.evidence.embedding import BATCH_SIZE, DEFAULT_MODEL, Embedder

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Two models by one name are the same if they put this at the same place: other weights put it elsewhere.
PROBE = "Methane is drained from the longwall of an underground coal mine."
_SAME_COSINE = 0.999

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class EmbeddingModel:
    """A row of evidence.embedding_models."""

    model_id: int
    model_name: str
    dimension: int
    state: str

    @property
    def table(self) -> sql.Composable:
        """The partition that holds its vectors."""
        return sql.Identifier("evidence", f"chunk_embeddings_{self.model_id}")

    @property
    def indexed(self) -> sql.Composable:
        """The expression that its HNSW index is made of; half precision halves the index."""
        return sql.SQL("embedding::halfvec({})").format(sql.Literal(self.dimension))


def vector_literal(vector: "NDArray[np.float32]") -> str:
    """Return a vector as pgvector reads it."""
    return "[" + ",".join(map(repr, vector.astype(float).tolist())) + "]"


def find_model(connection: psycopg.Connection, embedder: Embedder) -> EmbeddingModel | None:
    """Return the model whose vectors the embedder's can be compared with; None when there are none of it."""
    probe = embedder.encode_query(PROBE)
    rows = connection.execute(
        """
        select model_id, model_name, dimension, state, probe from evidence.embedding_models
        where model_name = %s and dimension = %s order by model_id desc
        """,
        (embedder.model_name, embedder.dimension),
    ).fetchall()
    for *row, known in rows:
        if float(np.dot(probe, np.asarray(known, np.float32))) >= _SAME_COSINE:
            return EmbeddingModel(*row)
    return None


def current_model(connection: psycopg.Connection) -> EmbeddingModel | None:
    """Return the model that searches use; None before anything was embedded."""
    row = connection.execute(
        "select model_id, model_name, dimension, state from evidence.embedding_models where state = 'current'"
    ).fetchone()
    return EmbeddingModel(*row) if row else None


def ensure_model(connection: psycopg.Connection, embedder: Embedder) -> EmbeddingModel:
    """Return the embedder's model, with a place for its vectors; a new one is `building`. Commits."""
    with connection.transaction():
        model = find_model(connection, embedder)
        if model is not None:
            return model
        row = connection.execute(
            """
            insert into evidence.embedding_models (model_name, dimension, probe, state)
            values (%s, %s, %s, 'building') returning model_id, model_name, dimension, state
            """,
            (embedder.model_name, embedder.dimension, embedder.encode_query(PROBE).tolist()),
        ).fetchone()
        assert row is not None  # noqa: S101 (an insert that returns)
        model = EmbeddingModel(*row)
        connection.execute(
            sql.SQL("create table {} partition of evidence.chunk_embeddings for values in ({})").format(
                model.table, sql.Literal(model.model_id)
            )
        )
        _take_over_former(connection, model)
    return model


def _take_over_former(connection: psycopg.Connection, model: EmbeddingModel) -> None:
    """Bring the vectors of the time when there was one model, whose table held no more than its name."""
    row = connection.execute("select to_regclass('evidence.former_embeddings') is not null").fetchone()
    if model.model_name == DEFAULT_MODEL and row is not None and row[0]:
        connection.execute(
            """
            insert into evidence.chunk_embeddings (model_id, embedded_sha256, embedding)
            select distinct on (content_sha256) %s::int, content_sha256, embedding
            from evidence.former_embeddings where model_name = %s
            """,
            (model.model_id, model.model_name),
        )
        connection.execute("drop table evidence.former_embeddings")


def index_vectors(connection: psycopg.Connection, model: EmbeddingModel) -> None:
    """Make the model's HNSW index if it has none: after its first vectors, since one of many is made faster at once."""
    with connection.transaction():
        # denser than pgvector's default graph: a quarter of its misses at the same speed, made in twice the time
        connection.execute(
            sql.SQL(
                "create index if not exists {} on {} using hnsw (({}) halfvec_cosine_ops) "
                "with (m = 24, ef_construction = 128)"
            ).format(sql.Identifier(f"chunk_embeddings_{model.model_id}_cosine"), model.table, model.indexed)
        )


def embedded_digests(connection: psycopg.Connection, model: EmbeddingModel) -> set[str]:
    """Return the digests of the texts that have a vector of the model. Commits."""
    rows = connection.execute(
        "select embedded_sha256 from evidence.chunk_embeddings where model_id = %s", (model.model_id,)
    ).fetchall()
    connection.commit()
    return {digest for (digest,) in rows}


def embed_missing(
    connection: psycopg.Connection,
    embedder: Embedder,
    model: EmbeddingModel,
    missing: Sequence[tuple[str, str]],
    progress: Progress | None = None,
    batch_size: int = BATCH_SIZE,
) -> int:
    """Store the vectors of `missing`, pairs of digest and text; return how many they were.

    One transaction a batch: after a kill, the next call goes on where this one ended. `progress` is called with
    (texts done, texts to do) after each. No search sees a vector before a passage refers to it.
    """
    register_vector(connection)
    connection.commit()
    # Texts of like length share a batch (no padding to embed); the longest first, so that progress never slows down
    # towards its end.
    waiting = sorted(missing, key=lambda item: (-len(item[1]), item[0]))
    for start in range(0, len(waiting), batch_size):
        batch = waiting[start : start + batch_size]
        vectors = embedder.encode([text for _, text in batch])
        with (
            connection.transaction(),
            connection.cursor() as cursor,
            cursor.copy(
                "copy evidence.chunk_embeddings (model_id, embedded_sha256, embedding) from stdin (format binary)"
            ) as copy,
        ):
            copy.set_types(["int4", "text", "vector"])
            for (digest, _), vector in zip(batch, vectors, strict=True):
                copy.write_row((model.model_id, digest, vector))
        if progress is not None:
            progress(start + len(batch), len(waiting))
    return len(waiting)


def make_current(connection: psycopg.Connection, model: EmbeddingModel) -> None:
    """Let searches use this model from the end of the caller's transaction on.

    The former one is kept as retired; those before it, and those that somebody began and gave up, are dropped.
    """
    if model.state == "current":
        return
    for (model_id,) in connection.execute(
        "select model_id from evidence.embedding_models where state <> 'current' and model_id <> %s", (model.model_id,)
    ).fetchall():
        table = sql.Identifier("evidence", f"chunk_embeddings_{model_id}")
        connection.execute(sql.SQL("drop table {}").format(table))
        connection.execute("delete from evidence.embedding_models where model_id = %s", (model_id,))
    connection.execute("update evidence.embedding_models set state = 'retired' where state = 'current'")
    connection.execute(
        "update evidence.embedding_models set state = 'current', current_at = now() where model_id = %s",
        (model.model_id,),
    )
