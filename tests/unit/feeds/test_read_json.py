from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fvi_pipeline.feeds.catalogue.apis import (
    EIA_API_MINE_PRODUCTION,
    IMF_OUTLOOK,
    UN_COMTRADE_COAL,
    WORLD_BANK_INDICATORS,
)
from fvi_pipeline.feeds.description import Feed
from fvi_pipeline.feeds.errors import UnreadableFileError
from fvi_pipeline.feeds.json_records import JsonRecords, load_json, records, value_at
from fvi_pipeline.feeds.parse import ParsedFile, parse
from fvi_pipeline.feeds.read_json import read_json
from tests.publisher_apis import GDP, indicator, mine, trade

WORLD_BANK_NAME = f"world_bank_api/{GDP}.json"


def read(feed: Feed, document: Any, name: str = "folder/file.json") -> ParsedFile:
    return parse(feed, name, json.dumps(document).encode())


def eia(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"response": {"total": str(len(rows)), "data": list(rows)}, "apiVersion": "2.1.12"}


def world_bank(*rows: Any, updated: str | None = "2025-07-01") -> list[Any]:
    return [{"page": 1, "pages": 1, "total": len(rows), "lastupdated": updated}, list(rows)]


def test_a_record_is_a_row_and_its_place_the_row_number() -> None:
    rows = (indicator(GDP, "POL", "Poland", 2019, 15699.9), indicator(GDP, "POL", "Poland", 2018, None))
    parsed = read(WORLD_BANK_INDICATORS, world_bank(*rows), WORLD_BANK_NAME)
    columns = ["row_number", "indicator_code", "country_iso3", "country", "as_of_year", "value"]
    assert parsed.frame.select(columns).rows() == [
        (1, GDP, "POL", "Poland", 2019, 15699.9),
        (2, GDP, "POL", "Poland", 2018, None),
    ]
    assert parsed.release.period == GDP
    assert str(parsed.release.known_at) == "2025-07-01 00:00:00+00:00"


@pytest.mark.parametrize("updated", [None, "2025-02-30", "soon"])
def test_an_update_without_a_day_has_none(updated: str | None) -> None:
    answer = world_bank(indicator(GDP, "POL", "Poland", 2019, 1), updated=updated)
    assert read(WORLD_BANK_INDICATORS, answer, WORLD_BANK_NAME).release.known_at is None


def test_nested_objects_become_rows_level_by_level() -> None:
    answer = {"values": {"NGDP_RPCH": {"POL": {"2019": 4.5, "2020": "no data"}, "USA": {"2019": 2.30}, "FRA": 7}}}
    parsed = read(IMF_OUTLOOK, answer, "imf/NGDP_RPCH.json")
    assert parsed.frame.select("row_number", "country_code", "as_of_year", "value").rows() == [
        (1, "POL", 2019, 4.5),
        (2, "POL", 2020, None),
        (3, "USA", 2019, 2.3),
    ]
    # what stands where an object should be is not lost
    assert [(row.row_number, row.reason) for row in parsed.quarantined] == [(4, "as_of_year is missing")]
    assert parsed.rows_read == 4


def test_numbers_are_read_as_they_are_written() -> None:
    content = b'[{"total": 1}, [{"value": 1.10, "big": 12345678901234567890, "no": NaN, "yes": true, "none": null}]]'
    part = replace(WORLD_BANK_INDICATORS.parts[0], marks=frozenset({"value"}))
    (table,) = read_json(io.BytesIO(content), [part], JsonRecords((1,))).tables
    assert dict(zip(table.titles, table.cells.row(0), strict=True)) == {
        "value": "1.10",
        "big": "12345678901234567890",
        "no": "NaN",
        "yes": "true",
        "none": "",
    }


def test_a_new_column_is_kept_and_reported() -> None:
    parsed = read(EIA_API_MINE_PRODUCTION, eia(mine(2013, "0100347", "1", seamHeight="60")), "eia_api/x-2013.json")
    assert parsed.unknown_columns == ("seamHeight",)
    assert json.loads(parsed.frame["other_values"][0]) == {"seamHeight": "60"}


@pytest.mark.parametrize("unit", ["thousand short tons", "metric tons"])
def test_a_value_in_another_unit_is_not_taken_in(unit: str) -> None:
    rows = (mine(2013, "0100347", "1"), mine(2013, "4801353", "2", **{"production-units": unit}))
    with pytest.raises(UnreadableFileError, match=rf"in 'short tons / {unit}'; expected 'short tons'"):
        read(EIA_API_MINE_PRODUCTION, eia(*rows), "eia_api/x-2013.json")


def test_a_unit_counts_where_there_is_a_value() -> None:
    row = mine(2013, "0100347", None, **{"production-units": None, "labor-hours": None, "labor-hours-units": None})
    parsed = read(EIA_API_MINE_PRODUCTION, eia(row), "eia_api/x-2013.json")
    assert parsed.frame.select("production_short_tons", "labor_hours").row(0) == (None, None)
    without = {name: value for name, value in mine(2013, "0100347", "5").items() if not name.endswith("-units")}
    with pytest.raises(UnreadableFileError, match="expected 'short tons'"):
        read(EIA_API_MINE_PRODUCTION, eia(without), "eia_api/x-2013.json")


def test_what_is_no_record_goes_to_quarantine() -> None:
    good = indicator(GDP, "POL", "Poland", 2019, 1)
    damaged = {**good, "unit": "a\x00b"}
    twice = {**good, "Date": "2018"}
    parsed = read(WORLD_BANK_INDICATORS, world_bank(good, 7, None, damaged, twice), WORLD_BANK_NAME)
    assert [(row.row_number, row.reason, row.raw[:4]) for row in parsed.quarantined] == [
        (2, "The record is not an object.", "7"),
        (3, "The record is not an object.", "null"),
        (4, "The record holds a NUL character: the file is damaged here.", '{"in'),
        (5, "The record gives a key twice, spelled differently.", '{"in'),
    ]
    assert parsed.rows_read == 5


def test_what_is_nested_without_end_does_not_break_the_others() -> None:
    good = indicator(GDP, "POL", "Poland", 2019, 1)
    content = json.dumps(world_bank(good, {**good, "date": "x", "unit": "DEEP"})).encode()
    deep = b'{"a":[' * 400 + b"1" + b"]}" * 400
    parsed = parse(WORLD_BANK_INDICATORS, WORLD_BANK_NAME, content.replace(b'"DEEP"', deep))
    assert (parsed.frame.height, len(parsed.quarantined)) == (1, 1)


def test_impossible_values_are_dropped_with_their_reason() -> None:
    rows = (trade(2019, "M", -5.0), trade(2019, "RX", 5.0))
    parsed = read(UN_COMTRADE_COAL, {"count": 2, "data": list(rows)}, "un_comtrade/coal-trade-2019.json")
    assert [value.column_name for value in parsed.rejected_values] == ["value_usd"]
    assert len(parsed.quarantined) == 1
    assert "flow_code" in parsed.quarantined[0].reason


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"response": {"data": [', "not valid JSON"),
        (b'{"error": {"code": "API_KEY_MISSING"}}', "no records|without records at response.data.*API_KEY_MISSING"),
        (b'{"response": {"data": []}}', "no records"),
        (b'{"response": {"data": [{"a": 1}]}}', "No header row"),
        (b'{"response": {"data": [{"period": "2013", "production": 1}]}}', "lacks the columns: minemshaid"),
        (b'{"response": {"data": [], "data": []}}', "the key 'data' twice"),
        (b"[" * 100_000, "not valid JSON"),
        (b"Year,MSHA ID\n2013,1\n", "looks like plain text"),
        (b"<html></html>", "a web page"),
    ],
)
def test_a_file_that_is_no_answer_is_rejected_with_its_reason(content: bytes, reason: str) -> None:
    with pytest.raises(UnreadableFileError, match=reason):
        parse(EIA_API_MINE_PRODUCTION, "eia_api/mine-production-2013.json", content)


def test_the_rows_of_another_year_do_not_hide_under_a_file_s_name() -> None:
    with pytest.raises(UnreadableFileError, match="name says 2014, but its rows are of 2013"):
        read(EIA_API_MINE_PRODUCTION, eia(mine(2013, "0100347", "1")), "eia_api/mine-production-2014.json")


@pytest.mark.parametrize(
    ("document", "where", "expected"),
    [
        ([{}, None], JsonRecords((1,)), []),
        ([{}], JsonRecords((1,)), None),
        ({"a": {"b": None}}, JsonRecords(("a", "b")), []),
        ({"a": {}}, JsonRecords(("a", "b")), None),
        ({"a": {"b": "text"}}, JsonRecords(("a", "b")), None),
        ({"v": []}, JsonRecords(("v",), ("x", "y")), []),
        ({"v": None}, JsonRecords(("v",), ("x", "y")), None),
        (7, JsonRecords((0,)), None),
    ],
)
def test_no_records_and_no_place_for_records_are_two_things(
    document: Any, where: JsonRecords, expected: list[Any] | None
) -> None:
    assert records(document, where) == expected


def test_a_path_that_leads_nowhere() -> None:
    assert value_at({"a": [1]}, ("a", 3)) is None
    assert value_at({"a": [1]}, (0, "a")) is None
    assert value_at({"a": [1]}, ("a", 0)) == 1


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(rows=st.lists(_JSON | st.just(indicator(GDP, "POL", "Poland", 2019, 1.5)), max_size=8))
def test_every_record_is_accounted_for(rows: list[Any]) -> None:
    try:
        parsed = read(WORLD_BANK_INDICATORS, world_bank(*rows), WORLD_BANK_NAME)
    except UnreadableFileError:
        return
    assert parsed.rows_read == len(rows) == parsed.frame.height + len(parsed.quarantined)


@given(content=st.binary(max_size=200), at=st.integers(0, 400))
def test_damaged_bytes_never_crash(content: bytes, at: int) -> None:
    good = json.dumps(world_bank(indicator(GDP, "POL", "Poland", 2019, 1.5))).encode()
    damaged = good[:at] + content + good[at + len(content) :]
    try:
        parsed = parse(WORLD_BANK_INDICATORS, WORLD_BANK_NAME, damaged)
    except UnreadableFileError:
        return
    found = records(load_json(damaged), JsonRecords((1,)))
    assert found is not None
    assert parsed.rows_read == len(found)
