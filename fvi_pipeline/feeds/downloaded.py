"""What downloading leaves behind: files put in their place whole, and the account of them. How an address or an API is
asked does not belong here.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DownloadedFile:
    """What became of one file: status `downloaded`, `unchanged`, `absent` (not published), `skipped` (its key is not
    set) or `failed`.
    """

    feed: str
    name: str
    status: str
    reason: str | None = None


@dataclass(frozen=True)
class DownloadReport:
    """Every file that was asked for, and what a person has to fetch by hand."""

    files: tuple[DownloadedFile, ...]
    manual: tuple[str, ...]

    @property
    def files_by_status(self) -> dict[str, int]:
        """Number of files by status."""
        return dict(Counter(file.status for file in self.files))


def replace_file(target: Path, chunks: Iterable[bytes], modified_at: float | None = None) -> None:
    """Write a file beside its place under a hidden name, then put it there in one step: no reader sees half of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.parent / f".{target.name}.{os.getpid()}.part"
    try:
        with part.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        if modified_at is not None:
            os.utime(part, (modified_at, modified_at))
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
