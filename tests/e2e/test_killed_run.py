"""kill -9 at many points of the run, then the same command again: the tables end equal to an undisturbed run's."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from fvi_pipeline.platform.database import connect
from fvi_pipeline.platform.servers import running_servers
from fvi_pipeline.platform.settings import PROJECT_ROOT
from tests.commands import BIN, clean_environment, run_fvi
from tests.conftest import embedded_settings
from tests.e2e.snapshot import warehouse_snapshot

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo")]

# the sign in the output after which the run is killed, and how much later
KILL_POINTS = [
    ("▶ Files into landing", 0.4),
    ("▶ dbt:", 9.0),
    ("▶ evidence: chunk embeddings", 5.0),
    ("▶ feature store: online features", 0.1),
    ("▶ mart: fvi weights", 0.1),
    ("▶ Challenger trained", 3.0),
    ("▶ Challenger trained", 6.0),
    ("▶ Scores and reasons", 0.2),
    ("▶ serving: bento", 1.0),
]


def _run_until_killed(environment: dict[str, str], source: Path, sign: str, seconds_later: float) -> bool:
    process = subprocess.Popen(
        [str(BIN / "fvi"), "run", "--source", str(source)],
        env=environment,
        cwd=PROJECT_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if sign in line:
            try:
                process.wait(seconds_later)
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
                return True
    process.wait()
    return False


def test_killed_anywhere_the_next_run_ends_in_the_same_tables(
    tmp_path_factory: pytest.TempPathFactory, simulated, demo
) -> None:
    folder, _ = simulated
    with running_servers(demo.settings) as servers, connect(servers.database_url) as connection:
        undisturbed = warehouse_snapshot(connection)
    home = tmp_path_factory.mktemp("killed-home")
    environment = clean_environment(home)
    killed = [sign for sign, later in KILL_POINTS if _run_until_killed(environment, folder, sign, later)]
    assert len(killed) >= 5, f"killed only at {killed}"
    result = run_fvi(environment, "run", "--source", str(folder))
    assert result.returncode == 0, result.stdout + result.stderr
    with running_servers(embedded_settings(home)) as servers, connect(servers.database_url) as connection:
        resumed = warehouse_snapshot(connection)
    different = {name for name in undisturbed.keys() | resumed.keys() if undisturbed.get(name) != resumed.get(name)}
    assert not different, {name: (undisturbed.get(name), resumed.get(name)) for name in different}
