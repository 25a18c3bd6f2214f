"""A night's weights, from the exported history to the table and Redis. The steps belong to the other modules; this one
puts them in order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from fvi_pipeline.features.catalogue import IndexMetric
from fvi_pipeline.weights import store
from fvi_pipeline.weights.dynamic_weights import Weight, dynamic_weights
from fvi_pipeline.weights.engines import Engine, scan_parquet
from fvi_pipeline.weights.history import rows_to_measure
from fvi_pipeline.weights.information_gain import information_gain
from fvi_pipeline.weights.overrides import overrides_in_force

if TYPE_CHECKING:
    import redis


@dataclass(frozen=True)
class Gains:
    """Information gain of each metric (None: without a history), and on how many rows it was measured."""

    by_metric: Mapping[str, float | None]
    rows: int


def measure_gains(
    export: Path, metrics: Sequence[IndexMetric], known_at: datetime, engine: Engine, spark_master: str
) -> Gains:
    """What each metric tells, of outcomes known at a moment.

    Raises:
        EngineError: there is no export, or the engine cannot start.
    """
    with scan_parquet(export, engine, spark_master) as history:
        told = information_gain(rows_to_measure(history, known_at), [metric.name for metric in metrics])
    return Gains(dict(zip(told["metric"], told["information_gain"], strict=True)), int(told["rows"][0]))


def weigh(
    connection: psycopg.Connection, client: redis.Redis, metrics: Sequence[IndexMetric], gains: Gains, now: datetime
) -> list[Weight]:
    """Make the night's weights and put them in the table and in Redis, in one step; commits."""
    weights = dynamic_weights(
        metrics,
        store.metric_quality(connection),
        gains.by_metric,
        store.night_before(connection, now.date()),
        overrides_in_force(connection),
    )
    store.write_weights(connection, client, weights, now.date(), now)
    return weights
