"""Nightly: answers that are older than the settings want leave ops.predictions. How is said in `serving.retention`."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from fvi_pipeline.defs.resources import Warehouse
from fvi_pipeline.defs.retries import retried
from fvi_pipeline.platform.settings import get_settings

RETENTION = dg.AssetKey(["ops", "prediction_retention"])


@dg.asset(
    key=RETENTION,
    group_name="monitoring",
    kinds={"postgres"},
    owners=["team:service"],
    description="Deletes from ops.predictions what was answered more than FVI_PREDICTION_DAYS ago and has no feedback.",
)
def prediction_retention(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult[None]:
    """Delete them, in parts."""
    from fvi_pipeline.serving.retention import delete_predictions

    days = get_settings().prediction_days
    if days == 0:
        return dg.MaterializeResult(metadata={"rows_deleted": 0, "kept_for": "ever"})
    with retried(context), warehouse.connect() as connection:
        deleted = delete_predictions(connection, datetime.now(UTC) - timedelta(days=days))
    return dg.MaterializeResult(metadata={"rows_deleted": deleted, "kept_for": f"{days} days"})


ASSETS = [prediction_retention]
