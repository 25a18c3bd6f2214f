"""What the trials of a training take: two processes that give up poor trials, beside one that finishes every trial.

Both search the same space on the same training set in this one call, each in a study of its own, so the ratio stands on
a noisy machine. Fifty trials on the real panel are to take less than ten minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl
import psycopg
from rich.console import Console
from rich.table import Table

from fvi_pipeline.model import tuning
from fvi_pipeline.model.challenger import tune_only
from fvi_pipeline.model.dataset import KEY_COLUMNS
from fvi_pipeline.model.training import TrainingSettings, Tuned
from fvi_pipeline.model.training_set import TRAINING_FILE, read_rows
from fvi_pipeline.platform.bootstrap import bootstrap
from fvi_pipeline.platform.database import with_search_path
from fvi_pipeline.platform.servers import running_servers
from fvi_pipeline.platform.settings import Settings

_FOREIGN = ("FVI_", "PG", "DAGSTER_", "DBT_", "MLFLOW_", "FEAST_", "BENTOML_")
_NOT_FEATURES = {*KEY_COLUMNS, "viable", "event_timestamp"}
_PROMISED_SECONDS = 600


def main() -> None:
    """Search both ways and print the table; `--json` adds the figures for machines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", default="sample", help="landing folder; `auto` or `sample`: simulated files")
    parser.add_argument("--training-set", type=Path, help="the file of a run that was, instead of one of the source")
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fvi-bench-") as scratch:
        path = arguments.training_set or _training_set(arguments.source, Path(scratch) / "pipeline")
        rows = read_rows(path)
        settings = Settings(home=Path(scratch) / "home", database_url=None, redis_url=None)
        with running_servers(settings) as servers:
            with psycopg.connect(servers.database_url) as connection:
                bootstrap(connection)
            url = with_search_path(servers.database_url, "optuna")
            together = _search(rows, url, arguments.trials, arguments.processes, pruning=True)
            alone = _search(rows, url, arguments.trials, 1, pruning=False)
    _print(rows.height, arguments.trials, arguments.processes, together, alone)
    if arguments.json:
        figures = {"trials": arguments.trials, "processes": arguments.processes, "rows": rows.height}
        print(json.dumps({**figures, "seconds": together[0], "seconds_alone_without_pruning": alone[0]}))


def _training_set(source: str, home: Path) -> Path:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    environment |= {"FVI_HOME": str(home), "FVI_OPTUNA_TRIALS": "1", "FVI_BACKTEST_ORIGINS": "1"}
    command = [str(Path(sys.executable).parent / "fvi"), "run"]
    folder = "sample" if source == "auto" else source
    subprocess.run([*command, "--source", folder], check=True, env=environment, stdout=subprocess.DEVNULL)
    return home / "training" / TRAINING_FILE


def _search(rows: pl.DataFrame, url: str, trials: int, processes: int, *, pruning: bool) -> tuple[float, Tuned]:
    features = [name for name in rows.columns if name not in _NOT_FEATURES]
    warm_up = tuning.WARM_UP_ROUNDS
    # a seed of its own makes a study of its own
    settings = TrainingSettings(seed=1 if pruning else 2, trials=trials)
    tuning.WARM_UP_ROUNDS = warm_up if pruning else settings.maximum_rounds + 1
    started = time.monotonic()
    tuned = tune_only(rows, features, storage_url=url, settings=settings, processes=processes)
    tuning.WARM_UP_ROUNDS = warm_up
    return time.monotonic() - started, tuned


def _print(rows: int, trials: int, processes: int, together: tuple[float, Tuned], alone: tuple[float, Tuned]) -> None:
    title = f"{trials} trials on a training set of {rows:,} rows"
    table = Table("search", "seconds", "given up", "best log loss", title=title)
    for name, (seconds, tuned) in (
        (f"{processes} processes, poor trials given up", together),
        ("1 process, every trial finished", alone),
    ):
        table.add_row(name, f"{seconds:.1f}", str(tuned.pruned), f"{tuned.stopping_log_loss:.5f}")
    table.add_section()
    table.add_row("ratio", f"{alone[0] / together[0]:.2f} ×", "", "")
    Console().print(table)
    kept = "kept" if together[0] < _PROMISED_SECONDS else "NOT KEPT"
    Console().print(f"The promise of less than {_PROMISED_SECONDS} s is {kept}.")


if __name__ == "__main__":
    main()
