"""Nightly: answers that are older than the settings want leave ops.predictions and ops.answers. How is said in
`serving.retention`."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from fvi_pipeline.defs.resources import Warehouse
from fvi_pipeline.defs.retries import retried
from fvi_pipeline.platform.settings import get_settings

if TYPE_CHECKING:
    import psycopg

PREDICTIONS = dg.AssetKey(["ops", "prediction_retention"])
ANSWERS = dg.AssetKey(["ops", "answer_retention"])


@dg.asset(
    key=PREDICTIONS,
    group_name="monitoring",
    kinds={"postgres"},
    owners=["team:service"],
    description="Deletes from ops.predictions what was answered more than FVI_PREDICTION_DAYS ago and has no feedback.",
)
def prediction_retention(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult[None]:
    """Delete them, in parts."""
    from fvi_pipeline.serving.retention import delete_predictions

    return _deleted(context, warehouse, get_settings().prediction_days, delete_predictions)


@dg.asset(
    key=ANSWERS,
    group_name="monitoring",
    kinds={"postgres"},
    owners=["team:service"],
    description="Deletes from ops.answers what was answered more than FVI_ANSWER_DAYS ago and has no feedback.",
)
def answer_retention(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult[None]:
    """Delete them, in parts."""
    from fvi_pipeline.serving.retention import delete_answers

    return _deleted(context, warehouse, get_settings().answer_days, delete_answers)


def _deleted(
    context: dg.AssetExecutionContext,
    warehouse: Warehouse,
    days: int,
    delete: "Callable[[psycopg.Connection, datetime], int]",
) -> dg.MaterializeResult[None]:
    if days == 0:
        return dg.MaterializeResult(metadata={"rows_deleted": 0, "kept_for": "ever"})
    with retried(context), warehouse.connect() as connection:
        deleted = delete(connection, datetime.now(UTC) - timedelta(days=days))
    return dg.MaterializeResult(metadata={"rows_deleted": deleted, "kept_for": f"{days} days"})


ASSETS = [prediction_retention, answer_retention]
