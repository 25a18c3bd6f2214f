"""`fvi tune`: work on the study of the current training set, alone or beside others. Searching belongs to
`fvi_pipeline.model`.
"""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer
from rich.console import Console


def tune(
    trials: Annotated[
        int | None, typer.Option(min=1, max=1000, help="Trials to work towards; FVI_OPTUNA_TRIALS unless given.")
    ] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, max=256, help="Processes of this machine; FVI_TUNING_PROCESSES unless given.")
    ] = None,
) -> None:
    """Join the search for the model's parameters and help until it is finished.

    Run it beside a training, in a second terminal or on a second machine with the same training set and database, and
    the trials are shared; run it before a training, and the training finds its trials done. The result is the same.
    """
    from fvi_pipeline.features.versions import version_of
    from fvi_pipeline.model.challenger import tune_only
    from fvi_pipeline.model.errors import DatasetError
    from fvi_pipeline.model.training import TrainingSettings
    from fvi_pipeline.model.training_set import TRAINING_FILE, read_feature_service, read_rows
    from fvi_pipeline.platform.database import connect
    from fvi_pipeline.platform.environment import tool_environment
    from fvi_pipeline.platform.errors import PlatformError
    from fvi_pipeline.platform.servers import running_servers
    from fvi_pipeline.platform.settings import get_settings

    settings = get_settings()
    out = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    wanted = settings.optuna_trials if trials is None else trials
    path = settings.home / "training" / TRAINING_FILE
    started = time.monotonic()
    try:
        service = read_feature_service(path)
        with running_servers(settings) as servers:
            with connect(servers.database_url) as connection:
                features = list(version_of(connection, service).features)
            out.print(f"{wanted} trials on {path} ({service}); others may work on them too", markup=False)
            tuned = tune_only(
                read_rows(path),
                features,
                storage_url=tool_environment(settings, servers)["FVI_OPTUNA_STORAGE_URL"],
                settings=TrainingSettings(seed=settings.seed, trials=wanted),
                processes=settings.tuning_processes if processes is None else processes,
                say=lambda text: out.print(text, markup=False),
            )
    except DatasetError as error:
        raise PlatformError(str(error)) from error
    out.print(
        f"Best of {tuned.trials} trials ({tuned.pruned} given up early): log loss {tuned.stopping_log_loss:.5f} with "
        f"{tuned.rounds} trees; {time.monotonic() - started:.0f} s",
        markup=False,
    )
    if wanted != settings.optuna_trials:
        out.print(f"A training looks at the first {settings.optuna_trials}; FVI_OPTUNA_TRIALS={wanted} makes it these.")
