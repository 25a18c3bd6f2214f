from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import stamina

from fvi_pipeline.feeds.api.client import ApiClient
from fvi_pipeline.feeds.api.description import ApiQuery, JsonApi, NumberedPages, OffsetPages, OnePage, Paging
from fvi_pipeline.feeds.api.fetch import fetch_api
from fvi_pipeline.feeds.catalogue import FEEDS
from fvi_pipeline.feeds.catalogue.apis import (
    EIA_API_COAL_PRICES,
    EIA_API_MINE_PRODUCTION,
    IMF_OUTLOOK,
    UN_COMTRADE_COAL,
    WORLD_BANK_INDICATORS,
)
from fvi_pipeline.feeds.catalogue.columns import number, text
from fvi_pipeline.feeds.description import DownloadAddress, Feed, Part, Release
from fvi_pipeline.feeds.download import PublishersUnreachable, download_publishers
from fvi_pipeline.feeds.downloaded import DownloadedFile
from fvi_pipeline.feeds.json_records import JsonRecords
from fvi_pipeline.feeds.parse import parse
from tests.publisher_apis import (
    GDP,
    KEYS,
    PublisherApis,
    indicator,
    json_reply,
    loopback_client,
    mine,
    publisher_apis,
    trade,
)

EIA_PAGES_OF_TWO = OffsetPages("offset", "length", 2, ("response", "total"))
WORLD_BANK_PAGES_OF_ONE = NumberedPages("page", "per_page", 1, (0, "pages"), (0, "total"))
API_FEEDS = [feed for feed in FEEDS.values() if feed.api is not None]


@pytest.fixture
def publishers() -> Iterator[PublisherApis]:
    with publisher_apis() as server, stamina.set_testing(True, attempts=2):
        yield server


def fetch(
    publishers: PublisherApis,
    folder: Path,
    feed: Feed,
    paging: Paging | None = None,
    last_year: int = 2019,
    keys: dict[str, str] = KEYS,
) -> dict[str, DownloadedFile]:
    """What became of each file, without those that the publisher does not have."""
    with loopback_client() as http:
        files = list(fetch_api(ApiClient(http, keys), folder, publishers.feed(feed, paging), last_year))
    return {file.name: file for file in files if file.status != "absent"}


def statuses(files: dict[str, DownloadedFile]) -> dict[str, str]:
    return {name: file.status for name, file in files.items()}


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*.json") if not path.name.startswith("."))


@pytest.mark.parametrize("feed", API_FEEDS, ids=lambda feed: feed.name)
def test_every_api_s_answers_are_files_that_its_feed_reads(
    publishers: PublisherApis, tmp_path: Path, feed: Feed
) -> None:
    files = fetch(publishers, tmp_path, feed)
    assert set(statuses(files).values()) == {"downloaded"}
    for name in files:
        assert [other.name for other in FEEDS.values() if other.takes(name)] == [feed.name]
        parsed = parse(feed, name, (tmp_path / name).read_bytes())
        assert parsed.frame.height > 0
        assert (parsed.quarantined, parsed.rejected_values, parsed.unknown_columns) == ([], [], ())
        assert not parsed.frame.select(feed.keys).is_duplicated().any()
        required = [column.name for part in feed.parts for column in part.columns if column.required]
        assert parsed.frame.select(required).null_count().sum_horizontal().sum() == 0
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json") if not path.name.startswith(".")}
    assert set(statuses(fetch(publishers, tmp_path, feed)).values()) == {"unchanged"}
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_eia_s_pages_are_walked_by_offset(publishers: PublisherApis, tmp_path: Path) -> None:
    files = fetch(publishers, tmp_path, EIA_API_MINE_PRODUCTION, EIA_PAGES_OF_TWO)
    assert visible(tmp_path) == [
        "mine-production-2013.page-1.json",
        "mine-production-2013.page-2.json",
        "mine-production-2014.json",
    ]
    assert any("offset=2&length=2" in target for target in publishers.asked)
    pages = [parse(EIA_API_MINE_PRODUCTION, name, (tmp_path / name).read_bytes()) for name in files if "2013" in name]
    assert [page.frame["msha_id"].to_list() for page in pages] == [["0100347", "4801353"], ["0103381"]]
    assert [page.release.period for page in pages] == ["2013", "2013 page 2"]
    assert pages[0].release.known_at == pages[1].release.known_at


def test_an_answer_that_shrinks_leaves_no_old_page(publishers: PublisherApis, tmp_path: Path) -> None:
    fetch(publishers, tmp_path, WORLD_BANK_INDICATORS, WORLD_BANK_PAGES_OF_ONE)
    assert f"{GDP}.page-2.json" in visible(tmp_path)
    del publishers.indicators[GDP][0]
    files = fetch(publishers, tmp_path, WORLD_BANK_INDICATORS, WORLD_BANK_PAGES_OF_ONE)
    assert statuses(files)[f"world_bank_api/{GDP}.json"] == "downloaded"
    assert [name for name in visible(tmp_path) if name.startswith(GDP)] == [f"{GDP}.json"]


@pytest.mark.parametrize("validator", ["ETag", "Last-Modified"])
def test_an_answer_that_is_still_the_same_is_not_sent_again(
    publishers: PublisherApis, tmp_path: Path, validator: str
) -> None:
    publishers.validator = validator
    fetch(publishers, tmp_path, WORLD_BANK_INDICATORS, WORLD_BANK_PAGES_OF_ONE)
    assert publishers.unchanged_answers == 0
    files = fetch(publishers, tmp_path, WORLD_BANK_INDICATORS, WORLD_BANK_PAGES_OF_ONE)
    assert set(statuses(files).values()) == {"unchanged"}
    assert publishers.unchanged_answers == 5
    # a file that somebody changed or took away is fetched whole
    (tmp_path / f"world_bank_api/{GDP}.page-1.json").write_text("{}")
    (tmp_path / f"world_bank_api/{GDP}.page-2.json").unlink()
    again = fetch(publishers, tmp_path, WORLD_BANK_INDICATORS, WORLD_BANK_PAGES_OF_ONE)
    assert [name for name, status in statuses(again).items() if status == "downloaded"] == [
        f"world_bank_api/{GDP}.page-1.json",
        f"world_bank_api/{GDP}.page-2.json",
    ]
    # and so is everything if the notes of the answers are lost
    (tmp_path / "world_bank_api/.validators.json").write_text("not JSON")
    assert set(statuses(fetch(publishers, tmp_path, WORLD_BANK_INDICATORS, WORLD_BANK_PAGES_OF_ONE)).values()) == {
        "unchanged"
    }
    assert publishers.unchanged_answers == 5 + 3


def test_another_query_does_not_take_the_old_answer_for_its_own(publishers: PublisherApis, tmp_path: Path) -> None:
    publishers.validator = "ETag"
    fetch(publishers, tmp_path, IMF_OUTLOOK)
    with loopback_client() as http:
        feed = publishers.feed(IMF_OUTLOOK)
        assert feed.api is not None
        queries = tuple(replace(query, parameters=(("periods", "2020"),)) for query in feed.api.queries)
        narrower = replace(feed, api=replace(feed.api, queries=queries))
        list(fetch_api(ApiClient(http, {}), tmp_path, narrower, 2019))
    assert publishers.unchanged_answers == 0


def test_a_feed_without_its_key_is_skipped_and_says_so(publishers: PublisherApis, tmp_path: Path) -> None:
    file = fetch(publishers, tmp_path, UN_COMTRADE_COAL, keys={"FVI_COMTRADE_API_KEY": ""})["un_comtrade/"]
    assert file.status == "skipped"
    assert "FVI_COMTRADE_API_KEY is not set" in str(file.reason)
    assert "comtradedeveloper.un.org" in str(file.reason)
    assert publishers.asked == []


def test_a_refused_key_ends_the_feed_s_calls(publishers: PublisherApis, tmp_path: Path) -> None:
    files = fetch(
        publishers, tmp_path, UN_COMTRADE_COAL, keys={"FVI_COMTRADE_API_KEY": "a key that is wrong".replace(" ", "-")}
    )
    assert [(file.status, "invalid subscription key" in str(file.reason)) for file in files.values()] == [
        ("failed", True)
    ]
    assert "further calls were not made" in str(next(iter(files.values())).reason)
    assert len(publishers.asked) == 1


def test_years_that_cannot_be_published_yet_are_not_asked_for(publishers: PublisherApis, tmp_path: Path) -> None:
    fetch(publishers, tmp_path, UN_COMTRADE_COAL, last_year=2001)
    assert ["period=2000" in publishers.asked[0], "period=2001" in publishers.asked[1]] == [True, True]
    assert len(publishers.asked) == 2


BAD_PAGES = [
    (WORLD_BANK_INDICATORS, GDP, [{"page": 1, "pages": 1, "total": 3}, [indicator(GDP, "POL", "Poland", 2019, 1)]]),
    (WORLD_BANK_INDICATORS, GDP, {"value": []}),
    (WORLD_BANK_INDICATORS, GDP, [{"message": [{"id": "120", "value": "The provided parameter value is not valid"}]}]),
    (IMF_OUTLOOK, "NGDP_RPCH", {"api": {"version": "1"}}),
]
BAD_PAGE_REASONS = ["1 records, but the publisher states 3", "no records at 1", "is not valid", "no records at values"]


@pytest.mark.parametrize(
    ("feed", "name", "document", "reason"),
    [(*bad, reason) for bad, reason in zip(BAD_PAGES, BAD_PAGE_REASONS, strict=True)],
)
def test_an_answer_of_another_form_leaves_the_last_good_one(
    publishers: PublisherApis, tmp_path: Path, feed: Feed, name: str, document: Any, reason: str
) -> None:
    fetch(publishers, tmp_path, feed)
    good = {path.name: path.read_bytes() for path in tmp_path.rglob("*.json")}
    path = f"/imf/api/v1/{name}" if feed is IMF_OUTLOOK else f"/world-bank/v2/country/all/indicator/{name}"
    publishers.troubles[path] = [json_reply(document)]
    files = fetch(publishers, tmp_path, feed)
    assert reason in str(files[f"{feed.folder}/{name}.json"].reason)
    # the other queries of the feed go on
    assert list(statuses(files).values()).count("unchanged") == len(files) - 1
    assert {path.name: path.read_bytes() for path in tmp_path.rglob("*.json")} == good


def test_pages_of_two_states_are_not_mixed(publishers: PublisherApis, tmp_path: Path) -> None:
    path = "/eia/v2/coal/price-by-rank/data/"
    first = {"response": {"total": "5", "data": publishers.prices}}
    publishers.troubles[path] = [json_reply(first)]
    files = fetch(publishers, tmp_path, EIA_API_COAL_PRICES, EIA_PAGES_OF_TWO)
    assert "changed its data between two pages" in str(files["eia_api/price-by-rank.json"].reason)
    assert visible(tmp_path) == []


def test_an_answer_that_is_cut_off_is_not_kept(publishers: PublisherApis, tmp_path: Path) -> None:
    files = fetch(publishers, tmp_path, UN_COMTRADE_COAL, OnePage(most_records=2, total=("count",)))
    assert "cut off at 2 records" in str(files["un_comtrade/coal-trade-2019.json"].reason)
    assert visible(tmp_path) == []


def test_another_api_of_a_known_shape_needs_a_description_only(publishers: PublisherApis, tmp_path: Path) -> None:
    columns = (text("name", "name", required=True), number("tonnes", "mass.value"))
    feed = replace(
        publishers.feed(IMF_OUTLOOK),
        name="stocks",
        folder="stocks",
        parts=(Part("", frozenset({"name", "mass.value"}), columns),),
        release=lambda context: Release("now", None),
        records=JsonRecords(("stocks", "port")),
        api=JsonApi(publishers.url, (ApiQuery("ports", "ports"),), OnePage(), (("error",),), 1_000),
    )
    ports = [{"name": "Gdynia", "mass": {"value": "1.5"}}, {"name": "", "mass": {"value": 2}}]
    publishers.troubles["/ports"] = [json_reply({"stocks": {"port": ports}})]
    with loopback_client() as http:
        (file,) = fetch_api(ApiClient(http, {}), tmp_path, feed, 2019)
    parsed = parse(feed, file.name, (tmp_path / file.name).read_bytes())
    assert parsed.frame.select("row_number", "name", "tonnes").rows() == [(1, "Gdynia", 1.5)]
    assert [(row.row_number, row.reason) for row in parsed.quarantined] == [(2, "name is missing")]


def test_auto_asks_the_apis_too(publishers: PublisherApis, tmp_path: Path) -> None:
    feeds = [publishers.feed(feed) for feed in API_FEEDS]
    said: list[str] = []
    report = download_publishers(
        tmp_path,
        loopback_client,
        said.append,
        feeds=feeds,
        this_year=2020,
        keys={"FVI_EIA_API_KEY": KEYS["FVI_EIA_API_KEY"]},
    )
    counts = report.files_by_status
    assert (counts["downloaded"], counts["skipped"]) == (8, 1)
    assert any("FVI_COMTRADE_API_KEY is not set" in sentence for sentence in said)
    publishers.trade["2019"].append(trade(2019, "M", 1.0, reporterCode=643, reporterISO="RUS", reporterDesc="Russia"))
    publishers.mines.append(mine(2015, "0100347", "1"))
    again = download_publishers(tmp_path, loopback_client, feeds=feeds, this_year=2020, keys=KEYS)
    assert [file.name for file in again.files if file.status == "downloaded"] == [
        "eia_api/mine-production-2015.json",
        "un_comtrade/coal-trade-2019.json",
    ]


def test_what_apis_say_is_not_enough_to_go_on_with(publishers: PublisherApis, tmp_path: Path) -> None:
    mines = replace(FEEDS["eia_coal_mines"], downloads=(DownloadAddress(("a.xls",), (f"{publishers.url}/a.xls",)),))
    with pytest.raises(PublishersUnreachable, match="no publisher gave a file"):
        download_publishers(tmp_path, loopback_client, feeds=[mines, publishers.feed(IMF_OUTLOOK)])
    assert visible(tmp_path) == ["NGDP_RPCH.json", "PCPIPCH.json"]


def test_auto_without_any_answer_from_an_api(tmp_path: Path) -> None:
    with publisher_apis() as publishers:
        feed = publishers.feed(IMF_OUTLOOK)
    with pytest.raises(PublishersUnreachable, match=r"none of 127\.0\.0\.1 answers"):
        download_publishers(tmp_path, loopback_client, feeds=[feed])


def test_the_answers_are_whole_json_beside_no_leftovers(publishers: PublisherApis, tmp_path: Path) -> None:
    fetch(publishers, tmp_path, WORLD_BANK_INDICATORS)
    for path in (tmp_path / "world_bank_api").iterdir():
        assert not path.name.endswith(".part")
        json.loads(path.read_bytes())
