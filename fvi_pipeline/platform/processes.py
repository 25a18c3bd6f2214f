"""Finding a home's own server processes. Starting and stopping them belongs to the modules of the servers."""

from __future__ import annotations

from pathlib import Path

import psutil


def processes_in(folder: Path, name: str) -> list[psutil.Process]:
    """Living processes of program `name` whose working folder is `folder`.

    A process id kept in a file may be stale and reused by another program; a working folder cannot be
    mistaken.
    """
    wanted = str(folder.resolve())
    found = []
    for process in psutil.process_iter(["name"]):
        if process.info["name"] != name:
            continue
        try:
            if process.cwd() == wanted and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue  # it ended meanwhile, or belongs to another user and so not to this home
    return found
