"""Damaged files of any kind are read or refused, never crashed on, and every row is accounted for."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fvi_pipeline.feeds.catalogue import FEEDS
from fvi_pipeline.feeds.parse import parse
from tests.unit.feeds.accounting import reconciled
from tests.unit.feeds.damage import damaged_bytes
from tests.unit.feeds.files import ENERGY_CSV, eia_csv, gem_workbook, geojson, world_bank_workbook

ORIGINALS: dict[str, tuple[str, bytes]] = {
    "eia_coal_mines": ("eia_coal/coalpublic2013.csv", eia_csv()),
    "gem_coal_mines": ("gem/tracker.xlsx", gem_workbook()),
    "gem_mine_features": ("gem/boundaries.geojson", geojson()),
    "world_bank_prices": ("world_bank/CMO.xlsx", world_bank_workbook()),
    "owid_energy": ("owid/owid-energy-data.csv", ENERGY_CSV),
}


@pytest.mark.parametrize("feed", ORIGINALS)
def test_damaged_bytes(feed: str) -> None:
    name, original = ORIGINALS[feed]

    @settings(max_examples=120, deadline=None, derandomize=True, database=None)
    @given(damaged_bytes(original))
    def check(content: bytes) -> None:
        reconciled(FEEDS[feed], name, content)

    check()


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.lists(st.integers(0, 2), min_size=1, max_size=20), st.integers(0, 1000))
def test_shuffled_and_repeated_rows_count_once(picked: list[int], seed: int) -> None:
    header, *rows = eia_csv().splitlines(keepends=True)
    lines = [rows[i] for i in picked]
    random.Random(seed).shuffle(lines)
    parsed = reconciled(FEEDS["eia_coal_mines"], "eia_coal/coalpublic2013.csv", header + b"".join(lines))
    assert parsed is not None
    assert parsed.rows_read == len(picked)
    assert parsed.frame.height == len(set(picked))


@settings(max_examples=80, deadline=None, derandomize=True, database=None)
@given(st.integers(0, len(eia_csv()) - 1))
def test_a_cut_file_loses_at_most_the_row_that_was_cut(at: int) -> None:
    whole = parse(FEEDS["eia_coal_mines"], "eia_coal/coalpublic2013.csv", eia_csv())
    parsed = reconciled(FEEDS["eia_coal_mines"], "eia_coal/coalpublic2013.csv", eia_csv()[:at])
    if parsed is not None and parsed.problem is None:
        complete = eia_csv()[:at].count(b"\n") - 1
        columns = whole.frame.columns
        assert parsed.frame.head(complete).select(columns).equals(whole.frame.head(complete))
        assert len(parsed.quarantined) <= 1
