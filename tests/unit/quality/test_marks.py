"""Which marks stop the night, and what is said of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fvi_pipeline.features.catalogue import load_catalogue
from fvi_pipeline.feeds.catalogue import FEEDS
from fvi_pipeline.quality.marks import FileInForce, MetricMarks, Trouble, findings

GOOD = MetricMarks("output", 200, 0.6, 0.9, 1.0, 1.0, 0.875, 0.6, 87.5, "freshness")
LANDING = {"output": ("eia.tons", "gem.tons")}
TROUBLES = (
    Trouble("3 value(s) of tons rejected (tons is below 0: -1)", "tons"),
    Trouble("hours has no value in any row", "hours"),
)
FILES = {"eia": FileInForce("eia", "eia/2019.csv", "2020-10-01", TROUBLES)}


def low(**marks: object) -> MetricMarks:
    return replace(GOOD, **marks)


def test_good_marks_let_the_night_go_on() -> None:
    assert findings([GOOD], 70, LANDING, FILES) == []


def test_a_metric_that_nobody_should_state_does_not_stop_it() -> None:
    unstated = MetricMarks("other", 0, None, None, None, None, None, 1.0, None, None)
    assert findings([unstated], 70, LANDING, FILES) == []


@pytest.mark.parametrize(
    ("mark", "dimensions", "words"),
    [
        (
            low(completeness=0.3, score=50.0),
            ("completeness",),
            "30% of the 200 mines that should have a value have one",
        ),
        (low(validity=0.5, score=50.0), ("validity",), "50% of the values that the publishers state can be true"),
        (low(consistency=0.4, score=40.0), ("consistency",), "40% of the values agree"),
        (low(freshness=0.6, score=60.0), ("freshness",), "freshness is 0.60"),
        (low(consistency=0.5, freshness=0.4, score=40.0), ("freshness", "consistency"), "freshness is 0.40"),
        # without a value, or without a valid one, the other marks say nothing
        (low(completeness=0.0, freshness=0.0, validity=0.0, consistency=0.0, score=0.0), ("completeness",), "0% of"),
        (low(freshness=0.0, validity=0.0, consistency=0.0, score=0.0), ("validity",), "0% of the values"),
        # low on average, none of them low by itself
        (low(completeness=0.1, usual_completeness=0.1, quality=0.69, score=69.0), ("freshness",), "freshness"),
    ],
)
def test_the_dimension_that_fails_is_named(mark: MetricMarks, dimensions: tuple[str, ...], words: str) -> None:
    (finding,) = findings([mark], 70, LANDING, FILES)
    assert finding.dimensions == dimensions
    assert words in finding.why


def test_the_reason_leads_to_the_file() -> None:
    (finding,) = findings([low(validity=0.5, score=50.0)], 70, LANDING, FILES)
    assert str(finding) == (
        "output has 50 of 100 in validity: 50% of the values that the publishers state can be true. It is made of "
        "eia.tons, gem.tons. The newest file of eia is eia/2019.csv, known since 2020-10-01: 3 value(s) of tons "
        "rejected (tons is below 0: -1)."
    )


def test_the_worst_comes_first_and_the_floor_decides() -> None:
    marks = [low(metric="b", validity=0.5, score=50.0), low(metric="a", validity=0.2, score=20.0)]
    assert [finding.metric for finding in findings(marks, 70, LANDING, FILES)] == ["a", "b"]
    assert [finding.metric for finding in findings(marks, 40, LANDING, FILES)] == ["a"]
    assert findings(marks, 0, LANDING, FILES) == []


def test_every_metric_is_made_of_columns_that_a_feed_has(manifest: Path) -> None:
    for metric in load_catalogue(manifest).index_metrics():
        assert metric.landing, metric.name
        for column in metric.landing:
            feed, name = column.split(".")
            assert name in {described.name for part in FEEDS[feed].parts for described in part.columns}, column
