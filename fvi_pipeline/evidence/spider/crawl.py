"""One crawl: what has changed in the wiki since the last one is fetched, page by page, and can be stopped at any time.

First the newest revisions of all pages are asked for, fifty titles a call; then the changed ones are fetched. Each step
is a transaction of its own, so that a crawl that was killed goes on where it ended.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import httpx
import psycopg

from fvi_pipeline.evidence.reading import UnreadableDocumentError
from fvi_pipeline.evidence.spider import state
from fvi_pipeline.evidence.spider.client import TITLES_PER_CALL, SpiderError, WikiClient
from fvi_pipeline.evidence.spider.extraction import page_text
from fvi_pipeline.evidence.versions import DocumentVersion, put_versions
from fvi_pipeline.feeds.api.client import ApiError, ApiRefusedError
from fvi_pipeline.platform.settings import Settings

LOCK = "fvi.spider"
CHECK_AGAIN = timedelta(hours=20)
"""A page that was asked about later than this ago is not asked about again: a nightly crawl asks once a night."""
_FAILURES_IN_A_ROW = 5
_LICENCE_UNSTATED = "CC BY-NC-SA 4.0, Global Energy Monitor wiki"
_TIMEOUT = httpx.Timeout(60.0, connect=10.0)

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Crawl:
    """What one crawl did, in pages; `waiting` is what is left for the next one."""

    new_addresses: int = 0
    checked: int = 0
    fetched: int = 0
    failed: int = 0
    missing: int = 0
    waiting: int = 0


def wiki_client(client: httpx.Client, settings: Settings) -> WikiClient:
    """The client of the wiki that the settings name.

    Raises:
        SpiderError: no contact is set.
    """
    if settings.spider_contact is None:
        raise SpiderError(
            "The spider needs a contact that it can tell the wiki: set FVI_SPIDER_CONTACT to a mail or web address of "
            "yours. Without it nothing is fetched."
        )
    return WikiClient(client, settings.wiki_api_url, settings.spider_contact, settings.spider_calls_per_second)


def http_client() -> httpx.Client:
    """The HTTP client of a crawl; the caller closes it."""
    return httpx.Client(timeout=_TIMEOUT)


def crawl(connection: psycopg.Connection, wiki: WikiClient, limit: int, progress: Progress | None = None) -> Crawl:
    """Ask what has changed and fetch up to `limit` pages into landing.documents.

    `progress` is called with ("checked" or "fetched", pages done, pages to do).

    Raises:
        SpiderError: another crawl is under way, robots.txt forbids it, or the wiki does not answer; what was fetched
            before is kept.
    """
    connection.commit()
    row = connection.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (LOCK,)).fetchone()
    connection.commit()
    if not (row and row[0]):
        raise SpiderError("Another crawl is under way; its pages are fetched once.")
    try:
        return _crawl(connection, wiki, limit, progress or (lambda what, done, total: None))
    finally:
        if not connection.broken:
            connection.rollback()
            connection.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", (LOCK,))
            connection.commit()


def _crawl(connection: psycopg.Connection, wiki: WikiClient, limit: int, progress: Progress) -> Crawl:
    with connection.transaction():
        added = state.note_addresses(connection)
        batches = state.batches(connection, TITLES_PER_CALL, CHECK_AGAIN)
    wiki.open_robots()
    try:
        checked = _check(connection, wiki, batches, progress)
        fetched, failed = _fetch(connection, wiki, limit, progress)
    except ApiError as error:
        raise SpiderError(
            f"The wiki does not answer: {error}. What was fetched is kept; run it again later."
        ) from error
    row = connection.execute(
        "SELECT count(*) FILTER (WHERE state = 'missing'), "
        "count(*) FILTER (WHERE state IN ('new', 'waiting', 'failed')) FROM landing.wiki_pages"
    ).fetchone()
    connection.commit()
    missing, waiting = row or (0, 0)
    return Crawl(added, checked, fetched, failed, missing, waiting)


def _check(connection: psycopg.Connection, wiki: WikiClient, batches: list[list[str]], progress: Progress) -> int:
    checked, total = 0, sum(map(len, batches))
    for titles in batches:
        call = f"revisions of {'|'.join(titles)}"
        with connection.transaction():
            validators = state.validators_of(connection, call)
        answer = wiki.states(titles, validators)
        with connection.transaction():
            if answer is None:
                state.note_unchanged(connection, titles)
            else:
                state.note_states(connection, answer[0], call, answer[1])
        checked += len(titles)
        progress("checked", checked, total)
    return checked


def _fetch(connection: psycopg.Connection, wiki: WikiClient, limit: int, progress: Progress) -> tuple[int, int]:
    with connection.transaction():
        pages = state.waiting_pages(connection, limit)
    licence = (wiki.licence() or _LICENCE_UNSTATED) if pages else ""
    fetched = failed = in_a_row = 0
    for page in pages:
        try:
            text = wiki.page(page.revision_id)
        except ApiRefusedError:
            raise  # it would refuse the next page too
        except ApiError as error:
            with connection.transaction():
                state.note_failed(connection, page, str(error))
            failed, in_a_row = failed + 1, in_a_row + 1
            if in_a_row == _FAILURES_IN_A_ROW:
                raise
        else:
            with connection.transaction():
                _enter(connection, page, text.title or page.page_title, text.html, licence)
            fetched, in_a_row = fetched + 1, 0
        progress("fetched", fetched + failed, len(pages))
    return fetched, failed


def _enter(connection: psycopg.Connection, page: state.WaitingPage, title: str, html: str, licence: str) -> None:
    """The page's text becomes the current version of its document, known from now, together with the page's state."""
    try:
        text = page_text(title, html)
    except UnreadableDocumentError:
        state.note_fetched(connection, page, None)
        return
    written = f" of {page.revision_at:%Y-%m-%d}" if page.revision_at else ""
    document = DocumentVersion(
        series=f"wiki:{page.page_id}",
        source=f"Global Energy Monitor wiki, {title}, revision {page.revision_id}{written}",
        title=title,
        text=text,
        licence=licence,
        mine_links=page.mine_links,
        document_date=page.revision_at.date() if page.revision_at else None,
        url=page.url,
        revision_id=page.revision_id,
        revision_at=page.revision_at,
    )
    put_versions(connection, "wiki", [document])
    state.note_fetched(connection, page, document.document_id)
