"""The nightly quality report, its history, and the check that stops the night before training. What the marks mean
belongs to `quality`, how they are measured to the dbt project.
"""

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from fvi_pipeline.defs.features import catalogue
from fvi_pipeline.defs.resources import Pages, QualityFloor, Warehouse
from fvi_pipeline.defs.retries import retried
from fvi_pipeline.quality import store
from fvi_pipeline.quality.marks import findings

QUALITY = dg.AssetKey(["mart", "metric_dq_history"])
_MEASURED = dg.AssetKey(["mart", "vw_metric_dq"])
_METRICS = dg.AssetKey(["gold", "gold_mine_index_metrics"])


@dg.asset(
    key=QUALITY,
    deps=[_MEASURED, _METRICS],
    group_name="mart",
    kinds={"evidently", "postgres"},
    owners=["team:data"],
    description="Marks of quality of every metric, night by night, and the night's report as an HTML page.",
)
def metric_dq_history(
    context: dg.AssetExecutionContext, warehouse: Warehouse, pages: Pages, quality_floor: QualityFloor
) -> dg.MaterializeResult[None]:
    """Record the night's marks and write the report."""
    from fvi_pipeline.quality.distributions import compare
    from fvi_pipeline.quality.page import Report, marks_table, write_page

    now = datetime.now(UTC)
    landing = _landing_columns()
    with retried(context), warehouse.connect() as connection:
        marks = store.current_marks(connection)
        store.record_night(connection, marks, now.date(), now)
        night_before, before = store.newest_night(connection, before=now.date())
        files = store.files_in_force(connection, landing)
        panel_now, panel_before = store.panel_years(connection, list(landing))
    low = findings(marks, quality_floor.floor, landing, files)
    distributions = compare(panel_now, panel_before)
    path = write_page(
        Path(pages.folder),
        Report(now.date(), quality_floor.floor, marks, low, files, night_before, before, distributions),
    )
    metadata: dict[str, dg.MetadataValue] = {
        "dagster/row_count": dg.MetadataValue.int(len(marks)),
        "report": dg.MetadataValue.url(path.as_uri()),
        "path": dg.MetadataValue.path(path),
        "marks": dg.MetadataValue.md(marks_table(marks)),
        "metrics_below_the_floor": dg.MetadataValue.int(len(low)),
    }
    if distributions is not None:
        metadata["metrics_that_moved"] = dg.MetadataValue.json(list(distributions.moved))
    return dg.MaterializeResult(metadata=metadata)


@dg.asset_check(
    asset=QUALITY,
    name="quality_is_above_the_floor",
    blocking=True,
    description="Every metric that a loaded file should state has FVI_QUALITY_FLOOR of 100 or more; below it "
    "nothing is trained.",
)
def quality_is_above_the_floor(
    context: dg.AssetCheckExecutionContext, warehouse: Warehouse, quality_floor: QualityFloor
) -> dg.AssetCheckResult:
    """Judge the newest recorded night, and say which metric fails, in what, and why."""
    landing = _landing_columns()
    with warehouse.connect() as connection:
        night, marks = store.newest_night(connection)
        low = findings(marks, quality_floor.floor, landing, store.files_in_force(connection, landing))
    if not low:
        return dg.AssetCheckResult(passed=True, metadata={"night": str(night), "floor": quality_floor.floor})
    heading = (
        f"Data quality is below {quality_floor.floor:g} of 100 for {len(low)} metric(s): the night stops before "
        "training. Correct or replace the files, or lower FVI_QUALITY_FLOOR if these data have to do."
    )
    reasons = [str(finding) for finding in low]
    # where the run is watched, not only where its check is looked up
    context.log.error("\n".join([heading, *reasons]))
    return dg.AssetCheckResult(
        passed=False,
        description=heading,
        metadata={
            "night": str(night),
            "floor": quality_floor.floor,
            "metrics": dg.MetadataValue.json([finding.metric for finding in low]),
            "reasons": dg.MetadataValue.md("\n".join(f"- {reason}" for reason in reasons)),
        },
    )


def _landing_columns() -> dict[str, tuple[str, ...]]:
    return {metric.name: metric.landing for metric in catalogue().index_metrics()}


ASSETS = [metric_dq_history]
CHECKS = [quality_is_above_the_floor]
