"""Time and memory of each stage of a run, sampled from outside the stages."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType

import psutil

_SAMPLE_SECONDS = 0.25


@dataclass(frozen=True)
class StageRun:
    """Wall time and largest memory of one stage."""

    stage: str
    started_at: datetime
    seconds: float
    peak_memory_megabytes: float


class Meter:
    """Samples the proportional memory of this process, its children and the given servers while stages run."""

    def __init__(self, server_pids: list[int]) -> None:
        self._server_pids = server_pids
        self._stage: tuple[str, datetime, float] | None = None
        self._peak = 0.0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="fvi-meter", daemon=True)
        self.stages: list[StageRun] = []

    def __enter__(self) -> Meter:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._closing.set()
        self._thread.join()

    def begin(self, stage: str) -> None:
        """A stage starts."""
        self._peak = self._memory_megabytes()
        self._stage = (stage, datetime.now(UTC), time.monotonic())

    def end(self) -> StageRun | None:
        """The stage has ended; None when none had begun."""
        if self._stage is None:
            return None
        name, started_at, start = self._stage
        peak = max(self._peak, self._memory_megabytes())
        run = StageRun(name, started_at, time.monotonic() - start, peak)
        self.stages.append(run)
        self._stage = None
        return run

    def _sample(self) -> None:
        while not self._closing.wait(_SAMPLE_SECONDS):
            self._peak = max(self._peak, self._memory_megabytes())

    def _memory_megabytes(self) -> float:
        processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
        for pid in self._server_pids:
            try:
                server = psutil.Process(pid)
                processes += [server, *server.children(recursive=True)]
            except psutil.NoSuchProcess:
                continue
        total, seen = 0, set[int]()
        for process in processes:
            if process.pid in seen:
                continue
            seen.add(process.pid)
            try:
                # proportional, so that PostgreSQL's shared buffers count once
                total += process.memory_full_info().pss
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue  # it ended between listing and reading
        return total / 1e6
