"""The current documents in pieces: landing.document_chunks kept in step with landing.documents.

How a text is cut belongs in `sections` and `chunking`, which pieces are alike in `duplicates`, which mines they are
about in `mine_links`.
"""

from collections.abc import Callable

import psycopg

from fvi_pipeline.evidence.chunking import text_sha256
from fvi_pipeline.evidence.dates import dates_in
from fvi_pipeline.evidence.duplicates import mark_duplicates
from fvi_pipeline.evidence.language import language_of
from fvi_pipeline.evidence.sections import CUTTER, cut_document

_BATCH = 500

Progress = Callable[[int, int], None]


def chunk_documents(connection: psycopg.Connection, progress: Progress | None = None) -> int:
    """Cut every current document that is not cut yet, or by other rules, and group near-duplicates; return the chunks
    added.

    Chunks of superseded documents go. Idempotent: identifiers come from the document and the chunk's text. A
    document and its chunks change in one transaction, some hundred documents at a time, so that after a kill the next
    call goes on where this one ended. `progress` is called with (documents cut, documents to cut).
    """
    connection.commit()
    with connection.transaction():
        connection.execute(
            """
            DELETE FROM landing.document_chunks AS c USING landing.documents AS d
            WHERE d.document_id = c.document_id AND d.superseded_at IS NOT NULL
            """
        )
        connection.execute(
            "UPDATE landing.documents SET cutter = NULL WHERE superseded_at IS NOT NULL AND cutter IS NOT NULL"
        )
        waiting = connection.execute(
            "SELECT document_id FROM landing.documents WHERE superseded_at IS NULL AND cutter IS DISTINCT FROM %s "
            "ORDER BY document_id",
            (CUTTER,),
        ).fetchall()
    added = 0
    for start in range(0, len(waiting), _BATCH):
        batch = [document_id for (document_id,) in waiting[start : start + _BATCH]]
        with connection.transaction():
            added += _cut(connection, batch)
        if progress is not None:
            progress(min(start + _BATCH, len(waiting)), len(waiting))
    mark_duplicates(connection)
    return added


def _cut(connection: psycopg.Connection, document_ids: list[str]) -> int:
    documents = connection.execute(
        "SELECT document_id, title, text, language FROM landing.documents "
        "WHERE document_id = ANY (%s) AND superseded_at IS NULL ORDER BY document_id FOR UPDATE",
        (document_ids,),
    ).fetchall()
    connection.execute("DELETE FROM landing.document_chunks WHERE document_id = ANY (%s)", (document_ids,))
    added = 0
    languages = []
    with connection.cursor() as cursor:
        with cursor.copy(
            "COPY landing.document_chunks (chunk_id, document_id, position, section, text, content_sha256, dates) "
            "FROM STDIN"
        ) as copy:
            for document_id, title, text, language in documents:
                for position, piece in enumerate(cut_document(text, title)):
                    digest = text_sha256(piece.text)
                    chunk_id = f"{document_id}#{position}-{digest[:8]}"
                    dates = dates_in(piece.text)
                    copy.write_row((chunk_id, document_id, position, piece.section, piece.text, digest, dates))
                    added += 1
                languages.append((language or language_of(text), CUTTER, document_id))
        cursor.executemany("UPDATE landing.documents SET language = %s, cutter = %s WHERE document_id = %s", languages)
    return added
