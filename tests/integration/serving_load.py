"""Load on a real server, each answer looked at: what came, how fast, and whether the score is the named version's."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from fvi_pipeline.model.registry import open_registry
from fvi_pipeline.model.scoring import ViabilityModel

Expected = Mapping[tuple[str, str, int], float]
"""(version, mine, horizon) -> the score that this version must give."""


@dataclass
class Load:
    """What the clients saw. An answer is wrong if its score is not that of the version that it names."""

    statuses: Counter[int] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    degraded: int = 0
    wrong: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    at: list[tuple[float, int]] = field(default_factory=list)
    """When each answer came, by time.monotonic, and its status."""

    @property
    def answers(self) -> int:
        return sum(self.statuses.values())

    def since(self, moment: float) -> Counter[int]:
        """The statuses of the answers from a moment on."""
        return Counter(status for at, status in self.at if at >= moment)


def expected_scores(environment: dict[str, str], versions: Sequence[str]) -> dict[tuple[str, str, int], float]:
    """What each registered version says of the current mines, computed by its ONNX file from gold's features."""
    registry = open_registry(environment["MLFLOW_TRACKING_URI"], Path(environment["FVI_HOME"]))
    found = {}
    for version in versions:
        model = registry.load(version)
        mines, matrix = cohort(environment, model)
        for horizon in model.horizons:
            scores = 100 * model.probabilities(matrix, horizon)
            found |= {(version, mine, horizon): score for mine, score in zip(mines, scores.tolist(), strict=True)}
    return found


def cohort(environment: dict[str, str], model: ViabilityModel) -> tuple[list[str], NDArray[np.float32]]:
    """The current mines and their features out of gold, as the model takes them."""
    columns = sql.SQL(", ").join(map(sql.Identifier, model.features))
    with psycopg.connect(environment["FVI_DATABASE_URL"]) as connection:
        rows = connection.execute(
            sql.SQL(
                "select mine_id, {} from gold.gold_mine_features where in_cohort "
                "and as_of_year = (select max(as_of_year) from gold.gold_mine_features) order by mine_id"
            ).format(columns)
        ).fetchall()
    matrix = np.array([[np.nan if value is None else value for value in row[1:]] for row in rows], dtype=np.float32)
    return [row[0] for row in rows], matrix


@contextmanager
def load(port: int, expected: Expected, clients: int = 2, pause_seconds: float = 0.002) -> Iterator[Load]:
    """Ask for the expected scores in turn, from some clients with a connection each, until the block ends."""
    seen, stop = Load(), threading.Event()
    questions = sorted({(mine, horizon) for _, mine, horizon in expected})

    def ask(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        place = number * 97
        while not stop.is_set():
            place += 1
            mine, horizon = questions[place % len(questions)]
            body = json.dumps({"mine_id": mine, "horizon_years": horizon})
            started = time.monotonic()
            try:
                connection.request("POST", "/predict", body, {"content-type": "application/json"})
                answer = connection.getresponse()
                text = answer.read()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                seen.refused.append(repr(error))
                stop.wait(0.05)
                continue
            ended = time.monotonic()
            seen.seconds.append(ended - started)
            seen.at.append((ended, answer.status))
            seen.statuses[answer.status] += 1
            if answer.status == 200:
                _look(seen, json.loads(text), expected)
            stop.wait(pause_seconds)
        connection.close()

    threads = [threading.Thread(target=ask, args=(number,), daemon=True) for number in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        stop.set()
        for thread in threads:
            thread.join(15)


def _look(seen: Load, answer: dict, expected: Expected) -> None:
    version = answer["model"]["version"]
    seen.versions[version] += 1
    seen.degraded += answer["degraded"]
    right = expected.get((version, answer["mine_id"], answer["horizon_years"]))
    score = answer["fvi_score"]
    if right is None or score is None or abs(score - right) > 1e-6:
        seen.wrong.append(f"{answer['mine_id']} h{answer['horizon_years']} by {version}: {score}, not {right}")


def wait_until(true: Callable[[], bool], seconds: float = 30.0) -> float:
    """Wait until the callable is true and return how long it took."""
    started = time.monotonic()
    while time.monotonic() < started + seconds:
        if true():
            return time.monotonic() - started
        time.sleep(0.05)
    raise AssertionError(f"it did not come true within {seconds} s")
