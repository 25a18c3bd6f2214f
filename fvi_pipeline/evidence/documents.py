"""Documents and notes into landing.documents, and their chunks into landing.document_chunks.

One transaction a file, idempotent by content hash, everything entered in landing.files. Reading the
bytes of a file belongs in `reading`, cutting a text in `chunking`, vectors in `embedding`.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

from fvi_pipeline.evidence.chunking import split_into_chunks, text_sha256
from fvi_pipeline.evidence.reading import MAXIMUM_BYTES, UnreadableDocumentError, read_document
from fvi_pipeline.feeds.writer import lock_ledger

FEED = "documents"
FOLDER = "documents"
_ID_DIGITS = 16


@dataclass(frozen=True)
class DocumentLoad:
    """What one call took in: files by outcome, and documents that are new in landing.documents."""

    files_loaded: int = 0
    files_rejected: int = 0
    files_known: int = 0
    documents_added: int = 0


def load_documents(connection: psycopg.Connection, folder: Path, *, simulated: bool = False) -> DocumentLoad:
    """Take in the files below `folder`/documents; a file that the ledger knows is not taken in again.

    `folder` is a landing folder; without a documents folder nothing happens. A file that cannot be
    read is entered as rejected with its reason. A file whose content changed replaces its former
    version for retrieval; the former text stays in landing.documents, marked superseded. Commits
    after each file.
    """
    connection.commit()  # a read that the caller left open would make one transaction of all files
    loaded = rejected = known = added = 0
    for path in _document_files(folder):
        name = path.relative_to(folder).as_posix()
        with connection.transaction():
            outcome, new = _load_file(connection, path, name, simulated)
        loaded += outcome == "loaded"
        rejected += outcome == "rejected"
        known += outcome == "known"
        added += new
    return DocumentLoad(loaded, rejected, known, added)


def _document_files(folder: Path) -> Iterator[Path]:
    root = folder / FOLDER
    if not root.is_dir():
        return
    for path in sorted(root.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
        if path.is_file() and not hidden:
            yield path


def _load_file(connection: psycopg.Connection, path: Path, name: str, simulated: bool) -> tuple[str, int]:
    size = path.stat().st_size
    # A file that is too large is told by its size: reading it is what the limit avoids.
    content = path.read_bytes() if size <= MAXIMUM_BYTES else None
    sha256 = hashlib.sha256(content).hexdigest() if content is not None else _sha256_of_file(path)
    entry = connection.execute(
        "SELECT file_id FROM landing.files WHERE sha256 = %s AND name = %s", (sha256, name)
    ).fetchone()
    if entry is not None:
        _make_current(connection, name, entry[0])
        return "known", 0
    lock_ledger(connection)
    try:
        if content is None:
            raise UnreadableDocumentError(f"The file has {size:,} bytes, more than {MAXIMUM_BYTES:,}: split it.")
        document = read_document(name, content)
    except UnreadableDocumentError as error:
        _enter_file(connection, name, sha256, size, "rejected", str(error), rows=0, simulated=simulated)
        return "rejected", 0
    file_id = _enter_file(connection, name, sha256, size, "loaded", None, rows=1, simulated=simulated)
    digest = text_sha256(document.text)
    # The name is part of the identity: the same text under two names is two documents, so that each
    # file of the ledger has its document.
    document_id = f"document:{text_sha256(name + chr(0) + digest)[:_ID_DIGITS]}"
    added = connection.execute(
        """
        INSERT INTO landing.documents
            (document_id, file_id, source, title, text, content_sha256, mine_links, known_at, licence)
        SELECT %s, file_id, name, %s, %s, %s, '{}', known_at, NULL FROM landing.files WHERE file_id = %s
        ON CONFLICT (document_id) DO NOTHING
        """,
        (document_id, _clean(document.title), _clean(document.text), digest, file_id),
    ).rowcount
    _make_current(connection, name, file_id)
    return "loaded", added


def _make_current(connection: psycopg.Connection, name: str, file_id: int) -> None:
    """Mark the document of `file_id` as the current one of its name, and the others as superseded."""
    connection.execute(
        """
        UPDATE landing.documents AS d
        SET superseded_at = CASE WHEN d.file_id = %(current)s THEN NULL ELSE now() END
        FROM landing.files AS f
        WHERE f.file_id = d.file_id AND f.name = %(name)s AND f.feed = %(feed)s
          AND (d.file_id = %(current)s) = (d.superseded_at IS NOT NULL)
        """,
        {"current": file_id, "name": name, "feed": FEED},
    )


def _enter_file(
    connection: psycopg.Connection,
    name: str,
    sha256: str,
    size: int,
    status: str,
    reason: str | None,
    *,
    rows: int,
    simulated: bool,
) -> int:
    lock_ledger(connection)
    cursor = connection.execute(
        """
        INSERT INTO landing.files
            (publisher, feed, name, sha256, size_bytes, known_at, ingested_at,
             rows_read, rows_loaded, rows_quarantined, status, reason, simulated)
        VALUES ('user', %s, %s, %s, %s, now(), now(), %s, %s, 0, %s, %s, %s)
        RETURNING file_id
        """,
        (FEED, name, sha256, size, rows, rows, status, reason, simulated),
    )
    return _integer(cursor)


def load_geojson_notes(connection: psycopg.Connection) -> DocumentLoad:
    """Make a document of every distinct note and description in landing.gem_mine_features.

    The same text at several mines is one document that links to all of them. Known from the earliest
    file that holds it. Commits once.
    """
    notes: dict[str, _Note] = {}
    connection.commit()
    with connection.transaction():
        rows = connection.execute(
            """
            SELECT m.notes, m.description, m.gem_mine_id, m.mine_name,
                   f.file_id, f.name, f.publisher, f.known_at
            FROM landing.gem_mine_features AS m JOIN landing.files AS f USING (file_id)
            ORDER BY f.known_at, f.file_id, m.row_number
            """
        ).fetchall()
        for note, description, gem_mine_id, mine_name, file_id, file_name, publisher, known_at in rows:
            for text in (note, description):
                cleaned = _clean(text or "").strip()
                if not cleaned:
                    continue
                entry = notes.setdefault(cleaned, _Note(file_id, f"{publisher}, {file_name}", known_at))
                if gem_mine_id:
                    entry.mines.add(f"gem:{gem_mine_id}")
                if mine_name:
                    entry.names.add(mine_name)
        with connection.cursor() as cursor:
            cursor.execute("CREATE TEMP TABLE new_notes (LIKE landing.documents) ON COMMIT DROP")
            with cursor.copy(
                "COPY new_notes (document_id, file_id, source, title, text, content_sha256, mine_links,"
                " known_at, licence) FROM STDIN"
            ) as copy:
                for text, entry in notes.items():
                    digest = text_sha256(text)
                    copy.write_row(
                        (
                            f"gem-note:{digest[:_ID_DIGITS]}",
                            entry.file_id,
                            entry.source,
                            _title(entry.names),
                            text,
                            digest,
                            sorted(entry.mines),
                            entry.known_at,
                            "CC BY 4.0",
                        )
                    )
            before = _count(cursor, "gem-note:%")
            cursor.execute(
                """
                INSERT INTO landing.documents AS d
                SELECT * FROM new_notes
                ON CONFLICT (document_id) DO UPDATE
                    SET mine_links = EXCLUDED.mine_links, title = EXCLUDED.title,
                        file_id = EXCLUDED.file_id, source = EXCLUDED.source, known_at = EXCLUDED.known_at
                WHERE (d.mine_links, d.title, d.file_id, d.source, d.known_at)
                    IS DISTINCT FROM (EXCLUDED.mine_links, EXCLUDED.title, EXCLUDED.file_id, EXCLUDED.source,
                                      EXCLUDED.known_at)
                """
            )
            added = _count(cursor, "gem-note:%") - before
    return DocumentLoad(documents_added=added)


class _Note:
    def __init__(self, file_id: int, source: str, known_at: object) -> None:
        self.file_id = file_id
        self.source = source
        self.known_at = known_at
        self.mines: set[str] = set()
        self.names: set[str] = set()


def _title(names: set[str]) -> str | None:
    if not names:
        return None
    ordered = sorted(names)
    more = f" and {len(ordered) - 3} more" if len(ordered) > 3 else ""
    return ", ".join(ordered[:3]) + more


def chunk_documents(connection: psycopg.Connection) -> int:
    """Cut every document that has no chunks yet, drop those of superseded ones; return the chunks added.

    Idempotent: identifiers come from the document and the chunk's text. Commits once.
    """
    added = 0
    connection.commit()
    with connection.transaction():
        connection.execute(
            """
            DELETE FROM landing.document_chunks AS c USING landing.documents AS d
            WHERE d.document_id = c.document_id AND d.superseded_at IS NOT NULL
            """
        )
        documents = connection.execute(
            """
            SELECT d.document_id, d.text FROM landing.documents AS d
            WHERE d.superseded_at IS NULL
              AND NOT EXISTS (SELECT FROM landing.document_chunks AS c WHERE c.document_id = d.document_id)
            ORDER BY d.document_id
            """
        ).fetchall()
        with (
            connection.cursor() as cursor,
            cursor.copy(
                "COPY landing.document_chunks (chunk_id, document_id, position, text, content_sha256) FROM STDIN"
            ) as copy,
        ):
            for document_id, text in documents:
                for position, chunk in enumerate(split_into_chunks(text)):
                    digest = text_sha256(chunk)
                    copy.write_row((f"{document_id}#{position}-{digest[:8]}", document_id, position, chunk, digest))
                    added += 1
    return added


def _count(cursor: psycopg.Cursor, pattern: str) -> int:
    return _integer(cursor.execute("SELECT count(*) FROM landing.documents WHERE document_id LIKE %s", (pattern,)))


def _integer(cursor: psycopg.Cursor) -> int:
    (value,) = cursor.fetchall()[0]
    return int(value)


def _clean(text: str) -> str:
    # PostgreSQL's text holds no NUL, and UTF-8 no lone surrogate (PDF extraction gives both).
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def _sha256_of_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
