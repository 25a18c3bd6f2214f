"""Two simulated worlds of one seed, one of which publishes a column otherwise in its last year: what differs between
them is what drift names, and nothing else. The same with the warehouse's own features is a slow test of integration.
"""

from __future__ import annotations

import polars as pl
import pytest

from fvi_pipeline.monitoring.year_drift import Move, moves
from fvi_pipeline.simulator import PublishedShift, SimulationConfig, SimulationConfigError, simulate_truth
from fvi_pipeline.simulator.config import PublishedColumn

_LAST_YEAR = 2016
_FEATURES = [
    "production_short_tons",
    "average_employees",
    "labor_hours",
    "productivity",
    "production_to_peak",
    "employees_change",
    "hours_per_employee",
    "years_producing",
    "is_underground",
    "coal_price",
]


def _world(*shifts: PublishedShift) -> pl.DataFrame:
    """Features of every mine and year, computed from what is published."""
    config = SimulationConfig(mines=900, first_year=2001, last_year=_LAST_YEAR + 1, defects=False, shifts=shifts)
    truth = simulate_truth(config)
    prices = pl.DataFrame(
        {"as_of_year": list(config.years), "coal_price": truth.population.log_coal_price[1:]},
        schema_overrides={"as_of_year": pl.Int32},
    )
    tons, employees, hours = (pl.col(name).cast(pl.Float64) for name in _FEATURES[:3])
    return (
        truth.panel.filter("in_cohort", pl.col("as_of_year") <= _LAST_YEAR)
        .sort("mine_id", "as_of_year")
        .with_columns(
            productivity=tons / hours,
            production_to_peak=tons / tons.cum_max().over("mine_id"),
            employees_change=(employees / employees.shift(1)).over("mine_id"),
            hours_per_employee=hours / employees,
            years_producing=pl.col("as_of_year").cum_count().over("mine_id"),
            is_underground=pl.col("mine_type") == "Underground",
        )
        .join(prices, on="as_of_year")
    )


def _newest(world: pl.DataFrame) -> pl.DataFrame:
    return world.filter(pl.col("as_of_year") == _LAST_YEAR)


def _found(world: pl.DataFrame) -> dict[str, Move]:
    trained_on = world.filter(pl.col("as_of_year") < _LAST_YEAR - 2)
    return {each.feature: each for each in moves(trained_on, _newest(world), _FEATURES, "as_of_year")}


def _moved(world: pl.DataFrame) -> set[str]:
    return {name for name, each in _found(world).items() if each.level != "stable"}


@pytest.fixture(scope="module")
def usual() -> pl.DataFrame:
    return _world()


@pytest.mark.parametrize(
    ("column", "factor"),
    [("labor_hours", 0.25), ("average_employees", 2.5), ("production_short_tons", 0.3)],
)
def test_what_differs_between_the_worlds_is_named_and_nothing_else(
    usual: pl.DataFrame, column: PublishedColumn, factor: float
) -> None:
    shifted = _world(PublishedShift(column, _LAST_YEAR, factor))
    differ = {name for name in _FEATURES if not _newest(usual)[name].equals(_newest(shifted)[name])}
    assert column in differ
    assert len(differ) > 1
    assert _moved(shifted) - _moved(usual) == differ - _moved(usual)
    before, after = _found(usual), _found(shifted)
    assert {name for name in _FEATURES if before[name] != after[name]} == differ


def test_without_a_shift_nothing_but_the_growing_past_has_moved(usual: pl.DataFrame) -> None:
    assert _moved(usual) <= {"years_producing", "production_to_peak"}


def test_a_shift_changes_figures_and_no_outcome(usual: pl.DataFrame) -> None:
    shifted = _world(PublishedShift("labor_hours", 2014, 2.0))
    assert shifted.select("mine_id", "as_of_year", "closing_probability").equals(
        usual.select("mine_id", "as_of_year", "closing_probability")
    )
    of_years = shifted.group_by("as_of_year").agg(pl.col("labor_hours").sum()).sort("as_of_year")
    before = usual.group_by("as_of_year").agg(pl.col("labor_hours").sum()).sort("as_of_year")
    factors = (of_years["labor_hours"] / before["labor_hours"]).to_list()
    assert factors == [2.0 if year >= 2014 else 1.0 for year in of_years["as_of_year"]]


def test_a_shift_that_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(SimulationConfigError, match="a factor above 0"):
        SimulationConfig(shifts=(PublishedShift("labor_hours", 2019, 0.0),))


def test_a_simulation_without_shifts_is_recorded_as_before() -> None:
    assert "shifts" not in SimulationConfig().as_record()
    shifted = SimulationConfig(shifts=(PublishedShift("labor_hours", 2019, 2.0),))
    assert shifted.as_record()["shifts"] == ({"column": "labor_hours", "from_year": 2019, "factor": 2.0},)
