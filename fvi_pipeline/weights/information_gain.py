"""How much a metric as known at t tells of viability at t+3. Weights are made of it elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence

import polars as pl

from fvi_pipeline.weights.errors import WeightsError

BINS = 10
_MISSING = -1


def information_gain(
    frame: pl.DataFrame, metrics: Sequence[str], label: str = "viable", bins: int = BINS
) -> pl.DataFrame:
    """Mutual information (nats) between each binned metric and the label, as a share of the label's entropy.

    A metric with up to `bins` different values has one bin per value, any other has quantile bins of the
    frame's values with tied values in one bin; missing values are a bin of their own. The estimate is
    corrected by Miller and Madow's term (Miller 1955: (cells - bins - labels + 1) / 2N, occupied ones
    counted) and kept within 0 and 1.

    Args:
        frame: one row per mine and year; `metrics` numeric, `label` boolean or 0/1 without nulls.
        metrics: columns to measure.
        label: column of the outcome.
        bins: number of quantile bins.

    Returns:
        metric, information_gain in [0, 1] (null if the metric has no value at all, or the label has one value
        only), rows.

    Raises:
        WeightsError: the label holds nulls.
    """
    rows = frame.height
    if frame[label].null_count():
        raise WeightsError(f"{label} holds nulls. Leave out the rows whose outcome is not known.")
    viable = frame[label].cast(pl.Int8)
    entropy = _entropy([int((viable == value).sum()) for value in (0, 1)], rows)
    results = []
    for metric in metrics:
        # the sum's last bits must not depend on the order in which groups are found
        cells = (
            frame.select(_bin(metric, bins).alias("bin"), viable.alias("label"))
            .group_by("bin", "label")
            .len()
            .sort("bin", "label")
        )
        gain = None
        if entropy > 0 and (cells["bin"] != _MISSING).any():
            gain = min(1.0, max(0.0, _mutual_information(cells, rows)) / entropy)
        results.append((metric, gain, rows))
    return pl.DataFrame(
        results, schema={"metric": pl.String, "information_gain": pl.Float64, "rows": pl.Int64}, orient="row"
    )


def _bin(metric: str, bins: int) -> pl.Expr:
    value = pl.col(metric).cast(pl.Float64).fill_nan(None)
    share = (value.rank("average") - 0.5) / value.count()
    quantile = (share * bins).floor().clip(0, bins - 1)
    return (
        pl.when(value.drop_nulls().n_unique() <= bins)
        .then(value.rank("dense") - 1)
        .otherwise(quantile)
        .cast(pl.Int16)
        .fill_null(_MISSING)
    )


def _mutual_information(counts: pl.DataFrame, rows: int) -> float:
    cells = counts.with_columns(
        pl.col("len").sum().over("bin").alias("in_bin"), pl.col("len").sum().over("label").alias("with_label")
    )
    joint, in_bin, with_label = (pl.col(name).cast(pl.Float64) for name in ("len", "in_bin", "with_label"))
    nats = cells.select((joint / rows * (joint * rows / (in_bin * with_label)).log()).sum()).item()
    occupied = cells.height - cells["bin"].n_unique() - cells["label"].n_unique() + 1
    return float(nats) - occupied / (2 * rows)


def _entropy(counts: Sequence[int], rows: int) -> float:
    return -sum(count / rows * math.log(count / rows) for count in counts if count and rows)
