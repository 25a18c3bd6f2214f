"""The publishers' real files, damaged: bytes, columns, encodings, cuts, repeated and shuffled rows; for every feed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fvi_pipeline.feeds import read_csv
from fvi_pipeline.feeds.catalogue import FEEDS
from fvi_pipeline.feeds.parse import ParsedFile
from tests.unit.feeds.accounting import reconciled
from tests.unit.feeds.damage import damaged_bytes, damaged_cells, rearranged_cells
from tests.unit.feeds.real_files import Cells, Slice, csv_content, slices, spreadsheetml_slice

SLICES = (
    "eia_coal_mines coalpublic1983.csv",
    "eia_coal_mines coalpublic2001.csv",
    "eia_coal_mines coalpublic2012.csv",
    "eia_coal_mines coalpublic2013.csv",
    "owid_energy owid-energy-data.csv",
    "owid_co2 owid-co2-data.csv",
    "gem_coal_mines Global-Coal-Mine-Tracker-April-2024.xlsx",
    "world_bank_prices CMO-Historical-Data-Monthly.xlsx",
    "gem_mine_features coal-mine-boundaries-methane.geojson",
)
CSV_SLICES = tuple(name for name in SLICES if name.endswith(".csv"))
EIA = FEEDS["eia_coal_mines"]


def cases(number: int) -> settings:
    return settings(max_examples=number, deadline=None, derandomize=True, database=None)


@pytest.fixture(scope="module")
def real(real_landing: Path) -> dict[str, Slice]:
    return slices(real_landing)


def whole(original: Slice) -> ParsedFile:
    parsed = reconciled(original.feed, original.name, original.content())
    assert parsed is not None
    assert parsed.frame.height > 0
    return parsed


def test_each_feed_with_real_files_has_a_slice(real: dict[str, Slice]) -> None:
    assert set(real) == set(SLICES)
    for original in real.values():
        assert not whole(original).quarantined


@pytest.mark.parametrize("name", SLICES)
def test_bytes(real: dict[str, Slice], name: str) -> None:
    original = real[name]

    @cases(20)
    @given(damaged_bytes(original.content()))
    def check(content: bytes) -> None:
        reconciled(original.feed, original.name, content)

    check()


@pytest.mark.parametrize("name", SLICES)
def test_columns_rows_and_cells(real: dict[str, Slice], name: str) -> None:
    original = real[name]

    @cases(16)
    @given(damaged_cells(original))
    def check(sheets: dict[str, Cells]) -> None:
        reconciled(original.feed, original.name, original.content(sheets))

    check()


@pytest.mark.parametrize("name", SLICES)
def test_the_same_facts_in_another_order_are_the_same_facts(real: dict[str, Slice], name: str) -> None:
    original = real[name]
    expected = whole(original)

    @cases(8)
    @given(rearranged_cells(original))
    def check(sheets: dict[str, Cells]) -> None:
        parsed = reconciled(original.feed, original.name, original.content(sheets))
        assert parsed is not None
        assert parsed.facts_digest == expected.facts_digest
        added = sum(len(cells) for cells in sheets.values()) - sum(len(cells) for cells in original.sheets.values())
        assert len(parsed.quarantined) == added
        assert all("exact copy" in row.reason for row in parsed.quarantined)

    check()


@pytest.mark.parametrize("name", CSV_SLICES)
def test_encodings_and_delimiters(real: dict[str, Slice], name: str) -> None:
    original = real[name]
    expected = whole(original)
    for encoding in ("utf-8", "utf-8-sig", "cp1252", "utf-16"):
        for delimiter in (",", ";", "\t"):
            content = original.content(encoding=encoding, delimiter=delimiter)
            parsed = reconciled(original.feed, original.name, content)
            assert parsed is not None
            assert parsed.facts_digest == expected.facts_digest

    @cases(10)
    @given(
        st.sampled_from(["utf-16", "cp1252", "utf-8"]).flatmap(lambda e: damaged_bytes(original.content(encoding=e)))
    )
    def check(content: bytes) -> None:
        reconciled(original.feed, original.name, content)

    check()


@pytest.mark.parametrize("name", CSV_SLICES)
def test_a_cut_file_loses_at_most_the_row_that_was_cut(real: dict[str, Slice], name: str) -> None:
    original = real[name]
    expected, content = whole(original), original.content()

    @cases(10)
    @given(st.integers(0, len(content) - 1))
    def check(at: int) -> None:
        parsed = reconciled(original.feed, original.name, content[:at])
        if parsed is not None and parsed.problem is None:
            complete = min(content[:at].count(b"\n") - 1, expected.frame.height)
            assert parsed.frame.head(complete).equals(expected.frame.head(complete))
            assert len(parsed.quarantined) <= 1

    check()


@pytest.mark.parametrize("name", CSV_SLICES)
def test_where_a_block_ends_changes_nothing(real: dict[str, Slice], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    original = real[name]
    default = read_csv.BLOCK_BYTES

    @cases(8)
    @given(damaged_cells(original), st.integers(4, 2_000))
    def check(sheets: dict[str, Cells], block: int) -> None:
        cells = sheets[""]
        # copies far from their originals, and years that only the whole file can decide
        content = csv_content([*cells, *cells[1:]])
        monkeypatch.setattr(read_csv, "BLOCK_BYTES", default)
        at_once = reconciled(original.feed, original.name, content)
        monkeypatch.setattr(read_csv, "BLOCK_BYTES", block)
        in_blocks = reconciled(original.feed, original.name, content)
        assert (at_once is None) == (in_blocks is None)
        if at_once is not None and in_blocks is not None:
            assert in_blocks.frame.equals(at_once.frame)
            assert sorted(in_blocks.quarantined, key=repr) == sorted(at_once.quarantined, key=repr)
            assert sorted(in_blocks.rejected_values, key=repr) == sorted(at_once.rejected_values, key=repr)
            assert in_blocks.facts_digest == at_once.facts_digest
            assert in_blocks.release == at_once.release

    check()


@pytest.mark.parametrize("file", ["coalpublic2008.xls", "coalpublic2019.xls"])
def test_other_forms_of_a_year(real_landing: Path, file: str) -> None:
    served = real_landing.parent / "formats" / "eia_coal" / file
    if not served.is_file():
        pytest.skip(f"no real file at {served}")
    content = spreadsheetml_slice(served) if file == "coalpublic2008.xls" else served.read_bytes()
    whole_file = reconciled(EIA, f"eia_coal/{file}", content)
    assert whole_file is not None
    assert not whole_file.quarantined

    @cases(10)
    @given(damaged_bytes(content))
    def check(damaged: bytes) -> None:
        reconciled(EIA, f"eia_coal/{file}", damaged)

    check()
