from __future__ import annotations

from dataclasses import replace

import pytest

from fvi_pipeline.features.catalogue import IndexMetric
from fvi_pipeline.weights.dynamic_weights import Override, Weight, dynamic_weights, shares
from fvi_pipeline.weights.movements import Movement, movements

METRICS = [
    IndexMetric(name, "economics", True, 1.0, f"The {name}.", "tons") for name in ("output", "methane", "reserves")
]
QUALITY = {"output": 0.8, "methane": 0.8, "reserves": 0.8}
GAINS = {"output": 0.1, "methane": 0.05, "reserves": None}


def night(gains=GAINS, quality=QUALITY, before: list[Weight] | None = None, overrides=None) -> list[Weight]:
    earlier = {weight.metric: weight.bounded_weight for weight in before or []}
    return dynamic_weights(METRICS, quality, gains, earlier, overrides)


def by_metric(moved: list[Movement]) -> dict[str, Movement]:
    return {each.weight.metric: each for each in moved}


def test_the_first_night_has_no_change_and_the_heaviest_comes_first():
    moved = movements([], night())
    assert [each.weight.metric for each in moved] == ["output", "methane", "reserves"]
    assert {each.change for each in moved} == {None}


def test_nothing_moves_without_a_reason():
    first = night()
    assert [each.reasons for each in movements(first, night(before=first))] == [(), (), ()]


def test_each_cause_is_named():
    first = night()
    second = night(GAINS | {"methane": 0.08}, QUALITY | {"output": 0.6}, before=first)
    moved = by_metric(movements(first, second))
    assert moved["methane"].change > 0 > moved["output"].change
    assert moved["methane"].reasons[0] == "information gain 0.0500 → 0.0800"
    assert moved["methane"].reasons[1].startswith("20% of the way from 0.650 to its target 0.800")
    assert moved["output"].reasons[0] == "quality 0.800 → 0.600"
    assert moved["reserves"].reasons == ("itself unmoved: others moved, and the shares add up to 1",)


def test_a_metric_moves_when_the_best_one_does():
    first = night()
    moved = by_metric(movements(first, night(GAINS | {"output": 0.2}, before=first)))
    assert moved["methane"].reasons[0] == "the best gain, which it is measured against, 0.1000 → 0.2000"


def test_a_bound_is_named():
    low = [replace(weight, bounded_weight=0.1, target_weight=0.02) for weight in night()]
    assert movements(low, low)[0].reasons == ("kept at 0.1, the least that a weight may be",)


def test_an_override_is_told_with_its_author_and_reason_as_long_as_it_holds():
    first = night()
    override = Override("methane", 0.3, "A. Miner", "The law changed.")
    second = shares(first, {"methane": override})
    told = "set to 0.3 by A. Miner: The law changed."
    assert by_metric(movements(first, second))["methane"].reasons == (told,)
    assert by_metric(movements(second, second))["methane"].reasons == (told,)
    assert by_metric(movements(second, first))["methane"].reasons[0] == "the override of 0.3 was released"


def test_overrides_that_leave_nothing_are_refused():
    nothing = {name: Override(name, 0.0, "A.", "Why not.") for name in QUALITY}
    with pytest.raises(ValueError, match="no metric any weight"):
        night(overrides=nothing)
