from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import mutual_info_score

from fvi_pipeline.weights.errors import WeightsError
from fvi_pipeline.weights.information_gain import information_gain

ROWS = 6000


def gains(frame: pl.DataFrame, **options) -> dict[str, float | None]:
    metrics = [name for name in frame.columns if name != "viable"]
    result = information_gain(frame, metrics, **options)
    assert result["rows"].to_list() == [frame.height] * len(metrics)
    return dict(zip(result["metric"], result["information_gain"], strict=True))


def test_informative_metrics_rank_above_noise():
    rng = np.random.default_rng(7)
    strong, weak, *noise = rng.normal(size=(12, ROWS))
    viable = rng.random(ROWS) < 1 / (1 + np.exp(-(2 * strong + 0.6 * weak)))
    found = gains(
        pl.DataFrame({"strong": strong, "weak": weak, "viable": viable}).with_columns(
            pl.Series(f"noise_{i}", values) for i, values in enumerate(noise)
        )
    )
    assert found["strong"] > found["weak"] > max(found[f"noise_{i}"] for i in range(10))
    assert max(found[f"noise_{i}"] for i in range(10)) < 0.003


def test_the_correction_removes_the_bias_of_noise():
    rng = np.random.default_rng(3)
    columns = {f"noise_{i}": rng.normal(size=400) for i in range(60)}
    found = gains(pl.DataFrame(columns | {"viable": rng.random(400) < 0.5}))
    # the plug-in estimate of pure noise is (bins - 1) / 2N = 0.011 nats on average
    assert np.mean([value for value in found.values()]) < 0.6 * 9 / 800 / math.log(2)


def test_equals_sklearn_on_discrete_values_but_for_the_correction():
    rng = np.random.default_rng(5)
    metric = rng.choice([0, 1, 2, 7], p=[0.9, 0.05, 0.03, 0.02], size=20_000)
    viable = rng.random(20_000) < np.where(metric == 0, 0.8, 0.4)
    share = viable.mean()
    entropy = -(share * math.log(share) + (1 - share) * math.log(1 - share))
    expected = mutual_info_score(metric, viable) - (8 - 4 - 2 + 1) / 40_000
    assert gains(pl.DataFrame({"metric": metric, "viable": viable}))["metric"] == pytest.approx(expected / entropy)


def test_that_a_value_is_missing_can_be_the_information():
    metric = [1.0, None] * 500
    found = gains(pl.DataFrame({"metric": metric, "viable": [value is None for value in metric]}))
    assert found["metric"] == pytest.approx(1, abs=0.01)


def test_nothing_measured_is_null_and_not_zero():
    empty = pl.Series("empty", [None] * 4, dtype=pl.Float64)
    frame = pl.DataFrame({"viable": [True, False, True, False], "constant": [1.0] * 4}).with_columns(empty)
    assert gains(frame) == {"empty": None, "constant": 0.0}
    assert gains(frame.with_columns(viable=True)) == {"empty": None, "constant": None}
    assert gains(frame.clear()) == {"empty": None, "constant": None}


def test_neither_order_nor_nan_nor_scale_changes_the_result():
    rng = np.random.default_rng(11)
    metric = rng.normal(size=2000)
    frame = pl.DataFrame({"metric": metric, "viable": metric + rng.normal(size=2000) > 0})
    shuffled = frame.sample(fraction=1, shuffle=True, seed=1).with_columns(pl.col("metric").exp())
    assert gains(frame) == gains(shuffled)
    hole = frame.with_columns(pl.when(pl.int_range(pl.len()) % 9 > 0).then(pl.col("metric")))
    assert gains(hole) == gains(hole.with_columns(pl.col("metric").fill_null(float("nan"))))


def test_an_unknown_outcome_is_refused():
    with pytest.raises(WeightsError, match="holds nulls"):
        information_gain(pl.DataFrame({"metric": [1.0, 2.0], "viable": [True, None]}), ["metric"])
