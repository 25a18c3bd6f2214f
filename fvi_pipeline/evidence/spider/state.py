"""Where the crawl is, in landing.wiki_pages: which pages there are, what the wiki said of them, what was fetched.

SQL only. The order of the crawl belongs in `crawl`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import unquote, urlsplit

import psycopg

from fvi_pipeline.evidence.spider.client import PageState
from fvi_pipeline.feeds.api.client import Validators

_MOST_ATTEMPTS = 5
"""A page that failed so often is left until it changes."""


@dataclass(frozen=True)
class WaitingPage:
    """A page to fetch: the revision, the address to tell readers, and the tracker's mines that name it."""

    page_id: int
    page_title: str
    revision_id: int
    revision_at: datetime | None
    url: str
    mine_links: tuple[str, ...]


def note_addresses(connection: psycopg.Connection) -> int:
    """Enter the addresses that the tracker's files name and that are not known yet; return how many those are."""
    rows = connection.execute(
        """
        SELECT DISTINCT (regexp_match(wiki_url, 'https?://[^\\s]+'))[1] FROM (
            SELECT wiki_url FROM landing.gem_coal_mines UNION SELECT wiki_url FROM landing.gem_mine_features
        ) AS named
        WHERE wiki_url ~ 'https?://'
        """
    ).fetchall()
    titles = [(url, title_of(url)) for (url,) in rows]
    with connection.cursor() as cursor:
        before = cursor.execute("SELECT count(*) FROM landing.wiki_pages").fetchone()
        cursor.executemany(
            "INSERT INTO landing.wiki_pages (wiki_url, title) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            sorted((url, title) for url, title in titles if title),
        )
        after = cursor.execute("SELECT count(*) FROM landing.wiki_pages").fetchone()
    return int(after[0] - before[0]) if before and after else 0


def title_of(url: str) -> str:
    """Return the title of the page at an address: /Title, /wiki/Title, or ?title=Title; "" if it names none."""
    parts = urlsplit(url)
    for name, _, value in (item.partition("=") for item in parts.query.split("&")):
        if name == "title":
            return unquote(value).replace("_", " ").strip()
    path = unquote(parts.path).removeprefix("/wiki/").strip("/")
    # "|" separates titles in a call, and MediaWiki allows none in a title
    return path.replace("_", " ").strip() if "|" not in path else ""


def batches(connection: psycopg.Connection, size: int, older_than: timedelta) -> list[list[str]]:
    """Titles of which something is to be asked, in batches that stay the same from night to night.

    A batch is asked for whole if one of its pages was not checked since `older_than` ago.
    """
    rows = connection.execute(
        "SELECT title, bool_or(checked_at IS NULL OR checked_at < now() - %s) FROM landing.wiki_pages "
        'GROUP BY title ORDER BY title COLLATE "C"',
        (older_than,),
    ).fetchall()
    whole = [rows[start : start + size] for start in range(0, len(rows), size)]
    return [[title for title, _ in batch] for batch in whole if any(stale for _, stale in batch)]


def validators_of(connection: psycopg.Connection, call: str) -> Validators | None:
    """What the last answer to a call is recognised by."""
    row = connection.execute("SELECT etag, last_modified FROM landing.wiki_answers WHERE call = %s", (call,)).fetchone()
    return Validators(*row) if row else None


def note_unchanged(connection: psycopg.Connection, titles: Sequence[str]) -> None:
    """All of these are as they were."""
    connection.execute("UPDATE landing.wiki_pages SET checked_at = now() WHERE title = ANY (%s)", (list(titles),))


def note_states(connection: psycopg.Connection, states: Sequence[PageState], call: str, validators: Validators) -> None:
    """Enter what the wiki said: pages with a revision that was not fetched wait, pages that are gone are missing."""
    with connection.cursor() as cursor:
        cursor.executemany(
            """
            UPDATE landing.wiki_pages SET
                page_id = %(page_id)s, page_title = %(page_title)s, revision_id = %(revision_id)s,
                revision_at = %(revision_at)s, checked_at = now(),
                attempts = CASE WHEN revision_id IS DISTINCT FROM %(revision_id)s THEN 0 ELSE attempts END,
                error = CASE WHEN revision_id IS DISTINCT FROM %(revision_id)s THEN NULL ELSE error END,
                state = CASE
                    WHEN %(page_id)s::bigint IS NULL THEN 'missing'
                    WHEN fetched_revision_id IS NOT DISTINCT FROM %(revision_id)s::bigint
                        AND page_id IS NOT DISTINCT FROM %(page_id)s THEN 'current'
                    WHEN state = 'failed' AND revision_id IS NOT DISTINCT FROM %(revision_id)s THEN 'failed'
                    ELSE 'waiting'
                END
            WHERE title = %(title)s
            """,
            [
                {
                    "title": state.asked_title,
                    "page_id": state.page_id,
                    "page_title": state.page_title,
                    "revision_id": state.revision_id,
                    "revision_at": state.revision_at,
                }
                for state in states
            ],
        )
        # a page that the wiki has no more is no longer evidence
        cursor.execute(
            """
            UPDATE landing.documents AS d SET superseded_at = now()
            WHERE d.kind = 'wiki' AND d.superseded_at IS NULL
              AND d.document_id IN (SELECT document_id FROM landing.wiki_pages WHERE state = 'missing')
              AND d.document_id NOT IN (
                  SELECT document_id FROM landing.wiki_pages WHERE state <> 'missing' AND document_id IS NOT NULL)
            """
        )
        cursor.execute(
            """
            INSERT INTO landing.wiki_answers (call, etag, last_modified, answered_at) VALUES (%s, %s, %s, now())
            ON CONFLICT (call) DO UPDATE SET etag = EXCLUDED.etag, last_modified = EXCLUDED.last_modified,
                answered_at = EXCLUDED.answered_at
            """,
            (call, validators.etag, validators.last_modified),
        )


def waiting_pages(connection: psycopg.Connection, limit: int) -> list[WaitingPage]:
    """The next pages to fetch, each once however many addresses lead to it; those that never failed first."""
    rows = connection.execute(
        """
        WITH mines AS (
            SELECT wiki_url, gem_mine_id FROM landing.gem_coal_mines WHERE gem_mine_id IS NOT NULL
            UNION SELECT wiki_url, gem_mine_id FROM landing.gem_mine_features WHERE gem_mine_id IS NOT NULL
        ), of_address AS (
            SELECT (regexp_match(wiki_url, 'https?://[^\\s]+'))[1] AS wiki_url, gem_mine_id FROM mines
        )
        SELECT p.page_id, max(p.page_title), max(p.revision_id), max(p.revision_at), min(p.wiki_url),
               coalesce(array_agg(DISTINCT 'gem:' || a.gem_mine_id) FILTER (WHERE a.gem_mine_id IS NOT NULL), '{}')
        FROM landing.wiki_pages AS p LEFT JOIN of_address AS a ON a.wiki_url = p.wiki_url
        WHERE p.page_id IN (
            SELECT page_id FROM landing.wiki_pages WHERE state = 'waiting' OR state = 'failed' AND attempts < %s)
        GROUP BY p.page_id ORDER BY max(p.attempts), min(p.wiki_url) LIMIT %s
        """,
        (_MOST_ATTEMPTS, limit),
    ).fetchall()
    return [
        WaitingPage(page_id, title, revision_id, written, url, tuple(sorted(mines)))
        for page_id, title, revision_id, written, url, mines in rows
    ]


def note_fetched(connection: psycopg.Connection, page: WaitingPage, document_id: str | None) -> None:
    """The page's revision was read; `document_id` is None if it says nothing."""
    connection.execute(
        "UPDATE landing.wiki_pages SET state = 'current', fetched_revision_id = %s, fetched_at = now(), "
        "document_id = %s, attempts = 0, error = NULL WHERE page_id = %s",
        (page.revision_id, document_id, page.page_id),
    )


def note_failed(connection: psycopg.Connection, page: WaitingPage, error: str) -> None:
    """The page could not be read this time."""
    connection.execute(
        "UPDATE landing.wiki_pages SET state = 'failed', attempts = attempts + 1, error = %s WHERE page_id = %s",
        (error, page.page_id),
    )
