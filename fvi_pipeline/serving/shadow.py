"""The challenger in the shadow: it scores what the champion has answered, in a thread, and only the log sees it.

Which mines are drawn is said by `arms`, what becomes of the log by `model.arm_comparison`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np

from fvi_pipeline.model.errors import ScoringError
from fvi_pipeline.serving.arms import Board, ServedModel
from fvi_pipeline.serving.errors import StoreUnavailableError
from fvi_pipeline.serving.log_entry import PredictionEntry, PredictionLog
from fvi_pipeline.serving.mines import StoredMine

SHADOW = "shadow"
_WAITING = 10_000
_BATCH = 200
_PAUSE_SECONDS = 0.05
_ENDPOINT = "/predict"
logger = logging.getLogger(__name__)
Read = Callable[[ServedModel, Sequence[str]], list[StoredMine | None]]


class Shadow:
    """A backends.ShadowScorer. What it cannot keep up with is left out and counted."""

    def __init__(self, board: Board, read: Read, log: PredictionLog) -> None:
        """`read` reads the online store from a thread; `log` takes the entries."""
        self._board = board
        self._read = read
        self._log = log
        self._waiting: deque[tuple[str, str, int]] = deque(maxlen=_WAITING)
        self._stopping = threading.Event()
        self.scored = 0
        self.left_out = 0
        self._thread = threading.Thread(target=self._run, name="fvi-shadow", daemon=True)

    def start(self) -> None:
        """Score from now on."""
        self._thread.start()

    def offer(self, request_id: str, mine_id: str, horizon_years: int) -> None:
        """Take a question; never blocks and never raises."""
        if len(self._waiting) == _WAITING:
            self.left_out += 1  # the oldest gives way
        self._waiting.append((request_id, mine_id, horizon_years))

    def close(self) -> None:
        """Stop; what waits is left out."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(2)

    def _run(self) -> None:
        # a pause between batches: the requests have the processor first
        while not self._stopping.wait(_PAUSE_SECONDS):
            try:
                self.score_waiting()
            except Exception:  # the thread must outlive whatever a store or a library does
                logger.exception("The challenger could not score in the shadow")

    def score_waiting(self) -> int:
        """Score a batch of what waits and log it; returns how many."""
        questions = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
        challenger = self._board.standing.challenger
        if not questions or challenger is None:
            return 0
        started = time.perf_counter()
        mine_ids = list(dict.fromkeys(mine_id for _, mine_id, _ in questions))
        try:
            mines = dict(zip(mine_ids, self._read(challenger, mine_ids), strict=True))
            entries = self._entries(challenger, questions, mines)
        except (StoreUnavailableError, ScoringError):
            self.left_out += len(questions)
            return 0
        latency_ms = 1_000 * (time.perf_counter() - started) / len(questions)
        for entry in entries:
            self._log.offer(entry._replace(latency_ms=latency_ms))
        self.scored += len(entries)
        return len(entries)

    def _entries(
        self,
        challenger: ServedModel,
        questions: Sequence[tuple[str, str, int]],
        mines: dict[str, StoredMine | None],
    ) -> list[PredictionEntry]:
        """An entry for each question about a mine of the cohort."""
        at = time.time()
        entries = []
        for horizon in sorted({horizon for _, _, horizon in questions}):
            asked = []
            for request_id, mine_id, of_question in questions:
                mine = mines[mine_id]
                if of_question == horizon and mine is not None and mine.row is not None and mine.in_cohort:
                    asked.append((request_id, mine_id, mine, mine.row))
            if not asked:
                continue
            probabilities = challenger.model.probabilities(np.vstack([row for *_, row in asked]), horizon)
            for (request_id, mine_id, mine, _), probability in zip(asked, probabilities.tolist(), strict=True):
                entries.append(
                    PredictionEntry(
                        at=at,
                        request_id=request_id,
                        endpoint=_ENDPOINT,
                        mine_id=mine_id,
                        prediction_type="viability",
                        horizon_years=horizon,
                        what_if=None,
                        as_of_asked=None,
                        feature_service=challenger.feature_service,
                        as_of_year=mine.as_of_year,
                        known_at=mine.known_at,
                        fvi_score=100.0 * probability,
                        model_name=challenger.name,
                        model_version=challenger.version,
                        arm=SHADOW,
                        latency_ms=0.0,
                        is_cached=False,
                        is_degraded=False,
                        client=None,
                    )
                )
        return entries
