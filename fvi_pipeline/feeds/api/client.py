"""One polite call of a JSON API: paced, retried with backoff, with its key kept out of everything that is written.

Which calls make up an answer belongs to `pages`, where the answers go to `fetch`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
import stamina

from fvi_pipeline.feeds.api.description import JsonApi, KeyPlace
from fvi_pipeline.feeds.errors import FeedError, UnreadableFileError
from fvi_pipeline.feeds.json_records import load_json, value_at

_TIMEOUT = httpx.Timeout(60.0, connect=5.0)
_ATTEMPTS = 4
_LONGEST_PAUSE_SECONDS = 60.0
"""A publisher that asks for a longer pause is left alone until the next run."""
_LARGEST_ANSWER_BYTES = 256 * 2**20
_TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_REFUSING_STATUS = frozenset({401, 403})
_KEY = r"[!-~]{16,}"
"""Long enough that its letters are in an answer by no accident: they are taken out of it."""
_KEY_SHOWN = "KEY"


class ApiError(FeedError):
    """A call gave no usable answer; the message says why, without the key."""


class ApiRefusedError(ApiError):
    """The publisher refuses the key, or further calls for today: other calls of the same API would fare no better."""


class _PassingError(ApiError):
    """An answer that may be another one in a moment; `pause` is how many seconds the publisher asks to wait."""

    def __init__(self, message: str, pause: float | None) -> None:
        super().__init__(message)
        self.pause = pause


@dataclass(frozen=True)
class Validators:
    """What a server gave to recognise an answer by, so that it is sent again only if it is another one."""

    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True)
class Answer:
    """A usable answer: its content as it is to be kept, the document in it, and its validators."""

    content: bytes
    document: Any
    validators: Validators


class ApiClient:
    """Calls JSON APIs over one HTTP client, at each API's pace. `keys` are by the name of their variable.

    `clock` and `sleep` are in seconds; tests replace them.
    """

    def __init__(
        self,
        client: httpx.Client,
        keys: Mapping[str, str],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._keys = {variable: key.strip() for variable, key in keys.items() if key.strip()}
        self._clock = clock
        self._sleep = sleep
        self._next_call_at: dict[str, float] = {}

    def has_key(self, api: JsonApi) -> bool:
        """Whether the API wants no key, or its key is there."""
        return api.key is None or api.key.variable in self._keys

    def get(
        self, api: JsonApi, path: str, parameters: Mapping[str, str], validators: Validators | None = None
    ) -> Answer | None:
        """The answer to one call, or None if it is still the one that `validators` came with.

        Raises:
            ApiRefusedError: the publisher refuses the key, or more calls for now.
            ApiError: the API does not answer, or not with a JSON document without an error.
        """
        request = self._request(api, path, parameters, validators or Validators())
        retrying = stamina.RetryingCaller(attempts=_ATTEMPTS, wait_initial=0.5, wait_max=10.0, timeout=180.0)
        try:
            return retrying.on(_pause_before_retry)(self._call, api, request)
        except httpx.HTTPError as error:
            raise ApiError(f"{_shown(request)}: {error or type(error).__name__}") from error

    def _request(self, api: JsonApi, path: str, parameters: Mapping[str, str], validators: Validators) -> httpx.Request:
        headers = {"Accept": "application/json"}
        if validators.etag:
            headers["If-None-Match"] = validators.etag
        if validators.last_modified:
            headers["If-Modified-Since"] = validators.last_modified
        url = httpx.URL(f"{api.address}/{path}", params=parameters)
        extensions: dict[str, Any] = {}
        key = self._key(api)
        if api.key is not None and key is not None:
            if re.fullmatch(_KEY, key) is None:
                # a line feed in it would make the HTTP library quote it in an error
                raise ApiRefusedError(f"{api.key.variable} is no key: too short, or with blanks; copy the key again")
            if api.key.place is KeyPlace.HEADER:
                headers[api.key.name] = key
            else:
                # the key goes on the wire only: httpx logs and quotes the request's URL, which does not hold it
                extensions["target"] = url.copy_merge_params({api.key.name: key}).raw_path
        return self._client.build_request("GET", url, headers=headers, extensions=extensions, timeout=_TIMEOUT)

    def _key(self, api: JsonApi) -> str | None:
        return None if api.key is None else self._keys.get(api.key.variable)

    def _keep_pace(self, api: JsonApi) -> None:
        now = self._clock()
        call_at = max(now, self._next_call_at.get(api.address, now))
        self._next_call_at[api.address] = call_at + 1 / api.calls_per_second
        if call_at > now:
            self._sleep(call_at - now)

    def _call(self, api: JsonApi, request: httpx.Request) -> Answer | None:
        self._keep_pace(api)
        # another address is not followed: it would be given the key
        response = self._client.send(request, stream=True, follow_redirects=False)
        try:
            content = _without_key(_content(response, request), self._key(api))
        finally:
            response.close()
        if response.status_code == httpx.codes.NOT_MODIFIED:
            return None
        if response.status_code != httpx.codes.OK:
            raise _refusal(api, request, response, content)
        if "html" in response.headers.get("content-type", "").lower():
            raise ApiError(f"{_shown(request)}: a web page and not JSON")
        try:
            document = load_json(content)
        except UnreadableFileError as error:
            raise ApiError(f"{_shown(request)}: {error}") from error
        stated = _stated_error(api, document)
        if stated is not None:
            raise ApiError(f"{_shown(request)}: the publisher says: {stated}")
        validators = Validators(response.headers.get("etag"), response.headers.get("last-modified"))
        return Answer(content, document, validators)


def _pause_before_retry(error: Exception) -> bool | float:
    """Whether to try again, or after how many seconds: only what may pass by itself is tried again."""
    if isinstance(error, _PassingError):
        return True if error.pause is None else error.pause
    return isinstance(error, httpx.TransportError)


def _content(response: httpx.Response, request: httpx.Request) -> bytes:
    content = bytearray()
    for chunk in response.iter_bytes():
        content += chunk
        if len(content) > _LARGEST_ANSWER_BYTES:
            raise ApiError(f"{_shown(request)}: the answer is larger than {_LARGEST_ANSWER_BYTES:,} bytes")
    return bytes(content)


def _without_key(content: bytes, key: str | None) -> bytes:
    """An answer without the key: some publishers repeat the whole request in it."""
    if key is None:
        return content
    for form in {key, quote(key, safe=""), key.replace("/", r"\/")}:
        content = content.replace(form.encode(), _KEY_SHOWN.encode())
    return content


def _refusal(api: JsonApi, request: httpx.Request, response: httpx.Response, content: bytes) -> ApiError:
    """The error that an answer without success is, in the publisher's own words where there are any."""
    try:
        words = _stated_error(api, load_json(content))
    except UnreadableFileError:
        words = None
    message = f"{_shown(request)}: the publisher answers {response.status_code}" + (f": {words}" if words else "")
    if response.status_code in _TRANSIENT_STATUS:
        pause = _asked_pause(response)
        if pause is not None and pause > _LONGEST_PAUSE_SECONDS:
            return ApiRefusedError(f"{message} (it asks to wait {pause:,.0f} seconds)")
        return _PassingError(message, pause)
    return ApiRefusedError(message) if response.status_code in _REFUSING_STATUS else ApiError(message)


def _asked_pause(response: httpx.Response) -> float | None:
    """The seconds of a Retry-After header; its other form, a date, is left to the ordinary backoff."""
    asked = response.headers.get("retry-after", "")
    return float(asked) if re.fullmatch(r"[0-9]{1,6}", asked) else None


def _stated_error(api: JsonApi, document: Any) -> str | None:
    """What an answer says is wrong, or None."""
    for path in api.errors:
        stated = value_at(document, path)
        if stated:
            return " ".join(_words(stated))[:500]
    return None


def _words(stated: Any, levels: int = 4) -> list[str]:
    """The texts in a publisher's error, whatever its shape."""
    if isinstance(stated, dict | list) and levels:
        inner = stated.values() if isinstance(stated, dict) else stated
        return [word for value in inner for word in _words(value, levels - 1)]
    return [] if isinstance(stated, dict | list) else [str(stated)]


def _shown(request: httpx.Request) -> str:
    """The request's address for people, without parameters."""
    return str(request.url.copy_with(query=None))
