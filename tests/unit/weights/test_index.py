from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fvi_pipeline.features.catalogue import PILLARS, IndexMetric
from fvi_pipeline.weights.errors import WeightsError
from fvi_pipeline.weights.index import compute_index

METRICS = [
    IndexMetric("output", "economics", True, 1.0, "Output.", "tons"),
    IndexMetric("price", "economics", True, 1.0, "Price.", "USD"),
    IndexMetric("methane", "emissions", False, 1.0, "Methane.", "tons"),
    IndexMetric("reserves", "resource", True, 1.0, "Reserves.", "tons"),
]
values = st.none() | st.floats(-1e12, 1e12, allow_nan=False)
weight = st.floats(0.01, 1)


def rows(*measured: tuple[float | None, ...]) -> pl.DataFrame:
    moment = datetime(2024, 4, 30, tzinfo=UTC)
    return pl.DataFrame(
        [(f"gem:M{i:04d}", 2023, moment, moment, *values) for i, values in enumerate(measured)],
        schema={
            "mine_id": pl.String,
            "as_of_year": pl.Int64,
            "event_timestamp": pl.Datetime("us", "UTC"),
            "created_timestamp": pl.Datetime("us", "UTC"),
            **{metric.name: pl.Float64 for metric in METRICS},
        },
        orient="row",
    )


@given(st.lists(st.tuples(values, values, values, values), min_size=1, max_size=30), st.tuples(*[weight] * 4))
def test_parts_add_up_and_coverage_is_what_is_known(measured, chosen):
    weights = {metric.name: share / sum(chosen) for metric, share in zip(METRICS, chosen, strict=True)}
    index = compute_index(rows(*measured), METRICS, weights)
    assert index.height == len(measured)
    for mine, known in zip(index.iter_rows(named=True), measured, strict=True):
        parts = [mine[f"{pillar}_points"] for pillar in PILLARS if mine[f"{pillar}_points"] is not None]
        expected = sum(weights[m.name] for m, value in zip(METRICS, known, strict=True) if value is not None)
        assert mine["coverage"] == pytest.approx(expected)
        if expected == 0:
            assert mine["index_score"] is None
            assert parts == []
        else:
            assert 0 <= mine["index_score"] <= 100
            assert sum(parts) == pytest.approx(mine["index_score"])


def test_direction_percentile_and_missing_pillars():
    equal = {metric.name: 0.25 for metric in METRICS}
    index = compute_index(rows((1, None, 5, None), (9e9, None, 1, None), (None,) * 4), METRICS, equal)
    # of two mines the lower one has percentile 0.25 and the upper 0.75, however far apart they are
    assert index["index_score"].to_list() == [25, 75, None]
    assert index["coverage"].to_list() == [0.5, 0.5, 0]
    assert index["economics_points"].to_list() == [12.5, 37.5, None]
    assert index["resource_points"].to_list() == [None, None, None]
    assert index["support_points"].to_list() == [None, None, None]


def test_a_metric_without_weight_is_named():
    with pytest.raises(WeightsError, match="methane"):
        compute_index(rows((1, 2, 3, 4)), METRICS, {"output": 0.5, "price": 0.25, "reserves": 0.25})
