"""Folds in processes of their own, several at a time: LightGBM with one thread leaves the other cores to them.

`python -m fvi_pipeline.model.backtest.fold_process` is started by `folds_at_once` and by nobody else.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import polars as pl

from fvi_pipeline.model.backtest.folds import Backtest, fold_frame, fold_predictions
from fvi_pipeline.model.dataset import SplitPolicy
from fvi_pipeline.model.errors import DatasetError, ModelError
from fvi_pipeline.model.training import TrainingSettings
from fvi_pipeline.platform.settings import PROJECT_ROOT

ROWS_WORTH_A_PROCESS = 50_000
"""With fewer, a fold is done before a process has read its imports."""
_NO_FOLD = 3  # exit code: the rows do not suffice


class FoldProcessError(ModelError):
    """A process that computed a fold ended without an answer; the message has its last line."""


def folds_at_once(
    backtest: Backtest, years: Sequence[int], processes: int
) -> Iterator[tuple[int, pl.DataFrame | DatasetError]]:
    """For each T, as it gets ready, its predictions or why there are none; at most `processes` are at work.

    They are started anew and not forked, since this process may have threads, and end with it however it ends. When the
    caller stops listening, what is under way is ended and nothing else is begun.
    """
    running: set[subprocess.Popen[str]] = set()
    with tempfile.TemporaryDirectory(prefix="fvi-folds-") as name, ThreadPoolExecutor(max(1, processes)) as pool:
        started = {pool.submit(_in_process, backtest, until, Path(name), running): until for until in years}
        try:
            for done in as_completed(started):
                until = started[done]
                try:
                    yield until, done.result()
                except DatasetError as error:
                    yield until, error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in tuple(running):
                process.terminate()


def _in_process(backtest: Backtest, until: int, folder: Path, running: set[subprocess.Popen[str]]) -> pl.DataFrame:
    rows, answer = folder / f"{until}-rows.parquet", folder / f"{until}-answer.parquet"
    fold_frame(backtest, until).select(*_COLUMNS, *backtest.features).write_parquet(rows)
    job = {
        "rows": str(rows),
        "answer": str(answer),
        "until": until,
        "features": backtest.features,
        "size_feature": backtest.size_feature,
        "served_until_year": backtest.served_until_year,
        "split": backtest.split.model_dump(mode="json"),
        "settings": backtest.settings.model_dump(mode="json"),
        "horizons": backtest.horizons,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "fvi_pipeline.model.backtest.fold_process", json.dumps(job)],
        cwd=PROJECT_ROOT,
        stdin=subprocess.PIPE,  # stays open: its end is this process's end
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    running.add(process)
    try:
        errors = process.stderr.read() if process.stderr else ""
        code = process.wait()
    finally:
        running.discard(process)
    last = (errors.strip().splitlines() or ["no message"])[-1]
    if code == _NO_FOLD:
        raise DatasetError(last)
    if code:
        raise FoldProcessError(f"The fold of {until} ended with code {code}: {last}")
    return pl.read_parquet(answer)


_COLUMNS = ("mine_id", "as_of_year", "horizon_years", "outcome_year", "viable")


def main() -> None:
    """Compute the fold of the job that the first argument describes."""
    threading.Thread(target=_end_with_the_input, daemon=True).start()
    job = json.loads(sys.argv[1])
    backtest = Backtest(
        frame=pl.read_parquet(job["rows"]),
        features=tuple(job["features"]),
        size_feature=job["size_feature"],
        served_until_year=job["served_until_year"],
        split=SplitPolicy.model_validate(job["split"]),
        settings=TrainingSettings.model_validate(job["settings"]),
        horizons=tuple(job["horizons"]),
    )
    try:
        fold_predictions(backtest, job["until"]).write_parquet(job["answer"])
    except DatasetError as error:
        print(error, file=sys.stderr)
        sys.exit(_NO_FOLD)


def _end_with_the_input() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    main()
