"""Publishers' files and the answers of their APIs into a landing folder. Reading them belongs to `ingest`, how an API
is asked to `api`.

A file is replaced whole or not at all, and one that the publisher did not change is not fetched again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path

import httpx
import stamina

from fvi_pipeline.feeds.api.client import ApiClient
from fvi_pipeline.feeds.api.fetch import fetch_api
from fvi_pipeline.feeds.catalogue import FEEDS
from fvi_pipeline.feeds.description import DownloadAddress, Feed
from fvi_pipeline.feeds.downloaded import DownloadedFile, DownloadReport, replace_file
from fvi_pipeline.feeds.errors import PublishersUnreachable

__all__ = [
    "DownloadReport",
    "DownloadedFile",
    "PublishersUnreachable",
    "default_client",
    "download_publishers",
]

_CONNECT_SECONDS = 5.0
_READ_SECONDS = 30.0
_ATTEMPTS = 3
_TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
ClientFactory = Callable[[], httpx.Client]
Say = Callable[[str], None]


class _TransientError(Exception):
    """An answer that may be another one in a moment."""


def default_client() -> httpx.Client:
    """A client with short patience for connecting, and the environment's proxies."""
    return httpx.Client(
        timeout=httpx.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS),
        follow_redirects=True,
        headers={"User-Agent": "fvi-pipeline (+public data for a viability index of coal mines)"},
    )


def download_publishers(
    folder: Path,
    client_factory: ClientFactory = default_client,
    progress: Say | None = None,
    *,
    feeds: Iterable[Feed] | None = None,
    this_year: int | None = None,
    keys: Mapping[str, str] | None = None,
) -> DownloadReport:
    """Fetch what the publishers serve into the landing folder, newest state, atomically file by file.

    `progress` gets a sentence per downloaded, failed or skipped file and per thing to fetch by hand. Years that cannot
    have been published yet are not asked for (`this_year` defaults to the calendar's). `keys` are those of the APIs,
    by the name of their variable; an API whose key is not there is skipped.

    Raises:
        PublishersUnreachable: no publisher answers, or none of those that serve files has given one now or before.
    """
    say = progress or (lambda _: None)
    chosen = list(FEEDS.values() if feeds is None else feeds)
    last_year = (date.today().year if this_year is None else this_year) - 1
    wanted = [
        (feed, address)
        for feed in chosen
        for address in feed.downloads
        if address.year is None or address.year <= last_year
    ]
    apis = [feed for feed in chosen if feed.api is not None]
    addresses = [url for _, address in wanted for url in address.urls]
    origins = sorted({_origin(url) for url in (*addresses, *(feed.api.address for feed in apis if feed.api))})
    files: list[DownloadedFile] = []
    with client_factory() as client:
        reachable = _reachable(client, origins)
        if not reachable:
            hosts = ", ".join(httpx.URL(origin).host for origin in origins)
            raise PublishersUnreachable(f"none of {hosts} answers; check the network or the proxy settings")
        for file in _all_files(client, ApiClient(client, keys or {}), folder, wanted, apis, reachable, last_year):
            files.append(file)
            if file.status in ("downloaded", "failed", "skipped"):
                say(f"{file.status}: {file.name} {file.reason or ''}".rstrip())
    manual = tuple(feed.manual_download for feed in chosen if feed.manual_download)
    # what APIs say about countries is not enough to go on with
    needed = {feed.name for feed, _ in wanted} or {feed.name for feed in apis}
    if not any(file.status in ("downloaded", "unchanged") for file in files if file.feed in needed):
        reason = next((file.reason for file in files if file.reason), "no file was asked for")
        raise PublishersUnreachable(f"no publisher gave a file; the first answer: {reason}")
    for sentence in manual:
        say(sentence)
    return DownloadReport(tuple(files), manual)


def _all_files(
    client: httpx.Client,
    api_client: ApiClient,
    folder: Path,
    wanted: Iterable[tuple[Feed, DownloadAddress]],
    apis: Iterable[Feed],
    reachable: frozenset[str],
    last_year: int,
) -> Iterator[DownloadedFile]:
    for feed, address in wanted:
        yield _download(client, folder, feed, address, reachable)
    for feed in apis:
        if feed.api is not None and api_client.has_key(feed.api) and _origin(feed.api.address) not in reachable:
            yield DownloadedFile(feed.name, f"{feed.folder}/", "failed", "the publisher does not answer")
        else:
            yield from fetch_api(api_client, folder, feed, last_year)


def _origin(url: str) -> str:
    parsed = httpx.URL(url)
    return str(parsed.copy_with(raw_path=b"/", fragment=None))


def _reachable(client: httpx.Client, origins: list[str]) -> frozenset[str]:
    """The origins that answer at all. Asked at once, so that a dead network costs one wait."""

    def answers(origin: str) -> bool:
        try:
            client.head(origin, timeout=_CONNECT_SECONDS)
        except httpx.TooManyRedirects:
            return True
        except httpx.HTTPError:
            return False
        return True

    with ThreadPoolExecutor(max_workers=max(1, len(origins))) as pool:
        return frozenset(origin for origin, good in zip(origins, pool.map(answers, origins), strict=True) if good)


def _download(
    client: httpx.Client, folder: Path, feed: Feed, address: DownloadAddress, reachable: frozenset[str]
) -> DownloadedFile:
    """Try the addresses of one file in their order; the last answer is the reason when none gives it."""
    status, reason = "failed", "the publisher does not answer"
    name = f"{feed.folder}/{address.file_names[0]}"
    for index, url in enumerate(address.urls):
        if _origin(url) not in reachable:
            continue
        # another address of the same file keeps its name; another ending of it brings its own
        name = f"{feed.folder}/{address.file_names[min(index, len(address.file_names) - 1)]}"
        try:
            status, reason = _fetch(client, url, folder / name)
        except (httpx.HTTPError, _TransientError, OSError) as error:
            status, reason = "failed", f"{url}: {error or type(error).__name__}"
        if status in ("downloaded", "unchanged"):
            return DownloadedFile(feed.name, name, status)
    return DownloadedFile(feed.name, name, status, reason)


@stamina.retry(on=(httpx.TransportError, _TransientError), attempts=_ATTEMPTS, wait_initial=0.2, wait_max=2.0)
def _fetch(client: httpx.Client, url: str, target: Path) -> tuple[str, str]:
    """Fetch one address; returns status and reason. Only what may pass by itself is tried again."""
    headers = {}
    if target.is_file():
        changed = datetime.fromtimestamp(target.stat().st_mtime, UTC)
        headers["If-Modified-Since"] = format_datetime(changed, usegmt=True)
    with client.stream("GET", url, headers=headers) as response:
        if response.status_code in _TRANSIENT_STATUS:
            raise _TransientError(f"the publisher answers {response.status_code}")
        if response.status_code == httpx.codes.NOT_MODIFIED:
            return "unchanged", ""
        if response.status_code in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
            return "absent", f"{url}: not published"
        if response.status_code != httpx.codes.OK:
            return "failed", f"{url}: the publisher answers {response.status_code}"
        if response.headers.get("content-type", "").lower().startswith("text/html"):
            # a moved file is often answered by a page that says so, with status 200
            return "absent", f"{url}: a web page and not a file"
        replace_file(target, response.iter_bytes(), _last_modified(response))
    return "downloaded", ""


def _last_modified(response: httpx.Response) -> float | None:
    try:
        return parsedate_to_datetime(response.headers["last-modified"]).timestamp()
    except (KeyError, ValueError, TypeError):
        return None
