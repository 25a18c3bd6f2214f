from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import stamina

from fvi_pipeline.feeds.api.client import ApiClient, ApiError, ApiRefusedError
from fvi_pipeline.feeds.api.description import JsonApi
from fvi_pipeline.feeds.api.fetch import fetch_api
from fvi_pipeline.feeds.catalogue.apis import (
    EIA_API_COAL_PRICES,
    EIA_API_MINE_PRODUCTION,
    IMF_OUTLOOK,
    UN_COMTRADE_COAL,
)
from tests.publisher_apis import (
    COMTRADE_KEY,
    EIA_KEY,
    KEYS,
    PublisherApis,
    json_reply,
    loopback_client,
    publisher_apis,
)

IMF_PATH = "/imf/api/v1/NGDP_RPCH"


@pytest.fixture
def publishers() -> Iterator[PublisherApis]:
    # retried at once: how long it waits is asked of the client itself
    with publisher_apis() as server, stamina.set_testing(True, attempts=4):
        yield server


@pytest.fixture
def client() -> Iterator[ApiClient]:
    with loopback_client() as http:
        yield ApiClient(http, KEYS)


def imf(publishers: PublisherApis) -> JsonApi:
    api = publishers.feed(IMF_OUTLOOK).api
    assert api is not None
    return api


def test_a_key_is_sent_and_never_written(
    publishers: PublisherApis,
    client: ApiClient,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    reasons = []
    publishers.troubles = {
        "/eia/v2/coal/price-by-rank/data/": [json_reply({"error": "busy"}, 503)],
        "/comtrade/data/v1/get/C/A/HS": [json_reply({"message": "busy"}, 503)],
    }
    for feed in (EIA_API_MINE_PRODUCTION, EIA_API_COAL_PRICES, UN_COMTRADE_COAL):
        reasons += list(fetch_api(client, tmp_path, publishers.feed(feed), 2019))
    with loopback_client() as http:
        wrong = ApiClient(http, {"FVI_EIA_API_KEY": f"wrong{EIA_KEY}"})
        reasons += list(fetch_api(wrong, tmp_path, publishers.feed(EIA_API_COAL_PRICES), 2019))
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) == 6
    assert "The API key KEY is not known" in str(reasons[-1].reason)
    logged = "\n".join((caplog.text, *capfd.readouterr()))
    everything = [logged, str(reasons), *(path.read_text() for path in written)]
    for key in (EIA_KEY, "0123456789abcdef", COMTRADE_KEY):
        assert not any(key in text for text in everything)
    assert any("api_key=0123456789abcdef%2F%2BEIA" in target for target in publishers.asked)
    assert "HTTP Request: GET" in logged
    assert "retry_scheduled" in logged


def test_a_key_that_cannot_be_one_is_not_sent(publishers: PublisherApis, tmp_path: Path) -> None:
    with loopback_client() as http:
        client = ApiClient(
            http, {"FVI_COMTRADE_API_KEY": f"{COMTRADE_KEY}\r\nX: y", "FVI_EIA_API_KEY": f" {EIA_KEY}\n"}
        )
        (refused,) = fetch_api(client, tmp_path, publishers.feed(UN_COMTRADE_COAL), 2019)
        (kept,) = fetch_api(client, tmp_path, publishers.feed(EIA_API_COAL_PRICES), 2019)
    assert (refused.status, kept.status) == ("failed", "downloaded")
    assert "FVI_COMTRADE_API_KEY is no key" in str(refused.reason)
    assert COMTRADE_KEY not in str(refused.reason)


def test_calls_keep_the_publisher_s_pace(publishers: PublisherApis) -> None:
    api = replace(imf(publishers), calls_per_second=4)
    now, slept = [100.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    with loopback_client() as http:
        client = ApiClient(http, {}, clock=lambda: now[0], sleep=sleep)
        for _ in range(3):
            client.get(api, "NGDP_RPCH", {})
        now[0] += 10
        client.get(api, "NGDP_RPCH", {})
    assert slept == [0.25, 0.25]


@pytest.mark.parametrize("trouble", [503, 500, 429, 408])
def test_what_may_pass_is_tried_again(publishers: PublisherApis, client: ApiClient, trouble: int) -> None:
    publishers.troubles[IMF_PATH] = [json_reply({"message": "Try again."}, trouble)] * 3
    answer = client.get(imf(publishers), "NGDP_RPCH", {})
    assert answer is not None
    assert len(publishers.asked) == 4


@pytest.mark.parametrize(("trouble", "words"), [(404, "Not found."), (400, "Invalid frequency"), (302, "302")])
def test_what_cannot_pass_is_told_at_once(
    publishers: PublisherApis, client: ApiClient, trouble: int, words: str
) -> None:
    # a redirection is not followed: the other address would be given the key
    elsewhere = json_reply({"error": words, "code": trouble}, trouble, Location=f"{publishers.url}/imf/api/v1/PCPIPCH")
    publishers.troubles[IMF_PATH] = [elsewhere]
    with pytest.raises(ApiError, match=words):
        client.get(imf(publishers), "NGDP_RPCH", {})
    assert publishers.asked == [IMF_PATH]


@pytest.mark.parametrize(
    ("headers", "waits"),
    [({"Retry-After": "7"}, 7.0), ({}, None), ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, None)],
)
def test_a_pause_that_the_publisher_asks_for_is_kept(
    publishers: PublisherApis, client: ApiClient, headers: dict[str, str], waits: float | None
) -> None:
    text = "Rate limit is exceeded. Try again in 7 seconds."
    publishers.troubles[IMF_PATH] = [json_reply({"statusCode": 429, "message": text}, 429, **headers)]
    waited: list[float] = []
    with _without_test_mode(waited):
        client.get(imf(publishers), "NGDP_RPCH", {})
    assert len(waited) == 1
    assert waited[0] == waits if waits is not None else 0 < waited[0] <= 2


class _without_test_mode:
    """stamina as it is in production, but the waiting itself is only noted."""

    def __init__(self, waited: list[float]) -> None:
        self._waited = waited
        self._patch = pytest.MonkeyPatch()

    def __enter__(self) -> None:
        stamina.set_testing(False)
        self._patch.setattr("tenacity.nap.time.sleep", self._waited.append)

    def __exit__(self, *_: Any) -> None:
        self._patch.undo()
        stamina.set_testing(True, attempts=4)


def test_a_long_pause_is_left_to_the_next_run(publishers: PublisherApis, client: ApiClient) -> None:
    text = "Out of call volume quota. Quota will be replenished in 05:12:34."
    publishers.troubles[IMF_PATH] = [json_reply({"statusCode": 429, "message": text}, 429, **{"Retry-After": "18754"})]
    with pytest.raises(ApiRefusedError, match=r"replenished in 05:12:34.*wait 18,754 seconds"):
        client.get(imf(publishers), "NGDP_RPCH", {})
    assert len(publishers.asked) == 1


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ((200, {"Content-Type": "text/html"}, b"<html>moved</html>"), "a web page and not JSON"),
        ((200, {"Content-Type": "application/json"}, b'{"values": {'), "not valid JSON"),
        ((200, {"Content-Type": "application/json"}, b'{"values": 1, "values": 2}'), "the key 'values' twice"),
        (json_reply({"error": ["first", {"second": "reason"}]}), "the publisher says: first reason"),
        ((200, {"Content-Encoding": "gzip"}, b"not gzip"), "NGDP_RPCH: "),
        ((403, {"Content-Type": "text/html"}, b"<html>Access Denied</html>"), "answers 403"),
    ],
)
def test_an_answer_that_is_none(publishers: PublisherApis, client: ApiClient, reply: Any, words: str) -> None:
    publishers.troubles[IMF_PATH] = [reply]
    with pytest.raises(ApiError, match=words):
        client.get(imf(publishers), "NGDP_RPCH", {})


def test_a_dead_host_is_an_error_and_not_a_wait(client: ApiClient) -> None:
    assert IMF_OUTLOOK.api is not None
    with stamina.set_testing(True, attempts=2), pytest.raises(ApiError, match=r"127\.0\.0\.1:9/NGDP_RPCH"):
        client.get(replace(IMF_OUTLOOK.api, address="http://127.0.0.1:9", calls_per_second=1_000), "NGDP_RPCH", {})


def test_a_publisher_that_says_nothing_is_not_waited_for(client: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fvi_pipeline.feeds.api.client._TIMEOUT", httpx.Timeout(0.1))
    assert IMF_OUTLOOK.api is not None
    with socket.create_server(("127.0.0.1", 0)) as silent, stamina.set_testing(True, attempts=2):
        api = replace(IMF_OUTLOOK.api, address=f"http://127.0.0.1:{silent.getsockname()[1]}", calls_per_second=1_000)
        with pytest.raises(ApiError, match="timed out"):
            client.get(api, "NGDP_RPCH", {})


def test_an_endless_answer_is_cut_off(
    publishers: PublisherApis, client: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fvi_pipeline.feeds.api.client._LARGEST_ANSWER_BYTES", 1_000)
    publishers.troubles[IMF_PATH] = [json_reply({"values": "x" * 2_000})]
    with pytest.raises(ApiError, match="larger than 1,000 bytes"):
        client.get(imf(publishers), "NGDP_RPCH", {})


def test_a_broken_connection_is_tried_again(publishers: PublisherApis) -> None:
    class Breaking(httpx.HTTPTransport):
        broken = 0

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if self.broken < 2:
                self.broken += 1
                raise httpx.ReadError("connection reset")
            return super().handle_request(request)

    with httpx.Client(transport=Breaking(), trust_env=False) as http:
        assert ApiClient(http, {}).get(imf(publishers), "NGDP_RPCH", {}) is not None
