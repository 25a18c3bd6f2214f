"""The metrics' history as Parquet, nightly weights and the index, with their schedule. Arithmetic is in `weights`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from fvi_pipeline.defs.features import ONLINE_INDEX, catalogue
from fvi_pipeline.defs.quality import QUALITY
from fvi_pipeline.defs.resources import Exports, OnlineStore, Warehouse
from fvi_pipeline.defs.retention import ANSWERS, PREDICTIONS
from fvi_pipeline.defs.retries import retried
from fvi_pipeline.weights import history, index_store, night, store
from fvi_pipeline.weights.index import compute_index
from fvi_pipeline.weights.movements import movements

if TYPE_CHECKING:
    from fvi_pipeline.weights.movements import Movement

HISTORY = dg.AssetKey(["exports", "metric_history"])
WEIGHTS = dg.AssetKey(["mart", "fvi_weights"])
INDEX = dg.AssetKey(["mart", "fvi_index"])
_METRICS = dg.AssetKey(["gold", "gold_mine_index_metrics"])


@dg.asset(
    key=HISTORY,
    deps=[_METRICS, dg.AssetKey(["gold", "gold_mine_outcomes"])],
    group_name="weights",
    kinds={"polars", "parquet"},
    owners=["team:model"],
    description="Each metric as first known, as its percentile among the mines of its year, with viability three years "
    "later: what information gain is measured on, by polars or by Spark.",
)
def metric_history(
    context: dg.AssetExecutionContext, warehouse: Warehouse, exports: Exports
) -> dg.MaterializeResult[None]:
    """Write it anew."""
    metrics = catalogue().index_metrics()
    path = Path(exports.folder) / history.HISTORY_FILE
    with retried(context), warehouse.connect() as connection:
        rows = history.metric_history(connection, metrics)
    history.export_history(rows, metrics, path)
    return dg.MaterializeResult(
        metadata={"dagster/row_count": rows.height, "path": dg.MetadataValue.path(path), "bytes": path.stat().st_size}
    )


@dg.asset(
    key=WEIGHTS,
    deps=[HISTORY, dg.AssetKey(["mart", "vw_metric_dq"])],
    group_name="weights",
    kinds={"polars", "postgres", "redis"},
    owners=["team:model"],
    description="Weight of each metric of the index: data quality and information gain, blended with the night before.",
)
def fvi_weights(
    context: dg.AssetExecutionContext, warehouse: Warehouse, online_store: OnlineStore, exports: Exports
) -> dg.MaterializeResult[None]:
    """Compute tonight's weights and put them in the table and in Redis."""
    import redis

    from fvi_pipeline.monitoring.pictures import as_markdown
    from fvi_pipeline.weights.pictures import history_picture

    metrics = catalogue().index_metrics()
    now = datetime.now(UTC)
    path = Path(exports.folder) / history.HISTORY_FILE
    gains = night.measure_gains(path, metrics, now, exports.engine, exports.spark_master)
    with retried(context), warehouse.connect() as connection:
        with redis.Redis.from_url(online_store.redis_url, socket_timeout=store.REDIS_SECONDS) as client:
            weights = night.weigh(connection, client, metrics, gains, now)
        nights = store.newest_nights(connection)
        shares = store.weight_history(connection)
    title = "Share of each metric in the index, by night"
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(weights),
            "rows_measured": gains.rows,
            "engine": exports.engine,
            "weights": dg.MetadataValue.md(_table(movements(nights[1][1] if len(nights) > 1 else [], nights[0][1]))),
            "history": dg.MetadataValue.md(as_markdown(history_picture(shares, title), title)),
        }
    )


def _table(moved: "list[Movement]") -> str:
    lines = ["| metric | weight | since last night | information gain | quality | why |", "|---|---|---|---|---|---|"]
    for each in moved:
        weight = each.weight
        gain = "" if weight.information_gain is None else f"{weight.information_gain:.4f}"
        change = "" if each.change is None else f"{each.change:+.4f}"
        why = "; ".join(each.reasons).replace("|", "/")
        lines.append(f"| {weight.metric} | {weight.weight:.4f} | {change} | {gain} | {weight.quality:.2f} | {why} |")
    return "\n".join(lines)


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
        current = index_store.current_metrics(connection, metrics)
        reference = index_store.mines_of_the_time(connection, current)
        index = compute_index(current, metrics, store.newest_weights(connection), reference)
        rows = index_store.write_index(connection, index, datetime.now(UTC))
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": rows,
            "mines_with_index": index["index_score"].count(),
            "mines_compared_with": reference.height,
        }
    )


@dg.asset_check(
    asset=WEIGHTS, name="weights_add_up_to_one", blocking=True, description="The newest night's shares add up to 1."
)
def weights_add_up_to_one(warehouse: Warehouse) -> dg.AssetCheckResult:
    """Add them up."""
    with warehouse.connect() as connection:
        total = sum(store.newest_weights(connection).values())
    return dg.AssetCheckResult(passed=abs(total - 1) < 1e-9, metadata={"total": total})


FOLLOWS_WEIGHTS = (WEIGHTS, INDEX, ONLINE_INDEX)
"""What an override of a weight changes, in order."""
NIGHTLY_JOB = dg.define_asset_job(
    "nightly_weights",
    selection=dg.AssetSelection.assets(QUALITY, HISTORY, *FOLLOWS_WEIGHTS, PREDICTIONS, ANSWERS),
    executor_def=dg.in_process_executor,
    description="The night's marks of quality with their report, the weights, the index, and the index in Redis; old "
    "answers leave ops.predictions. dbt has nothing to do: its tables follow the files, and the marks are a view.",
)
NIGHTLY_SCHEDULE = dg.ScheduleDefinition(
    name="nightly_weights_schedule",
    job=NIGHTLY_JOB,
    cron_schedule="0 2 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every night at 02:00 UTC.",
)
ASSETS = [metric_history, fvi_weights, fvi_index]
CHECKS = [weights_add_up_to_one]
