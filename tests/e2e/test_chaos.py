"""Chaos: the run, its children or PostgreSQL killed at twenty random points; the same command makes it good.

The points are drawn with a seed from the stages of an undisturbed run, each at a random part of its length. After five
of them a home is finished by the same command, undisturbed, and its tables are compared with the undisturbed run's;
the next points get a fresh home.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import psutil
import pytest

from fvi_pipeline.platform.database import connect
from fvi_pipeline.platform.postgres import EmbeddedPostgres
from fvi_pipeline.platform.processes import processes_in
from fvi_pipeline.platform.servers import down, running_servers
from fvi_pipeline.platform.settings import PROJECT_ROOT
from tests.commands import BIN, clean_environment, run_fvi
from tests.conftest import Demo, embedded_settings
from tests.e2e.snapshot import warehouse_snapshot

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo")]

SEED = int(os.environ.get("FVI_CHAOS_SEED", "20240401"))
POINTS = int(os.environ.get("FVI_CHAOS_POINTS", "20"))
POINTS_PER_HOME = 5
_START = "start of the servers"
_START_SECONDS = 3.0
_GIVES_UP_SECONDS = 300


@dataclass(frozen=True)
class Stage:
    """A stage as the run's output names it, and how long it took undisturbed."""

    title: str
    seconds: float


@dataclass(frozen=True)
class Point:
    """What is killed, and when: some seconds into a stage."""

    victim: str
    stage: str
    seconds_later: float


class Disturbed:
    """One `fvi run` in a process of its own, and what it has printed so far."""

    def __init__(self, home: Path, source: Path) -> None:
        self.home = home
        self.process = subprocess.Popen(
            [str(BIN / "fvi"), "run", "--source", str(source)],
            env=clean_environment(home),
            cwd=PROJECT_ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # so that its children can be killed with it, and nobody else
        )
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def reaches(self, sign: str) -> bool:
        """Wait until the output holds the sign; False when the run ends without it."""
        with self._news:
            self._news.wait_for(lambda: self._ended or any(sign in line for line in self.lines))
            return any(sign in line for line in self.lines)

    def ends_within(self, seconds: float) -> bool:
        """Whether the run ends by itself in that time."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
            return True
        return False

    def output(self) -> str:
        """All that it printed; call it once the run has ended."""
        self._reader.join(30)
        return "".join(self.lines)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line)
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()


def _kill_run(run: Disturbed) -> None:
    run.process.kill()


def _kill_run_and_children(run: Disturbed) -> None:
    os.killpg(run.process.pid, signal.SIGKILL)


def _kill_postgres(run: Disturbed) -> None:
    while run.process.poll() is None:
        pid = EmbeddedPostgres(run.home).pid()
        if pid is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                psutil.Process(pid).kill()
            return


def _kill_everything(run: Disturbed) -> None:
    """As when the machine loses power."""
    os.killpg(run.process.pid, signal.SIGKILL)
    for folder, name in (("postgres", "postgres"), ("valkey", "valkey-server")):
        for process in processes_in(run.home / folder, name):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


_VICTIMS: dict[str, Callable[[Disturbed], None]] = {
    "the run": _kill_run,
    "the run with its children": _kill_run_and_children,
    "PostgreSQL": _kill_postgres,
    "everything": _kill_everything,
}


def _stages(output: str) -> list[Stage]:
    found = re.findall(r"^✓ (.+): ([\d.]+) s, ", output, re.MULTILINE)
    return [Stage(_START, _START_SECONDS), *(Stage(title, float(seconds)) for title, seconds in found)]


def _drawn(random: Random, stages: list[Stage]) -> Point:
    # PostgreSQL alone as often as the three ways together in which the run dies
    victim = random.choice(["PostgreSQL"] * 3 + [name for name in _VICTIMS if name != "PostgreSQL"])
    stage = random.choice(stages)
    return Point(victim, stage.title, random.random() * stage.seconds)


def _kills(point: Point, home: Path, source: Path) -> bool:
    """Run until the point and kill; whether that was before the run had come to its end."""
    run = Disturbed(home, source)
    in_time = (point.stage == _START or run.reaches(f"▶ {point.stage} …")) and not run.ends_within(point.seconds_later)
    if in_time:
        _VICTIMS[point.victim](run)
    assert run.ends_within(_GIVES_UP_SECONDS), f"{point}: the run neither ends nor fails\n{run.output()}"
    output = run.output()
    assert "Traceback" not in output, f"{point}\n{output}"
    if point.victim == "PostgreSQL":  # the run was the last to use it, and leaves none of its children behind
        assert not processes_in(home / "postgres", "postgres"), point
    return in_time and run.process.returncode != 0


def _assert_ends_as(undisturbed: dict[str, tuple[int, str]], home: Path, source: Path, points: list[Point]) -> None:
    result = run_fvi(clean_environment(home), "run", "--source", str(source))
    assert result.returncode == 0, f"{points}\n{result.stdout}{result.stderr}"
    with running_servers(embedded_settings(home)) as servers, connect(servers.database_url) as connection:
        ended = warehouse_snapshot(connection)
    different = {name for name in undisturbed.keys() | ended.keys() if undisturbed.get(name) != ended.get(name)}
    assert not different, (points, {name: (undisturbed.get(name), ended.get(name)) for name in different})
    down(embedded_settings(home), force=True)


def test_killed_at_random_points_the_same_command_ends_in_the_same_tables(
    tmp_path_factory: pytest.TempPathFactory, demo: Demo
) -> None:
    with running_servers(demo.settings) as servers, connect(servers.database_url) as connection:
        undisturbed = warehouse_snapshot(connection)
    random = Random(SEED)
    stages = _stages(demo.first_output)
    assert len(stages) > 10, demo.first_output
    killed = 0
    while killed < POINTS:
        home = tmp_path_factory.mktemp("chaos-home")
        points: list[Point] = []
        while killed < POINTS and len(points) < POINTS_PER_HOME:
            point = _drawn(random, stages)
            if not _kills(point, home, demo.landing):  # the home is finished, and the point does not count
                break
            print(f"{killed + 1}: {point}")
            points.append(point)
            killed += 1
        _assert_ends_as(undisturbed, home, demo.landing, points)
