"""What the pipeline costs beside a plain script that does the same work: time and peak memory per stage, and the ratio.

Both run on the same files in this one call, the pipeline in an empty home, so the ratio stands on a noisy machine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from fvi_pipeline.platform.database import connect
from fvi_pipeline.platform.servers import running_servers
from fvi_pipeline.platform.settings import PROJECT_ROOT, Settings

_FOREIGN = ("FVI_", "PG", "DAGSTER_", "DBT_", "MLFLOW_", "FEAST_", "BENTOML_")


def main() -> None:
    """Run both and print the table; `--json` adds the figures for machines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", default="auto", help="landing folder; `auto` or `sample`: simulated files")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fvi-bench-") as scratch:
        folder = _landing_folder(arguments.source, Path(scratch))
        plain = _plain_script(folder)
        pipeline_seconds, stages = _pipeline(folder, Path(scratch) / "home")
    _print(plain, pipeline_seconds, stages)
    if arguments.json:
        print(json.dumps({"plain": plain, "pipeline_seconds": pipeline_seconds, "stages": stages}))


def _landing_folder(source: str, scratch: Path) -> Path:
    if source not in ("auto", "sample"):
        return Path(source).resolve()
    from fvi_pipeline.simulator import SimulationConfig, write_landing_folder

    write_landing_folder(scratch / "landing", SimulationConfig())
    return scratch / "landing"


def _plain_script(folder: Path) -> dict[str, float]:
    """Median wall time of three runs after one that warms the disk cache, and the peak memory it reports."""
    command = [sys.executable, str(PROJECT_ROOT / "benchmarks" / "plain_script.py"), str(folder)]
    seconds, peaks = [], []
    for _ in range(4):
        start = time.monotonic()
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        seconds.append(time.monotonic() - start)
        peaks.append(float(_last_json(output)["peak_memory_megabytes"]))
    return {"seconds": statistics.median(seconds[1:]), "peak_memory_megabytes": max(peaks)}


def _last_json(output: str) -> dict[str, float]:
    start = output.rfind("\n{")
    answer = json.loads(output[start + 1 :])
    if not isinstance(answer, dict):
        raise TypeError("the plain script must end with a JSON object")
    return answer


def _pipeline(folder: Path, home: Path) -> tuple[float, list[tuple[str, float, float]]]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    environment["FVI_HOME"] = str(home)
    command = [str(Path(sys.executable).parent / "fvi"), "run", "--source", str(folder)]
    start = time.monotonic()
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    seconds = time.monotonic() - start
    settings = Settings(home=home, database_url=None, redis_url=None)
    with running_servers(settings) as servers, connect(servers.database_url) as connection:
        stages = connection.execute(
            "select stage, seconds, peak_memory_megabytes from ops.stage_runs order by started_at"
        ).fetchall()
    return seconds, [(str(stage), float(took), float(peak)) for stage, took, peak in stages]


def _print(plain: dict[str, float], pipeline_seconds: float, stages: list[tuple[str, float, float]]) -> None:
    table = Table("stage", "seconds", "peak memory, MB", title="Pipeline beside the plain script, same files, same run")
    for stage, seconds, peak in stages:
        table.add_row(stage, f"{seconds:.1f}", f"{peak:,.0f}")
    peak = max((stage[2] for stage in stages), default=0.0)
    table.add_section()
    table.add_row("pipeline, whole process", f"{pipeline_seconds:.1f}", f"{peak:,.0f}")
    table.add_row("plain script, whole process", f"{plain['seconds']:.1f}", f"{plain['peak_memory_megabytes']:,.0f}")
    ratio = f"{pipeline_seconds / plain['seconds']:.1f} ×"
    table.add_row("ratio", ratio, f"{peak / plain['peak_memory_megabytes']:.1f} ×")
    Console().print(table)


if __name__ == "__main__":
    main()
