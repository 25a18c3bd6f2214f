"""Time to the first sentence of extractive answers over HTTP: `python benchmarks/answer_latency.py --url http://127.0.0.1:3000`.

Asks the questions of the evaluation set of POST /chat of a served Bento, one after the other, on a connection that
stays open, and prints percentiles beside those of /livez in the same run.
"""

from __future__ import annotations

import argparse
import time

import httpx

from fvi_pipeline.answers.question_set import question_set
from fvi_pipeline.platform.database import connect
from fvi_pipeline.platform.servers import running_servers
from fvi_pipeline.platform.settings import get_settings


def main() -> None:
    """Ask and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:3000")
    parser.add_argument("--rounds", type=int, default=2)
    chosen = parser.parse_args()
    with running_servers(get_settings()) as servers, connect(servers.database_url) as connection:
        questions = question_set(connection)
    first, complete, alive = [], [], []
    with httpx.Client(base_url=chosen.url, timeout=120) as client:
        for _ in range(chosen.rounds):
            for question in questions:
                started = time.perf_counter()
                client.get("/livez").raise_for_status()
                alive.append(1000 * (time.perf_counter() - started))
                first_ms, complete_ms = asked(client, question.text, question.mine_id)
                first.append(first_ms)
                complete.append(complete_ms)
    print(f"{len(first)} answers to {len(questions)} questions")
    print("| what | p50, ms | p95, ms | p99, ms |\n|---|---|---|---|")
    for name, times in (("/livez", alive), ("first sentence", first), ("complete answer", complete)):
        times.sort()
        told = " | ".join(f"{times[min(len(times) - 1, int(share * len(times)))]:.1f}" for share in (0.5, 0.95, 0.99))
        print(f"| {name} | {told} |")


def asked(client: httpx.Client, message: str, mine_id: str | None) -> tuple[float, float]:
    """Milliseconds to the first sentence and to the end of an answer."""
    started = time.perf_counter()
    first = None
    body = {"message": message} | ({"mine_id": mine_id} if mine_id else {})
    with client.stream("POST", "/chat", json=body) as response:
        response.raise_for_status()
        for line in response.iter_lines():
            if first is None and line == "event: sentence":
                first = 1000 * (time.perf_counter() - started)
    complete = 1000 * (time.perf_counter() - started)
    return first if first is not None else complete, complete


if __name__ == "__main__":
    main()
