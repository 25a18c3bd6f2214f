"""One run: take in what is new, materialise what depends on it, and note that it is done.

Stages are Dagster's; this module chooses which of them have to run, shows progress, and makes a killed run good again.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import psycopg
from dagster import DagsterEventType, DagsterInstance, DagsterRunStatus, RunsFilter
from dagster._core.events.log import EventLogEntry

from fvi_pipeline.definitions import MAIN_JOB, build_defs
from fvi_pipeline.defs.companions import CLOSING_YEARS, PRODUCTION_FORECASTS, STATUS_FORECASTS
from fvi_pipeline.defs.evidence import CHUNKS, FEEDS_OF_DOCUMENTS
from fvi_pipeline.defs.features import ONLINE_INDEX
from fvi_pipeline.defs.model import EXPLANATIONS, REASONS, SCORES, STUDIES
from fvi_pipeline.defs.online_answers import ONLINE_ANSWERS, online_of
from fvi_pipeline.defs.replay import GROUP as POINT_IN_TIME
from fvi_pipeline.defs.serving import BENTO
from fvi_pipeline.defs.weights import INDEX
from fvi_pipeline.feeds.ingest import unseen_files
from fvi_pipeline.model.companions.predictor import PRODUCTION_MODEL, STATUS_MODEL
from fvi_pipeline.model.scoring import MODEL_NAME
from fvi_pipeline.platform.database import connect
from fvi_pipeline.platform.servers import Servers, status
from fvi_pipeline.platform.settings import Settings
from fvi_pipeline.run.inputs import changed_feeds, code_digest, input_digests, record_refreshed
from fvi_pipeline.run.lock import only_run
from fvi_pipeline.run.meter import Meter, StageRun
from fvi_pipeline.run.source import Source

Say = Callable[[str], None]
_STAGE_TITLES = {
    "landing": "Files into landing",
    "landing__wiki_pages": "Changed pages of GEM's wiki",
    "documents": "Documents into chunks",
    "generated_documents": "Fact sheets, and pages about the system",
    "warehouse": "dbt: bronze, silver, gold, marts, and their tests",
    "training": "Challenger trained and tested, and the gate",
    "mart__backtest_predictions": "The model tested from other origins",
    "segments": "Mines in segments",
    "fvi_scores": "Scores and reasons",
    "companions": "Models of next year's production and status, and the gate",
    "mart__production_forecasts": "Next year's production",
    "mart__status_forecasts": "Next year's status",
    "mart__closing_years": "Likely closing years",
}
_LONG_STAGES = ("training", "mart__backtest_predictions")
"""Stages of a minute and more: what they tell of their progress is shown."""

_PREDICTED_WITH = {
    MODEL_NAME: (SCORES, REASONS, EXPLANATIONS, ONLINE_ANSWERS, CLOSING_YEARS, online_of(CLOSING_YEARS), BENTO),
    PRODUCTION_MODEL: (PRODUCTION_FORECASTS, online_of(PRODUCTION_FORECASTS)),
    STATUS_MODEL: (STATUS_FORECASTS, online_of(STATUS_FORECASTS)),
}


@dataclass(frozen=True)
class TakenFile:
    """One file as the ledger has it."""

    name: str
    feed: str | None
    status: str
    reason: str | None
    rows_read: int
    rows_loaded: int
    rows_quarantined: int


class RunFailed(RuntimeError):
    """A stage failed; the message names it, its error and what to do."""


@dataclass
class RunReport:
    """What a run did: the files it saw for the first time, the feeds that had changed, and its stages."""

    run_id: str | None = None
    files: list[TakenFile] = field(default_factory=list)
    refreshed: list[str] = field(default_factory=list)
    stages: list[StageRun] = field(default_factory=list)


def run_pipeline(settings: Settings, servers: Servers, source: Source, say: Say) -> RunReport:
    """Take in what is new in the source and materialise what depends on it; nothing new costs nothing.

    Raises:
        RunFailed: a stage failed; what was finished before it stays, and the next run goes on from there.
        PlatformError: another run is under way.
    """
    with connect(servers.database_url, autocommit=True) as connection, only_run(connection):
        code = code_digest(settings)
        report = RunReport()
        unseen = unseen_files(connection, source.folder)
        pending = changed_feeds(connection, input_digests(connection, code))
        if not unseen and not pending:
            return report
        server_pids = [server.pid for server in status(settings) if server.pid is not None]
        with Meter(server_pids) as meter, DagsterInstance.get() as instance:
            _close_killed_runs(instance)
            definitions = build_defs(settings=settings)
            report.run_id = str(uuid.uuid4())
            log = settings.home / "logs" / "run.log"
            say(f"{len(unseen)} new file(s) in {source.folder}; what the tools say goes to {log}")
            before = _last_file_id(connection)
            _execute(definitions, instance, report.run_id, dg.AssetSelection.groups("landing"), meter, say, log)
            report.files = _files_since(connection, before)
            digests = input_digests(connection, code)
            report.refreshed = changed_feeds(connection, digests)
            if not digests:
                raise RunFailed(_nothing_loaded(source, report.files))
            if report.refreshed:
                selection = _downstream_of(report.refreshed)
                _execute(definitions, instance, str(uuid.uuid4()), selection, meter, say, log)
                record_refreshed(connection, digests)
            report.stages = meter.stages
            _record_stages(connection, report)
        return report


def follows_from(model_name: str) -> dg.AssetSelection:
    """What is predicted with the champion of a model, and served."""
    return dg.AssetSelection.assets(*_PREDICTED_WITH[model_name])


def change_champion(settings: Settings, servers: Servers, say: Say, model_name: str, change: Callable[[], str]) -> None:
    """Let `change` move the champion of a model while no run is under way, and materialise what `follows_from` it.

    Args:
        settings: of the home.
        servers: that answer now.
        say: shows progress.
        model_name: the registered model.
        change: moves the alias and returns the version that reigns.

    Raises:
        RunFailed: a stage failed; the champion is the new one all the same.
        PlatformError: another run is under way; nothing was changed.
    """

    def reign() -> str:
        version = change()
        say(f"Version {version} is the champion of {model_name}.")
        # the same command would change the champion once more
        return f"run `fvi promote {version} --model {model_name} --reason REASON`: it is the champion already"

    _change_and_follow(settings, servers, say, reign, follows_from(model_name))


def change_weights(settings: Settings, servers: Servers, say: Say, change: Callable[[], None]) -> None:
    """Let `change` change the weights in force while no run is under way, and compute the index with them.

    Raises:
        RunFailed: the index could not be computed; the weights are the new ones all the same.
        PlatformError: another run is under way; nothing was changed.
    """

    def weigh() -> str:
        change()
        return "materialise mart/fvi_index and what follows it; tonight's run does it too"

    _change_and_follow(settings, servers, say, weigh, dg.AssetSelection.assets(INDEX, ONLINE_INDEX))


def _change_and_follow(
    settings: Settings, servers: Servers, say: Say, change: Callable[[], str], selection: dg.AssetSelection
) -> None:
    with (
        connect(servers.database_url, autocommit=True) as connection,
        only_run(connection),
        Meter([]) as meter,
        DagsterInstance.get() as instance,
    ):
        definitions = build_defs(settings=settings)
        again = change()
        log = settings.home / "logs" / "run.log"
        _execute(definitions, instance, str(uuid.uuid4()), selection, meter, say, log, again)


def _downstream_of(feeds: list[str]) -> dg.AssetSelection:
    everything = dg.AssetSelection.all() - dg.AssetSelection.groups("landing", "publishers", POINT_IN_TIME, STUDIES)
    if set(feeds) <= FEEDS_OF_DOCUMENTS:
        chunks = dg.AssetSelection.assets(CHUNKS)
        return chunks.downstream() - dg.AssetSelection.groups("landing")
    return everything


def _execute(
    definitions: dg.Definitions,
    instance: DagsterInstance,
    run_id: str,
    selection: dg.AssetSelection,
    meter: Meter,
    say: Say,
    log: Path,
    again: str = "run the same command again",
) -> None:
    job = definitions.resolve_job_def(MAIN_JOB)
    keys = selection.resolve(definitions.resolve_asset_graph())
    failures: list[str] = []

    def on_event(entry: EventLogEntry) -> None:
        event = entry.dagster_event
        if event is None:
            if int(entry.level) >= logging.WARNING:
                say(f"! {entry.user_message}")
            elif int(entry.level) == logging.INFO and entry.step_key in _LONG_STAGES:
                say(f"  {entry.user_message}")
            return
        stage = str(event.step_key)
        if event.event_type == DagsterEventType.STEP_START:
            meter.begin(stage)
            say(f"▶ {_title(stage)} …")
        elif event.event_type == DagsterEventType.STEP_UP_FOR_RETRY:
            say(f"↻ {_title(stage)}: {event.message}")
        elif event.event_type in (DagsterEventType.STEP_SUCCESS, DagsterEventType.STEP_FAILURE):
            done = meter.end()
            if done is not None:
                mark = "✓" if event.event_type == DagsterEventType.STEP_SUCCESS else "✗"
                say(f"{mark} {_title(stage)}: {done.seconds:.1f} s, {done.peak_memory_megabytes:,.0f} MB")
            if event.event_type == DagsterEventType.STEP_FAILURE:
                error = event.step_failure_data.error
                failures.append(f"{stage}: {error.message.strip() if error else 'no message'}{_cause(error)}")

    instance.add_event_listener(run_id, on_event)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as chatter, redirect_stdout(chatter), redirect_stderr(chatter):
        result = job.execute_in_process(
            instance=instance,
            run_id=run_id,
            asset_selection=sorted(keys),
            raise_on_error=False,
            tags={"fvi/started_by": "fvi run"},
        )
    if not result.success:
        details = "\n".join(failures) or "a blocking check failed"
        raise RunFailed(
            f"Stage failed: {details}\nWhat was finished before it is kept. Look at run {run_id} in the Dagster UI "
            f"(`make dev`), then {again}."
        )


def _title(stage: str) -> str:
    return _STAGE_TITLES.get(stage, stage.replace("__", ": ").replace("_", " "))


def _cause(error: object) -> str:
    cause = getattr(error, "cause", None)
    return f" ← {cause.message.strip()}" if cause is not None else ""


def _close_killed_runs(instance: DagsterInstance) -> None:
    """We hold the run lock, so a run of ours that still says STARTED was killed."""
    open_statuses = [DagsterRunStatus.STARTED, DagsterRunStatus.STARTING, DagsterRunStatus.NOT_STARTED]
    for run in instance.get_runs(RunsFilter(statuses=open_statuses, tags={"fvi/started_by": "fvi run"})):
        instance.report_run_failed(run, "The process of this run was killed; a later run took over.")


def _last_file_id(connection: psycopg.Connection) -> int:
    row = connection.execute("select coalesce(max(file_id), 0) from landing.files").fetchone()
    return int(row[0]) if row else 0


def _files_since(connection: psycopg.Connection, file_id: int) -> list[TakenFile]:
    rows = connection.execute(
        "select name, feed, status, reason, rows_read, rows_loaded, rows_quarantined from landing.files "
        "where file_id > %s order by file_id",
        [file_id],
    ).fetchall()
    return [TakenFile(*row) for row in rows]


def _nothing_loaded(source: Source, files: list[TakenFile]) -> str:
    reasons = "\n".join(f"  {file.name}: {file.reason}" for file in files if file.status != "loaded")
    return (
        f"Nothing could be loaded from {source.folder}. It should hold eia_coal/, gem/, world_bank/, owid/ or "
        f"documents/ with publishers' files.\n{reasons}"
    )


def _record_stages(connection: psycopg.Connection, report: RunReport) -> None:
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(
            "insert into ops.stage_runs (run_id, stage, started_at, seconds, peak_memory_megabytes) "
            "values (%s, %s, %s, %s, %s) on conflict do nothing",
            [
                (report.run_id, stage.stage, stage.started_at, stage.seconds, stage.peak_memory_megabytes)
                for stage in report.stages
            ],
        )
