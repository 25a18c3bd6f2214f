"""The libraries' own chatter, which is no output of a command. What a command prints belongs to the command."""

from __future__ import annotations

import logging
import warnings

_TALKATIVE = ("alembic", "mlflow", "optuna", "feast", "httpx", "sentence_transformers", "dagster")


def quiet_libraries() -> None:
    """Send warnings and notices of the libraries to Dagster's logs or nowhere."""
    warnings.filterwarnings("ignore")
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.ERROR)
