"""A landing folder into the landing tables: what is new is taken in, one transaction a file.

Where files come from (simulator, download) and when they are taken in does not belong here; how one is read
neither.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from psycopg.errors import CheckViolation, NotNullViolation
from psycopg.pq import TransactionStatus

from fvi_pipeline.feeds.catalogue import FEEDS
from fvi_pipeline.feeds.description import Feed
from fvi_pipeline.feeds.errors import FeedError, UnreadableFileError
from fvi_pipeline.feeds.parse import ParsedFile, parse
from fvi_pipeline.feeds.report import FileResult, IngestReport
from fvi_pipeline.feeds.writer import (
    SeenFile,
    known_file,
    loaded_copy,
    lock_ledger,
    period_is_loaded,
    write_entry,
)

SIMULATED_MARKER = "SIMULATED.json"
"""A folder that carries this file was written by the simulator."""
_OTHER_READERS_FOLDERS = frozenset({"documents"})
Progress = Callable[[FileResult], None]


def is_simulated(folder: Path) -> bool:
    """Whether the simulator wrote this landing folder."""
    return (folder / SIMULATED_MARKER).is_file()


def unseen_files(connection: psycopg.Connection, folder: Path) -> list[str]:
    """Names (relative to the folder, `documents/` included) of files whose content the ledger does not have."""
    known = set(connection.execute("select name, sha256 from landing.files").fetchall())
    names = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    return [name for name in names if name != SIMULATED_MARKER and (name, _sha256(folder / name)) not in known]


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
    simulated: bool = False,
    progress: Progress | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> IngestReport:
    """Take in every file of the folder that the ledger does not have yet.

    Files are taken in the order of their names, so that a run that was killed and run again gives the same
    file_ids. A file that cannot be read is recorded with its reason and the others go on. `feeds` limits
    the work to these feeds; without it, files that belong to none are recorded as ignored. Hidden files and
    `documents/` (which has a reader of its own) are not looked at. `progress` is called once per file,
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
        if feed is None and feeds is not None:
            continue
        started = time.perf_counter()
        result = _ingest_file(connection, folder, name, feed, simulated, now)
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


def _ingest_file(
    connection: psycopg.Connection,
    folder: Path,
    name: str,
    feed: Feed | None,
    simulated: bool,
    now: Callable[[], datetime],
) -> FileResult:
    file, content, problem = _read_bytes(folder, name)
    try:
        with connection.transaction():
            return _enter(connection, file, content, problem, feed, simulated, now())
    except (psycopg.DataError, CheckViolation, NotNullViolation) as error:
        # whatever the types let through and the database does not: this file is out, the others go on
        first_line = str(error).strip().splitlines()[0]
        with connection.transaction():
            lock_ledger(connection)
            return write_entry(
                connection,
                file,
                feed,
                status="rejected",
                reason=f"The database refused a value: {first_line}.",
                ingested_at=now(),
                simulated=simulated,
            )


def _read_bytes(folder: Path, name: str) -> tuple[SeenFile, bytes, str | None]:
    path = folder / name
    # a file system's name need not be Unicode, but the ledger's is
    name = os.fsencode(name).decode("utf-8", errors="replace")
    try:
        if path.exists() and not path.is_file():
            return SeenFile(name, None, None), b"", "This is not a regular file or a readable folder."
        content = path.read_bytes()
    except OSError as error:
        reason = f"The file cannot be read ({error.strerror or error}). Check its place and permissions."
        return SeenFile(name, None, None), b"", reason
    return SeenFile(name, hashlib.sha256(content).hexdigest(), len(content)), content, None


def _enter(
    connection: psycopg.Connection,
    file: SeenFile,
    content: bytes,
    problem: str | None,
    feed: Feed | None,
    simulated: bool,
    ingested_at: datetime,
) -> FileResult:
    # looked up without the lock first: a folder that is known already waits for nobody
    known = known_file(connection, file.name, file.sha256)
    if known is not None:
        return known
    lock_ledger(connection)
    known = known_file(connection, file.name, file.sha256)
    if known is not None:
        return known

    def enter(
        status: str, reason: str | None, parsed: ParsedFile | None = None, known_at: datetime | None = None
    ) -> FileResult:
        return write_entry(
            connection,
            file,
            feed,
            status=status,
            reason=reason,
            ingested_at=ingested_at,
            simulated=simulated,
            parsed=parsed,
            known_at=known_at,
        )

    if feed is None:
        return enter("ignored", problem or _why_ignored(file.name))
    if problem is not None:
        return enter("rejected", problem)
    copy_of = loaded_copy(connection, feed.name, file.sha256)
    if copy_of is not None:
        return enter("ignored", f"The file has the same content as {copy_of}, which is loaded.")
    try:
        parsed = parse(feed, file.name, content)
    except UnreadableFileError as error:
        return enter("rejected", str(error))
    if parsed.problem is not None:
        return enter("rejected", parsed.problem, parsed)
    return enter("loaded", _remarks(parsed), parsed, _known_at(connection, feed, parsed, ingested_at))


def _known_at(connection: psycopg.Connection, feed: Feed, parsed: ParsedFile, ingested_at: datetime) -> datetime:
    """The publisher's date for the first file of a period; the moment of receipt for a restatement or
    without a date.
    """
    release = parsed.release
    if release.known_at is None or release.period is None:
        return ingested_at
    if period_is_loaded(connection, feed.name, release.period):
        return ingested_at
    # what we hold is known, even if it came before the date on which the publisher usually releases it
    return min(release.known_at, ingested_at)


def _remarks(parsed: ParsedFile) -> str | None:
    remarks = []
    if parsed.quarantined:
        remarks.append(
            f"{len(parsed.quarantined):,} of {parsed.rows_read:,} rows are in quarantine, the first because: "
            f"{parsed.quarantined[0].reason}"
        )
    if parsed.rejected_values:
        remarks.append(f"{len(parsed.rejected_values):,} single values were rejected")
    return "; ".join(remarks) or None


def _why_ignored(name: str) -> str:
    folders = {feed.folder: feed for feed in FEEDS.values()}
    top = name.split("/", 1)[0] if "/" in name else ""
    if top not in folders:
        listed = ", ".join(f"{folder}/" for folder in sorted(folders))
        return f"The file is in none of the feeds' folders ({listed})."
    patterns = sorted({pattern for feed in FEEDS.values() if feed.folder == top for pattern in feed.patterns})
    return f"No feed takes a file of this name; {top}/ takes {', '.join(patterns)}."
