"""Files of `documents/` into landing.documents.

One transaction a file, idempotent by content hash, everything entered in landing.files. Reading the
bytes of a file belongs in `reading`, cutting its text in `chunks`, other sources of documents in `notes`, `spider`,
`fact_sheets` and `system`.
"""

import hashlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

from fvi_pipeline.evidence.chunking import text_sha256
from fvi_pipeline.evidence.reading import MAXIMUM_BYTES, UnreadableDocumentError, read_document
from fvi_pipeline.evidence.versions import ID_DIGITS
from fvi_pipeline.feeds.writer import lock_ledger

FEED = "documents"
FOLDER = "documents"

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class DocumentLoad:
    """What one call took in: files by outcome, and documents that are new in landing.documents."""

    files_loaded: int = 0
    files_rejected: int = 0
    files_known: int = 0
    documents_added: int = 0


def load_documents(
    connection: psycopg.Connection,
    folder: Path,
    *,
    simulated: bool = False,
    leave: Collection[str] = (),
    progress: Progress | None = None,
) -> DocumentLoad:
    """Take in the files below `folder`/documents; a file that the ledger knows is not taken in again.

    `folder` is a landing folder; without a documents folder nothing happens. A file that cannot be
    read is entered as rejected with its reason; it is its own quarantine, since nothing of it was loaded. A file whose
    content changed replaces its former version for retrieval; the former text stays in landing.documents, marked
    superseded. What `leave` names (relative to the folder) is passed over. Commits after each new file; `progress` is
    called with (files done, files there).
    """
    connection.commit()  # a read that the caller left open would make one transaction of all files
    paths = [(path, path.relative_to(folder).as_posix()) for path in _document_files(folder)]
    in_place = _in_place(connection)
    outcomes = {"loaded": 0, "rejected": 0, "known": 0}
    added = 0
    for done, (path, name) in enumerate(paths, start=1):
        if name in leave:
            continue
        content = _content(path)
        if (name, content.sha256) in in_place:
            outcomes["known"] += 1
        else:
            with connection.transaction():
                outcome, new = _load_file(connection, name, content, simulated)
            outcomes[outcome] += 1
            added += new
        if progress is not None:
            progress(done, len(paths))
    return DocumentLoad(outcomes["loaded"], outcomes["rejected"], outcomes["known"], added)


@dataclass(frozen=True)
class _Content:
    """The bytes of a file, or None where it is too large: reading it is what the limit avoids."""

    data: bytes | None
    size: int
    sha256: str


def _content(path: Path) -> _Content:
    size = path.stat().st_size
    if size > MAXIMUM_BYTES:
        with path.open("rb") as file:
            return _Content(None, size, hashlib.file_digest(file, "sha256").hexdigest())
    data = path.read_bytes()
    return _Content(data, len(data), hashlib.sha256(data).hexdigest())


def _document_files(folder: Path) -> Iterator[Path]:
    root = folder / FOLDER
    if not root.is_dir():
        return
    for path in sorted(root.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
        if path.is_file() and not hidden:
            yield path


def _in_place(connection: psycopg.Connection) -> set[tuple[str, str]]:
    """(name, digest) of files with which there is nothing to do: they were refused, or their document is current."""
    with connection.transaction():
        rows = connection.execute(
            """
            SELECT f.name, f.sha256 FROM landing.files AS f LEFT JOIN landing.documents AS d USING (file_id)
            WHERE f.feed = %s
              AND (d.document_id IS NOT NULL AND d.superseded_at IS NULL OR f.status = 'rejected')
            """,
            (FEED,),
        ).fetchall()
    return {(name, sha256) for name, sha256 in rows}


def _load_file(connection: psycopg.Connection, name: str, content: _Content, simulated: bool) -> tuple[str, int]:
    lock_ledger(connection)
    entry = connection.execute(
        "SELECT file_id FROM landing.files WHERE sha256 = %s AND name = %s", (content.sha256, name)
    ).fetchone()
    if entry is not None:
        _make_current(connection, name, entry[0])
        return "known", 0
    try:
        if content.data is None:
            raise UnreadableDocumentError(
                f"The file has {content.size:,} bytes, more than {MAXIMUM_BYTES:,}: split it."
            )
        document = read_document(name, content.data)
    except UnreadableDocumentError as error:
        _enter_file(connection, name, content, "rejected", str(error), rows=0, simulated=simulated)
        return "rejected", 0
    file_id = _enter_file(connection, name, content, "loaded", None, rows=1, simulated=simulated)
    digest = text_sha256(document.text)
    # The name is part of the identity: the same text under two names is two documents, so that each
    # file of the ledger has its document.
    document_id = f"document:{text_sha256(name + chr(0) + digest)[:ID_DIGITS]}"
    added = connection.execute(
        """
        INSERT INTO landing.documents
            (document_id, file_id, series, kind, source, title, text, content_sha256, document_date, known_at,
             superseded_at)
        SELECT %s, file_id, name, 'file', name, %s, %s, %s, %s, known_at, now() FROM landing.files WHERE file_id = %s
        ON CONFLICT (document_id) DO UPDATE SET file_id = EXCLUDED.file_id
        RETURNING (xmax = 0)::int
        """,
        (document_id, document.title, document.text, digest, document.document_date, file_id),
    )
    new = _integer(added)
    _make_current(connection, name, file_id)
    return "loaded", new


def _make_current(connection: psycopg.Connection, name: str, file_id: int) -> None:
    """Mark the document of `file_id` as the current one of its name, and the others as superseded."""
    for statement in (
        "UPDATE landing.documents SET superseded_at = now() "
        "WHERE series = %(name)s AND kind = 'file' AND file_id <> %(current)s AND superseded_at IS NULL",
        "UPDATE landing.documents SET superseded_at = NULL "
        "WHERE series = %(name)s AND kind = 'file' AND file_id = %(current)s AND superseded_at IS NOT NULL",
    ):
        connection.execute(statement.encode(), {"name": name, "current": file_id})


def _enter_file(
    connection: psycopg.Connection,
    name: str,
    content: _Content,
    status: str,
    reason: str | None,
    *,
    rows: int,
    simulated: bool,
) -> int:
    cursor = connection.execute(
        """
        INSERT INTO landing.files
            (publisher, feed, name, sha256, size_bytes, known_at, ingested_at,
             rows_read, rows_loaded, rows_quarantined, status, reason, simulated)
        VALUES ('user', %s, %s, %s, %s, now(), now(), %s, %s, 0, %s, %s, %s)
        RETURNING file_id
        """,
        (FEED, name, content.sha256, content.size, rows, rows, status, reason, simulated),
    )
    return _integer(cursor)


def _integer(cursor: psycopg.Cursor) -> int:
    (value,) = cursor.fetchall()[0]
    return int(value)
