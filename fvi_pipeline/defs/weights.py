"""Nightly weights and the index, with their schedule. Arithmetic belongs to `weights`."""

from datetime import UTC, datetime

import dagster as dg

from fvi_pipeline.defs.features import ONLINE_INDEX, catalogue
from fvi_pipeline.defs.quality import QUALITY
from fvi_pipeline.defs.resources import OnlineStore, Warehouse
from fvi_pipeline.defs.retries import retried
from fvi_pipeline.weights import store
from fvi_pipeline.weights.dynamic_weights import dynamic_weights
from fvi_pipeline.weights.index import compute_index
from fvi_pipeline.weights.information_gain import information_gain

WEIGHTS = dg.AssetKey(["mart", "fvi_weights"])
INDEX = dg.AssetKey(["mart", "fvi_index"])
_METRICS = dg.AssetKey(["gold", "gold_mine_index_metrics"])


@dg.asset(
    key=WEIGHTS,
    deps=[_METRICS, dg.AssetKey(["gold", "gold_mine_outcomes"]), dg.AssetKey(["mart", "vw_metric_dq"])],
    group_name="weights",
    kinds={"polars", "postgres", "redis"},
    owners=["team:model"],
    description="Weight of each metric of the index: data quality and information gain, blended with the night before.",
)
def fvi_weights(
    context: dg.AssetExecutionContext, warehouse: Warehouse, online_store: OnlineStore
) -> dg.MaterializeResult[None]:
    """Compute tonight's weights and put them in the table and in Redis."""
    import redis

    metrics = catalogue().index_metrics()
    now = datetime.now(UTC)
    with retried(context), warehouse.connect() as connection:
        history = store.metric_history(connection, metrics, now)
        gains = information_gain(history, [metric.name for metric in metrics])
        weights = dynamic_weights(
            metrics,
            store.metric_quality(connection),
            dict(zip(gains["metric"], gains["information_gain"], strict=True)),
            store.night_before(connection, now.date()),
        )
        with redis.Redis.from_url(online_store.redis_url) as client:
            store.write_weights(connection, client, weights, now.date(), now)
    lines = []
    for weight in sorted(weights, key=lambda each: -each.weight):
        gain = "" if weight.information_gain is None else f"{weight.information_gain:.4f}"
        lines.append(f"| {weight.metric} | {weight.weight:.4f} | {gain} | {weight.quality:.2f} |")
    table = "\n".join(["| metric | weight | information gain | quality |", "|---|---|---|---|", *lines])
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(weights),
            "rows_measured": history.height,
            "weights": dg.MetadataValue.md(table),
        }
    )


@dg.asset(
    key=INDEX,
    deps=[WEIGHTS, _METRICS],
    group_name="weights",
    kinds={"polars", "postgres"},
    owners=["team:model"],
    description="The transparent index of every mine, 0-100, with its coverage and each pillar's part.",
)
def fvi_index(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult[None]:
    """Compute the index of every mine with the weights in force."""
    metrics = catalogue().index_metrics()
    with retried(context), warehouse.connect() as connection:
        index = compute_index(store.current_metrics(connection, metrics), metrics, store.newest_weights(connection))
        rows = store.write_index(connection, index, datetime.now(UTC))
    return dg.MaterializeResult(metadata={"dagster/row_count": rows, "mines_with_index": index["index_score"].count()})


@dg.asset_check(
    asset=WEIGHTS, name="weights_add_up_to_one", blocking=True, description="The newest night's shares add up to 1."
)
def weights_add_up_to_one(warehouse: Warehouse) -> dg.AssetCheckResult:
    """Add them up."""
    with warehouse.connect() as connection:
        total = sum(store.newest_weights(connection).values())
    return dg.AssetCheckResult(passed=abs(total - 1) < 1e-9, metadata={"total": total})


NIGHTLY_JOB = dg.define_asset_job(
    "nightly_weights",
    selection=dg.AssetSelection.assets(QUALITY, WEIGHTS, INDEX, ONLINE_INDEX),
    executor_def=dg.in_process_executor,
    description="The night's marks of quality with their report, the weights, the index, and the index in Redis. "
    "dbt has nothing to do: its tables follow the files, and the marks are a view.",
)
NIGHTLY_SCHEDULE = dg.ScheduleDefinition(
    name="nightly_weights_schedule",
    job=NIGHTLY_JOB,
    cron_schedule="0 2 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every night at 02:00 UTC.",
)
ASSETS = [fvi_weights, fvi_index]
CHECKS = [weights_add_up_to_one]
