"""Where a run's files come from: a folder, the simulator, or the publishers. Reading the files does not belong here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg

from fvi_pipeline.platform.environment import watched_folder
from fvi_pipeline.platform.errors import PlatformError
from fvi_pipeline.platform.settings import Settings

Say = Callable[[str], None]


@dataclass(frozen=True)
class Source:
    """A landing folder and whether its facts are drawn by the simulator."""

    folder: Path
    simulated: bool


def resolve_source(settings: Settings, wanted: str, say: Say, connection: psycopg.Connection) -> Source:
    """The landing folder for `auto`, `sample` or a path, filled if it has to be.

    `auto` downloads from the publishers; when none answers, what an earlier run took in stays, and only an empty
    warehouse falls back to the simulator, saying so.

    Raises:
        PlatformError: the folder does not exist, or real and simulated facts would end in one warehouse.
    """
    held = _warehouse_is_simulated(connection)
    if wanted == "sample":
        source = Source(_simulated_folder(settings, say), simulated=True)
    elif wanted == "auto":
        source = _auto(settings, say, held)
    else:
        folder = Path(wanted).expanduser().resolve()
        if not folder.is_dir():
            raise PlatformError(
                f"The landing folder {folder} does not exist. SOURCE takes a folder, `sample` (simulated mines) or "
                "`auto` (download from the publishers)."
            )
        source = Source(folder, simulated=_is_simulated(folder))
    if held is not None and held != source.simulated:
        kinds = ("simulated", "real") if held else ("real", "simulated")
        raise PlatformError(
            f"The warehouse in {settings.home} holds {kinds[0]} mines; {kinds[1]} ones are never mixed with them. "
            "Start an empty one with `make clean-state`, or use another folder with FVI_HOME."
        )
    return source


def _auto(settings: Settings, say: Say, held: bool | None) -> Source:
    from fvi_pipeline.feeds.download import PublishersUnreachable, download_publishers

    folder = settings.home / "publishers"
    try:
        download_publishers(folder, progress=say, keys=settings.api_keys)
    except PublishersUnreachable as error:
        if held is False and any(folder.rglob("*.*")):
            say(f"The publishers cannot be reached ({error}); going on with what was downloaded before.")
            return Source(folder, simulated=False)
        if held is False:
            remembered = watched_folder(settings)
            say(f"The publishers cannot be reached ({error}); going on with {remembered}, which was taken in before.")
            return Source(remembered, simulated=False)
        say(f"The publishers cannot be reached ({error}); falling back to SIMULATED mines (SOURCE=sample).")
        return Source(_simulated_folder(settings, say), simulated=True)
    return Source(folder, simulated=False)


def _simulated_folder(settings: Settings, say: Say) -> Path:
    from fvi_pipeline.simulator import SimulationConfig, SimulationConfigError, write_landing_folder

    folder = settings.home / "simulated"
    config = SimulationConfig(seed=settings.seed)
    if not _is_simulated(folder):
        say(f"Drawing simulated mines into {folder} (seed {settings.seed}) …")
    try:
        write_landing_folder(folder, config)
    except SimulationConfigError as error:
        raise PlatformError(f"{error} Or start an empty one with `make clean-state`.") from error
    return folder


def _is_simulated(folder: Path) -> bool:
    from fvi_pipeline.feeds.ingest import is_simulated

    return is_simulated(folder)


def _warehouse_is_simulated(connection: psycopg.Connection) -> bool | None:
    row = connection.execute("select bool_or(simulated) from landing.files where status = 'loaded'").fetchone()
    connection.rollback()  # a read must not hold a transaction open while files download
    return None if row is None or row[0] is None else bool(row[0])
