"""`fvi-dbt`: dbt that ends when the run that started it ends, kill -9 included, and that waits for another dbt which is
building the same tables. It adds nothing else to what dbt does.

Without it, a killed run leaves its dbt behind, which goes on building tables under the next run's feet; and two at once
drop each other's views or wait for each other for ever (dbt-core #2801).
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import sys
from pathlib import Path

DBT_LOCK = "fvi.dbt"
"""Held in the database by whoever lets dbt make tables: FVI_HOME is not the only place to start it from."""
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_WRITING = frozenset({"build", "clone", "retry", "run", "run-operation", "seed", "snapshot", "test"})
"""Commands that write tables, or test what another one may be writing."""


def main() -> None:
    """Ask the kernel (on Linux) for SIGKILL at the parent's death, wait for our turn, then become dbt."""
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit("fvi-dbt: the run that started this dbt has ended")
    if _WRITING.intersection(sys.argv[1:]):
        _wait_for_our_turn()
    dbt = Path(sys.executable).parent / "dbt"
    os.execv(dbt, [str(dbt), *sys.argv[1:]])  # noqa: S606  (a path of this environment, no shell)


def _wait_for_our_turn() -> None:
    """Lock FVI_HOME/dbt/build.lock for as long as this process lives: the kernel frees it, however dbt ends."""
    from fvi_pipeline.platform.settings import get_settings

    folder = get_settings().home / "dbt"
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / "build.lock", os.O_RDWR | os.O_CREAT, 0o600)
    os.set_inheritable(lock, True)  # dbt keeps it open without knowing
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("fvi-dbt: another dbt is at work in this FVI_HOME; waiting for it", file=sys.stderr, flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)
