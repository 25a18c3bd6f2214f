"""Gold as of a day of the past: a partition in the UI. The rebuilding and the comparison belong to `replay`.

A replay is asked for, by a person or a backfill: it stands outside the main job, the schedules and automation.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from pathlib import Path

import dagster as dg
from dagster_dbt import DbtCliResource

from fvi_pipeline.defs.features import FEATURE_HISTORY
from fvi_pipeline.defs.landing import FILES
from fvi_pipeline.defs.resources import Warehouse
from fvi_pipeline.defs.retries import retried
from fvi_pipeline.platform.dbt_manifest import project_digest
from fvi_pipeline.platform.settings import get_settings
from fvi_pipeline.replay.dbt_process import dbt_process
from fvi_pipeline.replay.moment import Moment
from fvi_pipeline.replay.rebuild import Replay, replay

GROUP = "point_in_time"
GOLD_AS_OF = dg.AssetKey(["replay", "gold_as_of"])
CHECK_NAME = "replay_equals_history"
# the panel's first file became known on the first of these days; the last one is today
DAYS = dg.DailyPartitionsDefinition(start_date="1984-10-01", end_offset=1)


@dg.asset(
    key=GOLD_AS_OF,
    deps=[FILES, FEATURE_HISTORY],
    partitions_def=DAYS,
    group_name=GROUP,
    kinds={"dbt", "postgres"},
    owners=["team:data"],
    description="Gold as it was known at the end of a day, made from scratch in schemas of its own "
    "(gold_as_of_20151001, and silver and bronze). `fvi run --as-of DATE --drop` removes them.",
    check_specs=[
        dg.AssetCheckSpec(
            CHECK_NAME,
            asset=GOLD_AS_OF,
            description="What is made anew is what is stored about that time, row for row and bit for bit.",
        )
    ],
)
def gold_as_of(
    context: dg.AssetExecutionContext, warehouse: Warehouse, dbt: DbtCliResource
) -> Iterator[dg.MaterializeResult[None]]:
    """Rebuild gold from what was known at the end of the partition's day, and compare it with the stored history."""
    moment = Moment(datetime.combine(date.fromisoformat(context.partition_key), time.max, UTC))
    project = Path(dbt.project_dir)
    run_dbt = dbt_process(get_settings(), context.log.info)
    with retried(context), warehouse.connect(autocommit=True) as connection:
        made = replay(connection, moment, project_digest(project), run_dbt, context.log.info)
    yield dg.MaterializeResult(
        metadata=_metadata(made),
        check_results=[
            dg.AssetCheckResult(
                check_name=CHECK_NAME, passed=made.equal, severity=_severity(made), metadata=_check_metadata(made)
            )
        ],
    )


def note_replay(made: Replay) -> None:
    """Tell Dagster of a replay of a day that was made without it, so that the partition shows it."""
    if not made.moment.is_whole_day or made.moment.as_received:
        return
    day = made.moment.at.date().isoformat()
    with dg.DagsterInstance.get() as instance:
        instance.report_runless_asset_event(
            dg.AssetMaterialization(asset_key=GOLD_AS_OF, partition=day, metadata=_metadata(made))
        )
        instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                asset_key=GOLD_AS_OF,
                check_name=CHECK_NAME,
                passed=made.equal,
                severity=_severity(made),
                # without the partition: Dagster (1.13) keeps one evaluation of each that belongs to no run
                metadata={"day": dg.MetadataValue.text(day), **_check_metadata(made)},
            )
        )


def _severity(made: Replay) -> dg.AssetCheckSeverity:
    """What could not be compared is no proof of anything, and no fault either."""
    return dg.AssetCheckSeverity.ERROR if made.differs else dg.AssetCheckSeverity.WARN


def _metadata(made: Replay) -> dict[str, dg.MetadataValue]:
    newest = made.newest_fact
    return {
        "schemas": dg.MetadataValue.json(list(made.schemas)),
        "rows": dg.MetadataValue.json(made.rows),
        "newest_fact_known_at": dg.MetadataValue.text(newest[0].isoformat() if newest else "none"),
        "seconds": dg.MetadataValue.float(round(made.seconds, 1)),
    }


def _check_metadata(made: Replay) -> dict[str, dg.MetadataValue]:
    counts = {
        table.table: {
            "stored": table.stored_rows,
            "replayed": table.replayed_rows,
            "stored_only": table.stored_only,
            "replayed_only": table.replayed_only,
        }
        for table in made.comparison
    }
    return {
        "tables": dg.MetadataValue.json(counts),
        "first_difference": dg.MetadataValue.text(made.first_difference or "none"),
        "not_compared": dg.MetadataValue.text(made.not_compared or "everything was compared"),
    }


JOB = dg.define_asset_job(
    "replay_gold_as_of",
    selection=dg.AssetSelection.assets(GOLD_AS_OF),
    executor_def=dg.in_process_executor,
    description="Gold as it was known at the end of a day of the past, beside the live tables.",
)
ASSETS = [gold_as_of]
