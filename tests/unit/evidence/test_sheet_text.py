"""A fact sheet says what the marts say, rounded, and leaves out what they do not say."""

from collections import defaultdict
from typing import Any

from fvi_pipeline.evidence.sheet_text import sheet_text, sheet_title


def mine(**facts: Any) -> dict[str, Any]:
    return defaultdict(lambda: None, {"mine_id": "gem:M0001", "mine_name": "Olive Mine", **facts})


def test_a_mine_of_which_little_is_known_has_a_short_sheet():
    facts: dict[str, Any] = defaultdict(lambda: None)
    assert sheet_title(mine(country="China")) == "Fact sheet: Olive Mine, China"
    assert sheet_text(mine(), facts) == "Olive Mine (gem:M0001) is a coal mine."


def test_scores_reasons_index_and_production_are_told_in_sections():
    facts: dict[str, Any] = defaultdict(lambda: None)
    facts["scores"] = [
        {"year": 2019, "horizon": 1, "score": 98.6, "low": 95.2, "high": 99.9},
        {"year": 2019, "horizon": 5, "score": 57.5, "low": 40.4, "high": 82.0},
    ]
    facts["reasons"] = ["It grew. This speaks for the mine."]
    facts["closing"] = {"words": "2027, not before 2023"}
    facts["years"] = [{"year": 2019, "tons": 196734, "employees": 57}, {"year": 2018, "tons": 0, "employees": None}]
    facts["best_year"] = {"year": 1985, "tons": 881597}
    facts["production_forecast"] = {"year": 2020, "median": 156078.6, "low": -1, "high": 280961, "confidence": 0.9}
    text = sheet_text(
        mine(
            mine_id="msha:0100347", msha_id="0100347", gem_mine_ids=["M2783"], mine_type="Underground",
            mine_county="Walker", state_province="Alabama", country="United States", operating_company="Cedar Inc.",
            mine_status="Active", index_year=2019, index_score=47.6, coverage=0.786, economics_points=25.4,
            support_points=0.2, first_production_year=1983, last_production_year=2019, reserves_mt=480.0,
        ),
        facts,
    )  # fmt: skip
    head, viability, index, production, site = text.split("\n\n## ")
    assert head == (
        "Olive Mine (msha:0100347; MSHA ID 0100347; GEM ID M2783) is an underground coal mine in Walker County, "
        "Alabama, United States, operated by Cedar Inc. Status: Active. Its FVI score for 2024, 5 years from 2019, "
        "is 58 of 100."
    )
    assert "99 (interval 95-100) at 1 year, 2020; 58 (interval 40-82) at 5 years, 2024" in viability
    assert "Likely closing year: 2027, not before 2023." in viability
    assert "It grew." in viability
    assert (
        "48 of 100, computed from metrics with 79% of the weight. Points by pillar: economics 25, support 0." in index
    )
    assert "196,734 short tons in 2019 with 57 employees; 0 short tons in 2018." in production
    assert "Forecast for 2020: 156,000 short tons, with 90% confidence between 0 and 281,000." in production
    assert site == "Owner and site\n\nReserves: 480 million tonnes."
