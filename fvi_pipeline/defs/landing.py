"""Landing: files in, ledger and quarantine kept; and the sensor that looks for new ones. Parsing belongs to `feeds`."""

import contextlib
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
from psycopg import sql

from fvi_pipeline.defs.publishers import publisher_key
from fvi_pipeline.defs.resources import LandingFolder, Warehouse
from fvi_pipeline.defs.retries import retried
from fvi_pipeline.defs.years import IN_ONE_RUN, YEARS, chosen_years, note_years
from fvi_pipeline.feeds.arrivals import is_partial_name, still_arriving
from fvi_pipeline.feeds.catalogue import FEEDS
from fvi_pipeline.feeds.ingest import ingest_folder, is_simulated, unseen_files
from fvi_pipeline.feeds.report import IngestReport
from fvi_pipeline.feeds.retake import retake_periods
from fvi_pipeline.platform.database import is_locked
from fvi_pipeline.run.lock import RUN_LOCK as RUN_LOCK

FILES = dg.AssetKey(["landing", "files"])
_ACCOUNTS = {
    "files": "The ledger: every file seen, its hash, when it became known, rows read, loaded, quarantined.",
    "quarantine": "Rows that could not be loaded, whole, each with its reason.",
    "rejected_values": "Single unreadable or impossible values of rows that were loaded.",
}
"""Tables about every file, whichever feed takes it."""
_YEARLY_FEED = "eia_coal_mines"
_SETTLED_SECONDS = 5.0
_SENSOR_SECONDS = 15


def landing_key(table: str) -> dg.AssetKey:
    """Key of a landing table's asset."""
    return dg.AssetKey(["landing", table])


def row_count(table: str) -> sql.Composed:
    """The query that counts a landing table's rows."""
    return sql.SQL("select count(*) from {}").format(sql.Identifier("landing", table))


def _specs() -> list[dg.AssetSpec]:
    tables = [
        dg.AssetSpec(
            landing_key(feed.table),
            deps=[publisher_key(feed.publisher)],
            group_name="landing",
            kinds={"polars", "postgres"},
            owners=["team:data"],
            skippable=True,
            partitions_def=YEARS if name == _YEARLY_FEED else None,
            description=feed.summary
            or f"Rows of feed `{name}` as the publisher's files say them, each with its file and row number.",
        )
        for name, feed in FEEDS.items()
    ]
    accounts = [
        dg.AssetSpec(
            landing_key(table),
            deps=sorted({publisher_key(feed.publisher) for feed in FEEDS.values()}),
            group_name="landing",
            kinds={"postgres"},
            owners=["team:data"],
            skippable=True,
            description=description,
        )
        for table, description in _ACCOUNTS.items()
    ]
    return [*tables, *accounts]


@dg.multi_asset(
    specs=_specs(),
    can_subset=True,
    backfill_policy=IN_ONE_RUN,
    check_specs=[
        dg.AssetCheckSpec(
            "rows_read_are_loaded_or_quarantined",
            asset=FILES,
            blocking=True,
            description="For every file: rows_read = rows_loaded + rows_quarantined.",
        )
    ],
)
def landing(
    context: dg.AssetExecutionContext, warehouse: Warehouse, landing_folder: LandingFolder
) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    """Take in what is new in the landing folder, one transaction a file; a backfill reads its years again."""
    folder = landing_folder.folder
    # the accounts are about every file, also about those that no feed takes
    accounts = [table for table in _ACCOUNTS if landing_key(table) in context.selected_asset_keys]
    selected = [name for name, feed in FEEDS.items() if landing_key(feed.table) in context.selected_asset_keys]
    with retried(context), warehouse.connect() as connection:
        arriving = still_arriving(folder)
        for name in sorted(arriving):
            context.log.warning(f"{name} is still being written: the next run takes it in.")
        report = ingest_folder(
            connection,
            folder,
            feeds=None if accounts else selected,
            leave=arriving,
            simulated=is_simulated(folder),
            progress=lambda result: context.log.info(f"{result.status}: {result.name} {result.reason or ''}"),
        )
        years = chosen_years(context)
        for name in selected:
            feed = FEEDS[name]
            metadata: dict[str, Any] = {"dagster/row_count": _rows_loaded(connection, name)}
            if name == _YEARLY_FEED and years:
                retaken = retake_periods(connection, folder, feed, [str(year) for year in years])
                metadata["years"] = {each.period: each.reason for each in retaken}
            elif name == _YEARLY_FEED:
                note_years(context, landing_key(feed.table), _years_taken(connection, report, name))
            yield dg.MaterializeResult(asset_key=landing_key(feed.table), metadata=metadata)
        for table in accounts:
            yield from _account(connection, table, report, folder)


def _rows_loaded(connection: psycopg.Connection, feed: str) -> int:
    # the ledger knows: counting the rows would cost more each year
    row = connection.execute(
        "select coalesce(sum(rows_loaded), 0)::bigint from landing.files where feed = %s and status = 'loaded'", [feed]
    ).fetchone()
    return int(row[0]) if row else 0


def _years_taken(connection: psycopg.Connection, report: IngestReport, feed: str) -> list[int]:
    file_ids = [file.file_id for file in report.new_files if file.feed == feed and file.status == "loaded"]
    rows = connection.execute(
        "select distinct period::int from landing.files where file_id = any(%s) and period is not null", [file_ids]
    ).fetchall()
    return [int(row[0]) for row in rows]


def _account(
    connection: psycopg.Connection, table: str, report: IngestReport, folder: Path
) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    rows = connection.execute(row_count(table)).fetchone()
    metadata: dict[str, Any] = {"dagster/row_count": rows[0] if rows else 0}
    if landing_key(table) != FILES:
        yield dg.MaterializeResult(asset_key=landing_key(table), metadata=metadata)
        return
    metadata |= {
        "files_new": len(report.new_files),
        "rows_read": report.rows_read,
        "rows_loaded": report.rows_loaded,
        "rows_quarantined": report.rows_quarantined,
        "landing_folder": dg.MetadataValue.path(str(folder)),
    }
    yield dg.MaterializeResult(asset_key=FILES, metadata=metadata)
    unbalanced = connection.execute(
        "select count(*) from landing.files where rows_read <> rows_loaded + rows_quarantined"
    ).fetchone()
    yield dg.AssetCheckResult(
        check_name="rows_read_are_loaded_or_quarantined",
        asset_key=FILES,
        passed=unbalanced == (0,),
        metadata={"files_unbalanced": unbalanced[0] if unbalanced else None},
    )


def folder_state(folder: Path) -> str:
    """Digest of names, sizes and times of the folder's files, but for those whose name says that they are not whole."""
    return _stamps(path for path in sorted(folder.rglob("*")) if not is_partial_name(path.name))


def _stamps(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with contextlib.suppress(OSError):  # it went away while we looked
            if path.is_file():
                stat = path.stat()
                digest.update(f"{path}:{stat.st_size}:{stat.st_mtime_ns}".encode(errors="replace"))
    return digest.hexdigest()


def build_landing_sensor(job: dg.JobDefinition) -> dg.SensorDefinition:
    """The sensor on the landing folder; it runs `job` once for each state of the folder."""

    @dg.sensor(
        name="landing_folder_sensor",
        job=job,
        minimum_interval_seconds=_SENSOR_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Starts the main job when the landing folder holds a whole file that the ledger does not have: one "
        f"that nobody writes and that has not changed for {_SETTLED_SECONDS:.0f} seconds.",
    )
    def landing_folder_sensor(
        context: dg.SensorEvaluationContext, landing_folder: LandingFolder, warehouse: Warehouse
    ) -> dg.RunRequest | dg.SkipReason:
        folder = landing_folder.folder
        if not folder.is_dir():
            return dg.SkipReason(f"There is no landing folder at {folder}.")
        state = folder_state(folder)
        if state == context.cursor:
            return dg.SkipReason("Nothing in the landing folder has changed.")
        arriving = still_arriving(folder, settle_seconds=_SETTLED_SECONDS)
        with warehouse.connect() as connection:
            if is_locked(connection, RUN_LOCK):
                return dg.SkipReason("`fvi run` is under way and takes in what there is.")
            unseen = unseen_files(connection, folder, leave=arriving)
        waiting = f"{len(arriving)} file(s) are still being written, the first: {min(arriving)}" if arriving else ""
        if not unseen:
            if arriving:
                return dg.SkipReason(f"{waiting}.")
            context.update_cursor(state)
            return dg.SkipReason("Every file of the landing folder is in the ledger.")
        if not arriving:
            # with files still to come, the folder is looked at again even if they end as they stand now
            context.update_cursor(state)
        context.log.info(f"{len(unseen)} new file(s), the first: {unseen[0]}. {waiting}")
        return dg.RunRequest(run_key=_stamps(folder / name for name in unseen))

    return landing_folder_sensor
