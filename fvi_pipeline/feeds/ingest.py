"""A landing folder into the landing tables: what is new is taken in, one transaction a file.

Where files come from (simulator, download) and when they are taken in does not belong here; how one is read
neither.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from io import BufferedReader
from pathlib import Path

import psycopg
from psycopg.errors import CheckViolation, NotNullViolation
from psycopg.pq import TransactionStatus

from fvi_pipeline.feeds.catalogue import FEEDS
from fvi_pipeline.feeds.description import Feed
from fvi_pipeline.feeds.errors import FeedError
from fvi_pipeline.feeds.load import load_file
from fvi_pipeline.feeds.parse import parser_digest
from fvi_pipeline.feeds.report import FileResult, IngestReport
from fvi_pipeline.feeds.writer import (
    Receipt,
    SeenFile,
    commit_without_waiting,
    forget_refusal,
    known_file,
    loaded_copy,
    lock_ledger,
    was_loaded,
    write_refusal,
)

SIMULATED_MARKER = "SIMULATED.json"
"""A folder that carries this file was written by the simulator."""
_OTHER_READERS_FOLDERS = frozenset({"documents"})
Progress = Callable[[FileResult], None]


def is_simulated(folder: Path) -> bool:
    """Whether the simulator wrote this landing folder."""
    return (folder / SIMULATED_MARKER).is_file()


def unseen_files(connection: psycopg.Connection, folder: Path, *, leave: Collection[str] = ()) -> list[str]:
    """Names (relative to the folder, `documents/` included) of files whose content the ledger does not have, or which
    another parser than today's could not load. Those that `leave` names are passed over.
    """
    known = set(
        connection.execute(
            "select name, sha256 from landing.known_contents "
            "where status = 'loaded' or parser_digest is null or parser_digest = %s",
            [parser_digest()],
        ).fetchall()
    )
    names = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    passed_over = {SIMULATED_MARKER, *leave}
    return [name for name in names if name not in passed_over and (name, _sha256(folder / name)) not in known]


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None  # the ingest records it with its reason


def ingest_folder(
    connection: psycopg.Connection,
    folder: Path,
    *,
    feeds: Sequence[str] | None = None,
    leave: Collection[str] = (),
    simulated: bool = False,
    progress: Progress | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> IngestReport:
    """Take in every file of the folder that the ledger does not have yet.

    Files are taken in the order of their names, so that a run that was killed and run again gives the same
    file_ids. A file that cannot be read is recorded with its reason and the others go on. `feeds` limits
    the work to these feeds; without it, files that belong to none are recorded as ignored. `leave` names files to
    pass over this time, because they are still being written. Hidden files and `documents/` (which has a reader of
    its own) are not looked at. `progress` is called once per file,
    after its commit.

    Raises:
        FeedError: the folder does not exist, a feed's name is unknown, or the connection is inside a
        transaction.
    """
    if not folder.is_dir():
        raise FeedError(f"The landing folder {folder} does not exist. Name an existing folder.")
    unknown = sorted(set(feeds or ()) - set(FEEDS))
    if unknown:
        raise FeedError(f"Unknown feed {', '.join(unknown)}. The feeds are: {', '.join(FEEDS)}.")
    if connection.info.transaction_status != TransactionStatus.IDLE:
        raise FeedError("The ingest commits file by file: give it a connection outside of a transaction.")
    wanted = [feed for feed in FEEDS.values() if feeds is None or feed.name in feeds]
    results: list[FileResult] = []
    for name in _file_names(folder):
        feed = next((feed for feed in wanted if feed.takes(name)), None)
        if name in leave or (feed is None and feeds is not None):
            continue
        started = time.perf_counter()
        result = ingest_file(connection, folder, name, feed, Receipt(now(), simulated, parser_digest()))
        results.append(replace(result, seconds=time.perf_counter() - started))
        if progress is not None:
            progress(results[-1])
    return IngestReport(tuple(results))


def _file_names(folder: Path) -> Iterator[str]:
    """Names relative to the folder, sorted; links to folders are followed, each real folder once."""
    names: list[str] = []
    entered: set[str] = set()
    unreadable: list[OSError] = []
    for current, folders, files in os.walk(folder, followlinks=True, onerror=unreadable.append):
        real = os.path.realpath(current)
        at_top = Path(current) == folder
        if real in entered:
            folders.clear()
            continue
        entered.add(real)
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and not (at_top and name in _OTHER_READERS_FOLDERS)
        )
        names.extend(
            Path(current, name).relative_to(folder).as_posix()
            for name in files
            if not name.startswith(".") and not (at_top and name == SIMULATED_MARKER)
        )
    names.extend(Path(error.filename).relative_to(folder).as_posix() for error in unreadable)
    return iter(sorted(names))


def ingest_file(
    connection: psycopg.Connection, folder: Path, name: str, feed: Feed | None, receipt: Receipt
) -> FileResult:
    """Take in one file of the folder, unless the ledger has it; in a transaction (or savepoint) of its own."""
    with contextlib.ExitStack() as opened:
        # a file system's name need not be Unicode, but the ledger's is
        shown = os.fsencode(name).decode("utf-8", errors="replace")
        content: BufferedReader | None = None
        problem = None
        file = SeenFile(shown, None, None)
        path = folder / name
        try:
            if path.exists() and not path.is_file():
                problem = "This is not a regular file or a readable folder."
            else:
                content = opened.enter_context(path.open("rb"))
                modified_ns = os.fstat(content.fileno()).st_mtime_ns
                sha256 = hashlib.file_digest(content, "sha256").hexdigest()
                file = SeenFile(shown, sha256, content.tell(), modified_ns)
        except OSError as error:
            problem = f"The file cannot be read ({error.strerror or error}). Check its place and permissions."
        try:
            with connection.transaction():
                return _enter(connection, file, content, problem, feed, receipt)
        except (psycopg.DataError, CheckViolation, NotNullViolation) as error:
            # whatever the types let through and the database does not: this file is out, the others go on
            first_line = str(error).strip().splitlines()[0]
            with connection.transaction():
                lock_ledger(connection)
                forget_refusal(connection, file)
                reason = f"The database refused a value: {first_line}."
                return write_refusal(connection, file, feed, receipt, "rejected", reason)


def _enter(
    connection: psycopg.Connection,
    file: SeenFile,
    content: BufferedReader | None,
    problem: str | None,
    feed: Feed | None,
    receipt: Receipt,
) -> FileResult:
    # looked up without the lock first: a folder that is known already waits for nobody
    known = known_file(connection, file, receipt.parser_digest)
    if known is not None:
        return known
    lock_ledger(connection)
    known = known_file(connection, file, receipt.parser_digest)
    if known is not None:
        return known
    commit_without_waiting(connection)
    forget_refusal(connection, file)
    if feed is None:
        return write_refusal(connection, file, feed, receipt, "ignored", problem or _why_ignored(file.name))
    if content is None:
        return write_refusal(connection, file, feed, receipt, "rejected", problem or "The file cannot be read.")
    copy_of = loaded_copy(connection, feed.name, file.sha256)
    # content that comes back under its name is the publisher's last word, and no copy
    if copy_of is not None and not was_loaded(connection, file):
        reason = f"The file has the same content as {copy_of}, which is loaded."
        return write_refusal(connection, file, feed, receipt, "ignored", reason)
    return load_file(connection, file, content, feed, receipt)


def _why_ignored(name: str) -> str:
    folders = {feed.folder: feed for feed in FEEDS.values()}
    top = name.split("/", 1)[0] if "/" in name else ""
    if top not in folders:
        listed = ", ".join(f"{folder}/" for folder in sorted(folders))
        return f"The file is in none of the feeds' folders ({listed})."
    patterns = sorted({pattern for feed in FEEDS.values() if feed.folder == top for pattern in feed.patterns})
    return f"No feed takes a file of this name; {top}/ takes {', '.join(patterns)}."
