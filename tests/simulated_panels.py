"""Training frames of simulated mines whose P(viable) is known, without files, database or pipeline."""

from __future__ import annotations

import polars as pl

from fvi_pipeline.simulator import SimulationConfig, simulate_truth

FEATURES = (
    "production_short_tons",
    "productivity_short_tons_per_hour",
    "production_to_peak",
    "production_change",
    "average_employees",
    "employees_change",
    "hours_per_employee",
    "years_producing",
    "is_underground",
    "coal_price_change",
)
SIZE = "production_short_tons"
_KEYS = ["mine_id", "as_of_year", "horizon_years"]


def simulated_frame(config: SimulationConfig) -> pl.DataFrame:
    """Rows for make_dataset with what anybody can compute from the files of years up to t, and the `truth`."""
    simulation = simulate_truth(config)
    prices = pl.DataFrame(
        {"as_of_year": list(config.years), "coal_price_change": simulation.population.coal_price_change},
        schema_overrides={"as_of_year": pl.Int64},
    )
    production, employees = pl.col("production_short_tons"), pl.col("average_employees")
    mines = (
        simulation.panel.with_columns(pl.col("as_of_year").cast(pl.Int64))
        .sort("mine_id", "as_of_year")
        .with_columns(
            productivity_short_tons_per_hour=production / pl.col("labor_hours"),
            production_to_peak=production / production.cum_max().over("mine_id"),
            production_change=(production / production.shift(1)).over("mine_id"),
            employees_change=(employees / employees.shift(1)).over("mine_id"),
            hours_per_employee=pl.col("labor_hours") / employees,
            years_producing=pl.col("as_of_year").cum_count().over("mine_id"),
            is_underground=(pl.col("mine_type") == "Underground").cast(pl.Int8),
        )
        .join(prices, on="as_of_year")
    )
    return (
        simulation.oracle.rename({"viability_probability": "truth"})
        .with_columns(pl.col("as_of_year", "horizon_years").cast(pl.Int64))
        .drop_nulls("viable")
        .join(mines.select("mine_id", "as_of_year", *FEATURES), on=["mine_id", "as_of_year"])
        .with_columns(
            outcome_year=pl.col("as_of_year") + pl.col("horizon_years"), viable=pl.col("viable").cast(pl.Int8)
        )
        .sort(_KEYS)
    )
