"""Profiles in figures and in words, names by rule, and the past of the kind."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from fvi_pipeline.segments.features import FeatureChoice
from fvi_pipeline.segments.fit import SegmentFit, SegmentSettings, fit_segments
from fvi_pipeline.segments.found import FoundSegments
from fvi_pipeline.segments.naming import segment_names
from fvi_pipeline.segments.past import past_viability
from fvi_pipeline.segments.pictures import components
from fvi_pipeline.segments.profile import Trait, label, profile_segments, shown
from fvi_pipeline.segments.report import past_in_words, profile_table, strength, write_docs
from tests.unit.segments.planted import COLUMNS, FEATURES, SIZE, planted_cohort


@pytest.fixture(scope="module")
def cohort() -> pl.DataFrame:
    return planted_cohort().with_columns(pl.lit(2019).alias("as_of_year"))


@pytest.fixture(scope="module")
def fit(cohort: pl.DataFrame) -> SegmentFit:
    settings = SegmentSettings(most_segments=4, starts=3, stability_fits=1)
    return fit_segments(cohort, FEATURES, size_feature=SIZE, settings=settings)


def trait(feature: str, more: float, unit: str = "count", of_segment: float = 1.0) -> Trait:
    return Trait(feature, unit, of_segment, 0.5, more)


def test_a_profile_says_what_sets_a_segment_apart(cohort: pl.DataFrame, fit: SegmentFit) -> None:
    large, young, spent = profile_segments(fit, cohort, COLUMNS)
    assert [large.name, young.name, spent.name] == [
        "Large, productive, old mines",
        "Young mines",
        "Small mines of low productivity",
    ]
    assert (large.segment, large.mines, large.share) == (1, 60, pytest.approx(1 / 3))
    assert (large.states, large.mine_types) == ({"Wyoming": 60}, {"Surface": 60})
    by_feature = {each.feature: each for each in large.traits}
    assert by_feature[SIZE].more == 1.0
    assert by_feature[SIZE].of_segment == cohort.filter(pl.col("kind") == "large")[SIZE].median()
    assert by_feature["has_preparation_plant"].of_segment == 1.0
    assert by_feature["has_preparation_plant"].of_cohort == pytest.approx(1 / 3)
    assert "preparation plant: 100% (all mines: 33%)" in large.in_words
    assert [each.telling for each in young.traits] == sorted((each.telling for each in young.traits), reverse=True)
    nearest = fit.mines.filter(pl.col("segment") == 2).sort("distance")["mine_id"].to_list()[:5]
    assert list(young.examples) == nearest


def test_values_are_shown_as_people_write_them() -> None:
    assert label(SIZE, "short tons") == "production"
    assert label("is_union", "0 or 1") == "union"
    assert (shown(0.4, "ratio"), shown(0.4, "0 or 1"), shown(None, "years")) == ("40%", "40%", "not known")
    assert (shown(3_720_000, "short tons"), shown(2, "count")) == ("3.72 million short tons", "2")
    assert len({strength(silhouette, stability) for silhouette in (0.1, 0.3, 0.6) for stability in (0.5, 0.9)}) == 6


def test_no_two_names_are_alike() -> None:
    alike = {SIZE: trait(SIZE, 0.9), "is_union": trait("is_union", 0.9, "0 or 1", 0.8)}
    further = {**alike, "production_to_peak": trait("production_to_peak", 0.85), "is_western": trait("is_western", 0.8)}
    names = segment_names({1: alike, 2: alike, 3: further, 4: {}, 5: {}})
    assert names == {
        1: "Large, unionised mines",
        2: "Large, unionised mines (2)",
        3: "Large, unionised mines at their peak",
        4: "Mines like most others",
        5: "Mines like most others (5)",
    }
    # a flag that most of the segment lacks is not told of it, though it has more of them than the rest
    rare = {"is_contractor": trait("is_contractor", 0.8, "0 or 1", 0.3), "unheard_of": trait("unheard_of", 1.0)}
    assert segment_names({1: rare}) == {1: "Mines like most others"}
    # two features of one theme are one word
    old = {name: trait(name, 0.1) for name in ("production_to_peak", "employees_to_peak")}
    assert segment_names({1: old}) == {1: "Mines past their peak"}


def test_past_mines_of_the_kind_are_placed_by_what_was_known_of_them(cohort: pl.DataFrame, fit: SegmentFit) -> None:
    keys = pl.col("kind") == "spent", pl.col("kind") == "young"
    judged = cohort.filter(keys[0] | keys[1]).with_columns(
        as_of_year=2014, viable=pl.col("kind") == "young", horizon_years=pl.lit(5)
    )
    sooner = judged.with_columns(horizon_years=pl.lit(1), viable=pl.lit(True))
    past = past_viability(pl.concat([judged, sooner]), fit.scaling, fit.centres)
    assert [(each.horizon_years, each.rows, each.viable_share) for each in past[2]] == [(1, 60, 1.0), (5, 60, 1.0)]
    assert [(each.rows, each.viable_share, each.viable_share_of_all) for each in past[3]] == [
        (60, 1.0, 1.0),
        (60, 0.0, 0.5),
    ]
    assert [(each.rows, each.viable_share) for each in past[1]] == [(0, None), (0, None)]
    assert past_in_words(past[3]) == "0% (0-0%) after 5 years (all 50%)"
    assert past_in_words(past[1]) == ""
    # a mine's years are no further evidence: the interval is that of the mines
    half = judged.with_columns(viable=pl.int_range(pl.len()) % 2 == 0)
    once, thrice = (past_viability(pl.concat([half] * n), fit.scaling, fit.centres)[2][0] for n in (1, 3))
    assert (once.low, once.high) == (
        pytest.approx(0.5 - 1.96 * 0.5 / 60**0.5),
        pytest.approx(0.5 + 1.96 * 0.5 / 60**0.5),
    )
    assert (thrice.low, thrice.rows) == (pytest.approx(once.low), 180)
    assert past_viability(judged.clear(), fit.scaling, fit.centres) == {1: (), 2: (), 3: ()}


def test_the_page_shows_every_segment_and_its_pictures(cohort: pl.DataFrame, fit: SegmentFit, tmp_path: Path) -> None:
    profiles = profile_segments(fit, cohort, COLUMNS)
    found = FoundSegments(cohort, FeatureChoice(FEATURES, {}), fit, profiles, {1: (), 2: (), 3: ()})
    page, *pictures = write_docs(found, {1: {5: 71.2}}, {profiles[0].examples[0]: "Black Thunder"}, tmp_path)
    text = page.read_text()
    assert all(f"### {profile.segment}. {profile.name}" in text for profile in profiles)
    assert f"Black Thunder ({profiles[0].examples[0]})" in text
    assert "71 at 5" in text
    assert "| 3 ✓ |" in text
    assert [path.read_bytes()[:4] for path in pictures] == [b"\x89PNG"] * 2
    assert profile_table(profiles, {}).count("\n") == 4
    plane = components(fit)
    assert plane.places.shape == (180, 2)
    assert plane.explained[0] > plane.explained[1] > 0
