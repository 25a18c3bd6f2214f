"""A small collection to search in: documents written into landing, and an embedder of words that needs no model."""

from __future__ import annotations

import hashlib
import random
from datetime import UTC, date, datetime

import numpy as np

from fvi_pipeline.evidence.lexical import lexical_text
from fvi_pipeline.evidence.retrieval import retrieve

KNOWN = datetime(2024, 4, 30, 12, tzinfo=UTC)


class HashEmbedder:
    """Words as directions: deterministic, in no time, and like texts are near each other."""

    def __init__(self, name="words", dimension=32, salt=""):
        self.model_name, self.dimension, self._salt = name, dimension, salt

    def encode(self, texts):
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in enumerate(texts):
            for word in lexical_text(text).split() or ["-"]:
                seed = hashlib.sha256((self._salt + word).encode()).digest()[:4]
                vectors[row] += np.random.default_rng(int.from_bytes(seed)).standard_normal(self.dimension)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def encode_query(self, query):
        return self.encode([query])[0]


WORDS = HashEmbedder()


def add(connection, texts, **facts):
    """One document and one chunk a text, by name; a name that is there gets the new text."""
    values = {"kind": "file", "language": "en", "known_at": KNOWN, "title": None, "mines": (), "group": None, **facts}
    for name, text in texts.items():
        digest = hashlib.sha256(text.encode()).hexdigest()
        connection.execute("delete from landing.documents where document_id = %s", (name,))
        connection.execute(
            """
            insert into landing.documents
                (document_id, source, title, text, content_sha256, known_at, kind, language, document_date)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
            """,
            (name, f"documents/{name}", values["title"], text, digest, values["known_at"], values["kind"],
             values["language"], date(2020, 1, 1)),
        )  # fmt: skip
        chunk = f"{name}#0-{digest[:8]}"
        connection.execute(
            """
            insert into landing.document_chunks (chunk_id, document_id, position, text, content_sha256, duplicate_group)
            values (%s, %s, 0, %s, %s, %s)
            """,
            (chunk, name, text, digest, values["group"] or chunk),
        )
        for mine in values["mines"]:
            connection.execute("insert into evidence.chunk_mines values (%s, %s, 'source')", (chunk, mine))
    connection.commit()


def names(passages):
    return [passage.document_id for passage in passages]


def search(connection, query, k=10, **asked):
    return retrieve(connection, WORDS, query, k, **asked)


def some_texts(count, seed):
    draw = random.Random(seed)
    vocabulary = [
        f"{stem}{end}" for stem in ("min", "shaft", "vent", "drain", "haul", "seam") for end in ("ing", "s", "er", "ed")
    ]
    return {f"t{seed}-{n}": " ".join(draw.choices(vocabulary, k=draw.randint(1, 40))) for n in range(count)}
