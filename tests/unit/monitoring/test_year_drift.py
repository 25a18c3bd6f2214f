"""Values that all mines of a year share: judged by the years of the reference, by rank and by how far outside they
lie."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy.stats import t

from fvi_pipeline.monitoring.drift import Drift
from fvi_pipeline.monitoring.year_drift import YearDrift, moves

_YEARS = range(2001, 2013)


def _frame(years: range, values: dict[int, float | None], mines: int = 50) -> pl.DataFrame:
    """A price of the year, and what differs from mine to mine."""
    generator = np.random.default_rng(years.start)
    rows = [{"year": year, "price": values[year], "output": generator.normal()} for year in years for _ in range(mines)]
    return pl.DataFrame(rows, schema={"year": pl.Int64, "price": pl.Float64, "output": pl.Float64})


def _prices(seed: int = 1) -> dict[int, float | None]:
    generator = np.random.default_rng(seed)
    return {year: float(50 + 5 * generator.normal()) for year in _YEARS}


def _price_of(now: float | None, past: dict[int, float | None] | None = None) -> YearDrift:
    reference = _frame(_YEARS, past or _prices())
    price, output = moves(reference, _frame(range(2019, 2020), {2019: now}), ["price", "output"], "year")
    assert isinstance(output, Drift)
    assert isinstance(price, YearDrift)
    assert output.level == "stable"
    return price


def test_a_price_within_those_of_the_years_has_not_moved() -> None:
    values = sorted(value for value in _prices().values() if value is not None)
    price = _price_of((values[3] + values[4]) / 2)
    assert (price.level, price.below, price.beyond, price.is_outside) == ("stable", 4, 0, False)
    assert dict(price.years) == _prices()
    # what has been seen once is no news
    assert _price_of(values[0]).level == "stable"
    assert not _price_of(values[-1]).is_outside


def test_how_far_outside_it_lies_decides_the_level() -> None:
    values = np.array([value for value in _prices().values() if value is not None])
    deviation = values.std(ddof=1)
    levels = [_price_of(float(values.max() + distance * deviation)).level for distance in (0.05, 1.5, 6)]
    assert levels == ["stable", "moderate", "large"]
    far = _price_of(float(values.min() - 6 * deviation))
    assert (far.level, far.below) == ("large", 0)
    assert far.beyond == pytest.approx(6)
    distance = (values.mean() - far.value) / deviation / np.sqrt(1 + 1 / 12)
    assert far.by_chance == pytest.approx(2 * t.sf(distance, 11))


def test_one_more_year_of_the_same_kind_is_seldom_called_a_move() -> None:
    generator = np.random.default_rng(7)
    found = []
    for _ in range(100):
        past = {year: float(value) for year, value in zip(_YEARS, generator.normal(size=12), strict=True)}
        found.append(_price_of(float(generator.normal()), past).level)
    assert found.count("stable") >= 90
    assert found.count("large") <= 1


def test_a_value_that_vanishes_has_moved() -> None:
    gone = _price_of(None)
    assert (gone.level, gone.value, gone.is_outside) == ("large", None, False)


@pytest.mark.parametrize(
    ("past", "now", "level"), [(None, 50.0, "large"), (None, None, "stable"), (1.0, 1.0, "stable")]
)
def test_what_has_one_value_in_all_years_tells_nothing_of_years(
    past: float | None, now: float | None, level: str
) -> None:
    reference = _frame(_YEARS, dict.fromkeys(_YEARS, past))
    (price,) = moves(reference, _frame(range(2019, 2020), {2019: now}), ["price"], "year")
    assert isinstance(price, Drift)
    assert price.level == level


def test_years_before_it_was_published_are_no_years_without_it() -> None:
    late = {year: value if year > 2005 else None for year, value in _prices().items()}
    price = _price_of(50.0, late)
    assert [year for year, _ in price.years] == list(range(2006, 2013))
    assert price.level == "stable"


def test_what_never_changed_and_now_does_has_moved() -> None:
    changed = _price_of(51.0, dict.fromkeys(_YEARS, 50.0))
    assert (changed.level, changed.beyond) == ("large", None)


def test_a_price_that_holds_for_some_mines_is_judged_by_its_years_and_by_who_has_it() -> None:
    def only_surface(frame: pl.DataFrame, part: float) -> pl.DataFrame:
        return frame.with_columns(pl.when(pl.int_range(pl.len()) % 10 < 10 * part).then("price").alias("price"))

    past, now = _frame(_YEARS, _prices()), _frame(range(2019, 2020), {2019: 50.0}, mines=400)
    (same,) = moves(only_surface(past, 0.5), only_surface(now, 0.5), ["price"], "year")
    (fewer,) = moves(only_surface(past, 0.5), only_surface(now, 0.1), ["price"], "year")
    assert isinstance(same, YearDrift)
    assert isinstance(fewer, YearDrift)
    assert (same.level, fewer.level, fewer.absent) == ("stable", "large", "large")


def test_a_value_of_two_mines_of_a_year_is_no_value_of_the_year() -> None:
    one_differs = pl.when(pl.int_range(pl.len()) == 3).then(1.0).otherwise("price")
    past = _frame(_YEARS, _prices()).with_columns(price=one_differs)
    (price,) = moves(past, _frame(range(2019, 2020), {2019: 50.0}), ["price"], "year")
    assert isinstance(price, Drift)


def test_nothing_is_compared_with_nothing() -> None:
    frame = _frame(_YEARS, _prices())
    with pytest.raises(ValueError, match="both sides"):
        moves(frame, frame.clear(), ["price"], "year")
