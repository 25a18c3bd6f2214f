"""Landing: files in, ledger and quarantine kept; and the sensor that looks for new ones. Parsing belongs to `feeds`."""

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from psycopg import sql

from fvi_pipeline.defs import publishers
from fvi_pipeline.defs.resources import LandingFolder, Warehouse
from fvi_pipeline.feeds.ingest import ingest_folder, is_simulated, unseen_files

_PUBLISHER_OF_TABLE = {
    "eia_coal_mines": publishers.EIA,
    "gem_coal_mines": publishers.GLOBAL_ENERGY_MONITOR,
    "gem_mine_features": publishers.GLOBAL_ENERGY_MONITOR,
    "world_bank_prices": publishers.WORLD_BANK,
    "owid_energy": publishers.OUR_WORLD_IN_DATA,
    "owid_co2": publishers.OUR_WORLD_IN_DATA,
}
FILES = dg.AssetKey(["landing", "files"])
_SETTLED_SECONDS = 5.0


def landing_key(table: str) -> dg.AssetKey:
    """Key of a landing table's asset."""
    return dg.AssetKey(["landing", table])


def row_count(table: str) -> sql.Composed:
    """The query that counts a landing table's rows."""
    return sql.SQL("select count(*) from {}").format(sql.Identifier("landing", table))


def _specs() -> list[dg.AssetSpec]:
    tables = [
        dg.AssetSpec(
            landing_key(table),
            deps=[publisher],
            group_name="landing",
            kinds={"polars", "postgres"},
            owners=["team:data"],
            description=f"Rows of feed `{table}` as the publisher's files say them, each with its file and row number.",
        )
        for table, publisher in _PUBLISHER_OF_TABLE.items()
    ]
    ledger = dg.AssetSpec(
        FILES,
        deps=sorted(set(_PUBLISHER_OF_TABLE.values())),
        group_name="landing",
        kinds={"postgres"},
        owners=["team:data"],
        description="The ledger: every file seen, its hash, when it became known, rows read, loaded, quarantined.",
    )
    return [*tables, ledger]


@dg.multi_asset(
    specs=_specs(),
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
    """Take in what is new in the landing folder, one transaction a file."""
    folder = landing_folder.folder
    with warehouse.connect() as connection:
        report = ingest_folder(
            connection,
            folder,
            simulated=is_simulated(folder),
            progress=lambda result: context.log.info(f"{result.status}: {result.name} {result.reason or ''}"),
        )
        for table in _PUBLISHER_OF_TABLE:
            rows = connection.execute(row_count(table)).fetchone()
            yield dg.MaterializeResult(
                asset_key=landing_key(table), metadata={"dagster/row_count": rows[0] if rows else 0}
            )
        ledger = connection.execute(
            "select count(*), count(*) filter (where rows_read <> rows_loaded + rows_quarantined) from landing.files"
        ).fetchone()
        files, unbalanced = ledger if ledger else (0, 0)
    yield dg.MaterializeResult(
        asset_key=FILES,
        metadata={
            "dagster/row_count": files,
            "files_new": len(report.new_files),
            "rows_read": report.rows_read,
            "rows_loaded": report.rows_loaded,
            "rows_quarantined": report.rows_quarantined,
            "landing_folder": dg.MetadataValue.path(str(folder)),
        },
    )
    yield dg.AssetCheckResult(
        check_name="rows_read_are_loaded_or_quarantined",
        asset_key=FILES,
        passed=unbalanced == 0,
        metadata={"files_unbalanced": unbalanced},
    )


def folder_state(folder: Path) -> tuple[str, float]:
    """Digest of names, sizes and times of the folder's files, and the seconds since the newest changed."""
    digest, newest = hashlib.sha256(), 0.0
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            stat = path.stat()
            digest.update(f"{path.relative_to(folder)}:{stat.st_size}:{stat.st_mtime_ns}".encode())
            newest = max(newest, stat.st_mtime)
    return digest.hexdigest(), time.time() - newest


def build_landing_sensor(job: UnresolvedAssetJobDefinition) -> dg.SensorDefinition:
    """The sensor on the landing folder; it runs `job` once for each state of the folder."""

    @dg.sensor(
        name="landing_folder_sensor",
        job=job,
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Starts the main job when the landing folder holds a file that the ledger does not have, once "
        "nothing has changed for five seconds.",
    )
    def landing_folder_sensor(
        context: dg.SensorEvaluationContext, landing_folder: LandingFolder, warehouse: Warehouse
    ) -> dg.RunRequest | dg.SkipReason:
        if not landing_folder.folder.is_dir():
            return dg.SkipReason(f"There is no landing folder at {landing_folder.folder}.")
        state, still_seconds = folder_state(landing_folder.folder)
        if state == context.cursor:
            return dg.SkipReason("Nothing in the landing folder has changed.")
        if still_seconds < _SETTLED_SECONDS:
            return dg.SkipReason("A file is still being written.")
        with warehouse.connect() as connection:
            unseen = unseen_files(connection, landing_folder.folder)
        context.update_cursor(state)
        if not unseen:
            return dg.SkipReason("Every file of the landing folder is in the ledger.")
        context.log.info(f"{len(unseen)} new file(s), the first: {unseen[0]}")
        return dg.RunRequest(run_key=state)

    return landing_folder_sensor
