"""Processes of this machine that help with a search: starting them, and what each does.

`python -m fvi_pipeline.model.tuning_process` is started by `helping` and by nobody else; people join a search by
`fvi tune`. What is searched for belongs in `tuning`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from fvi_pipeline.model.dataset import Part
from fvi_pipeline.model.training import TrainingSettings
from fvi_pipeline.model.tuning import Say, Search, TuningRows
from fvi_pipeline.platform.settings import PROJECT_ROOT


@contextmanager
def helping(
    count: int,
    study: str,
    rows: TuningRows,
    feature_names: list[str],
    settings: TrainingSettings,
    storage_url: str,
    say: Say,
) -> Iterator[list[int]]:
    """`count` further processes work on the study during the block; gives their process ids.

    They are started anew and not forked: this process may have threads. They end with the block, and with this
    process however it ends. One that fails is told of; its slot is taken by another.
    """
    with tempfile.TemporaryDirectory(prefix="fvi-tuning-") as name:
        folder = Path(name)
        _write(folder / "fit", rows.fit)
        _write(folder / "stopping", rows.stopping)
        job: dict[str, Any] = {
            "folder": str(folder),
            "study": study,
            "feature_names": feature_names,
            "settings": settings.model_dump(mode="json"),
            # not among the arguments, which every user of the machine can read
            "storage_url": storage_url,
        }
        errors = [folder / f"helper-{number}.log" for number in range(count)]
        processes = [_start(job, log) for log in errors]
        try:
            yield [process.pid for process in processes]
        finally:
            for process, log in zip(processes, errors, strict=True):
                code = process.poll()
                if code:
                    lines = log.read_text().strip().splitlines()
                    say(f"A process that helped ended with code {code} ({lines[-1] if lines else 'no message'}).")
                with suppress(BrokenPipeError):
                    process.communicate()  # closing its input ends it


def _start(job: dict[str, Any], log: Path) -> subprocess.Popen[str]:
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "fvi_pipeline.model.tuning_process"],
            cwd=PROJECT_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            text=True,
        )
    if process.stdin is not None:
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()
    return process


def _write(folder: Path, part: Part) -> None:
    folder.mkdir()
    part.keys.write_parquet(folder / "keys.parquet")
    np.save(folder / "features.npy", part.features)
    np.save(folder / "viable.npy", part.viable)


def _read(folder: Path) -> Part:
    return Part(
        pl.read_parquet(folder / "keys.parquet"), np.load(folder / "features.npy"), np.load(folder / "viable.npy")
    )


def main() -> None:
    """Work on the study of the job on standard input until it is finished, or until the input is closed."""
    job = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_the_input, daemon=True).start()
    folder = Path(job["folder"])
    rows = TuningRows(_read(folder / "fit"), _read(folder / "stopping"))
    settings = TrainingSettings.model_validate(job["settings"])
    Search(job["study"], rows, job["feature_names"], settings, storage_url=job["storage_url"]).finish()


def _end_with_the_input() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
