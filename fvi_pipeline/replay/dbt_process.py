"""dbt for a replay: its arguments, and the process that runs it. What is known when is in the dbt project."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from fvi_pipeline.platform.settings import Settings
from fvi_pipeline.replay.errors import ReplayError
from fvi_pipeline.replay.moment import Moment

_MADE = re.compile(r"(\d+ of \d+) OK (?:created|loaded) .*?\b\w+_replay\.(\w+)[ .]*\[(.*)\]")
_LINES_OF_AN_ERROR = 15


def replay_variables(moment: Moment) -> dict[str, object]:
    """The vars that `macros/as_of.sql` reads."""
    return {"as_of": moment.at.isoformat(), "as_received": moment.as_received}


def replay_arguments(moment: Moment) -> list[str]:
    """Gold and what it is made of, from scratch; no tests: they are about the live tables."""
    kinds = [argument for kind in ("model", "seed") for argument in ("--resource-type", kind)]
    variables = json.dumps(replay_variables(moment))
    return ["build", "--full-refresh", *kinds, "--select", "+path:models/gold", "--vars", variables]


def dbt_process(settings: Settings, say: Callable[[str], None]) -> Callable[[Sequence[str]], None]:
    """dbt in a process that ends with this one and shares its environment; `say` hears of each table."""
    project = str(settings.dbt_project_dir)
    command = [str(Path(sys.executable).parent / "fvi-dbt")]
    # a folder of its own: other vars would make the next ordinary dbt parse the whole project again
    target = str(settings.home / "dbt" / "replay")
    places = ["--project-dir", project, "--profiles-dir", project, "--target-path", target]

    def run(arguments: Sequence[str]) -> None:
        lines: list[str] = []
        with subprocess.Popen(
            [*command, *arguments, *places, "--no-use-colors"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            for line in process.stdout or ():
                lines.append(line.rstrip())
                if made := _MADE.search(line):
                    say(f"  {made[1]} {made[2]}: {made[3].lower()}")
                elif line.startswith("fvi-dbt:"):  # it waits for another one
                    say(line.rstrip())
        if process.returncode != 0:
            tail = "\n".join(lines[-_LINES_OF_AN_ERROR:])
            raise ReplayError(f"dbt could not make the replay; its log is in {settings.home / 'dbt' / 'logs'}.\n{tail}")

    return run
