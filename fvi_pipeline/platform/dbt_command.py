"""`fvi-dbt`: dbt that ends when the run that started it ends, kill -9 included. It adds nothing to what dbt
does.

Without it, a killed run leaves its dbt behind, which goes on building tables under the next run's feet.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    """Ask the kernel (on Linux) for SIGKILL at the parent's death, then become dbt."""
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit("fvi-dbt: the run that started this dbt has ended")
    dbt = Path(sys.executable).parent / "dbt"
    os.execv(dbt, [str(dbt), *sys.argv[1:]])  # noqa: S606  (a path of this environment, no shell)
