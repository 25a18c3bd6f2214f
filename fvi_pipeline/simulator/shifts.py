"""Shifts of what is published: from a year on, a column of EIA's files says more or less than it used to.

Only figures change here. Mines live and close as the process has drawn them, so a shift moves features and leaves
outcomes and the oracle alone; a change of what figures mean for survival belongs to `process`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fvi_pipeline.simulator.config import SimulationConfig
from fvi_pipeline.simulator.process import Population

_FIELDS = {"production_short_tons": "production", "average_employees": "employees", "labor_hours": "hours"}


def as_published(config: SimulationConfig, population: Population) -> Population:
    """The population with the figures that EIA publishes; whole numbers of one and more, as without a shift."""
    for shift in config.shifts:
        name = _FIELDS[shift.column]
        figures = getattr(population, name).copy()
        first = max(shift.from_year - config.first_year, 0)
        figures[:, first:] = np.maximum(np.rint(shift.factor * figures[:, first:]), 1.0)
        population = replace(population, **{name: figures})
    return population
