"""A polite client of one MediaWiki: robots.txt, a contact, a pace, retries, conditional requests.

Pace, retries with backoff and Retry-After, and conditional requests are those of `feeds.api.client`, which every API of
a publisher is asked with. What is asked for next belongs in `crawl`.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
import stamina
from protego import Protego

from fvi_pipeline.feeds.api.client import ApiClient, Validators
from fvi_pipeline.feeds.api.description import JsonApi, OnePage
from fvi_pipeline.platform.errors import PlatformError

TITLES_PER_CALL = 50
"""As many as MediaWiki answers to a client without an account."""
_AGENT = "fvi-spider"
_ROBOTS_ATTEMPTS = 3
_FORMAT = {"format": "json", "formatversion": "2"}


class SpiderError(PlatformError):
    """The crawl cannot go on; the message says why and what to do."""


@dataclass(frozen=True)
class PageState:
    """What the wiki says of one title: where it leads, and its newest revision; `page_id` None if there is no page."""

    asked_title: str
    page_title: str
    page_id: int | None = None
    revision_id: int | None = None
    revision_at: datetime | None = None


@dataclass(frozen=True)
class PageText:
    """The HTML of one revision as the wiki renders it, and its title."""

    title: str
    html: str


class WikiClient:
    """Asks one wiki. `api_url` is that of its api.php; `contact` an address that the wiki's keepers can write to.

    Use `open_robots` first: nothing else is asked before it has said that it may be. `clock` and `sleep` are in
    seconds; tests replace them.
    """

    def __init__(
        self,
        client: httpx.Client,
        api_url: str,
        contact: str,
        calls_per_second: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._client.headers["User-Agent"] = f"{_AGENT}/1.0 ({contact})"
        self._url = httpx.URL(api_url)
        self._address, _, self._path = api_url.rpartition("/")
        self._calls_per_second = calls_per_second
        self._calls = ApiClient(client, {}, clock=clock, sleep=sleep)
        self._api: JsonApi | None = None

    def open_robots(self) -> None:
        """Read robots.txt, and take on the pace that it asks for if that is slower.

        Raises:
            SpiderError: robots.txt forbids the API, or cannot be read (then nothing may be fetched).
        """
        address = self._url.copy_with(path="/robots.txt", query=None)
        try:
            response = self._robots(address)
        except httpx.HTTPError as error:
            raise SpiderError(
                f"{address} cannot be read ({error or type(error).__name__}): nothing is fetched."
            ) from error
        # RFC 9309: without a robots.txt all is allowed; while it cannot be served, nothing is
        if response.is_server_error or response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise SpiderError(f"{address} is answered with {response.status_code}: nothing is fetched.")
        rules = Protego.parse(response.text if response.is_success else "")
        if not rules.can_fetch(str(self._url), _AGENT):
            raise SpiderError(f"{address} does not allow {self._url.path} to be fetched: the wiki is left alone.")
        pace = self._calls_per_second
        if (delay := rules.crawl_delay(_AGENT)) is not None and delay > 0:
            pace = min(pace, 1 / delay)
        if (rate := rules.request_rate(_AGENT)) is not None:
            pace = min(pace, rate.requests / rate.seconds)
        self._api = JsonApi(self._address, (), OnePage(), (("error",),), pace)

    def _robots(self, address: httpx.URL) -> httpx.Response:
        for attempt in stamina.retry_context(on=httpx.TransportError, attempts=_ROBOTS_ATTEMPTS, wait_initial=0.2):
            with attempt:
                return self._client.get(address, follow_redirects=True)
        raise AssertionError("a last attempt raises")  # pragma: no cover

    def states(
        self, titles: Sequence[str], validators: Validators | None = None
    ) -> tuple[list[PageState], Validators] | None:
        """What the wiki says of up to TITLES_PER_CALL titles, redirects followed; None if it is what it was with these
        validators.

        Raises:
            ApiError: the wiki gave no usable answer.
        """
        parameters = {"action": "query", "prop": "revisions", "rvprop": "ids|timestamp", "redirects": "1"}
        answer = self._get({**parameters, "titles": "|".join(titles)}, validators)
        if answer is None:
            return None
        document, found = answer
        return _states(titles, document.get("query", {})), found

    def page(self, revision_id: int) -> PageText:
        """The HTML of a revision.

        Raises:
            ApiError: the wiki gave no usable answer.
        """
        answer = self._get(
            {
                "action": "parse",
                "oldid": str(revision_id),
                "prop": "text",
                "disableeditsection": "1",
                "disabletoc": "1",
                "disablelimitreport": "1",
            }
        )
        parsed = answer[0]["parse"] if answer else {}
        return PageText(str(parsed.get("title", "")), str(parsed.get("text", "")))

    def licence(self) -> str | None:
        """The terms that the wiki states for its texts, or None.

        Raises:
            ApiError: the wiki gave no usable answer.
        """
        answer = self._get({"action": "query", "meta": "siteinfo", "siprop": "rightsinfo"})
        rights = (answer[0].get("query", {}).get("rightsinfo") or {}) if answer else {}
        return " ".join(filter(None, (rights.get("text"), rights.get("url")))) or None

    def _get(
        self, parameters: dict[str, str], validators: Validators | None = None
    ) -> tuple[dict[str, Any], Validators] | None:
        if self._api is None:
            raise SpiderError("robots.txt was not read yet.")
        answer = self._calls.get(self._api, self._path, {**parameters, **_FORMAT}, validators)
        return None if answer is None else (answer.document, answer.validators)


def _states(titles: Sequence[str], query: dict[str, Any]) -> list[PageState]:
    """The pages that titles lead to: first the spelling is made the wiki's own, then redirects are followed."""
    leads = {step["from"]: step["to"] for name in ("normalized", "redirects") for step in query.get(name) or ()}
    pages = {page["title"]: page for page in query.get("pages") or ()}
    states = []
    for title in titles:
        target = title
        for _ in range(4):  # a redirect of a redirect is not followed by MediaWiki; a loop ends here
            target = leads.get(target, target)
        page = pages.get(target, {})
        revision = (page.get("revisions") or [{}])[0]
        if page.get("missing") or page.get("invalid") or not revision.get("revid"):
            states.append(PageState(title, target))
            continue
        written = datetime.fromisoformat(revision["timestamp"]) if revision.get("timestamp") else None
        states.append(PageState(title, target, int(page["pageid"]), int(revision["revid"]), written))
    return states
