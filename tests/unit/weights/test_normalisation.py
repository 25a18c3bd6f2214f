from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from fvi_pipeline.weights.normalisation import percentiles, percentiles_by_year

values = st.lists(st.none() | st.floats(-1e9, 1e9, allow_nan=False) | st.integers(-3, 3).map(float), max_size=40)


def frame(column: list[float | None]) -> pl.DataFrame:
    return pl.DataFrame({"metric": column}, schema={"metric": pl.Float64})


@given(values, values)
def test_it_is_the_part_of_the_reference_below_equal_ones_counted_half(placed, reference):
    known = [value for value in reference if value is not None]
    for value, found in zip(placed, percentiles(frame(placed), frame(reference), ["metric"])["metric"], strict=True):
        if value is None or not known:
            assert found is None
        else:
            below, equal = sum(each < value for each in known), sum(each == value for each in known)
            assert found == (2 * below + equal) / (2 * len(known))


@given(values)
def test_among_themselves_values_lie_around_the_middle_and_no_outlier_moves_them(column):
    known = [value for value in column if value is not None]
    placed = percentiles(frame(column), frame(column), ["metric"])["metric"].drop_nulls()
    if known:
        assert abs(placed.mean() - 0.5) < 1e-9
        top = max(known)
        further = [value if value is None or value < top else value + 1e12 for value in column]
        assert percentiles(frame(further), frame(further), ["metric"])["metric"].drop_nulls().equals(placed)


def test_a_nan_is_missing_and_not_the_best():
    assert percentiles(frame([float("nan"), 2.0]), frame([float("nan"), 1.0]), ["metric"])["metric"].to_list() == [
        None,
        1.0,
    ]


def test_years_do_not_mix_and_keep_their_order():
    rows = pl.DataFrame(
        {"as_of_year": [2001, 2000, 2001, 2000], "metric": [300.0, 2.0, 100.0, 1.0], "other": ["a", "b", "c", "d"]}
    )
    assert percentiles_by_year(rows, ["metric"]).rows() == [
        (2001, 0.75, "a"),
        (2000, 0.75, "b"),
        (2001, 0.25, "c"),
        (2000, 0.25, "d"),
    ]
    assert percentiles_by_year(rows.clear(), ["metric"]).is_empty()
