"""Documents from a folder to searchable passages in one go, without dbt and without a training."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg

from fvi_pipeline.evidence.chunks import chunk_documents
from fvi_pipeline.evidence.documents import FEED, DocumentLoad, load_documents
from fvi_pipeline.evidence.embedding import load_embedder
from fvi_pipeline.evidence.index import Refreshed, refresh
from fvi_pipeline.evidence.mine_links import link_chunks
from fvi_pipeline.feeds.arrivals import still_arriving
from fvi_pipeline.feeds.ingest import is_simulated
from fvi_pipeline.platform.errors import PlatformError
from fvi_pipeline.platform.settings import Settings
from fvi_pipeline.run.inputs import changed_feeds, code_digest, input_digests, record_refreshed
from fvi_pipeline.run.lock import only_run

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Searchable:
    """What one call made searchable: passages that are new, those read for mines, and what the index did with them
    (None: there was nothing to do).
    """

    chunks: int
    linked: int
    index: Refreshed | None


@dataclass(frozen=True)
class DocumentsTaken:
    """What one call did: files by outcome, and what became searchable."""

    files: DocumentLoad
    made: Searchable


def take_in_documents(
    connection: psycopg.Connection, settings: Settings, folder: Path, progress: Progress
) -> DocumentsTaken:
    """Take in what is new in `folder`/documents and make it searchable; with nothing new, the model is not even loaded.

    `connection` commits by itself. `progress` is called with (what, done, to do). A call that was killed is made good
    by the next one, or by `fvi run`: nothing is half-indexed.

    Raises:
        PlatformError: a run is under way, or there was none yet.
    """
    with only_run(connection):
        _ask_for_silver(connection)
        code = code_digest(settings)
        was_built = FEED not in changed_feeds(connection, input_digests(connection, code))
        files = load_documents(
            connection,
            folder,
            simulated=is_simulated(folder),
            leave=still_arriving(folder),
            progress=lambda done, total: progress("files", done, total),
        )
        made = _make_searchable(connection, settings, progress)
        digests = input_digests(connection, code)
        if was_built and FEED in digests:
            # what `fvi run` would do for documents is done
            record_refreshed(connection, {FEED: digests[FEED]})
    return DocumentsTaken(files, made)


def make_searchable(connection: psycopg.Connection, settings: Settings, progress: Progress) -> Searchable:
    """Cut, link and index the documents that are in landing already.

    Raises:
        PlatformError: a run is under way, or there was none yet.
    """
    with only_run(connection):
        _ask_for_silver(connection)
        return _make_searchable(connection, settings, progress)


def _ask_for_silver(connection: psycopg.Connection) -> None:
    built = connection.execute("select to_regclass('silver.silver_document_content')").fetchone()
    if not (built and built[0]):
        raise PlatformError("There are no tables to search in yet. Run `fvi run` first; it takes in documents too.")


def _make_searchable(connection: psycopg.Connection, settings: Settings, progress: Progress) -> Searchable:
    chunks = chunk_documents(connection, lambda done, total: progress("documents cut", done, total))
    linked = link_chunks(connection, lambda done, total: progress("passages read for mines", done, total))
    index = None
    if chunks or linked or _differs(connection):
        embedder = load_embedder(settings.embedding_model, settings.embedding_exports_dir)
        index = refresh(connection, embedder, lambda done, total: progress("passages embedded", done, total), limit=0)
    return Searchable(chunks, linked, index)


def _differs(connection: psycopg.Connection) -> bool:
    """Whether a call that was killed left passages that no search sees yet, or such as have left."""
    row = connection.execute(
        """
        select exists (select chunk_id from landing.document_chunks except select chunk_id from evidence.passages)
            or exists (select chunk_id from evidence.passages except select chunk_id from landing.document_chunks)
        """
    ).fetchone()
    return bool(row and row[0])
