"""What is true of a simulated folder: outcomes, oracle, totals, row counts and planted defects.

Tests and benchmarks read this; the pipeline never does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import polars as pl

from fvi_pipeline.simulator.config import SimulationConfig
from fvi_pipeline.simulator.oracle import oracle_frame
from fvi_pipeline.simulator.process import Population

# Metrics that enter the hazard, or are a transform of what does, by their column names in the warehouse. The
# change of the coal price also enters, too weakly (one value a year) for a test to find it.
INFORMATIVE_METRICS = (
    "production_short_tons",
    "labor_hours",
    "average_employees",
    "productivity_short_tons_per_hour",
    "production_to_peak",
)
# Metrics drawn independently of everything that a mine does.
NOISE_METRICS = (
    "mine_state",
    "mine_county",
    "mine_basin",
    "coal_supply_region",
    "company_type",
    "union_code",
    "operating_company_address",
    "latitude",
    "longitude",
    "mine_depth_m",
)


@dataclass(frozen=True)
class PlantedDefect:
    """One deliberate defect.

    `kind` is one of truncated_row, bad_value, empty_file, foreign_file. `name` is the path relative to the
    folder; `part` the sheet, or ''; `row_number` the row as a spreadsheet shows it (header row counts), None
    for a file.
    """

    kind: str
    name: str
    part: str = ""
    row_number: int | None = None
    column_name: str | None = None
    raw: str = ""


@dataclass(frozen=True)
class SimulatedTruth:
    """The truth behind one landing folder.

    `rows` maps (file name relative to the folder, part) to the number of data rows in it, truncated rows
    included; part is the sheet's name for workbooks and '' otherwise. `panel` has one row per mine and year
    of production: mine_id, msha_id, as_of_year, production_short_tons, average_employees, labor_hours,
    mine_status, mine_type, in_cohort, closing_probability (of producing no more in t+1, before the status is
    seen, frailty at its mean). `production_short_tons_by_year` sums every row of a year's file, rows without
    an MSHA id included.
    """

    folder: Path
    config: SimulationConfig
    population: Population
    panel: pl.DataFrame
    mine_ids: tuple[str, ...]
    rows: dict[tuple[str, str], int]
    production_short_tons_by_year: dict[int, int]
    defects: tuple[PlantedDefect, ...]
    informative_metrics: tuple[str, ...] = INFORMATIVE_METRICS
    noise_metrics: tuple[str, ...] = NOISE_METRICS

    @cached_property
    def oracle(self) -> pl.DataFrame:
        """The oracle of every cohort row and horizon; see `oracle_frame`. Drawn when first asked for."""
        return oracle_frame(self.config, self.population, list(self.mine_ids))

    def defects_of(self, kind: str) -> tuple[PlantedDefect, ...]:
        """The planted defects of one kind."""
        return tuple(d for d in self.defects if d.kind == kind)
