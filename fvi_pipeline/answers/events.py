"""The events of an answer, in the order of their stream: start, then sentences and warnings, then one end.

What they are made from belongs to `service`; their way over HTTP is Server-Sent Events.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

EventKind = Literal["start", "sentence", "warning", "end"]
Status = Literal["answered", "clarify", "declined"]


@dataclass(frozen=True)
class Event:
    """One event.

    start: answer_id, mode (extractive or generated), conversation_id, prompt, variant.
    sentence: text, citations (references), claim, supported, problems.
    warning: code, message; `discard` true: the sentences so far are void.
    end: status, mode, reason, citations in full, check, usage, milliseconds.
    """

    kind: EventKind
    data: Mapping[str, Any]

    def as_sse(self) -> str:
        """The event as Server-Sent Events write it."""
        return f"event: {self.kind}\ndata: {json.dumps(self.data, ensure_ascii=False, default=str)}\n\n"
