"""The steps of an answer as they were taken: what, from when to when, with which figures. Sending them on is in
`tracing`.

Nothing here waits for anybody: a trace is plain data until the answer is complete.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

StepKind = Literal["CHAIN", "RETRIEVER", "TOOL", "LLM", "PARSER", "EVALUATOR"]


@dataclass
class Step:
    """One step; times are nanoseconds since 1970."""

    name: str
    kind: StepKind
    started_ns: int
    ended_ns: int = 0
    attributes: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    span_id: str = field(default_factory=lambda: os.urandom(8).hex())
    parent_id: str | None = None

    @property
    def milliseconds(self) -> float:
        """How long it took."""
        return (self.ended_ns - self.started_ns) / 1e6


@dataclass
class Trace:
    """All steps of one answer; the first is the answer itself."""

    trace_id: str = field(default_factory=lambda: os.urandom(16).hex())
    steps: list[Step] = field(default_factory=list)
    _open: list[Step] = field(default_factory=list)

    @staticmethod
    def now_ns() -> int:
        """Nanoseconds since 1970."""
        return time.time_ns()

    @contextmanager
    def step(self, name: str, kind: StepKind = "CHAIN", **attributes: Any) -> Iterator[Step]:
        """Note a step around the block; an error in it is noted and goes on."""
        step = Step(name, kind, time.time_ns(), attributes=dict(attributes))
        step.parent_id = self._open[-1].span_id if self._open else (self.steps[0].span_id if self.steps else None)
        self.steps.append(step)
        self._open.append(step)
        try:
            yield step
        except BaseException as error:
            step.error = f"{type(error).__name__}: {error}"[:500]
            raise
        finally:
            step.ended_ns = time.time_ns()
            self._open.remove(step)
