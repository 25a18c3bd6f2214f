"""Messages to a webhook. What there is to tell belongs to the caller; no message carries a secret."""

from __future__ import annotations

import re
from typing import Any

import httpx
import stamina

_TIMEOUT_SECONDS = 10.0
_ATTEMPTS = 4
_MAX_TEXT = 2_000
_PASSWORD_IN_URL = re.compile(r"(://[^\s:/@]*):[^\s@]+@")
_SECRET_FIELD = re.compile(
    r"(?i)\b((?:api[_-]?key|password|passwd|token|secret|subscription-key)\b[\"']?\s*[=:]\s*)[^\s,;&\"']+"
)
_BUSY = {408, 425, 429, 500, 502, 503, 504}


class WebhookError(RuntimeError):
    """The message could not be delivered; the sentence says why, without the address, which may be a secret itself."""


def without_secrets(text: str) -> str:
    """The text with passwords in addresses and values of keys masked, cut to a readable length."""
    masked = _SECRET_FIELD.sub(r"\1***", _PASSWORD_IN_URL.sub(r"\1:***@", text))
    return masked if len(masked) <= _MAX_TEXT else masked[:_MAX_TEXT] + " …"


def post(url: str, message: dict[str, Any], *, wait_initial: float = 0.5) -> None:
    """POST the message as JSON; tried again, with growing waits, while the receiver is away or busy.

    Raises:
        WebhookError: it refuses the message, or stays away.
    """

    def may_pass(error: Exception) -> bool:
        if isinstance(error, httpx.HTTPStatusError):
            return error.response.status_code in _BUSY
        return isinstance(error, httpx.TransportError)

    try:
        for attempt in stamina.retry_context(on=may_pass, attempts=_ATTEMPTS, wait_initial=wait_initial, timeout=60):
            with attempt:
                httpx.post(url, json=message, timeout=_TIMEOUT_SECONDS).raise_for_status()
    except httpx.HTTPStatusError as error:
        raise WebhookError(f"The webhook answers with status {error.response.status_code}.") from None
    except httpx.HTTPError as error:
        raise WebhookError(f"The webhook does not answer ({type(error).__name__}). Check FVI_WEBHOOK_URL.") from None
    except httpx.InvalidURL:
        raise WebhookError("FVI_WEBHOOK_URL is not an address that can be called.") from None
