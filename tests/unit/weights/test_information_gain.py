from __future__ import annotations

import math
from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.feature_selection import mutual_info_classif
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


def test_ranks_as_scikit_learns_nearest_neighbours_do():
    rng = np.random.default_rng(9)
    viable = rng.random(ROWS) < 0.7
    columns = {f"metric_{i}": rng.normal(size=ROWS) + viable * i / 12 for i in range(20)}
    columns |= {f"count_{i}": rng.poisson(2 + viable * i / 2, ROWS).astype(float) for i in range(6)}
    theirs = mutual_info_classif(np.column_stack(list(columns.values())), viable, random_state=0)
    ours = gains(pl.DataFrame(columns | {"viable": viable}))
    assert spearmanr([ours[name] for name in columns], theirs).statistic > 0.95


@given(
    st.lists(
        st.tuples(st.none() | st.floats(-5, 5, allow_nan=False) | st.integers(-2, 2).map(float), st.booleans()),
        min_size=1,
        max_size=60,
    ),
    st.integers(2, 10),
)
def test_it_is_what_the_definition_says(rows, bins):
    """Counted here by hand: each row is put into its bin by the definition, one by one."""
    values = sorted(value + 0.0 for value, _ in rows if value is not None)
    frame = pl.DataFrame(rows, schema={"metric": pl.Float64, "viable": pl.Boolean}, orient="row")
    found = gains(frame, bins=bins)["metric"]
    viable = [label for _, label in rows]
    if not values or len(set(viable)) == 1:
        assert found is None
        return
    if len(set(values)) <= bins:
        bin_of = {value: value for value in values}
    else:
        ends = [values[math.ceil(len(values) * k / bins - 1e-9) - 1] for k in range(1, bins)]
        bin_of = {}
        for value in values:
            below = [end for end in ends if end < value]
            bin_of[value] = (len(set(below)), ends.count(value) > 1)
    cells = [(None if value is None else bin_of[value + 0.0], label) for value, label in rows]
    joint, of_bin, of_label = (Counter(each) for each in (cells, [b for b, _ in cells], viable))
    total = len(rows)
    nats = sum(n / total * math.log(n * total / (of_bin[b] * of_label[label])) for (b, label), n in joint.items())
    entropy = -sum(n / total * math.log(n / total) for n in of_label.values())
    corrected = nats - (len(joint) - len(of_bin) - 2 + 1) / (2 * total)
    assert found == pytest.approx(min(1, max(0, corrected / entropy)), abs=1e-9)


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
