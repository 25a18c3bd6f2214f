from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from fvi_pipeline.feeds.catalogue import FEEDS
from fvi_pipeline.feeds.description import DownloadAddress, Feed
from fvi_pipeline.feeds.download import PublishersUnreachable, default_client, download_publishers

LAST_MODIFIED = "Wed, 01 Oct 2014 00:00:00 GMT"


class Publisher(ThreadingHTTPServer):
    """Serves `pages` on loopback; `troubles[path]` answers are given first."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages: dict[str, tuple[str, bytes]] = {}
        self.troubles: dict[str, list[int]] = {}
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Publisher

    def do_HEAD(self) -> None:
        self._answer(405, b"")

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        trouble = self.server.troubles.get(self.path)
        if trouble:
            self._answer(trouble.pop(0), b"try again")
        elif self.path not in self.server.pages:
            self._answer(404, b"no")
        elif self.headers.get("If-Modified-Since") == LAST_MODIFIED:
            self._answer(304, b"")
        else:
            self._answer(200, self.server.pages[self.path][1], self.server.pages[self.path][0])

    def _answer(self, status: int, body: bytes, content_type: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Last-Modified", LAST_MODIFIED)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    with Publisher() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def client() -> httpx.Client:
    # the tests' publisher is on loopback: a proxy of the environment has no part in it
    return httpx.Client(trust_env=False, timeout=5, follow_redirects=True)


def feed_of(publisher: Publisher, *addresses: DownloadAddress) -> Feed:
    return dataclasses.replace(FEEDS["eia_coal_mines"], downloads=addresses)


def address(publisher: Publisher, *names: str, year: int | None = None) -> DownloadAddress:
    return DownloadAddress(names, tuple(f"{publisher.url}/{name}" for name in names), year)


def test_files_land_whole_and_are_not_fetched_twice(publisher: Publisher, tmp_path: Path) -> None:
    publisher.pages["/a2013.xls"] = ("application/vnd.ms-excel", b"x" * 100_000)
    publisher.pages["/a2014.xlsx"] = ("application/octet-stream", b"newer")
    feed = feed_of(
        publisher,
        address(publisher, "a2013.xls", "a2013.xlsx", year=2013),
        address(publisher, "a2014.xls", "a2014.xlsx", year=2014),
        address(publisher, "a2015.xls", "a2015.xlsx", year=2015),
        address(publisher, "a2099.xls", year=2099),
    )
    said: list[str] = []
    report = download_publishers(tmp_path, client, said.append, feeds=[feed, FEEDS["gem_coal_mines"]], this_year=2016)
    assert [(file.name, file.status) for file in report.files] == [
        ("eia_coal/a2013.xls", "downloaded"),
        ("eia_coal/a2014.xlsx", "downloaded"),
        ("eia_coal/a2015.xlsx", "absent"),
    ]
    assert sorted(path.name for path in (tmp_path / "eia_coal").iterdir()) == ["a2013.xls", "a2014.xlsx"]
    assert (tmp_path / "eia_coal/a2013.xls").read_bytes() == b"x" * 100_000
    assert "Global Energy Monitor asks for a form" in said[-1]
    assert report.manual
    again = download_publishers(tmp_path, client, feeds=[feed], this_year=2016)
    assert again.files_by_status == {"unchanged": 2, "absent": 1}


def test_a_passing_trouble_is_tried_again_and_a_lasting_one_is_told(publisher: Publisher, tmp_path: Path) -> None:
    publisher.pages["/a.xls"] = ("application/vnd.ms-excel", b"good")
    publisher.pages["/b.xls"] = ("application/vnd.ms-excel", b"never seen")
    publisher.pages["/c.xls"] = ("text/html; charset=utf-8", b"<html>moved</html>")
    publisher.troubles = {"/a.xls": [503, 429], "/b.xls": [500] * 9, "/d.xls": [403]}
    names = ("a.xls", "b.xls", "c.xls", "d.xls")
    feed = feed_of(publisher, *(address(publisher, name) for name in names))
    report = download_publishers(tmp_path, client, feeds=[feed])
    assert [file.status for file in report.files] == ["downloaded", "failed", "absent", "failed"]
    assert "500" in str(report.files[1].reason)
    assert publisher.asked.count("/b.xls") == 3
    assert publisher.asked.count("/d.xls") == 1
    assert [path.name for path in (tmp_path / "eia_coal").iterdir()] == ["a.xls"]


def test_nobody_answers(publisher: Publisher, tmp_path: Path) -> None:
    gone = DownloadAddress(("a.xls",), ("http://127.0.0.1:9/a.xls",))
    with pytest.raises(PublishersUnreachable, match=r"none of 127\.0\.0\.1 answers"):
        download_publishers(tmp_path, client, feeds=[feed_of(publisher, gone)])
    with pytest.raises(PublishersUnreachable, match="no publisher gave a file"):
        download_publishers(tmp_path, client, feeds=[feed_of(publisher, address(publisher, "a.xls"))])
    assert list(tmp_path.rglob("*")) == []


def test_a_second_address_stands_in_for_a_dead_host(publisher: Publisher, tmp_path: Path) -> None:
    publisher.pages["/a.csv"] = ("text/csv", b"content")
    mirrored = DownloadAddress(("a.csv",), ("http://127.0.0.1:9/a.csv", f"{publisher.url}/a.csv"))
    report = download_publishers(tmp_path, client, feeds=[feed_of(publisher, mirrored)])
    assert [(file.name, file.status) for file in report.files] == [("eia_coal/a.csv", "downloaded")]


def test_a_dead_network_costs_seconds() -> None:
    with default_client() as patient:
        assert patient.timeout.connect is not None
        assert patient.timeout.connect <= 5
