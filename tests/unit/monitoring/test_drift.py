"""Drift against known truth: what was moved is named and nothing else, and equal samples do not differ."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from scipy.stats import ks_2samp

from fvi_pipeline.monitoring.drift import Drift, deciles, drift
from fvi_pipeline.monitoring.statistics import statistics

_FEATURES = [f"feature_{number}" for number in range(20)]


def _panel(rows: int, seed: int) -> pl.DataFrame:
    """Features of every form: skewed, signed, flags, counts, with and without nulls."""
    generator = np.random.default_rng(seed)
    forms = (
        lambda: generator.lognormal(10, 2, rows),
        lambda: generator.normal(0, 1, rows),
        lambda: (generator.random(rows) < 0.05).astype(float),
        lambda: generator.poisson(2, rows).astype(float),
    )
    columns = {}
    for number, name in enumerate(_FEATURES):
        values = forms[number % len(forms)]()
        missing = generator.random(rows) < 0.1 * (number % 3)
        columns[name] = pl.Series([None if gone else value for value, gone in zip(values, missing, strict=True)])
    return pl.DataFrame(columns)


def _moved(found: list[Drift]) -> set[str]:
    return {each.feature for each in found if each.level != "stable"}


def test_the_same_rows_have_not_moved_in_any_order() -> None:
    frame = _panel(500, seed=1)
    for each in drift(frame, frame.sample(fraction=1, shuffle=True, seed=2), _FEATURES):
        assert (each.psi, each.ks, each.outside, each.level) == (0, 0, 0, "stable")


@pytest.mark.parametrize("rows", [60, 700, 20_000])
def test_chance_alone_is_no_move_however_few_the_rows(rows: int) -> None:
    assert _moved(drift(_panel(20_000, seed=3), _panel(rows, seed=4), _FEATURES)) == set()


def test_the_usual_threshold_alone_would_call_chance_a_move() -> None:
    # why the level asks for more: with 60 rows the index passes 0.1 though both come from one distribution
    found = drift(_panel(20_000, seed=3), _panel(60, seed=4), _FEATURES)
    assert max(each.psi for each in found) > 0.1


@pytest.mark.parametrize(
    ("feature", "shifted"),
    [
        ("feature_0", pl.col("feature_0") * 3),
        ("feature_1", pl.col("feature_1") + 1),
        ("feature_2", (pl.col("feature_2") - 1).abs()),
        ("feature_3", pl.col("feature_3") + 1),
    ],
)
def test_a_shifted_feature_and_exactly_it_is_named(feature: str, shifted: pl.Expr) -> None:
    now = _panel(700, seed=6).with_columns(shifted)
    found = drift(_panel(20_000, seed=5), now, _FEATURES)
    assert _moved(found) == {feature}
    assert max(found, key=lambda each: each.psi).feature == feature


def test_more_nulls_are_a_move_though_the_values_are_as_before() -> None:
    now = _panel(700, seed=6)
    gone = pl.when(pl.int_range(pl.len()) % 5 > 1).then("feature_1")
    found = {each.feature: each for each in drift(_panel(20_000, seed=5), now.with_columns(gone), _FEATURES)}
    assert _moved(list(found.values())) == {"feature_1"}
    assert found["feature_1"].ks < 0.1
    assert found["feature_1"].current_shares[-1] == pytest.approx(
        0.4 + 0.6 * now["feature_1"].null_count() / 700, abs=0.03
    )


def test_a_feature_that_appears_or_vanishes_has_moved() -> None:
    known, absent = pl.DataFrame({"depth": [float(number) for number in range(100)]}), pl.Series([None] * 100)
    nothing = known.with_columns(depth=absent.cast(pl.Float64))
    for reference, current in ((known, nothing), (nothing, known)):
        (found,) = drift(reference, current, ["depth"])
        assert (found.level, found.ks, found.outside) == ("large", None, None)
    (found,) = drift(nothing, nothing, ["depth"])
    assert (found.psi, found.level) == (0, "stable")


def test_the_index_is_that_of_its_definition() -> None:
    # a flag: 30 of 100 against 20 of 40, each bin with one row more (Laplace)
    reference = pl.DataFrame({"flag": [1.0] * 30 + [0.0] * 70})
    current = pl.DataFrame({"flag": [1.0] * 20 + [0.0] * 20})
    (found,) = drift(reference, current, ["flag"])
    p, q = (71 / 102, 31 / 102), (21 / 42, 21 / 42)
    assert found.psi == pytest.approx(sum((b - a) * math.log(b / a) for a, b in zip(p, q, strict=True)), rel=1e-12)
    assert found.ks == pytest.approx(0.2)


def test_kolmogorov_and_smirnov_agree_with_scipy() -> None:
    before, now = _panel(900, seed=7), _panel(300, seed=8)
    for each in drift(before, now, _FEATURES):
        ours, theirs = (frame[each.feature].drop_nulls().to_numpy() for frame in (before, now))
        assert each.ks == pytest.approx(ks_2samp(ours, theirs).statistic, rel=1e-9)


def test_values_beyond_the_reference_are_counted() -> None:
    reference = pl.DataFrame({"price": [40.0, 60.0, 50.0]})
    (found,) = drift(reference, pl.DataFrame({"price": [39.0, 40.0, 60.0, 100.0]}), ["price"])
    assert found.outside == 0.5


def test_a_share_of_one_is_not_taken_for_what_lies_just_below() -> None:
    bins = deciles(np.array([0.2] + [1.0] * 99))
    assert bins.counts(np.array([0.999, 1.0, 1.001])).tolist() == [1, 1, 1]


def test_every_value_falls_into_one_bin() -> None:
    values = _panel(1000, seed=9)["feature_0"].drop_nulls().to_numpy()
    counts = deciles(values).counts(values)
    assert counts.sum() == len(values)
    assert counts[:10].min() > 0.08 * len(values)


def _years(effect: float, years: range, seed: int) -> pl.DataFrame:
    """300 mines a year; each year has a luck of its own, shared by its mines."""
    generator = np.random.default_rng(seed)
    frames = [
        pl.DataFrame({"year": [year] * 300, "output": generator.normal(effect * generator.normal(), 1, 300)})
        for year in years
    ]
    return pl.concat(frames)


def test_an_ordinary_year_is_no_move_though_its_mines_are() -> None:
    past = _years(0.8, range(2001, 2013), seed=1)
    found = []
    for year in range(2013, 2033):
        now = _years(0.8, range(year, year + 1), seed=year)
        (alone,), (beside_years,) = drift(past, now, ["output"]), drift(past, now, ["output"], "year")
        assert beside_years.psi == alone.psi
        found.append((alone.level, beside_years.level))
    assert sum(alone != "stable" for alone, _ in found) >= 12
    # a new year lies further than each of the six that are judged once in seven times
    assert sum(beside != "stable" for _, beside in found) <= 20 / 7 + 1


def test_beside_like_years_a_move_is_named_as_without_them() -> None:
    past, now = _years(0.0, range(2001, 2013), seed=1), _years(0.0, range(2013, 2014), seed=2)
    (still,) = drift(past, now, ["output"], "year")
    (moved,) = drift(past, now.with_columns(pl.col("output") + 0.5), ["output"], "year")
    assert still.psi_of_years < 0.1
    assert (still.level, moved.level) == ("stable", "moderate")


def test_years_before_a_value_was_published_are_not_compared() -> None:
    past = _years(0.0, range(2001, 2013), seed=1)
    late = past.with_columns(pl.when(pl.col("year") > 2004).then("output").alias("output"))
    now = _years(0.0, range(2013, 2014), seed=2)
    (without,), (beside_years,) = drift(late, now, ["output"]), drift(late, now, ["output"], "year")
    assert (without.level, beside_years.level) == ("large", "stable")
    assert beside_years.reference_shares[-1] == 0
    # one that is published no more has moved all the same
    (gone,) = drift(late, now.with_columns(output=pl.lit(None, pl.Float64)), ["output"], "year")
    assert gone.level == "large"


def test_nothing_is_compared_with_nothing() -> None:
    frame = _panel(10, seed=1)
    with pytest.raises(ValueError, match="both sides"):
        drift(frame, frame.clear(), _FEATURES)


def test_statistics_say_what_is_there_and_leave_the_rest_open() -> None:
    frame = pl.DataFrame({"some": [1.0, None, 3.0, float("nan")], "one": [None, 2.0, None, None], "none": [None] * 4})
    some, one, none = statistics(frame, ["some", "one", "none"])
    assert (some.rows, some.null_rate, some.minimum, some.maximum, some.mean) == (4, 0.5, 1, 3, 2)
    assert some.deviation == pytest.approx(math.sqrt(2))
    assert (one.mean, one.deviation) == (2, None)
    assert (none.null_rate, none.minimum, none.mean, none.deviation) == (1, None, None, None)
    (empty,) = statistics(frame.clear(), ["some"])
    assert (empty.rows, empty.null_rate) == (0, None)
