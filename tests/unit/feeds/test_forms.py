"""The same rows come out of every form of a file: delimited text, workbooks old and new, SpreadsheetML."""

from __future__ import annotations

import contextlib
import csv
import io
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from fvi_pipeline.feeds.catalogue import FEEDS
from fvi_pipeline.feeds.description import Feed
from fvi_pipeline.feeds.errors import UnreadableFileError
from fvi_pipeline.feeds.parse import ParsedFile, parse
from tests.unit.feeds.files import ENERGY_CSV, eia_csv, workbook, world_bank_workbook
from tests.unit.feeds.files_gem import APRIL_2024_OPEN, cells, mine, shifted

EIA = FEEDS["eia_coal_mines"]
GEM = FEEDS["gem_coal_mines"]
TITLES = [["Historical Coal Production Data: 2013"], [], []]


def parsed_file(feed: Feed, content: bytes, name: str) -> ParsedFile:
    parsed = parse(feed, f"{feed.folder}/{name}", content)
    assert parsed.rows_read == parsed.frame.height + len(parsed.quarantined)
    return parsed


def facts(parsed: ParsedFile) -> list[tuple[Any, ...]]:
    return parsed.frame.drop("row_number").rows()


def csv_cells(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))


def spreadsheetml(*sheets: Sequence[Sequence[Any]], declared: str = "UTF-8", prologue: str = "") -> str:
    """A workbook as SAS writes it; texts in `Number` cells where they are numbers."""
    body = "".join(f"<Worksheet ss:Name='s'><Table>{''.join(map(_row, rows))}</Table></Worksheet>" for rows in sheets)
    return (
        f"<?xml version='1.0' encoding='{declared}'?>\n<?mso-application progid='Excel.Sheet'?>{prologue}\n"
        "<Workbook xmlns='urn:schemas-microsoft-com:office:spreadsheet'"
        " xmlns:ss='urn:schemas-microsoft-com:office:spreadsheet' xmlns:html='http://www.w3.org/TR/REC-html40'>\n"
        f"<Styles><Style ss:ID='a'/></Styles>\n{body}</Workbook>\n"
    )


def _row(row: Sequence[Any]) -> str:
    return "<Row ss:Height='15'>" + "".join(map(_cell, row)) + "</Row>\n"


def _cell(value: Any) -> str:
    kind = "Number" if isinstance(value, int | float) else "String"
    return f"<Cell ss:StyleID='a'><Data ss:Type='{kind}'>{escape(str(value))}</Data></Cell>\n"


@pytest.mark.parametrize("year", [2008, 2013, 2019])
def test_the_agency_s_own_forms_hold_the_rows_of_the_csv(real_landing: Path, year: int) -> None:
    served = (real_landing.parent / "formats" / "eia_coal" / f"coalpublic{year}.xls").read_bytes()
    as_served = parsed_file(EIA, served, f"coalpublic{year}.xls")
    as_csv = parsed_file(
        EIA, (real_landing / "eia_coal" / f"coalpublic{year}.csv").read_bytes(), f"coalpublic{year}.csv"
    )
    if year == 2019:
        # the agency put a mark in the place of one address between the two
        corrected = pl.col("operating_company_address").replace({"P.O. Box, WV": "P.O. Box, ."})
        assert as_served.frame.with_columns(corrected).drop("row_number").rows() == facts(as_csv)
    else:
        assert facts(as_served) == facts(as_csv)
        assert as_served.facts_digest == as_csv.facts_digest
    assert as_served.release == as_csv.release
    assert as_served.frame["row_number"].head(2).to_list() == [5, 6]
    assert as_served.unknown_columns == ()


def test_a_year_is_the_same_as_xlsx_and_as_spreadsheetml() -> None:
    content = eia_csv()
    rows = [*TITLES, *csv_cells(content)]
    expected = parsed_file(EIA, content, "coalpublic2013.csv")
    for served in (workbook({"Sheet": rows}), spreadsheetml(rows).encode()):
        parsed = parsed_file(EIA, served, "coalpublic2013.xls")
        assert facts(parsed) == facts(expected)
        assert parsed.frame["row_number"].to_list() == [5, 6, 7]
        assert parsed.facts_digest == expected.facts_digest


def test_the_tracker_is_the_same_as_spreadsheetml() -> None:
    rows = cells(APRIL_2024_OPEN, [mine(), mine(GEM_Mine_ID="M0002", Capacity_Mtpa="1,5")])
    about = [["Global Coal Mine Tracker - April 2024"]]
    as_workbook = parsed_file(GEM, workbook({"About": about, "Mines": rows}), "tracker.xlsx")
    as_xml = parsed_file(GEM, spreadsheetml(about, rows).encode(), "tracker.xls")
    assert as_xml.frame.rows() == as_workbook.frame.rows()
    assert as_xml.release == as_workbook.release


def eia_xml(cells_of_row: str, **options: Any) -> bytes:
    """A year of one row, whose cells are given as XML."""
    xml = spreadsheetml([csv_cells(eia_csv())[0], ["ROW"]], **options)
    row = _row(["ROW"])
    assert row in xml
    return xml.replace(row, f"<Row>{cells_of_row}</Row>").encode(options.get("declared", "UTF-8"))


YEAR_AND_ID = _cell(2013) + _cell(100347)


def test_indexes_merged_cells_comments_and_marked_up_text_are_understood() -> None:
    row = (
        YEAR_AND_ID
        + "<Cell><ss:Data ss:Type='String' xmlns='http://www.w3.org/TR/REC-html40'><B>Oak</B> &amp; Ash</ss:Data>"
        + "<Comment ss:Author='x'><ss:Data>closed soon</ss:Data></Comment></Cell>"
        + "<Cell ss:MergeAcross='1'><Data ss:Type='String'>Alabama</Data></Cell>"
        + _cell("Active")
        + "<Cell ss:Index='13'><Data ss:Type='String'>Appalachia Southern</Data></Cell>"
        + _cell(700.0)
    )
    (record,) = parsed_file(EIA, eia_xml(row), "coalpublic2013.xls").frame.rows(named=True)
    assert record["msha_id"] == "0100347"
    assert record["mine_name"] == "Oak & Ash"
    assert (record["mine_state"], record["mine_county"]) == ("Alabama", None)
    assert record["mine_status"] == "Active"
    assert record["coal_supply_region"] == "Appalachia Southern"
    assert record["production_short_tons"] == 700


def test_rows_are_numbered_as_the_spreadsheet_shows_them() -> None:
    xml = spreadsheetml([*TITLES, *csv_cells(eia_csv())]).replace("<Row ss:Height='15'>", "<Row ss:Index='9'>", 1)
    parsed = parsed_file(EIA, xml.encode(), "coalpublic2013.xls")
    assert parsed.frame["row_number"].to_list() == [13, 14, 15]


@pytest.mark.parametrize(
    ("declared", "encoding"),
    [
        ("iso-8859-1", "cp1252"),
        ("UTF-8", "utf-8"),
        ("UTF-8", "cp1252"),
        ("UTF-16", "utf-16"),
        ("windows-1252", "cp1252"),
    ],
)
def test_an_encoding_is_understood_even_where_another_one_is_declared(declared: str, encoding: str) -> None:
    xml = spreadsheetml(csv_cells(eia_csv()), declared=declared).replace(
        "Tacoa", "Mine “Łódź”" if "utf" in encoding else "Mine “é”"
    )
    parsed = parsed_file(EIA, xml.encode(encoding), "coalpublic2013.xls")
    names = parsed.frame["mine_name"].to_list()
    assert names[0].startswith("Mine “")
    assert names[2] == "Café Mine"


def test_a_damaged_character_costs_its_row() -> None:
    xml = spreadsheetml(csv_cells(eia_csv())).replace("Tacoa", "Ta\x00coa").replace("Unnamed", "Un\x01named")
    parsed = parsed_file(EIA, xml.encode(), "coalpublic2013.xls")
    assert parsed.frame["row_number"].to_list() == [4]
    assert [row.row_number for row in parsed.quarantined] == [2, 3]
    assert all("NUL" in row.reason for row in parsed.quarantined)
    assert "\x00" not in "".join(row.raw for row in parsed.quarantined)


def test_entities_are_refused_before_they_grow() -> None:
    bomb = "<!DOCTYPE w [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;'>]>"
    with pytest.raises(UnreadableFileError, match="document type definition"):
        parsed_file(EIA, spreadsheetml(csv_cells(eia_csv()), prologue=bomb).encode(), "coalpublic2013.xls")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("</Workbook>", ""), "damaged or cut off"),
        (("<Row ss:Height='15'>", "<Row ss:Index='0'>"), "a row at 0, which cannot be"),
        (("<Cell ss:StyleID='a'>", "<Cell ss:Index='99999999'>"), "a column at 99999999, which cannot be"),
        (("MSHA ID", "ID"), "the nearest one lacks the columns: msha id"),
        (("Table>", "List>"), "No header row was found"),
        (("Row", "Raw"), "an element 'Raw' in a Table, where it cannot be"),
        (("Cell", "Cel"), "an element 'Cel' in a Row, where it cannot be"),
    ],
)
def test_what_is_no_sound_spreadsheetml_is_refused_whole(change: tuple[str, str], message: str) -> None:
    content = spreadsheetml(csv_cells(eia_csv())).replace(*change).encode()
    with pytest.raises(UnreadableFileError, match=message):
        parsed_file(EIA, content, "coalpublic2013.xls")


def test_other_xml_is_named() -> None:
    with pytest.raises(UnreadableFileError, match="looks like XML"):
        parsed_file(EIA, b"<?xml version='1.0'?><rows/>", "coalpublic2013.xls")


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_a_cut_file_is_refused_and_a_changed_byte_never_crashes(data: st.DataObject) -> None:
    content = spreadsheetml([*TITLES, *csv_cells(eia_csv())]).encode()
    at = data.draw(st.integers(100, len(content) - 15))
    with pytest.raises(UnreadableFileError):
        parsed_file(EIA, content[:at], "coalpublic2013.xls")
    changed = content[:at] + data.draw(st.binary(min_size=1, max_size=3)) + content[at + 1 :]
    with contextlib.suppress(UnreadableFileError):
        parsed_file(EIA, changed, "coalpublic2013.xls")


def test_a_file_in_batches_is_the_same_file(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [*TITLES, *csv_cells(eia_csv())]
    whole = {
        form: parsed_file(EIA, form, "coalpublic2013.xls")
        for form in (workbook({"s": rows}), spreadsheetml(rows).encode())
    }
    monkeypatch.setattr("fvi_pipeline.feeds.sheet_rows._BATCH_ROWS", 1)
    for form, expected in whole.items():
        parsed = parsed_file(EIA, form, "coalpublic2013.xls")
        assert parsed.frame.rows() == expected.frame.rows()
        assert parsed.facts_digest == expected.facts_digest


@pytest.mark.parametrize("by", [1, 2, -1, -2, -3])
def test_slipped_rows_of_a_workbook_are_not_taken_in(real_landing: Path, by: int) -> None:
    header, *rows = csv_cells((real_landing / "eia_coal" / "coalpublic2013.csv").read_bytes())
    draw = random.Random(by)
    # among the last three numbers nothing can tell
    starts = range(header.index("Production (short tons)"))
    slipped = [shifted(row, start, by) for start in starts for row in draw.sample(rows, 5)]
    parsed = parsed_file(EIA, workbook({"s": [header, *rows[:80], *slipped]}), "coalpublic2013.xlsx")
    assert parsed.frame["row_number"].to_list() == list(range(2, 82))


def test_prices_in_another_unit_are_refused_and_other_commodities_left_out() -> None:
    prices = FEEDS["world_bank_prices"]
    parsed = parsed_file(prices, world_bank_workbook(), "CMO-Historical-Data-Monthly.xlsx")
    assert parsed.unknown_columns == ()
    with pytest.raises(UnreadableFileError, match="is in '\\(\\$/st\\)'; expected '\\(\\$/mt\\)'"):
        parsed_file(prices, world_bank_workbook(coal_unit="($/st)"), "CMO-Historical-Data-Monthly.xlsx")


def test_a_renamed_price_is_not_left_out_without_a_word() -> None:
    xlsx = CalamineWorkbook.from_filelike(io.BytesIO(world_bank_workbook()))
    rows = xlsx.get_sheet_by_name("Monthly Prices").to_python()
    renamed = [["Coal, Newcastle" if cell == "Coal, Australian" else cell for cell in row] for row in rows]
    with pytest.raises(UnreadableFileError, match="the nearest one lacks the columns: coal, australian"):
        parsed_file(
            FEEDS["world_bank_prices"], workbook({"Monthly Prices": renamed}), "CMO-Historical-Data-Monthly.xlsx"
        )


def test_energy_data_are_the_same_as_workbook_and_with_semicolons_and_decimal_commas() -> None:
    energy = FEEDS["owid_energy"]
    expected = parsed_file(energy, ENERGY_CSV, "owid-energy-data.csv")
    rows = csv_cells(ENERGY_CSV)
    as_workbook = parsed_file(energy, workbook({"Data": rows}), "owid-energy-data.xlsx")
    assert facts(as_workbook) == facts(expected)
    european = "\n".join(";".join(cell.replace(".", ",") for cell in row) for row in rows)
    assert facts(parsed_file(energy, european.encode(), "owid-energy-data.csv")) == facts(expected)


def test_a_workbook_of_another_dataset_names_what_is_missing() -> None:
    other = workbook({"Plants": [["Plant name", "Status", "Opening Year", "Mine Name"]]})
    with pytest.raises(UnreadableFileError, match="lacks the columns: gem mine id"):
        parsed_file(GEM, other, "plants.xlsx")
