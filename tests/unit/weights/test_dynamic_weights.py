from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fvi_pipeline.features.catalogue import IndexMetric
from fvi_pipeline.weights.dynamic_weights import HIGHEST, LOWEST, dynamic_weights

unit = st.floats(0, 1)


def metric(name: str, base_weight: float = 1.0) -> IndexMetric:
    return IndexMetric(name, "economics", True, base_weight, f"The {name}.", "tons")


@st.composite
def nights(draw):
    names = draw(st.lists(st.text("abcdef", min_size=1, max_size=3), min_size=1, max_size=12, unique=True))
    metrics = [metric(name, draw(st.floats(0.01, 1))) for name in names]
    quality = {name: draw(unit) for name in names if draw(st.booleans())}
    gains = {name: draw(st.none() | unit) for name in names}
    before = {name: draw(st.floats(LOWEST, HIGHEST)) for name in names if draw(st.booleans())}
    return metrics, quality, gains, before


@given(nights())
def test_shares_add_up_and_stay_within_bounds(night):
    weights = dynamic_weights(*night)
    assert sum(weight.weight for weight in weights) == pytest.approx(1)
    assert [weight.metric for weight in weights] == [metric.name for metric in night[0]]
    for weight in weights:
        assert LOWEST <= weight.bounded_weight <= HIGHEST
        old = night[3].get(weight.metric)
        if old is not None:
            assert weight.bounded_weight >= min(HIGHEST, max(LOWEST, 0.8 * old)) - 1e-12


def test_first_night_is_all_target_and_later_ones_blend():
    metrics, quality = [metric("a"), metric("b", 0.5)], {"a": 0.8, "b": 0.6}
    first = dynamic_weights(metrics, quality, {"a": 0.02, "b": None}, {})
    assert [weight.bounded_weight for weight in first] == pytest.approx([0.9, 0.15])
    assert first[1].information_gain is None
    later = dynamic_weights(metrics, quality, {"a": 0.0, "b": 0.01}, {"a": 0.9, "b": 0.15})
    assert [weight.bounded_weight for weight in later] == pytest.approx(
        [0.8 * 0.9 + 0.2 * 0.4, 0.8 * 0.15 + 0.2 * 0.5 * 0.8]
    )


def test_weights_follow_a_change_within_the_nights_that_the_blend_implies():
    metrics, quality = [metric("a"), metric("b")], {"a": 0.8, "b": 0.8}
    before: dict[str, float] = {}
    for _ in range(20):
        before = {w.metric: w.bounded_weight for w in dynamic_weights(metrics, quality, {"a": 0.1, "b": 0}, before)}
    assert before == pytest.approx({"a": 0.9, "b": 0.4})
    for night in range(1, 15):
        before = {w.metric: w.bounded_weight for w in dynamic_weights(metrics, quality, {"a": 0, "b": 0.1}, before)}
        assert before["b"] == pytest.approx(0.9 - 0.5 * 0.8**night)
    assert before["b"] > before["a"]
