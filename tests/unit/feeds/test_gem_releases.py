"""The tracker's releases differ in names, columns, forms and habits; what cannot be read for sure is not taken in."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from python_calamine import CalamineWorkbook

from fvi_pipeline.feeds.catalogue import FEEDS
from fvi_pipeline.feeds.errors import UnreadableFileError
from fvi_pipeline.feeds.parse import ParsedFile, parse
from tests.unit.feeds.files import workbook
from tests.unit.feeds.files_gem import (
    APRIL_2024_CLOSED,
    APRIL_2024_OPEN,
    MAY_2025_CLOSED,
    MAY_2025_OPEN,
    PAST_PRODUCTION,
    Row,
    cells,
    closed_mine,
    mine,
    shifted,
    tracker,
    tracker_csv,
)

GEM = FEEDS["gem_coal_mines"]


def parse_gem(content: bytes, name: str = "gem/Global-Coal-Mine-Tracker-April-2024.xlsx") -> ParsedFile:
    parsed = parse(GEM, name, content)
    assert parsed.rows_read == parsed.frame.height + len(parsed.quarantined)
    return parsed


def only_row(content: bytes, name: str = "gem/tracker.xlsx") -> dict[str, Any]:
    return parse_gem(content, name).frame.row(0, named=True)


def test_renamed_columns_are_the_same_columns() -> None:
    old = only_row(tracker([mine()]))
    new = only_row(tracker([mine()], opened=MAY_2025_OPEN, closed=MAY_2025_CLOSED, release="May 2025"))
    shared = ("gem_mine_id", "country", "mine_name", "wiki_url", "status", "owners", "workforce_size", "latitude")
    assert {name: old[name] for name in shared} == {name: new[name] for name in shared}
    assert new["wiki_url"] == "https://www.gem.wiki/Bogdanka_Coal_Mine"
    assert new["owners_entity_id"] == "E100000001234"
    assert new["parent_entity_id"] == "E100000000012 [64.6%]; E100000000013 [35.4%]"


def test_a_renamed_id_column_still_marks_the_sheet() -> None:
    header = ("Mine IDs", *(title for title in APRIL_2024_OPEN if title != "GEM Mine ID"))
    row = only_row(tracker([{**mine(), "Mine IDs": "M0042"}], opened=header, release="January 2023"))
    assert (row["gem_mine_id"], row["sheet"]) == ("M0042", "open")


def test_an_unknown_column_is_kept_and_reported() -> None:
    row = {**mine(), "ISO Code": "POL", "Has associated CMM mitigation data": "-"}
    parsed = parse_gem(tracker([row], opened=MAY_2025_OPEN))
    assert parsed.unknown_columns == ("Has associated CMM mitigation data", "ISO Code")
    assert json.loads(parsed.frame["other_values"][0]) == {"ISO Code": "POL"}


def test_every_column_of_the_released_file_is_described(real_landing: Path) -> None:
    content = (real_landing / "gem" / "Global-Coal-Mine-Tracker-April-2024.xlsx").read_bytes()
    parsed = parse_gem(content)
    assert parsed.unknown_columns == ()
    assert parsed.frame.height == 5_226 + 1_354
    assert len(parsed.quarantined) == 0


def test_an_open_mine_with_a_closing_year_is_not_closed() -> None:
    row = mine(Closing_Year=2049, Opening_Year=2031, Status="Proposed")
    content = tracker([row], [closed_mine(GEM_Mine_ID="M0002")], opened=MAY_2025_OPEN, closed=MAY_2025_CLOSED)
    frame = parse_gem(content).frame.sort("gem_mine_id")
    assert frame.select("sheet", "closing_year", "opening_year").rows() == [
        ("closed", 2015, 1982),
        ("open", 2049, 2031),
    ]


def test_a_sheet_of_past_production_is_no_sheet_of_mines() -> None:
    past: list[list[Any]] = [list(PAST_PRODUCTION), ["M1700", "Poland", "Bogdanka Coal Mine", "Operating", 9.1]]
    parsed = parse_gem(tracker([mine()], more={"Historic Production": past}))
    assert parsed.rows_read == 1


def test_two_sheets_that_are_the_same_table_are_refused() -> None:
    again = cells(APRIL_2024_OPEN, [mine()])
    with pytest.raises(UnreadableFileError, match="Two sheets of the file look like the table 'open'"):
        parse_gem(tracker([mine()], more={"Copy of mines": again}))


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_each_sheet_is_also_read_as_csv(delimiter: str) -> None:
    in_workbook = parse_gem(tracker([mine()], [closed_mine(GEM_Mine_ID="M0002")])).frame
    name = "gem/Global Coal Mine Tracker - April 2024/{}.csv"
    opened = parse_gem(tracker_csv(APRIL_2024_OPEN, [mine()], delimiter), name.format("Non-closed"))
    closed = parse_gem(
        tracker_csv(APRIL_2024_CLOSED, [closed_mine(GEM_Mine_ID="M0002")], delimiter), name.format("Closed")
    )
    both = pl.concat([closed.frame, opened.frame]).drop("row_number")
    assert both.rows() == in_workbook.drop("row_number").rows()
    # neither restates the other
    assert (opened.release.period, closed.release.period) == ("2024-04 open", "2024-04 closed")
    assert opened.release.known_at == closed.release.known_at == datetime(2024, 4, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1,5", 1.5),
        ("0,123", 0.123),
        ("1234,5", 1_234.5),
        ("1 234,5", 1_234.5),
        ("1\u202f234", 1_234),
        ("1\u00a0234\u00a0567", None),  # more workers than there can be
        ("12.345,6", 12_345.6),
        ("12,345.6", 12_345.6),
        ("1,234", None),  # one thousand or one and a quarter
        ("500-600", None),
        ("5. 0435", None),
        ("ca. 500", None),
        ("TBD", None),
        ("*", None),
        ("＊", None),
        ("n/a", None),
    ],
)
def test_a_number_is_read_where_there_is_one_way_to_read_it(written: str, value: float | None) -> None:
    parsed = parse_gem(tracker([mine(Workforce_Size=written)]))
    assert parsed.frame["workforce_size"][0] == value
    says_something = written not in {"TBD", "*", "＊", "n/a"}
    assert [v.raw for v in parsed.rejected_values] == [written for _ in (1,) if says_something and value is None]


def test_a_comma_with_one_possible_meaning_is_read() -> None:
    row = only_row(tracker([mine(Latitude="51,330", Longitude="-23,010", Opening_Year="1,982")]))
    assert (row["latitude"], row["longitude"], row["opening_year"]) == (51.33, -23.01, 1982)


def test_the_reason_names_both_meanings_of_a_comma() -> None:
    (value,) = parse_gem(tracker([mine(Workforce_Size="1,234")])).rejected_values
    assert value.reason == "workforce_size may mean thousands or decimals by its comma: 1,234"


def test_rows_of_phases_share_an_id_and_an_exact_copy_is_left_out() -> None:
    phases = [mine(Project_Phase=f"Stage {at}", Status="Proposed") for at in (1, 2)]
    parsed = parse_gem(tracker([*phases, phases[0]]))
    assert parsed.frame["gem_mine_id"].to_list() == ["M1700", "M1700"]
    assert [row.reason for row in parsed.quarantined] == ["The row is an exact copy of row 2"]


def test_a_word_that_no_release_uses_is_dropped_and_reported() -> None:
    parsed = parse_gem(tracker([mine(Status="Enlarged")]))
    assert parsed.frame["status"][0] is None
    assert parsed.rejected_values[0].reason == "status is none of the known values: Enlarged"


def test_a_value_beyond_the_last_header_makes_the_row_unsafe() -> None:
    wide: Row = {**mine(), "": "0.4"}
    (row,) = parse_gem(tracker([mine(), wide], opened=(*APRIL_2024_OPEN, ""))).quarantined
    assert row.reason == "The row has a value in column 41; the last header is in column 40."


@pytest.mark.parametrize("by", [1, 2, 3, 4, -1, -2, -3])
def test_rows_appended_with_slipped_cells_are_not_taken_in(real_landing: Path, by: int) -> None:
    header, rows = released_sheet(real_landing, "Global Coal Mine Tracker (Non-C")
    draw = random.Random(by)
    whole = draw.sample(rows, 100)
    slipped = [shifted(row, start, by) for start in range(len(header)) for row in draw.sample(rows, 4)]
    parsed = parse_gem(workbook({"Mines": [header, *whole, *slipped]}))
    assert parsed.frame["row_number"].to_list() == list(range(2, 102))


@pytest.mark.parametrize("by", [1, -1, -2])
def test_slipped_rows_of_closed_mines_are_not_taken_in(real_landing: Path, by: int) -> None:
    header, rows = released_sheet(real_landing, "Global Coal Mine Tracker (Close")
    draw = random.Random(by)
    whole = draw.sample(rows, 100)
    # behind the place of a mine the sheet has columns of words about customers only, mostly empty
    slipped = [shifted(row, start, by) for start in range(header.index("Longitude")) for row in draw.sample(rows, 4)]
    parsed = parse_gem(workbook({"Mines": [header, *whole, *slipped]}))
    assert parsed.frame["row_number"].to_list() == list(range(2, 102))


def released_sheet(real_landing: Path, name: str) -> tuple[list[Any], list[list[Any]]]:
    """Header and rows of a sheet of the released workbook."""
    released = CalamineWorkbook.from_path(real_landing / "gem" / "Global-Coal-Mine-Tracker-April-2024.xlsx")
    header, *rows = released.get_sheet_by_name(name).to_python()
    return header, rows


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"Owners": 77.3}, "a number stands for owners"),
        ({"Workforce_Size": "Exact"}, "a word of another column stands for workforce_size"),
        ({"Longitude": ""}, "longitude is empty while the cells beside it are filled"),
        ({"Status": "PL", "Workforce_Size": "many"}, "2 values are of the wrong kind (status, workforce_size)"),
    ],
)
def test_the_reason_says_how_a_slipped_row_was_found(changes: dict[str, Any], reason: str) -> None:
    (row,) = parse_gem(tracker([mine(), mine(GEM_Mine_ID="M0002", **changes)])).quarantined
    assert row.reason == f"The row seems to have slipped by some columns: {reason}"
    assert row.raw.startswith("M0002\t")


def test_mistyped_numbers_do_not_make_a_slipped_row() -> None:
    row = only_row(tracker([mine(Workforce_Size="500-600", Opening_Year="1970s", Latitude="-")]))
    assert (row["workforce_size"], row["opening_year"], row["latitude"], row["longitude"]) == (None, None, None, 23.01)


def features(**properties: Any) -> bytes:
    feature = {"type": "Feature", "properties": properties, "geometry": {"type": "Point", "coordinates": [1, 2]}}
    return json.dumps({"type": "FeatureCollection", "name": "built on May 12 2026", "features": [feature]}).encode()


def test_features_keep_what_a_build_adds() -> None:
    shaft = {"id": "M0086.P1", "Mine ID": "M0086", "mine feature category": "vent", "Country": "Poland", "Depth": 40.0}
    parsed = parse(FEEDS["gem_mine_features"], "gem/boundaries.geojson", features(**shaft))
    (record,) = parsed.frame.rows(named=True)
    assert (record["gem_mine_id"], record["country"], record["geometry_type"]) == ("M0086", "Poland", "Point")
    assert parsed.unknown_columns == ("Depth",)
    assert json.loads(record["other_values"]) == {"Depth": "40"}


def test_a_feature_that_says_something_twice_is_not_taken_in() -> None:
    shaft = {"id": "M0086.P1", "GEM Mine ID": "M0086", "mine feature category": "vent", "Notes": "old", "notes": "new"}
    parsed = parse(FEEDS["gem_mine_features"], "gem/boundaries.geojson", features(**shaft))
    assert [row.reason for row in parsed.quarantined] == ["Two properties of the feature have the same name."]
