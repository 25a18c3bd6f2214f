"""Damaged real files through the whole ingest into a real PostgreSQL: a file is in the tables whole, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql

from fvi_pipeline.feeds import read_csv
from fvi_pipeline.feeds.catalogue import FEEDS
from fvi_pipeline.feeds.ingest import ingest_folder
from tests.unit.feeds.accounting import reconciled
from tests.unit.feeds.damage import damaged_bytes, damaged_cells, rearranged_cells
from tests.unit.feeds.real_files import Slice, slices

_CASES = 12
_TABLES = ("quarantine", "rejected_values", *FEEDS)


@dataclass
class Landing:
    """A landing folder that gets one file after the other, and the database that takes them in."""

    connection: psycopg.Connection
    folder: Path
    files: int = field(default=0)

    def take_in(self, original: Slice, content: bytes) -> None:
        """Take in one file more, and compare what the tables hold of it with what reading it says."""
        self.files += 1
        parts = Path(original.name)
        name = parts.with_name(f"{self.files:04} {parts.name}")
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_bytes(content)
        report = ingest_folder(self.connection, self.folder, feeds=[original.feed.name])
        (result,) = report.new_files
        (self.folder / name).unlink()
        held = {table: self._rows_of(table, result.file_id) for table in _TABLES}
        loaded = held.pop(original.feed.table)
        quarantined, rejected = held.pop("quarantine"), held.pop("rejected_values")
        assert not any(held.values())
        assert (loaded, quarantined) == (result.rows_loaded, result.rows_quarantined)
        assert result.rows_read == loaded + quarantined
        parsed = reconciled(original.feed, str(name), content)
        if result.status == "loaded":
            assert parsed is not None
            assert (loaded, quarantined) == (parsed.frame.height, len(parsed.quarantined))
            assert rejected == len(parsed.rejected_values)
            assert result.known_at_rule
        else:
            assert result.reason
            assert (loaded, rejected) == (0, 0)
            assert quarantined == 0 or (parsed is not None and quarantined == parsed.rows_read)

    def _rows_of(self, table: str, file_id: int) -> int:
        query = sql.SQL("select count(*) from landing.{} where file_id = %s").format(sql.Identifier(table))
        row = self.connection.execute(query, [file_id]).fetchone()
        self.connection.rollback()
        assert row is not None
        return int(row[0])


@pytest.fixture
def landing(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Landing]:
    # small blocks: a file's defect shows when some of its rows are in the tables already
    monkeypatch.setattr(read_csv, "BLOCK_BYTES", 900)
    with psycopg.connect(database_url) as connection:
        yield Landing(connection, tmp_path)


def test_damaged_real_files_are_in_the_tables_whole_or_not_at_all(landing: Landing, real_landing: Path) -> None:
    for original in slices(real_landing).values():
        _take_in_damaged(landing, original)
    assert landing.files > 60


def _take_in_damaged(landing: Landing, original: Slice) -> None:
    contents = st.one_of(
        damaged_bytes(original.content()),
        damaged_cells(original).map(original.content),
        rearranged_cells(original).map(original.content),
    )

    @settings(max_examples=_CASES, deadline=None, derandomize=True, database=None)
    @given(contents)
    def check(content: bytes) -> None:
        landing.take_in(original, content)

    check()
