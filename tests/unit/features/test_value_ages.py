"""The age of a value is that of the newest fact behind it, by the groups of facts that its sources name."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from fvi_pipeline.features.catalogue import FeatureColumn
from fvi_pipeline.features.of_mine import ValueAge, value_ages

OWN = FeatureColumn(
    "output", "feature", "number", "Tons.", "t", "operations", "unknown", ("silver_mine_years.tons[t]",)
)
BOTH = replace(OWN, name="share", sources=(*OWN.sources, "silver_mine_years.tons[t; rows with same mine_state]"))
TRACKER = replace(OWN, name="depth", sources=("silver_mine_tracker_history.depth[newest]",))
STATE = replace(OWN, name="mine_state", role="context")
EARLY, LATE = datetime(2015, 10, 1, tzinfo=UTC), datetime(2016, 3, 1, tzinfo=UTC)
ROW = {"output": 1.0, "share": None, "depth": None, "own_facts_known_at": EARLY, "peer_facts_known_at": LATE}


def test_the_newest_fact_of_a_values_groups_makes_its_age():
    ages = value_ages({**ROW, "tracker_known_at": None}, [OWN, BOTH, TRACKER, STATE], LATE + timedelta(days=2))
    assert ages == {
        "output": ValueAge(EARLY, timedelta(days=154)),
        "share": ValueAge(LATE, timedelta(days=2)),  # a null rests on facts too
        "depth": ValueAge(None, None),
    }
    assert (ages["output"].days, ages["depth"].days) == (154.0, None)


def test_a_version_without_a_time_of_knowing_tells_no_age():
    assert value_ages({"output": 1.0}, [OWN], LATE) == {"output": ValueAge(None, None)}
