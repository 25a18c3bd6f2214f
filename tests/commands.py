"""Calling the commands as a user's shell does: in processes of their own, inheriting nothing of this one's set-up."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from fvi_pipeline.platform.settings import PROJECT_ROOT

BIN = Path(sys.executable).parent
_OURS = ("FVI_", "PG", "DAGSTER_", "DBT_", "MLFLOW_", "FEAST_", "BENTOML_")


def clean_environment(home: Path) -> dict[str, str]:
    """This process's environment without FVI's or its tools' variables, and with `home` as FVI_HOME."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    # few trials and origins: a test wants the way of the data, not the best model
    return inherited | {"FVI_HOME": str(home), "FVI_OPTUNA_TRIALS": "2", "FVI_BACKTEST_ORIGINS": "2"}


def run_fvi(environment: dict[str, str], *arguments: str, timeout: float = 600) -> subprocess.CompletedProcess[str]:
    """Run `fvi` to its end."""
    return run_tool(environment, str(BIN / "fvi"), *arguments, timeout=timeout)


def run_tool(
    environment: dict[str, str], *command: str, timeout: float = 600, cwd: Path = PROJECT_ROOT
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and keep what it printed."""
    return subprocess.run(
        command, env=environment, cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False
    )
