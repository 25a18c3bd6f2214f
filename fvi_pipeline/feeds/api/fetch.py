"""A feed's API into its landing folder: a file for each page of an answer, all pages of a query or none.

How one call is made belongs to `client`, reading the files to the feeds' readers.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from fvi_pipeline.feeds.api.client import Answer, ApiClient, ApiError, ApiRefusedError, Validators
from fvi_pipeline.feeds.api.description import ApiQuery, JsonApi
from fvi_pipeline.feeds.api.pages import all_pages
from fvi_pipeline.feeds.description import Feed
from fvi_pipeline.feeds.downloaded import DownloadedFile, replace_file
from fvi_pipeline.feeds.errors import UnreadableFileError
from fvi_pipeline.feeds.json_records import JsonRecords, load_json

_STORE = ".validators.json"
"""Beside the answers: what their servers recognise them by. A hidden file, which the ingest does not look at."""


def fetch_api(client: ApiClient, folder: Path, feed: Feed, last_year: int) -> Iterator[DownloadedFile]:
    """Ask a feed's API for everything it describes, up to `last_year`, and keep what has changed.

    Yields what became of each file. A failed query leaves the files of its last answer as they are.
    """
    api, where = feed.api, feed.records
    if api is None or where is None:
        return
    if api.key is not None and not client.has_key(api):
        reason = f"{api.key.variable} is not set (a key is given at {api.key.register_at})"
        yield DownloadedFile(feed.name, f"{feed.folder}/", "skipped", reason)
        return
    target = folder / feed.folder
    store = _ValidatorStore(target)
    for query in api.queries:
        if query.year is not None and query.year > last_year:
            continue
        try:
            yield from _fetch_query(client, target, feed.name, api, where, query, store)
        except ApiRefusedError as error:
            yield DownloadedFile(feed.name, _name(target, query), "failed", f"{error}; its further calls were not made")
            return
        except (ApiError, OSError) as error:
            yield DownloadedFile(feed.name, _name(target, query), "failed", str(error))


def _fetch_query(
    client: ApiClient,
    target: Path,
    feed: str,
    api: JsonApi,
    where: JsonRecords,
    query: ApiQuery,
    store: _ValidatorStore,
) -> Iterator[DownloadedFile]:
    asked_for: list[str] = []
    kept = sorted(target.glob(f"{query.name}.json")) + sorted(target.glob(f"{query.name}.page-*.json"), key=_page)

    def get(page: int) -> Answer:
        parameters = dict(query.parameters) | api.paging.parameters(page)
        place = kept[page - 1] if page <= len(kept) else None
        asked = f"{api.address}/{query.path} {sorted(parameters.items())}"
        held = None if place is None else store.held(place, asked)
        answer = client.get(api, query.path, parameters, held.validators if held else None)
        if answer is None:
            if held is None:
                raise ApiError(f"{query.name}: the publisher says that an answer is unchanged that it never gave")
            answer = held
        asked_for.append(asked)
        return answer

    pages = all_pages(get, api, query, where)
    if not pages:
        yield DownloadedFile(feed, _name(target, query), "absent", f"{query.name}: the publisher has no records yet")
        return
    places = _places(target, query, len(pages))
    for place, page, asked in zip(places, pages, asked_for, strict=True):
        is_new = not place.is_file() or place.read_bytes() != page.content
        if is_new:
            replace_file(place, [page.content])
        store.note(place, asked, page)
        yield DownloadedFile(feed, f"{target.name}/{place.name}", "downloaded" if is_new else "unchanged")
    for surplus in set(kept) - set(places):
        # an answer of fewer pages than the last one: what was on the others is on these now, or gone
        surplus.unlink()
    store.save()


def _places(target: Path, query: ApiQuery, pages: int) -> list[Path]:
    if pages == 1:
        return [target / f"{query.name}.json"]
    return [target / f"{query.name}.page-{number}.json" for number in range(1, pages + 1)]


def _page(place: Path) -> int:
    return int(place.name.removesuffix(".json").rsplit(".page-", 1)[1])


def _name(target: Path, query: ApiQuery) -> str:
    return f"{target.name}/{query.name}.json"


@dataclass(frozen=True)
class _Noted:
    """An answer that was kept: what was asked, its digest, and how its server recognises it."""

    asked: str
    sha256: str
    etag: str | None
    last_modified: str | None


class _ValidatorStore:
    """The validators of a folder's files. One counts only while its file is as it was written, for the same call."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _STORE
        self._noted: dict[str, _Noted] = {}
        # without it, everything is asked for as if for the first time
        with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
            self._noted = {name: _Noted(**noted) for name, noted in json.loads(self._path.read_bytes()).items()}

    def held(self, place: Path, asked: str) -> Answer | None:
        noted = self._noted.get(place.name)
        if noted is None or noted.asked != asked or not (noted.etag or noted.last_modified):
            return None
        try:
            content = place.read_bytes()
            if hashlib.sha256(content).hexdigest() != noted.sha256:
                return None
            return Answer(content, load_json(content), Validators(noted.etag, noted.last_modified))
        except (OSError, UnreadableFileError):
            return None

    def note(self, place: Path, asked: str, answer: Answer) -> None:
        validators = answer.validators
        digest = hashlib.sha256(answer.content).hexdigest()
        self._noted[place.name] = _Noted(asked, digest, validators.etag, validators.last_modified)

    def save(self) -> None:
        noted = {name: asdict(one) for name, one in sorted(self._noted.items())}
        replace_file(self._path, [json.dumps(noted, indent=1).encode()])
