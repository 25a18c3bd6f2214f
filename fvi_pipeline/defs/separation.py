"""The test of the dynamic weights, with its schedule. What is measured belongs to `weights.separation`."""

from datetime import UTC, datetime

import dagster as dg

from fvi_pipeline.defs.features import catalogue
from fvi_pipeline.defs.model import STUDIES
from fvi_pipeline.defs.resources import Warehouse
from fvi_pipeline.weights.errors import WeightsError
from fvi_pipeline.weights.history import metric_history
from fvi_pipeline.weights.separation import Separated, separation
from fvi_pipeline.weights.separation_store import write_separation

SEPARATION = dg.AssetKey(["mart", "index_separation"])


@dg.asset(
    key=SEPARATION,
    deps=[dg.AssetKey(["gold", "gold_mine_index_metrics"]), dg.AssetKey(["gold", "gold_mine_outcomes"])],
    group_name=STUDIES,
    kinds={"polars", "postgres"},
    owners=["team:model"],
    description="Whether the index with dynamic weights tells viable mines from the others better than with equal or "
    "base weights, on years that the weights never saw.",
)
def index_separation(warehouse: Warehouse) -> dg.MaterializeResult[None]:
    """Measure it on the whole history and keep it."""
    try:
        measured = measure(warehouse)
    except WeightsError as error:
        raise dg.Failure(str(error)) from error
    return dg.MaterializeResult(metadata=described(measured))


def measure(warehouse: Warehouse) -> list[Separated]:
    """Measure it and keep it in mart.index_separation.

    Raises:
        WeightsError: the history is too short.
    """
    metrics = catalogue().index_metrics()
    with warehouse.connect() as connection:
        history = metric_history(connection, metrics)
        # nothing is held open while it is measured
        connection.commit()
        measured = separation(history, metrics)
        write_separation(connection, measured, datetime.now(UTC))
    return measured


def described(measured: list[Separated]) -> dict[str, dg.MetadataValue]:
    """The table, the verdict and the picture for Dagster."""
    from fvi_pipeline.monitoring.pictures import as_markdown
    from fvi_pipeline.weights.pictures import separation_picture
    from fvi_pipeline.weights.separation_report import separation_table, verdict

    return {
        "dagster/row_count": dg.MetadataValue.int(len(measured)),
        "verdict": dg.MetadataValue.text(verdict(measured)),
        "table": dg.MetadataValue.md(separation_table(measured)),
        "picture": dg.MetadataValue.md(as_markdown(separation_picture(measured), "AUC by year and weighting")),
    }


JOB = dg.define_asset_job(
    "index_separation",
    selection=dg.AssetSelection.assets(SEPARATION),
    executor_def=dg.in_process_executor,
    description="The index with dynamic weights beside equal and base ones.",
)
SCHEDULE = dg.ScheduleDefinition(
    name="index_separation_schedule",
    job=JOB,
    cron_schedule="0 4 * * 0",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Sundays at 04:00 UTC.",
)
STUDY_ASSETS = [index_separation]
