from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime

import polars as pl
import pytest

from fvi_pipeline.feeds.catalogue import FEEDS
from fvi_pipeline.feeds.errors import UnreadableFileError
from fvi_pipeline.feeds.parse import ParsedFile, parse
from tests.unit.feeds.files import (
    ENERGY_CSV,
    HEADER_1983,
    HEADER_2001,
    HEADER_2012,
    HEADER_2013,
    ROWS_2013,
    eia_csv,
    gem_workbook,
    geojson,
    workbook,
    world_bank_workbook,
)

EIA = FEEDS["eia_coal_mines"]


def parse_eia(content: bytes, year: int = 2013) -> ParsedFile:
    parsed = parse(EIA, f"eia_coal/coalpublic{year}.csv", content)
    assert parsed.rows_read == parsed.frame.height + len(parsed.quarantined)
    return parsed


def row_of(header: str, **values: str) -> str:
    """A row for any EIA header; names are the header's, with underscores for spaces."""
    wanted = {
        "Year": "1990",
        "Production (short tons)": "100",
        **{k.replace("_", " "): v for k, v in values.items()},
    }
    return ",".join(wanted.get(name, "-") for name in header.split(","))


@pytest.mark.parametrize("header", [HEADER_1983, HEADER_2001, HEADER_2012, HEADER_2013])
def test_every_header_form_fills_the_same_columns(header: str) -> None:
    row = row_of(header, MSHA_ID="100347", Mine_Name="Rosa", Union_Code="UNIT", Average_Employees="12")
    frame = parse_eia(eia_csv(header, (row,)), 1990).frame
    record = frame.row(0, named=True)
    assert list(record) == ["row_number", *(column.name for column in EIA.parts[0].columns), "other_values"]
    assert record["msha_id"] == "0100347"
    assert record["union_code"] == "UNIT"
    assert record["mine_basin"] is None
    assert record["average_employees"] == (12 if "Average Employees" in header else None)


def test_values_are_typed_and_nothing_is_null() -> None:
    parsed = parse_eia(eia_csv())
    assert parsed.frame["row_number"].to_list() == [2, 3, 4]
    assert parsed.frame["production_short_tons"].to_list() == [56_004, 700, 111_005_549]
    assert parsed.frame["labor_hours"].to_list() == [22_392, None, 3_000_000]
    assert parsed.frame["union_code"].to_list() == [None, None, "UNIT"]
    assert parsed.frame["mine_status"][0] == "Active, men working, not producing"
    assert not parsed.rejected_values
    assert parsed.release.period == "2013"
    assert parsed.release.known_at == datetime(2014, 10, 1, tzinfo=UTC)


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_text_that_is_not_utf8_is_read_as_windows_1252(encoding: str) -> None:
    assert parse_eia(eia_csv(encoding=encoding)).frame["mine_name"][2] == "Café Mine"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le with mark", "utf-16-be with mark"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_encoding_is_told_by_the_mark_and_the_delimiter_by_the_header(encoding: str, delimiter: str) -> None:
    rows = list(csv.reader(io.StringIO(eia_csv().decode("utf-8-sig"))))
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(rows)
    name, _, mark = encoding.partition(" ")
    content = (("\ufeff" if mark else "") + text.getvalue()).encode(name)
    assert parse_eia(content).facts_digest == parse_eia(eia_csv()).facts_digest


def test_a_header_may_hold_line_feeds() -> None:
    header = HEADER_2013.replace("Production (short tons)", '"Production\n(short tons)"').replace(
        "MSHA ID", '"MSHA\nID"'
    )
    parsed = parse_eia(eia_csv(header))
    assert parsed.facts_digest == parse_eia(eia_csv()).facts_digest
    assert not parsed.unknown_columns


# each by itself sends the whole block, or the whole column, the careful way
ODDITIES = (
    '2013,0103383, Spaced ,-,-,-,-,-,-,-,-,-,-,"1,000",5,6',
    '2013,103384,"Says ""yes""",-,-,-,-,-,-,-,-,-,-,"1,000.0",5.,+6',
    '2013,103385,"Two\nlines",-,-,-,-,-,-,-,-,-,-,"1,000",5,6',
    ",,,,,,,,,,,,,,,",
    "2013,0103386,Too short",
)


@pytest.mark.parametrize("oddity", ODDITIES)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_what_a_row_says_does_not_depend_on_the_others(oddity: str, line_end: str) -> None:
    rows = (
        '2013,0103381,Plain,Alabama,-,,Surface,-,Mine only,"Firm, Inc.","1 Road, Town",-,-,"1,234,567",12,"0,345"',
        "2013,0103382,;,Alabama,-,,Surface,-,Mine only,Firm,Road,-,-,0,12,x",
    )
    alone = parse_eia(eia_csv(rows=rows).replace(b"\r\n", line_end.encode()))
    among = parse_eia(eia_csv(rows=(*rows, oddity)).replace(b"\r\n", line_end.encode()))
    assert among.frame.head(2).equals(alone.frame)
    assert among.rejected_values == alone.rejected_values
    assert alone.frame["labor_hours"].to_list() == [345, None]


def test_the_digest_is_of_the_facts_whatever_their_order() -> None:
    whole = parse_eia(eia_csv())
    turned = parse_eia(eia_csv(rows=(ROWS_2013[2], ROWS_2013[0], ROWS_2013[1], ROWS_2013[0])))
    assert turned.facts_digest == whole.facts_digest
    assert parse_eia(eia_csv(rows=ROWS_2013[:2])).facts_digest != whole.facts_digest
    assert parse_eia(eia_csv(rows=(*ROWS_2013[:2], ROWS_2013[2].replace("1,247", "1,248")))).facts_digest not in (
        whole.facts_digest,
        None,
    )


def test_undescribed_columns_are_kept_with_their_titles() -> None:
    header = HEADER_2013 + ",Depth (ft),,depth (FT)"
    parsed = parse_eia(eia_csv(header, (ROWS_2013[0] + ',"1""2",x,\\', ROWS_2013[1] + ",-,,")))
    assert parsed.unknown_columns == ("Depth (ft)", "depth (FT)")
    first, second = parsed.frame["other_values"].to_list()
    assert json.loads(first) == {"Depth (ft)": '1"2', "column 18": "x", "depth (FT)": "\\"}
    assert second is None


def test_a_file_without_byte_order_mark_with_titles_and_blank_lines() -> None:
    content = b"Historical Coal Production Data: 2013\n\n" + eia_csv().removeprefix(b"\xef\xbb\xbf") + b"\r\n,,\r\n"
    assert parse_eia(content).frame["row_number"].to_list() == [4, 5, 6]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2013,103381,Tacoa", "The row has 3 fields; the header has 16."),
        (ROWS_2013[1] + ",extra", "The row has 17 fields; the header has 16."),
        ('2013,1,"Tacoa,' + "-," * 13 + "5", "quotation marks do not match"),
        (row_of(HEADER_2013, Year="twenty"), "as_of_year is not a year: twenty"),
        (row_of(HEADER_2013, Year="1066"), "as_of_year is below 1,900: 1066"),
        (row_of(HEADER_2013, Year="2012"), "as_of_year is 2012, but the file is of 2013"),
        (row_of(HEADER_2013, Year="-"), "as_of_year is missing"),
        (ROWS_2013[1].replace("700", "n/a"), "production_short_tons is not a whole number: n/a"),
        (ROWS_2013[1].replace("700", "12.5"), "production_short_tons is not a whole number: 12.5"),
        (ROWS_2013[1].replace("700", '"1,00"'), "production_short_tons is not a whole number: 1,00"),
        (ROWS_2013[1].replace("700", "-5"), "production_short_tons is below 0: -5"),
        (ROWS_2013[1].replace("700", "9" * 30), "production_short_tons is not a whole number"),
        (ROWS_2013[1].replace("700", "-"), "production_short_tons is missing"),
        (ROWS_2013[0], "The row is an exact copy of row 2"),
        (ROWS_2013[1].replace("Unnamed", "Un\x00named"), "NUL"),
    ],
)
def test_a_bad_row_goes_to_quarantine_alone(row: str, reason: str) -> None:
    parsed = parse_eia(eia_csv(rows=(*ROWS_2013, row, ROWS_2013[1].replace("700", "800"))))
    (bad,) = parsed.quarantined
    assert reason in bad.reason
    assert bad.row_number == 5
    assert bad.raw == row.replace("\x00", "\N{SYMBOL FOR NULL}")
    assert parsed.frame["row_number"].to_list() == [2, 3, 4, 6]


def test_a_bad_optional_value_is_dropped_and_recorded() -> None:
    rows = (
        ROWS_2013[0].replace("103381", "0").replace(",10,", ",ten,"),
        ROWS_2013[1].replace(",-,-,-,A", ",-,-,-,A").replace("700,-,-", '700,5,"-1,000"'),
    )
    parsed = parse_eia(eia_csv(rows=rows))
    assert parsed.frame["msha_id"].to_list() == [None, None]
    assert parsed.frame["average_employees"].to_list() == [None, 5]
    assert parsed.frame["labor_hours"].to_list() == [22_392, None]
    assert {(v.row_number, v.column_name, v.raw) for v in parsed.rejected_values} == {
        (2, "msha_id", "0"),
        (2, "average_employees", "ten"),
        (3, "labor_hours", "-1,000"),
    }


def test_a_line_feed_in_a_quoted_field_is_part_of_the_row() -> None:
    rows = (ROWS_2013[0].replace("Kent Dairy", "Kent\r\nDairy"), ROWS_2013[2])
    parsed = parse_eia(eia_csv(rows=rows))
    assert not parsed.quarantined
    assert parsed.frame["row_number"].to_list() == [2, 3]
    assert "Kent\nDairy" in parsed.frame["operating_company_address"][0].replace("\r", "")


def test_an_excel_year_gives_the_rows_of_its_csv() -> None:
    cells = [
        ["Historical Coal Production Data: 2013"],
        ["Source: EIA"],
        [],
        HEADER_2013.split(","),
        [
            2013,
            103381,
            "Tacoa",
            "Alabama",
            "Bibb",
            "Active",
            "Surface",
            "x",
            "Mine only",
            "y",
            "z",
            " ",
            "S",
            56004,
            1,
            2,
        ],
    ]
    parsed = parse(EIA, "eia_coal/coalpublic2013.xlsx", workbook({"Hist_Coal_Prod": cells}))
    record = parsed.frame.row(0, named=True)
    assert (record["row_number"], record["msha_id"], record["production_short_tons"]) == (
        5,
        "0103381",
        56_004,
    )
    assert record["union_code"] is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (eia_csv(rows=()), "a header but no rows"),
        (eia_csv()[:40], "lacks the columns"),
        (b"a,b\n1,2\n", "No header row was found"),
        (ENERGY_CSV, "lacks the columns"),
        (b"<!DOCTYPE html><html>moved</html>", "a web page"),
        (
            b'<?xml version="1.0"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet">',
            "SpreadsheetML",
        ),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00", "binary data"),
        (b"PK\x03\x04 cut off", "not a readable Excel workbook"),
        (b'{"a": 1}', "it looks like JSON"),
        (eia_csv(HEADER_2013.replace("Production (short tons)", "Output")), "production (short tons)"),
    ],
)
def test_an_unusable_file_says_what_is_wrong(content: bytes, reason: str) -> None:
    with pytest.raises(UnreadableFileError, match=reason.replace("(", r"\(").replace(")", r"\)")):
        parse_eia(content)


def test_a_file_under_another_years_name_is_refused() -> None:
    with pytest.raises(UnreadableFileError, match="says 2014, but its rows are of 2013"):
        parse_eia(eia_csv(), year=2014)


def test_a_file_of_bad_rows_only_is_read_and_not_loaded() -> None:
    parsed = parse_eia(eia_csv(rows=("2013,1", "2013,2")))
    assert parsed.problem is not None
    assert (parsed.rows_read, parsed.frame.height, len(parsed.quarantined)) == (2, 0, 2)


def test_gem_workbook_both_sheets() -> None:
    parsed = parse(FEEDS["gem_coal_mines"], "gem/tracker.xlsx", gem_workbook())
    frame = parsed.frame.sort("gem_mine_id")
    assert frame["sheet"].to_list() == ["open", "open", "open", "closed"]
    assert frame["row_number"].to_list() == [2, 3, 4, 2]
    assert frame["msha_id"].to_list() == [None, "0100347", None, None]
    assert frame["capacity_mt_per_year"].to_list() == [None, None, 1.5, None]
    assert frame["workforce_size"].to_list() == [703.0, 1234.5, None, None]
    assert frame["mine_size_km2"].to_list() == [None, 2.5, None, 5.45]
    assert frame["closing_year"].to_list() == [None, None, None, 2015]
    assert frame["status"].to_list() == ["Operating", "Operating", "Proposed", None]
    rejected = {(v.part, v.row_number, v.column_name) for v in parsed.rejected_values}
    assert {
        ("open", 3, "capacity_mt_per_year"),
        ("open", 4, "workforce_size"),
        ("open", 4, "opening_year"),
        ("open", 4, "mine_size_km2"),
        ("closed", 2, "latitude"),
    } == rejected
    assert parsed.release.period == "2024-04"
    assert parsed.release.known_at == datetime(2024, 4, 30, tzinfo=UTC)


def test_world_bank_prices() -> None:
    parsed = parse(FEEDS["world_bank_prices"], "world_bank/CMO.xlsx", world_bank_workbook())
    assert parsed.frame["month"].to_list() == [date(1960, 1, 1), date(2025, 4, 1)]
    assert parsed.frame["coal_australian_usd_per_tonne"].to_list() == [None, 98.61]
    assert parsed.frame["crude_oil_average_usd_per_barrel"].to_list() == [1.63, -3.5]
    assert parsed.frame["row_number"].to_list() == [7, 8]
    assert [(row.row_number, row.reason) for row in parsed.quarantined] == [
        (9, "month is not a month such as 1960M01: 2025M13")
    ]
    assert parsed.release.known_at == datetime(2025, 5, 2, tzinfo=UTC)


def test_prices_in_another_unit_are_refused() -> None:
    with pytest.raises(UnreadableFileError, match=r"is in '\(\$/kg\)'; expected '\(\$/mt\)'"):
        parse(FEEDS["world_bank_prices"], "world_bank/CMO.xlsx", world_bank_workbook("($/kg)"))


def test_gem_features() -> None:
    parsed = parse(FEEDS["gem_mine_features"], "gem/boundaries.geojson", geojson())
    assert parsed.frame["feature_id"].to_list() == ["M0086.B1", "M0086.P1"]
    assert parsed.frame["geometry_type"].to_list() == ["Polygon", None]
    assert parsed.frame["last_researched"].to_list() == [date(2025, 9, 8), None]
    assert parsed.frame["data_source_date"].to_list() == [date(2025, 2, 7), None]
    assert [(v.row_number, v.raw) for v in parsed.rejected_values] == [(2, "9-10 2024")]
    assert sorted(row.row_number for row in parsed.quarantined) == [3, 4]
    assert parsed.release.known_at == datetime(2026, 5, 12, tzinfo=UTC)
    with pytest.raises(UnreadableFileError, match="may be cut off"):
        parse(FEEDS["gem_mine_features"], "gem/boundaries.geojson", geojson()[:-20])


def test_owid_energy() -> None:
    parsed = parse(FEEDS["owid_energy"], "owid/owid-energy-data.csv", ENERGY_CSV)
    assert parsed.frame["iso_code"].to_list() == ["POL", None]
    assert parsed.frame["coal_production_twh"].to_list() == [500.2, None]
    assert parsed.frame["coal_share_of_energy_percent"].to_list() == [47.0, 27.0]
    assert parsed.release.known_at == datetime(2020, 10, 1, tzinfo=UTC)


def test_every_feed_writes_the_columns_it_describes_once() -> None:
    for feed in FEEDS.values():
        for part in feed.parts:
            names = [column.name for column in part.columns]
            assert len(names) == len(set(names))
            assert part.marks & {header for column in part.columns for header in column.headers}
        assert feed.licence
        assert feed.downloads or feed.manual_download or feed.api


def test_numbers_that_are_none() -> None:
    content = ENERGY_CSV.replace(b"78.5", b"inf").replace(b"36.4", b"1e999")
    parsed = parse(FEEDS["owid_energy"], "owid/owid-energy-data.csv", content)
    assert parsed.frame["coal_share_of_electricity_percent"].is_null().all()
    assert len(parsed.rejected_values) == 2
    assert parsed.frame.schema["as_of_year"] == pl.Int64
