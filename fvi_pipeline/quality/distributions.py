"""Evidently's part of the quality report: how the metrics are distributed, and how far they have moved. What is good
enough is not decided here.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

_FEWEST_VALUES = 10
# Wasserstein distance in standard deviations: a tenth is Evidently's own threshold for it. Unlike a test's p-value it
# does not call every hair's breadth a drift because there are many mines.
_DISTANCE, _FAR = "wasserstein", 0.1


@dataclass(frozen=True)
class Distributions:
    """Evidently's page (a whole HTML document), the metrics it compared and those that moved."""

    html: str
    compared: tuple[str, ...]
    moved: tuple[str, ...]


def compare(now: pl.DataFrame, before: pl.DataFrame) -> Distributions | None:
    """Evidently's report on the metrics of `now` against `before` (columns of numbers, one row per mine).

    Metrics with too few values, or only one, on either side are left out; None when none is left.
    """
    names = [name for name in now.columns if _can_be_compared(now[name]) and _can_be_compared(before[name])]
    if not names:
        return None
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset, DataSummaryPreset

    definition = DataDefinition(numerical_columns=names)
    current, reference = (
        Dataset.from_pandas(frame.select(names).to_pandas(), data_definition=definition) for frame in (now, before)
    )
    drift = DataDriftPreset(num_method=_DISTANCE, num_threshold=_FAR)
    snapshot = Report([drift, DataSummaryPreset()]).run(current, reference)
    distances = {
        metric["config"]["column"]: float(metric["value"])
        for metric in snapshot.dict()["metrics"]
        if metric["config"]["type"].endswith(":ValueDrift")
    }
    moved = tuple(name for name in names if distances[name] >= _FAR)
    return Distributions(snapshot.get_html_str(as_iframe=False), tuple(names), moved)


def _can_be_compared(values: pl.Series) -> bool:
    known = values.drop_nulls()
    return known.len() >= _FEWEST_VALUES and known.n_unique() > 1
