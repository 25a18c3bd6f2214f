"""Segments of planted kinds: they are found, counted and numbered, in whatever order the mines come."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import adjusted_rand_score

from fvi_pipeline.segments.errors import SegmentsError, TooFewMinesError
from fvi_pipeline.segments.fit import SegmentFit, SegmentSettings, assign, fit_segments, model_as_dict, model_from_dict
from tests.unit.segments.planted import FEATURES, SIZE, planted_cohort

SETTINGS = SegmentSettings(most_segments=6, starts=4, stability_fits=2)


def fitted(cohort: pl.DataFrame, settings: SegmentSettings = SETTINGS) -> SegmentFit:
    return fit_segments(cohort, FEATURES, size_feature=SIZE, settings=settings)


@pytest.fixture(scope="module")
def cohort() -> pl.DataFrame:
    return planted_cohort()


@pytest.fixture(scope="module")
def fit(cohort: pl.DataFrame) -> SegmentFit:
    return fitted(cohort)


def test_the_planted_kinds_are_found_and_counted(cohort: pl.DataFrame, fit: SegmentFit) -> None:
    joined = fit.mines.join(cohort, on="mine_id")
    assert adjusted_rand_score(joined["kind"].to_list(), joined["segment"].to_list()) > 0.98
    assert [each.segments for each in fit.tried] == [2, 3, 4, 5, 6]
    assert max(fit.tried, key=lambda each: each.silhouette).segments == len(fit.centres) == 3
    assert fit.silhouette > 0.5
    assert fit.stability > 0.95
    # the first segment has the largest mines
    kinds = joined.group_by("segment").agg(pl.col("kind").mode().first()).sort("segment")["kind"].to_list()
    assert kinds == ["large", "young", "spent"]


def test_the_order_of_the_rows_and_a_second_fit_change_nothing(cohort: pl.DataFrame, fit: SegmentFit) -> None:
    again = fitted(cohort.sample(fraction=1.0, shuffle=True, seed=11))
    assert again.mines.equals(fit.mines)
    assert again.fit_id == fit.fit_id
    np.testing.assert_array_equal(again.centres, fit.centres)
    other = fitted(cohort.with_columns(pl.when(pl.col("kind") == "young").then(SIZE).otherwise(pl.col(SIZE) * 2)))
    assert other.fit_id != fit.fit_id


def test_every_mine_is_in_the_segment_with_the_nearest_centre(cohort: pl.DataFrame, fit: SegmentFit) -> None:
    assert fit.mines["mine_id"].to_list() == sorted(cohort["mine_id"])
    placed = assign(cohort.sort("mine_id"), *model_from_dict(model_as_dict(fit.scaling, fit.centres)))
    assert placed.equals(fit.mines.select("segment", "distance", "next_segment", "next_distance"))
    assert (fit.mines["distance"] <= fit.mines["next_distance"]).all()
    assert (fit.mines["segment"] != fit.mines["next_segment"]).all()


def test_a_missing_value_counts_as_the_middle_and_is_told(cohort: pl.DataFrame, fit: SegmentFit) -> None:
    age, production = pl.col("years_since_first_production"), pl.col(SIZE)
    row = pl.int_range(pl.len())
    gaps = cohort.with_columns(
        pl.when(row % 10 == 0).then(None).otherwise(age).alias("years_since_first_production"),
        pl.when(row % 20 == 0).then(float("nan")).otherwise(production).alias(SIZE),
    )
    found = fitted(gaps)
    together = found.mines.join(fit.mines, on="mine_id", suffix="_whole")
    assert adjusted_rand_score(together["segment"].to_list(), together["segment_whole"].to_list()) > 0.85
    known = found.mines.join(cohort.with_row_index(), on="mine_id").sort("index")["known_share"].to_list()
    assert known[:21] == [0.5, *[1.0] * 9, 0.75, *[1.0] * 9, 0.5]
    # nothing known at all: in the middle, not refused
    empty = pl.DataFrame({name: [None] for name in FEATURES}, schema=dict.fromkeys(FEATURES, pl.Float64))
    middle = empty.with_columns(pl.lit(found.scaling.medians[place]).alias(name) for place, name in enumerate(FEATURES))
    model = found.scaling, found.centres
    assert assign(empty, *model).equals(assign(middle, *model))


def test_a_handful_of_odd_mines_is_no_segment(cohort: pl.DataFrame) -> None:
    odd = cohort.head(2).with_columns(
        pl.format("msha:9{}", pl.int_range(100_000, 100_000 + pl.len())).alias("mine_id"),
        *(pl.lit(1e12).alias(name) for name in FEATURES[:3]),
    )
    found = fitted(pl.concat([cohort, odd]))
    assert min(found.mines["segment"].value_counts()["count"]) >= 0.03 * found.mines.height
    assert all(each.is_allowed == (each.smallest >= 0.03 * found.mines.height) for each in found.tried)


def test_too_few_mines_end_in_a_sentence(cohort: pl.DataFrame) -> None:
    with pytest.raises(TooFewMinesError, match="39 mines with 4 features"):
        fitted(cohort.head(39))
    with pytest.raises(TooFewMinesError, match="180 mines with 0 features"):
        fit_segments(cohort, [], size_feature=SIZE, settings=SETTINGS)
    alone = cohort.with_columns(pl.when(pl.int_range(pl.len()) == 0).then(1.0).otherwise(2.0).alias(SIZE))
    with pytest.raises(TooFewMinesError, match="less than 3%"):
        fit_segments(alone, [SIZE], size_feature=SIZE, settings=SETTINGS)
    with pytest.raises(SegmentsError, match="twice"):
        fitted(pl.concat([cohort, cohort.head(1)]))
