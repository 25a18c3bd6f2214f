"""The metrics' history of simulated mines, straight from the simulator: no files and no warehouse."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import polars as pl

from fvi_pipeline.simulator import SimulationConfig
from fvi_pipeline.simulator.mines import draw_attributes
from fvi_pipeline.simulator.process import draw_population
from fvi_pipeline.weights.history import GAIN_HORIZON_YEARS

INFORMATIVE = (
    "production_short_tons",
    "labor_hours",
    "average_employees",
    "productivity_short_tons_per_hour",
    "production_to_peak",
)
NOISE = ("latitude", "longitude", "mine_depth_m", "county_number", "union_number")


def simulated_history(config: SimulationConfig) -> pl.DataFrame:
    """Rows as `weights.history.metric_history` gives them; words (county, union) as numbers."""
    population, mines = draw_population(config), draw_attributes(config)
    per_mine = {
        "latitude": np.array([mine.latitude for mine in mines]),
        "longitude": np.array([mine.longitude for mine in mines]),
        "mine_depth_m": np.array([mine.depth_m for mine in mines]),
        "county_number": np.unique([mine.county for mine in mines], return_inverse=True)[1],
        "union_number": np.unique([mine.union for mine in mines], return_inverse=True)[1],
    }
    peak = np.maximum.accumulate(np.where(population.producing[:, :-1], population.production, 0), axis=1)
    rows, years = np.nonzero(population.producing[:, : len(config.years) - GAIN_HORIZON_YEARS])
    production, hours = population.production[rows, years], population.hours[rows, years]
    as_of_years = years + config.first_year

    def first_of_october(later: int) -> list[datetime]:
        return [datetime(int(year) + later, 10, 1, tzinfo=UTC) for year in as_of_years]

    return pl.DataFrame(
        {
            "mine_id": [mines[row].mine_id for row in rows],
            "as_of_year": as_of_years.astype(np.int64),
            "created_timestamp": first_of_october(1),
            "outcome_known_at": first_of_october(GAIN_HORIZON_YEARS + 1),
            "viable": population.producing[rows, years + GAIN_HORIZON_YEARS],
            "production_short_tons": production,
            "labor_hours": hours,
            "average_employees": population.employees[rows, years],
            "productivity_short_tons_per_hour": production / hours,
            "production_to_peak": production / peak[rows, years],
            **{name: values[rows].astype(np.float64) for name, values in per_mine.items()},
        }
    )
