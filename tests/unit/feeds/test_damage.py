"""Damaged files of any kind are read or refused, never crashed on, and every row is accounted for."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fvi_pipeline.feeds.catalogue import FEEDS
from fvi_pipeline.feeds.description import Feed
from fvi_pipeline.feeds.errors import UnreadableFileError
from fvi_pipeline.feeds.parse import ParsedFile, parse
from tests.unit.feeds.files import ENERGY_CSV, eia_csv, gem_workbook, geojson, world_bank_workbook

ORIGINALS: dict[str, tuple[str, bytes]] = {
    "eia_coal_mines": ("eia_coal/coalpublic2013.csv", eia_csv()),
    "gem_coal_mines": ("gem/tracker.xlsx", gem_workbook()),
    "gem_mine_features": ("gem/boundaries.geojson", geojson()),
    "world_bank_prices": ("world_bank/CMO.xlsx", world_bank_workbook()),
    "owid_energy": ("owid/owid-energy-data.csv", ENERGY_CSV),
}


def reconciled(feed: Feed, name: str, content: bytes) -> ParsedFile | None:
    try:
        parsed = parse(feed, name, content)
    except UnreadableFileError:
        return None
    assert parsed.rows_read == parsed.frame.height + len(parsed.quarantined)
    places = [(row.part, row.row_number) for row in parsed.quarantined]
    part = feed.part_column
    loaded = [(row[part] if part else "", row["row_number"]) for row in parsed.frame.iter_rows(named=True)]
    assert len({*places, *loaded}) == parsed.rows_read
    text = parsed.frame.write_csv() + "".join(row.raw + row.reason for row in parsed.quarantined)
    assert "\x00" not in text
    assert all(row.reason for row in parsed.quarantined)
    return parsed


def mutated(draw: st.DrawFn, content: bytes) -> bytes:
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content)))
        size = draw(st.integers(0, 40))
        kind = draw(st.sampled_from(["cut", "drop", "insert", "swap", "repeat"]))
        if kind == "cut":
            content = content[:at]
        elif kind == "drop":
            content = content[:at] + content[at + size :]
        elif kind == "insert":
            piece = draw(st.one_of(st.binary(max_size=12), st.sampled_from([b'"', b",", b"\n", b"\r", b"\x00", b"-"])))
            content = content[:at] + piece + content[at:]
        elif kind == "swap":
            content = content[at:] + content[:at]
        else:
            content = content[:at] + content[at : at + size] + content[at:]
    return content


@st.composite
def damaged(draw: st.DrawFn, feed: str) -> bytes:
    return mutated(draw, ORIGINALS[feed][1])


@pytest.mark.parametrize("feed", ORIGINALS)
def test_damaged_bytes(feed: str) -> None:
    name = ORIGINALS[feed][0]

    @settings(max_examples=120, deadline=None, derandomize=True, database=None)
    @given(damaged(feed))
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
