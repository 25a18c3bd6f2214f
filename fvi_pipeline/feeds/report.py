"""What an ingest did, for people and for Dagster. The ledger in the database is the record; this is its
account.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class FileResult:
    """One file of the landing folder as the ledger has it. `is_new` is False when the ledger already
    had its content. `known_at_rule` says in words why its facts are known at `known_at`; `unknown_columns` are those
    that its feed does not describe.
    """

    file_id: int
    publisher: str | None
    feed: str | None
    name: str
    status: str
    reason: str | None
    rows_read: int
    rows_loaded: int
    rows_quarantined: int
    known_at: datetime | None
    known_at_rule: str | None
    restates_file_id: int | None
    unknown_columns: tuple[str, ...]
    is_new: bool
    seconds: float = 0.0


@dataclass(frozen=True)
class IngestReport:
    """All files that were looked at, in the order of their names; the row counts are those of new files."""

    files: tuple[FileResult, ...]

    @property
    def new_files(self) -> tuple[FileResult, ...]:
        """Files whose content the ledger did not have before."""
        return tuple(file for file in self.files if file.is_new)

    @property
    def files_by_status(self) -> dict[str, int]:
        """Number of new files by status (loaded, rejected, ignored); `known` counts those that were
        there already.
        """
        counts = Counter(file.status if file.is_new else "known" for file in self.files)
        return {status: counts[status] for status in ("loaded", "rejected", "ignored", "known")}

    @property
    def rows_read(self) -> int:
        """Rows read from new files."""
        return sum(file.rows_read for file in self.new_files)

    @property
    def rows_loaded(self) -> int:
        """Rows of new files that are in landing tables."""
        return sum(file.rows_loaded for file in self.new_files)

    @property
    def rows_quarantined(self) -> int:
        """Rows of new files that are in quarantine."""
        return sum(file.rows_quarantined for file in self.new_files)

    @property
    def rejected(self) -> tuple[FileResult, ...]:
        """Files that belong to a feed and could not be read, whether seen now or before."""
        return tuple(file for file in self.files if file.status == "rejected")

    @property
    def anything_loaded(self) -> bool:
        """Whether the landing tables hold rows of at least one file of the folder."""
        return any(file.status == "loaded" for file in self.files)
