"""Mines with facts of each year, and features among which a fact of the next year can be planted."""

from collections.abc import Callable

import numpy as np
import polars as pl

from fvi_pipeline.model.intervals import FloatVector
from fvi_pipeline.model.leak_check import FACTS

Form = Callable[[FloatVector, FloatVector, FloatVector], FloatVector]
LAWFUL = [
    "production",
    "production_change_1y",
    "mean_3y",
    "employees",
    "hours_per_employee",
    "age",
    "noise",
    "hours_known",
]


def mines_with_facts() -> tuple[pl.DataFrame, pl.DataFrame]:
    """(training rows, facts): mines whose output wanders with momentum and that close when it is small."""
    generator = np.random.default_rng(5)
    mines, years = 500, 14
    alive = np.ones(mines, dtype=bool)
    level, drift = generator.normal(11, 1.5, mines), np.zeros(mines)
    facts = []
    for year in range(2001, 2001 + years):
        hours = np.exp(level - 1.2 + generator.normal(0, 0.2, mines))
        people = np.maximum(1, np.round(hours / 2000))
        facts += [
            (f"msha:{mine:07d}", year, float(np.round(np.exp(level[mine]))), float(people[mine]), float(hours[mine]))
            for mine in np.flatnonzero(alive)
        ]
        drift = 0.4 * drift + generator.normal(-0.03, 0.25, mines)
        level = level + drift
        alive &= generator.random(mines) > 0.15 / (1 + np.exp(level - 10))
    schema = {"mine_id": pl.String, "as_of_year": pl.Int64} | dict.fromkeys(FACTS, pl.Float64)
    known = pl.DataFrame(facts, schema=schema, orient="row").sort("mine_id", "as_of_year")
    before = pl.col("production_short_tons").shift(1).over("mine_id")
    rows = known.with_columns(
        production=pl.col("production_short_tons"),
        production_change_1y=pl.col("production_short_tons") / before - 1,
        mean_3y=pl.col("production_short_tons").rolling_mean(3, min_samples=1).over("mine_id"),
        employees=pl.col("average_employees"),
        hours_per_employee=pl.col("labor_hours") / pl.col("average_employees"),
        age=pl.col("as_of_year") - pl.col("as_of_year").min().over("mine_id"),
        noise=pl.Series(generator.normal(size=known.height)),
        hours_known=pl.when(pl.col("as_of_year") >= 2004).then(pl.col("labor_hours")),
    ).select("mine_id", "as_of_year", *LAWFUL)
    horizons = pl.DataFrame({"horizon_years": [1, 3]})
    return rows.filter(pl.col("as_of_year") < 2000 + years).join(horizons, how="cross"), known


def planted(panel: tuple[pl.DataFrame, pl.DataFrame], fact: str, form: Form) -> pl.DataFrame:
    """The rows with a feature `innocent` = form(next year's fact, zero after closing; this year's; noise)."""
    rows, facts = panel
    later = facts.select("mine_id", pl.col("as_of_year") - 1, pl.col(fact).alias("later"))
    both = facts.join(later, on=["mine_id", "as_of_year"], how="left").with_columns(pl.col("later").fill_null(0))
    noise = np.random.default_rng(1).normal(size=both.height)
    value = form(both["later"].to_numpy(), both[fact].to_numpy(), noise)
    innocent = both.select("mine_id", "as_of_year", pl.Series("innocent", value))
    return rows.join(innocent, on=["mine_id", "as_of_year"], how="left")
