"""How much a metric as known at t tells of viability at t+3, on whichever engine holds the rows.

One set of expressions counts, on polars or on Spark; what is made of the counts is arithmetic on a few integers a
metric, so that every engine gives the same numbers. Which rows are counted belongs to `history`, on which engine to
`engines`, and what becomes of the gains to `dynamic_weights`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl
from narwhals.stable.v2.typing import IntoFrame, IntoLazyFrame

from fvi_pipeline.weights.errors import WeightsError

BINS = 10
_VALUE, _POSITION, _METRIC, _LABEL = "value", "position", "metric", "label"
# an engine plans a query of some hundred sums at once, not of thousands
_METRICS_A_QUERY = 20
_ROWS_SEEN = 1000


@dataclass(frozen=True)
class Cell:
    """How many rows of one bin there are, and how many of them are viable."""

    rows: int
    viable: int


@dataclass(frozen=True)
class _Step:
    """A bin begins with the values above `at`, or with `at` itself."""

    at: float
    inclusive: bool


def information_gain(
    frame: IntoFrame | IntoLazyFrame | nw.LazyFrame[Any],
    metrics: Sequence[str],
    label: str = "viable",
    bins: int = BINS,
) -> pl.DataFrame:
    """Mutual information between each binned metric and the label, as a share of the label's entropy.

    A metric with up to `bins` different values has one bin per value. Those of any other end with its quantiles:
    existing values (Hyndman and Fan 1996, definition 1), equal values in one bin; a value that fills more than one
    bin's share has a bin of its own. Missing values are one bin more. The estimate is corrected by Miller and Madow's
    term (Miller 1955: (cells - bins - labels + 1) / 2N, occupied ones counted) and kept within 0 and 1.

    Args:
        frame: one row per mine and year, of polars or of Spark; `metrics` numeric (null and NaN are missing), `label`
            boolean or 0/1 without nulls.
        metrics: columns to measure.
        label: column of the outcome.
        bins: number of quantile bins.

    Returns:
        metric, information_gain in [0, 1] (null if the metric has no value at all, or the label has one value
        only), rows.

    Raises:
        WeightsError: the label holds nulls.
    """
    lazy = nw.from_native(frame).lazy().select(*map(_cleaned, metrics), nw.col(label).cast(nw.Int8).alias(_LABEL))
    if lazy.implementation.is_polars():
        # polars would read, filter and clean the rows again for each of the queries that follow
        lazy = lazy.collect().lazy()
    whole, present = _totals(lazy, metrics, label)
    results = []
    for some in _batches([metric for metric in metrics if present[metric]]):
        steps = _steps(lazy, {metric: present[metric] for metric in some}, bins)
        results += [(metric, share_told(cells, whole)) for metric, cells in _cells(lazy, steps, whole).items()]
    told = dict(results)
    return pl.DataFrame(
        [(metric, told.get(metric), whole.rows) for metric in metrics],
        schema={_METRIC: pl.String, "information_gain": pl.Float64, "rows": pl.Int64},
        orient="row",
    )


def share_told(cells: Sequence[Cell], whole: Cell) -> float | None:
    """The share of the label's entropy that the bin of a row tells; None where the label has one value only."""
    entropy = -sum(_share_log(part, whole.rows) for part in _labels(whole))
    if entropy == 0:
        return None
    occupied = [cell for cell in cells if cell.rows]
    joint = [part for cell in occupied for part in _labels(cell)]
    nats = (
        entropy
        - sum(_share_log(cell.rows, whole.rows) for cell in occupied)
        + sum(_share_log(part, whole.rows) for part in joint)
    )
    spurious = (sum(part > 0 for part in joint) - len(occupied) - 2 + 1) / (2 * whole.rows)
    return min(1.0, max(0.0, (nats - spurious) / entropy))


def _labels(cell: Cell) -> tuple[int, int]:
    return cell.viable, cell.rows - cell.viable


def _share_log(part: int, rows: int) -> float:
    return part / rows * math.log(part / rows) if part else 0.0


def _cleaned(metric: str) -> nw.Expr:
    value = nw.col(metric).cast(nw.Float64)
    return nw.when(~value.is_nan()).then(value).alias(metric)


def _totals(lazy: nw.LazyFrame[Any], metrics: Sequence[str], label: str) -> tuple[Cell, dict[str, int]]:
    counted = lazy.select(
        nw.len().alias("rows"),
        nw.col(_LABEL).sum().alias("viable"),
        nw.col(_LABEL).count().alias("labelled"),
        *(nw.col(metric).count().alias(f"of {metric}") for metric in metrics),
    )
    row = _collected(counted).row(0, named=True)
    if row["labelled"] < row["rows"]:
        raise WeightsError(f"{label} holds nulls. Leave out the rows whose outcome is not known.")
    return Cell(row["rows"], row["viable"] or 0), {metric: row[f"of {metric}"] for metric in metrics}


def _steps(lazy: nw.LazyFrame[Any], present: dict[str, int], bins: int) -> dict[str, list[_Step]]:
    """Where the bins of each metric begin, ascending."""
    # in whole numbers: a product of floats may fall on either side of a row
    positions = {metric: [-(-known * k // bins) - 1 for k in range(1, bins)] for metric, known in present.items()}
    ends = _collected(
        nw.concat(
            [
                _in_order(lazy.select(nw.col(metric).alias(_VALUE)).drop_nulls())
                .filter(nw.col(_POSITION).is_in(wanted))
                .select(nw.lit(metric).alias(_METRIC), nw.col(_POSITION).cast(nw.Int64), nw.col(_VALUE))
                for metric, wanted in positions.items()
            ],
            how="vertical",
        )
    )
    quantiles = {
        # adding 0 makes a negative zero, which equals zero and sorts before it, the same
        metric: [value + 0.0 for (value,) in of_metric.sort(_POSITION).select(_VALUE).iter_rows()]
        for (metric,), of_metric in ends.group_by(_METRIC)
    }
    # a position that several quantiles share is found once
    few = _few_values(lazy, list(present), bins)
    return {
        metric: [_Step(value, inclusive=True) for value in few[metric][1:]]
        if metric in few
        else _steps_of_quantiles(quantiles[metric])
        for metric in present
    }


def _in_order(values: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """The values with their positions in ascending order, from 0."""
    if values.implementation.is_polars():
        # the same, in half the time: the expression below sorts positions and not values
        numbered: nw.LazyFrame[Any] = nw.from_native(values.to_native().sort(_VALUE).with_row_index(_POSITION))
        return numbered
    return values.with_row_index(_POSITION, order_by=_VALUE)


def _steps_of_quantiles(found: Sequence[float]) -> list[_Step]:
    return [
        step
        for end in sorted(set(found))
        for step in (_Step(end, inclusive=True), _Step(end, inclusive=False))
        if not step.inclusive or found.count(end) > 1
    ]


def _few_values(lazy: nw.LazyFrame[Any], metrics: Sequence[str], most: int) -> dict[str, list[float]]:
    """The different values, ascending, of those of the metrics that have no more than `most`."""
    # most metrics show more values than that in any rows at all, and need no search for every different one
    seen = _collected(lazy.select(*metrics).head(_ROWS_SEEN))
    metrics = [metric for metric in metrics if seen[metric].drop_nulls().n_unique() <= most]
    if not metrics:
        return {}
    parts = [
        lazy.select(nw.lit(metric).alias(_METRIC), nw.col(metric).alias(_VALUE)).drop_nulls() for metric in metrics
    ]
    found = _collected(nw.concat([part.unique().head(most + 1) for part in parts], how="vertical"))
    values = {metric: sorted({value + 0.0 for value in of["value"]}) for (metric,), of in found.group_by(_METRIC)}
    return {metric: of_metric for metric, of_metric in values.items() if len(of_metric) <= most}


def _cells(lazy: nw.LazyFrame[Any], steps: dict[str, list[_Step]], whole: Cell) -> dict[str, list[Cell]]:
    """The cells of each metric, the one of the missing values last."""
    sums = []
    for metric, of_metric in steps.items():
        value = nw.col(metric)
        reached = [
            ~value.is_null(),
            *((value >= step.at) if step.inclusive else (value > step.at) for step in of_metric),
        ]
        for number, condition in enumerate(reached):
            sums.append(condition.cast(nw.Int8).sum().alias(f"rows {number} {metric}"))
            sums.append((condition.cast(nw.Int8) * nw.col(_LABEL)).sum().alias(f"viable {number} {metric}"))
    row = _collected(lazy.select(*sums)).row(0, named=True)
    return {
        metric: _differences(
            whole,
            [Cell(row[f"rows {n} {metric}"], row[f"viable {n} {metric}"]) for n in range(len(of_metric) + 1)],
        )
        for metric, of_metric in steps.items()
    }


def _differences(whole: Cell, reached: Sequence[Cell]) -> list[Cell]:
    nothing = Cell(0, 0)
    present = [
        Cell(lower.rows - upper.rows, lower.viable - upper.viable)
        for lower, upper in zip(reached, [*reached[1:], nothing], strict=True)
    ]
    return [*present, Cell(whole.rows - reached[0].rows, whole.viable - reached[0].viable)]


def _batches(metrics: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(metrics), _METRICS_A_QUERY):
        yield metrics[start : start + _METRICS_A_QUERY]


def _collected(lazy: nw.LazyFrame[Any]) -> pl.DataFrame:
    frame: pl.DataFrame = lazy.collect("polars").to_native()
    return frame
