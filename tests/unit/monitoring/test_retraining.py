"""What asks for a training: each kind past its threshold, in words, and nothing below it."""

from __future__ import annotations

from typing import Any

from fvi_pipeline.monitoring.measurements import Measurement
from fvi_pipeline.monitoring.retraining import Thresholds, importance_moved, reasons

_THRESHOLDS = Thresholds(importance_moved=0.25, score_psi=0.25)


def _feature(name: str, level: str, importance: float | None) -> list[Measurement]:
    return [
        Measurement("feature", name, "psi", 0.5, "training data", {"level": level}),
        Measurement("feature", name, "importance", importance),
    ]


def _score(psi: float, level: str) -> Measurement:
    return Measurement("score", "h5", "psi", psi, "its scores", {"level": level})


def _brier(**details: Any) -> Measurement:
    return Measurement(
        "performance", "v3 h5", "brier", 0.3, "scores of 2019", {"promised": 0.2, "reigns": True, **details}
    )


def test_features_ask_by_the_part_that_they_have_in_the_scores() -> None:
    measured = [
        *_feature("price", "large", 0.1),
        *_feature("hours", "large", 0.2),
        *_feature("tons", "moderate", 0.6),
        *_feature("age", "stable", 0.1),
    ]
    part, names = importance_moved(measured)
    assert abs(part - 0.3) < 1e-12
    assert names == ["hours", "price"]
    (reason,) = reasons(measured, _THRESHOLDS)
    assert reason.kind == "features"
    assert reason.text == "30% of the scores' contributions come from features that moved far: hours, price"
    assert reasons(measured, Thresholds(importance_moved=0.31)) == []


def test_unexplained_scores_ask_for_nothing() -> None:
    assert reasons(_feature("hours", "large", None), _THRESHOLDS) == []


def test_scores_ask_when_they_moved_beyond_what_is_usual() -> None:
    assert [each.kind for each in reasons([_score(0.4, "large")], _THRESHOLDS)] == ["scores"]
    assert reasons([_score(0.4, "stable")], _THRESHOLDS) == []
    assert reasons([_score(0.2, "moderate")], _THRESHOLDS) == []
    assert [each.kind for each in reasons([_score(0.2, "moderate")], Thresholds(score_psi=0.1))] == ["scores"]


def test_performance_asks_when_it_is_worse_than_promised() -> None:
    (reason,) = reasons([_brier(is_worse=True)], _THRESHOLDS)
    assert (reason.kind, reason.text) == ("performance", "brier of v3 h5 is 0.300, promised 0.200")
    assert reasons([_brier(is_worse=False)], _THRESHOLDS) == []
    assert reasons([_brier(is_worse=True, reigns=False)], _THRESHOLDS) == []
