"""How fast the service answers: latencies as ratios to the cheapest endpoint of the same server and to a bare uvicorn
application, throughput, the cache on a replay that asks for few mines often, and the longest pause.

Three of the same service run: one that keeps answers, one that keeps them and wants tokens, and one that keeps none, so
that every answer of it is made from the features in the online store. One client on loopback, a connection that stays
open, all ways in turn.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import jwt
import psutil
import redis
from rich.console import Console
from rich.table import Table

from fvi_pipeline.features.online_version import writing
from fvi_pipeline.platform.database import connect
from fvi_pipeline.platform.environment import tool_environment
from fvi_pipeline.platform.servers import running_servers
from fvi_pipeline.platform.settings import Settings

_START_SECONDS = 120
_IDLE_SECONDS = 3.0
_LOG_SECONDS = 0.5
"""After a batch its thousand rows are written behind it, which is no single client's matter."""
_REPLAY_PER_SECOND = 1_000
_BIN = Path(sys.executable).parent
_SECRET = "a secret of this benchmark, of more than 32 bytes"
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_CACHE_COUNTERS = ("fvi_cache_hits_total", "fvi_cache_misses_total")
_BARE = """
import sys, uvicorn
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
uvicorn.run(app, port=int(sys.argv[1]), log_level="error", access_log=False, lifespan="off")
"""


class Connection:
    """One open connection; a client as thin as can be, so that it is the server that is measured."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._used = time.perf_counter()
        self._connect()

    def _connect(self) -> None:
        self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def milliseconds(self, request: bytes) -> float:
        """Ask, and say how long the answer took."""
        if time.perf_counter() - self._used > _IDLE_SECONDS:
            self._socket.close()
            self._connect()  # the server closes what is idle for five seconds
        started = time.perf_counter()
        self._socket.sendall(request)
        answer = b""
        while not _is_whole(answer):
            part = self._socket.recv(1 << 20)
            if not part:
                raise SystemExit(f"Not measured, the service closed the connection: {answer[:600]!r}")
            answer += part
        self._used = time.perf_counter()
        taken = (self._used - started) * 1_000
        if int(answer[9:12]) >= 400:
            raise SystemExit(f"Not measured, the service refused: {answer[:600]!r}")
        return taken


def _is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    found = _LENGTH.search(head)
    return bool(end) and len(body) >= (int(found[1]) if found else 0)


def _request(port: int, path: str, body: Any = None, token: str | None = None) -> bytes:
    content = b"" if body is None else json.dumps(body).encode()
    head = f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n"
    head += f"authorization: Bearer {token}\r\n" if token else ""
    return f"{head}content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n".encode() + content


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _started(command: Sequence[str], environment: dict[str, str], port: int, folder: Path, path: str) -> Iterator[int]:
    """A server in a group of its own, from its first answer at `path` to the end of the block; brings its pid."""
    with (folder / f"{port}.log").open("wb") as log:
        process = subprocess.Popen(
            command, env=environment, cwd=folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(f"http://127.0.0.1:{port}{path}"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"The server did not start:\n{(folder / f'{port}.log').read_text()[-2000:]}")
            time.sleep(0.02)
        yield process.pid
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _latencies(ways: dict[str, tuple[int, list[bytes]]], counts: dict[str, int], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each way; the ways take turns, so that a slow moment of the machine hits all of them."""
    connections = {name: Connection(port) for name, (port, _) in ways.items()}
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for name, (_, requests) in ways.items():
        for request in requests[: min(len(requests), counts[name])]:
            connections[name].milliseconds(request)
    gc.collect()
    gc.disable()
    for turn in range(rounds):
        for name, (_, requests) in ways.items():
            for number in range(counts[name]):
                request = requests[(turn * counts[name] + number) % len(requests)]
                taken[name].append(connections[name].milliseconds(request))
        time.sleep(_LOG_SECONDS)
    gc.enable()
    return {name: sorted(each) for name, each in taken.items()}


async def _load(port: int, requests: Sequence[bytes], clients: int, seconds: float) -> tuple[int, int, float]:
    """Answers, errors, and the longest wait in milliseconds, of some clients that ask without a break."""
    answers, errors, longest, until = 0, 0, 0.0, time.perf_counter() + seconds

    async def client(first: int) -> None:
        nonlocal answers, errors, longest
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        number = first
        while time.perf_counter() < until:
            started = time.perf_counter()
            writer.write(requests[number % len(requests)])
            head = await reader.readuntil(b"\r\n\r\n")
            found = _LENGTH.search(head)
            await reader.readexactly(int(found[1]) if found else 0)
            longest = max(longest, (time.perf_counter() - started) * 1_000)
            answers, errors, number = answers + 1, errors + (int(head[9:12]) >= 400), number + 1
        writer.close()

    await asyncio.gather(*(client(each * 97) for each in range(clients)))
    return answers, errors, longest


def _hits(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return {line.split()[0]: float(line.split()[1]) for line in lines if line.startswith(_CACHE_COUNTERS)}


def _questions(database_url: str) -> tuple[list[dict[str, Any]], str]:
    with connect(database_url) as connection:
        rows = connection.execute(
            "select mine_id, horizon_years from mart.fvi_scores "
            "where as_of_year = (select max(as_of_year) from mart.fvi_scores) order by md5(mine_id), horizon_years"
        ).fetchall()
        feature = connection.execute("select feature from mart.score_reasons order by rank, feature limit 1").fetchone()
    if not rows or feature is None:
        raise SystemExit("There are no scores in this home: run `make demo` first.")
    return [{"mine_id": mine_id, "horizon_years": horizon} for mine_id, horizon in rows], str(feature[0])


def _percentile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", default="sample", help="what to run first, in a home without scores")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each load")
    parser.add_argument("--replay", type=int, default=20_000, help="requests of the replay")
    parser.add_argument("--bentoml", type=Path, default=_BIN / "bentoml", help="of another environment, to serve with")
    arguments = parser.parse_args()
    settings = Settings()
    with running_servers(settings) as servers, tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        environment = {**os.environ, **tool_environment(settings, servers)}
        if not any((settings.home / "bentoml").glob("bentos/fvi/latest")):
            subprocess.run([str(_BIN / "fvi"), "run", "--source", arguments.source], check=True)
        questions, feature = _questions(servers.database_url)
        # the last one's metrics are read: each start empties BentoML's folder of them
        own: tuple[dict[str, str], ...] = ({"FVI_CACHE_SECONDS": "0"}, {"FVI_AUTH_SECRET": _SECRET}, {})
        fresh, guarded, kept, bare = (_free_port() for _ in range(4))
        for port, settings_of_one in zip((fresh, guarded, kept), own, strict=True):
            command = [str(arguments.bentoml), "serve", "fvi:latest", "--host", "127.0.0.1", "--port", str(port)]
            before = time.perf_counter()
            pid = stack.enter_context(_started(command, environment | settings_of_one, port, Path(folder), "/readyz"))
            if port == fresh:  # alone on the machine
                _print_start(time.perf_counter() - before, pid)
        command = [sys.executable, "-c", _BARE, str(bare)]
        stack.enter_context(_started(command, environment, bare, Path(folder), "/"))
        _print_latencies(fresh, kept, guarded, bare, questions, feature, arguments.rounds)
        _print_load(kept, fresh, bare, questions, arguments.seconds)
        _print_replay(kept, servers.redis_url, questions, arguments.replay)


def _print_start(seconds: float, pid: int) -> None:
    main = psutil.Process(pid)
    processes = [main, *main.children(recursive=True)]
    resident = sum(each.memory_info().rss for each in processes) / 1e6
    Console().print(
        f"From the start to /readyz {seconds:.1f} s at load {os.getloadavg()[0]:.1f}; {len(processes)} processes, "
        f"{resident:.0f} MB resident"
    )


def _print_latencies(
    fresh: int, kept: int, guarded: int, bare: int, questions: list[dict[str, Any]], feature: str, rounds: int
) -> None:
    few = questions[:: max(len(questions) // 400, 1)]
    draw = random.Random(1)
    claims = {"sub": "benchmark", "aud": "fvi", "exp": time.time() + 3_600, "scope": "predict"}
    token = jwt.encode(claims, _SECRET, algorithm="HS256")
    what_ifs = [{**question, "features": {feature: draw.uniform(0.1, 0.9)}} for question in few]
    batch = {"requests": questions[:: max(len(questions) // 1_000, 1)][:1_000]}
    ways = {
        "bare uvicorn": (bare, [_request(bare, "/")]),
        "/livez": (kept, [_request(kept, "/livez")]),
        "/openapi.json": (kept, [_request(kept, "/openapi.json")]),
        "/predict, kept": (kept, [_request(kept, "/predict", each) for each in few]),
        "/predict, kept, with a token": (guarded, [_request(guarded, "/predict", each, token) for each in few]),
        "/predict, made": (fresh, [_request(fresh, "/predict", each) for each in few]),
        "/explain, kept": (kept, [_request(kept, "/explain", each) for each in few]),
        "/explain, stored reasons": (fresh, [_request(fresh, "/explain", each) for each in few]),
        "/explain, what-if": (fresh, [_request(fresh, "/explain", each) for each in what_ifs]),
        f"/predict_batch of {len(batch['requests']):,}, kept": (kept, [_request(kept, "/predict_batch", batch)]),
        f"/predict_batch of {len(batch['requests']):,}, made": (fresh, [_request(fresh, "/predict_batch", batch)]),
    }
    counts = {name: 1 if "batch" in name else 10 if "what-if" in name else 100 for name in ways}
    taken = _latencies(ways, counts, rounds)
    cheapest = min(_percentile(taken[name], 0.95) for name in ("/livez", "/openapi.json"))
    plain = _percentile(taken["bare uvicorn"], 0.95)
    title = f"One client, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    table = Table(
        "way", "p50, ms", "p95, ms", "p99, ms", "longest, ms", "p95 to cheapest", "p95 to uvicorn", title=title
    )
    for name, each in taken.items():
        p95 = _percentile(each, 0.95)
        cuts = [f"{_percentile(each, share):.2f}" for share in (0.5, 0.95, 0.99, 1)]
        table.add_row(name, *cuts, f"{p95 / cheapest:.2f} ×", f"{p95 / plain:.2f} ×")
    Console(width=140).print(table)


def _print_load(kept: int, fresh: int, bare: int, questions: list[dict[str, Any]], seconds: float) -> None:
    table = Table("8 clients without a break", "a second", "errors", "longest, ms", title="Throughput of one worker")
    ways = {"bare uvicorn": (bare, "/"), "/predict, kept": (kept, "/predict"), "/predict, made": (fresh, "/predict")}
    for name, (port, path) in ways.items():
        bodies = [None] if path == "/" else questions[:: max(len(questions) // 2_000, 1)]
        requests = [_request(port, path, body) for body in bodies]
        answers, errors, longest = asyncio.run(_load(port, requests, 8, seconds))
        table.add_row(name, f"{answers / seconds:,.0f}", str(errors), f"{longest:.1f}")
    Console().print(table)


def _print_replay(kept: int, redis_url: str, questions: list[dict[str, Any]], count: int) -> None:
    """Ask as people do: the n-th most popular question comes up in proportion to 1 / n; in the middle all that was kept
    becomes old, as after a materialisation.
    """
    draw = random.Random(3)
    shuffled = draw.sample(questions, len(questions))
    asked = draw.choices(shuffled, [1 / rank for rank in range(1, len(shuffled) + 1)], k=count)
    connection, started = Connection(kept), time.perf_counter()
    marks = [_hits(kept)]
    with redis.Redis.from_url(redis_url) as client:
        for number, question in enumerate(asked):
            if number == count // 2:
                with writing(client):
                    pass
            if number in (count // 2, count // 2 + _REPLAY_PER_SECOND):
                marks.append(_hits(kept))
            time.sleep(max(0.0, started + number / _REPLAY_PER_SECOND - time.perf_counter()))
            connection.milliseconds(_request(kept, "/predict", question))
    marks.append(_hits(kept))
    table = Table("requests", "kept", title=f"Replay by Zipf's law, {len(questions):,} questions, 1,000 a second")
    parts = ("before a materialisation", "in the second after it", "from then on")
    spans = [*zip(parts, marks[:-1], marks[1:], strict=True), (f"all {count:,}", marks[0], marks[-1])]
    for name, before, after in spans:
        found = [after.get(kind, 0) - before.get(kind, 0) for kind in _CACHE_COUNTERS]
        table.add_row(name, f"{found[0] / sum(found):.1%}")
    Console().print(table)


if __name__ == "__main__":
    main()
