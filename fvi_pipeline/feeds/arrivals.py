"""Which files of a landing folder are not whole yet. Whether one is new is the ledger's to say."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import psutil

PARTIAL_ENDINGS = (
    ".part",
    ".partial",
    ".crdownload",
    ".download",
    ".filepart",
    ".tmp",
    ".temp",
    ".swp",
    ".writing",
    "~",
)
"""Names under which browsers, copying tools and editors keep a file until it is whole."""
_PARTIAL_BEGINNINGS = ("~$", ".~")
_OPEN_FOR_READING = "r"


def still_arriving(folder: Path, *, settle_seconds: float = 0.0) -> frozenset[str]:
    """Names (relative to the folder, with slashes) of files that may be half-written.

    Those are files with a name that says so, files that a process of this machine has open for writing (as far as we
    may look at it), and files that changed within the last `settle_seconds`. The last is for a watcher: someone who
    calls us knows that the copying is over.
    """
    now = time.time()
    files: dict[str, str] = {}
    arriving: set[str] = set()
    for path in folder.rglob("*"):
        try:
            if not path.is_file():
                continue
            stat = path.stat()
        except OSError:
            continue  # gone or out of reach: the ingest says so if it still is then
        name = path.relative_to(folder).as_posix()
        files[os.path.realpath(path)] = name
        # a copy may carry its original's time, even one to come, but not the time of its own last change
        fresh = any(0 <= now - moment < settle_seconds for moment in (stat.st_mtime, stat.st_ctime))
        if fresh or is_partial_name(path.name):
            arriving.add(name)
    return frozenset(arriving | {files[path] for path in _open_for_writing() & files.keys()})


def is_partial_name(name: str) -> bool:
    """Whether a file of this name is, by convention, one that somebody is still writing."""
    return name.lower().endswith(PARTIAL_ENDINGS) or name.startswith(_PARTIAL_BEGINNINGS)


def _open_for_writing() -> set[str]:
    paths: set[str] = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):  # ended meanwhile, or another user's
            # only Linux tells the mode; elsewhere the settling time has to do
            paths |= {file.path for file in process.open_files() if getattr(file, "mode", "r") != _OPEN_FOR_READING}
    return paths
