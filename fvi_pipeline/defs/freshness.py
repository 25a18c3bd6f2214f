"""Whether the publishers' files keep coming: dbt's source freshness as checks on the landing tables, once a day.

The limits stand in the feeds' descriptions. How old the facts are that a metric rests on belongs to its quality.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliResource

from fvi_pipeline.defs.resources import Warehouse
from fvi_pipeline.feeds.catalogue import FEEDS

CHECK_NAME = "newest_file_is_recent"
_DESCRIPTION = "How long ago the feed's newest file came: beyond its description's limits a warning, then an error."


def _checked_tables() -> dict[str, dg.AssetKey]:
    return {feed.table: dg.AssetKey(["landing", feed.table]) for feed in FEEDS.values() if feed.freshness is not None}


@dg.multi_asset_check(
    name="newest_files",
    can_subset=True,  # a run of some landing tables takes their checks along
    specs=[
        dg.AssetCheckSpec(CHECK_NAME, asset=key, description=_DESCRIPTION, blocking=False)
        for key in _checked_tables().values()
    ],
)
def source_freshness(
    context: dg.AssetCheckExecutionContext, dbt: DbtCliResource, warehouse: Warehouse
) -> Iterator[dg.AssetCheckResult]:
    """Ask dbt; a feed of which no file ever came passes, since nothing of it can grow old, and says so."""
    with warehouse.connect() as connection:
        received = connection.execute("select distinct feed from landing.files where status = 'loaded'").fetchall()
    invocation = dbt.cli(["source", "freshness"], raise_on_error=False).wait()
    results = {result["unique_id"].rsplit(".", 1)[1]: result for result in _results(invocation)}
    for feed in FEEDS.values():
        key = _checked_tables().get(feed.table)
        if key is None or dg.AssetCheckKey(key, CHECK_NAME) not in context.selected_asset_check_keys:
            continue
        if (feed.name,) not in received:
            yield dg.AssetCheckResult(
                check_name=CHECK_NAME, asset_key=key, passed=True, metadata={"status": "no file has ever come"}
            )
        else:
            yield _as_check(key, results.get(feed.table, {"status": "runtime error", "error": "not looked at"}))


def _results(invocation: Any) -> list[dict[str, Any]]:
    try:
        return list(invocation.get_artifact("sources.json")["results"])
    except FileNotFoundError as error:
        raise dg.Failure("dbt source freshness did not finish: its output is in the step's log.") from error


def _as_check(key: dg.AssetKey, result: dict[str, Any]) -> dg.AssetCheckResult:
    status = str(result["status"])
    metadata: dict[str, Any] = {"status": status}
    if "max_loaded_at" in result:
        criteria = result["criteria"]
        metadata |= {
            "newest_file_came_at": result["max_loaded_at"],
            "days_ago": round(result["max_loaded_at_time_ago_in_s"] / 86_400, 1),
            "warning_after_days": criteria["warn_after"]["count"],
            "error_after_days": criteria["error_after"]["count"],
        }
    else:
        metadata["error"] = str(result.get("error"))
    return dg.AssetCheckResult(
        check_name=CHECK_NAME,
        asset_key=key,
        passed=status == "pass",
        severity=dg.AssetCheckSeverity.WARN if status == "warn" else dg.AssetCheckSeverity.ERROR,
        metadata=metadata,
    )


CHECKS = [source_freshness]
FRESHNESS = dg.AssetSelection.checks(*(dg.AssetCheckKey(key, CHECK_NAME) for key in _checked_tables().values()))
"""These checks: they follow the clock, so the runs that take files in leave them out."""
FRESHNESS_JOB = dg.define_asset_job(
    "source_freshness", selection=FRESHNESS, description="Which publishers have sent nothing for too long."
)
FRESHNESS_SCHEDULE = dg.ScheduleDefinition(
    name="source_freshness_schedule",
    job=FRESHNESS_JOB,
    cron_schedule="0 6 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every morning: nothing else runs when no file comes, and that is what has to be noticed.",
)
