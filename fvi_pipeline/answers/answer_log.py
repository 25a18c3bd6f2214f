"""Answers on their way to ops.answers, and their traces to a collector; off the answers' path, bounded in memory.

What a row has is said in platform/sql/63_ops_answers.sql, how a trace is sent in `otlp`.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from fvi_pipeline.answers.otlp import OtlpExporter
from fvi_pipeline.answers.policy import without_contacts
from fvi_pipeline.answers.service import Completed
from fvi_pipeline.serving.batch_writer import BatchWriter

MAXIMUM_ROWS = 5_000
_COLUMNS = (
    "answer_id",
    "trace_id",
    "answered_at",
    "client",
    "conversation_id",
    "question",
    "answer",
    "kind",
    "quantity",
    "mine_ids",
    "variant",
    "prompt_version",
    "model",
    "mode",
    "status",
    "reason",
    "claims",
    "supported",
    "prompt_tokens",
    "completion_tokens",
    "cost_microdollars",
    "milliseconds",
    "steps",
)
_MAXIMUM_CHARACTERS = 20_000


class AnswerLog:
    """Takes answers that are out."""

    def __init__(
        self, database_url: str, exporter: OtlpExporter | None = None, maximum_rows: int = MAXIMUM_ROWS
    ) -> None:
        """Start the writing thread; PostgreSQL need not answer yet."""
        self._exporter = exporter
        self._writer = BatchWriter(
            database_url, ("ops", "answers"), _COLUMNS, maximum_rows=maximum_rows, prepare=lambda row: _as_written(*row)
        )

    def add(self, completed: Completed) -> None:
        """Take an answer. Never waits and never raises."""
        self._writer.offer((completed, datetime.now(UTC)))
        if self._exporter is not None:
            self._exporter.offer(completed.trace)

    @property
    def lost(self) -> int:
        """Answers that will never be written."""
        return self._writer.lost

    def flush(self, seconds: float) -> bool:
        """Wait until what was added is written; False when that takes longer."""
        return self._writer.flush(seconds)

    def close(self, seconds: float = 5.0) -> None:
        """Write what waits and stop."""
        self._writer.close(seconds)
        if self._exporter is not None:
            self._exporter.close(seconds)


def _as_written(completed: Completed, moment: datetime) -> list[Any]:
    end, question, usage = completed.end, completed.question, completed.end["usage"] or {}
    model = next((s.attributes["model"] for s in completed.trace.steps if s.kind == "LLM"), None)
    steps = json.dumps([asdict(step) for step in completed.trace.steps], default=str)
    return [
        completed.ask.answer_id,
        completed.trace.trace_id,
        moment,
        completed.ask.client,
        completed.ask.conversation_id,
        _text(question.text),
        _text(completed.text),
        question.kind,
        question.quantity,
        end["mine_ids"],
        completed.variant.name,
        completed.variant.prompt if usage else None,
        model,
        end["mode"],
        end["status"],
        end["reason"],
        end["check"]["claims"],
        end["check"]["supported"],
        usage.get("prompt_tokens"),
        usage.get("completion_tokens"),
        usage.get("cost_microdollars"),
        end["milliseconds"],
        without_contacts(steps).replace("\\u0000", "\\ufffd"),
    ]


def _text(text: str) -> str:
    # PostgreSQL's texts hold no NUL
    return without_contacts(text[:_MAXIMUM_CHARACTERS].replace("\x00", "\ufffd"))
