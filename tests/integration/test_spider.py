"""The spider against a local MediaWiki: what changed is fetched once, politely, and a killed crawl goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import psycopg
import pytest

from fvi_pipeline.evidence.chunks import chunk_documents
from fvi_pipeline.evidence.spider.client import SpiderError, WikiClient
from fvi_pipeline.evidence.spider.crawl import Crawl, crawl, wiki_client
from fvi_pipeline.evidence.spider.state import title_of
from fvi_pipeline.platform.database import connect
from fvi_pipeline.platform.settings import Settings
from tests.integration.silver_documents import create_silver
from tests.wiki_server import Page, Trouble, WikiServer, mine_page, wiki_server

CONTACT = "data@example.org"
MINES = ["Kostenko Coal Mine", "Saranskaya Coal Mine", "Kuzembaev Coal Mine", "Lenin Coal Mine"]


@pytest.fixture
def wiki() -> Iterator[WikiServer]:
    with wiki_server() as server:
        for number, name in enumerate(MINES, start=1):
            server.pages[name] = Page(number, [(100 + number, mine_page(name, "operating"))])
        yield server


@pytest.fixture
def connection(database_url: str, wiki: WikiServer) -> Iterator[psycopg.Connection]:
    with connect(database_url) as opened:
        create_silver(opened)
        add_mines(opened, wiki, [(f"M000{number}", name) for number, name in enumerate(MINES, start=1)])
        yield opened


def add_mines(connection: psycopg.Connection, wiki: WikiServer, mines: list[tuple[str, str]]) -> None:
    connection.execute(
        "insert into landing.files (file_id, publisher, feed, name, known_at, ingested_at, rows_read, rows_loaded,"
        " rows_quarantined, status) values (1, 'GEM', 'gem_coal_mines', 'gem/a.xlsx', now(), now(), 0, 0, 0, 'loaded')"
        " on conflict do nothing"
    )
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into landing.gem_coal_mines (file_id, sheet, row_number, gem_mine_id, mine_name, wiki_url)"
            " values (1, 'open', %s, %s, %s, %s)",
            [
                (int(gem_id[1:]), gem_id, name, wiki.page_url(name) + (" &" if number == 0 else ""))
                for number, (gem_id, name) in enumerate(mines)
            ],
        )
    connection.commit()


def run(connection: psycopg.Connection, wiki: WikiServer, limit: int = 100) -> Crawl:
    with httpx.Client(timeout=5) as client:
        return crawl(connection, WikiClient(client, wiki.api_url, CONTACT, 1_000, sleep=lambda seconds: None), limit)


def ask_again(connection: psycopg.Connection) -> None:
    """As if a day had passed."""
    connection.execute("update landing.wiki_pages set checked_at = checked_at - interval '1 day'")
    connection.commit()


def documents(connection: psycopg.Connection) -> dict[str, tuple[int, list[str], bool]]:
    rows = connection.execute(
        "select title, revision_id, mine_links, superseded_at is null from landing.documents where kind = 'wiki'"
        " order by superseded_at nulls last"
    ).fetchall()
    connection.rollback()
    return {f"{title} {revision}": (revision, links, current) for title, revision, links, current in rows}


def test_pages_become_documents_with_revision_licence_and_mines(connection, wiki) -> None:
    wiki.redirects["Lenin Coal Mine"] = "Kostenko Coal Mine"
    del wiki.pages["Lenin Coal Mine"], wiki.pages["Kuzembaev Coal Mine"]
    done = run(connection, wiki)
    assert done == Crawl(new_addresses=4, checked=4, fetched=2, failed=0, missing=1, waiting=0)
    assert documents(connection) == {
        "Kostenko Coal Mine 101": (101, ["gem:M0001", "gem:M0004"], True),
        "Saranskaya Coal Mine 102": (102, ["gem:M0002"], True),
    }
    text, licence, url, source, known_late = connection.execute(
        "select text, licence, url, source, known_at > now() - interval '1 minute' and revision_at < known_at"
        " from landing.documents where revision_id = 102"
    ).fetchone()
    assert "## Background" in text
    assert "1955" in text
    assert "Qarmet" in text
    assert "Footnote" not in text
    assert "Navigation" not in text
    assert "[1]" not in text
    assert licence == "CC BY-NC-SA 4.0 https://creativecommons.org/licenses/by-nc-sa/4.0/"
    assert url == wiki.page_url("Saranskaya Coal Mine")
    assert source.startswith("Global Energy Monitor wiki, Saranskaya Coal Mine, revision 102")
    assert known_late
    assert wiki.agents == {f"fvi-spider/1.0 ({CONTACT})"}
    chunk_documents(connection)
    kinds = connection.execute("select distinct kind, language from silver.silver_document_content").fetchall()
    assert kinds == [("wiki", "en")]


def test_only_what_changed_is_fetched_again(connection, wiki) -> None:
    run(connection, wiki)
    calls = len(wiki.calls)
    assert run(connection, wiki) == Crawl()
    assert len(wiki.calls) == calls, "asked about a moment ago"
    ask_again(connection)
    assert run(connection, wiki) == Crawl(checked=4)
    assert wiki.answered_304 == 1
    assert len(wiki.calls) == calls + 1
    wiki.pages["Saranskaya Coal Mine"].revisions.append((202, mine_page("Saranskaya Coal Mine", "closed")))
    wiki.pages["Kostenko Coal Mine"].revisions.append((201, mine_page("Kostenko Coal Mine", "operating")))
    del wiki.pages["Lenin Coal Mine"]
    ask_again(connection)
    done = run(connection, wiki)
    assert (done.fetched, done.missing) == (2, 1)
    assert wiki.fetched()[4:] == [201, 202]
    assert {name: current for name, (_, _, current) in documents(connection).items()} == {
        "Kostenko Coal Mine 201": True,  # another revision with the same text is the same document
        "Saranskaya Coal Mine 102": False,
        "Saranskaya Coal Mine 202": True,
        "Kuzembaev Coal Mine 103": True,
        "Lenin Coal Mine 104": False,  # gone from the wiki
    }


def test_errors_pass_or_are_kept_for_the_next_crawl(connection, wiki) -> None:
    wiki.troubles["query"] = Trouble(503, {"Retry-After": "0"})
    wiki.troubles["parse 101"] = Trouble(429, {"Retry-After": "0"}, times=2)
    wiki.troubles["parse 102"] = Trouble(500, {"Retry-After": "0"}, times=99)
    wiki.troubles["parse 103"] = Trouble(200, wait_seconds=0.5)
    done = run(connection, wiki)
    assert (done.fetched, done.failed, done.waiting) == (3, 1, 1)
    row = connection.execute("select title, attempts, error from landing.wiki_pages where state = 'failed'").fetchone()
    assert row[:2] == ("Saranskaya Coal Mine", 1)
    assert "500" in row[2]
    del wiki.troubles["parse 102"]
    done = run(connection, wiki)
    assert (done.checked, done.fetched, done.waiting) == (0, 1, 0)
    wiki.troubles["query"] = Trouble(429, {"Retry-After": "86400"})
    ask_again(connection)
    with pytest.raises(SpiderError, match="asks to wait 86,400 seconds"):
        run(connection, wiki)
    assert len(documents(connection)) == 4


def test_robots_and_the_contact_come_first(connection, wiki) -> None:
    wiki.robots = (200, "User-agent: *\nDisallow: /w/\n")
    with pytest.raises(SpiderError, match="does not allow"):
        run(connection, wiki)
    wiki.robots = (503, "")
    with pytest.raises(SpiderError, match="nothing is fetched"):
        run(connection, wiki)
    assert wiki.calls == []
    with httpx.Client() as client, pytest.raises(SpiderError, match="FVI_SPIDER_CONTACT"):
        wiki_client(client, Settings(spider_contact=None))
    wiki.robots = (200, "User-agent: fvi-spider\nCrawl-delay: 7\nDisallow:\n")
    waits: list[float] = []
    now = [0.0]

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        now[0] += seconds

    with httpx.Client() as client:
        slow = WikiClient(client, wiki.api_url, CONTACT, 1_000, clock=lambda: now[0], sleep=sleep)
        crawl(connection, slow, 100)
    assert len(waits) == 5, "a query, the licence and four pages, seven seconds apart"
    assert set(waits) == {7.0}


def test_a_limit_and_a_kill_in_mid_crawl_lose_nothing_and_fetch_nothing_twice(
    connection, database_url: str, wiki
) -> None:
    assert run(connection, wiki, limit=1).waiting == 3
    wiki.troubles["parse 104"] = Trouble(200, times=1, wait_seconds=30)
    program = (
        "import sys, httpx\n"
        "from fvi_pipeline.evidence.spider.client import WikiClient\n"
        "from fvi_pipeline.evidence.spider.crawl import crawl\n"
        "from fvi_pipeline.platform.database import connect\n"
        "with connect(sys.argv[1]) as connection, httpx.Client(timeout=60) as client:\n"
        "    crawl(connection, WikiClient(client, sys.argv[2], 'data@example.org', 1000), 100)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, database_url, wiki.api_url])
    try:
        deadline = time.monotonic() + 30
        while 104 not in wiki.fetched() and time.monotonic() < deadline:
            time.sleep(0.05)
        with pytest.raises(SpiderError, match="Another crawl"):
            run(connection, wiki)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert wiki.fetched() == [101, 103, 104]
    _until_unlocked(connection)
    assert run(connection, wiki).waiting == 0
    assert wiki.fetched()[3:] == [104, 102], "the page that was under way, and the one behind it"
    current = connection.execute("select count(*) from landing.documents where superseded_at is null").fetchone()
    assert current == (4,)


def _until_unlocked(connection: psycopg.Connection) -> None:
    """PostgreSQL notices after a moment that a client was killed."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        row = connection.execute("select count(*) from pg_locks where locktype = 'advisory'").fetchone()
        connection.rollback()
        if row == (0,):
            return
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("url", "title"),
    [
        ("https://www.gem.wiki/%C3%9Cz%C3%BClmez_coal_mine", "Üzülmez coal mine"),
        ("https://www.gem.wiki/wiki/A_Mine", "A Mine"),
        ("https://www.gem.wiki/w/index.php?title=A_Mine&action=view", "A Mine"),
        ("https://www.gem.wiki/", ""),
    ],
)
def test_titles_of_addresses(url: str, title: str) -> None:
    assert title_of(url) == title
