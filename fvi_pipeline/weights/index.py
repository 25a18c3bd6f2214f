"""The transparent index: metrics normalised, weighted, and shown pillar by pillar. No storing here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import polars as pl

from fvi_pipeline.features.catalogue import PILLARS, IndexMetric
from fvi_pipeline.weights.errors import WeightsError
from fvi_pipeline.weights.normalisation import percentiles

KEYS = ("mine_id", "as_of_year", "event_timestamp", "created_timestamp")


@dataclass(frozen=True)
class MetricPart:
    """What one metric brings to one mine's index.

    `value` is in the metric's own unit, `normalised` is 0 (worst) to 1 (best) among the mines of the time, `points` the
    part of the score; null where the mine has no value. `weight` is the metric's share of the weights of all metrics.
    """

    metric: IndexMetric
    value: float | None
    normalised: float | None
    weight: float
    points: float | None


def compute_index(
    frame: pl.DataFrame,
    metrics: Sequence[IndexMetric],
    weights: Mapping[str, float],
    reference: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """The index of each row of `frame` (KEYS and the metrics): index_score, coverage, and `<pillar>_points`.

    A metric is normalised to its percentile among the rows of `reference` (without one: of `frame`) that have it;
    where less is better, it is turned round. The score is the weighted mean over the metrics that the mine
    has, times 100; coverage is the share of the weights that these metrics have. The points of the pillars
    add up to the score; a pillar of which the mine has no metric has null points. A mine without any metric
    has a null score and coverage 0.

    Raises:
        WeightsError: a metric has no weight.
    """
    _refuse_unweighted(metrics, weights)
    normalised = _normalised(frame, frame if reference is None else reference, metrics)
    present = _sum(
        pl.when(pl.col(metric.name).is_not_null()).then(weights[metric.name]).otherwise(0.0) for metric in metrics
    )
    weight_of_all = sum(weights[metric.name] for metric in metrics)
    scored = normalised.with_columns(present.alias("_weight_present")).with_columns(
        _points([metric for metric in metrics if metric.pillar == pillar], weights).alias(f"{pillar}_points")
        for pillar in PILLARS
    )
    total = _sum(pl.col(f"{pillar}_points") for pillar in PILLARS).clip(0.0, 100.0)
    return scored.select(
        *KEYS,
        pl.when(pl.col("_weight_present") > 0).then(total).alias("index_score"),
        (pl.col("_weight_present") / weight_of_all).clip(0.0, 1.0).alias("coverage"),
        *[f"{pillar}_points" for pillar in PILLARS],
    )


def metric_parts(
    row: pl.DataFrame, reference: pl.DataFrame, metrics: Sequence[IndexMetric], weights: Mapping[str, float]
) -> list[MetricPart]:
    """What each metric brings to the index of the one mine in `row`, in the order of the metrics; the points add up to
    its score.

    Raises:
        WeightsError: a metric has no weight.
    """
    _refuse_unweighted(metrics, weights)
    normalised = _normalised(row, reference, metrics).row(0, named=True)
    values = row.row(0, named=True)
    present = sum(weights[metric.name] for metric in metrics if normalised[metric.name] is not None)
    total = sum(weights[metric.name] for metric in metrics)
    return [
        MetricPart(
            metric=metric,
            value=values[metric.name],
            normalised=normalised[metric.name],
            weight=weights[metric.name] / total,
            points=None
            if normalised[metric.name] is None
            else 100 * normalised[metric.name] * weights[metric.name] / present,
        )
        for metric in metrics
    ]


def _refuse_unweighted(metrics: Sequence[IndexMetric], weights: Mapping[str, float]) -> None:
    without = [metric.name for metric in metrics if metric.name not in weights]
    if without:
        raise WeightsError(f"There is no weight for {', '.join(without)}. Compute the night's weights first.")


def _normalised(frame: pl.DataFrame, reference: pl.DataFrame, metrics: Sequence[IndexMetric]) -> pl.DataFrame:
    placed = percentiles(frame, reference, [metric.name for metric in metrics])
    return placed.with_columns((1 - pl.col(m.name)).alias(m.name) for m in metrics if not m.higher_is_better)


def _points(metrics: Sequence[IndexMetric], weights: Mapping[str, float]) -> pl.Expr:
    if not metrics:
        return pl.lit(None, dtype=pl.Float64)
    known = pl.any_horizontal(pl.col(metric.name).is_not_null() for metric in metrics)
    weighted = _sum(pl.col(metric.name) * weights[metric.name] for metric in metrics)
    return pl.when(known & (pl.col("_weight_present") > 0)).then(weighted * 100 / pl.col("_weight_present"))


def _sum(values: Iterable[pl.Expr]) -> pl.Expr:
    """The values added from left to right, nulls as 0.

    `sum_horizontal` adds in the order in which threads finish: the last bit would differ from run to run.
    """
    return reduce(add, (value.fill_null(0.0) for value in values))
