"""Writing a whole landing folder, and the truth that goes with it.

Only the order of the work belongs here; every publisher's form is in its own module.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from fvi_pipeline.simulator.config import SimulationConfig, SimulationConfigError
from fvi_pipeline.simulator.defects import plant_files, plant_in_eia, plant_in_gem
from fvi_pipeline.simulator.documents import write_documents
from fvi_pipeline.simulator.eia_files import EiaYear, build_years, write_year
from fvi_pipeline.simulator.gem_files import (
    CLOSED_SHEET,
    GEOJSON_NAME,
    OPEN_SHEET,
    WORKBOOK_NAME,
    build_gem,
    write_gem,
)
from fvi_pipeline.simulator.market_files import write_markets
from fvi_pipeline.simulator.mines import MineAttributes, draw_attributes
from fvi_pipeline.simulator.oracle import cohort_mask
from fvi_pipeline.simulator.process import Population, draw_population, logistic
from fvi_pipeline.simulator.shifts import as_published
from fvi_pipeline.simulator.truth import PlantedDefect, SimulatedTruth

MARKER_NAME = "SIMULATED.json"
_FOLDERS = ("eia_coal", "gem", "world_bank", "owid", "documents")


def write_landing_folder(folder: Path, config: SimulationConfig) -> SimulatedTruth:
    """Write a landing folder in the publishers' forms and return its truth.

    The same config gives the same bytes. The folder is made if it does not exist; an existing one must be
    empty or hold the same simulation, which is written again. Raises SimulationConfigError otherwise: a
    simulation never mixes with other files, and never removes any. A folder that carries the marker is
    whole: everything is written beside it first and moved when complete.
    """
    marker = json.loads(json.dumps({"simulated": True, "seed": config.seed, "config": config.as_record()}))
    _refuse_other_content(folder, marker)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        draft = Path(scratch) / "draft"
        for name in _FOLDERS:
            (draft / name).mkdir(parents=True)
        (draft / MARKER_NAME).write_text(json.dumps(marker, indent=2) + "\n", encoding="utf-8")
        truth = _write_draft(draft, folder, config)
        _move(draft, folder)
    return truth


def _write_draft(draft: Path, folder: Path, config: SimulationConfig) -> SimulatedTruth:
    population, mines = draw_population(config), draw_attributes(config)
    eia, gem = build_years(config, as_published(config, population), mines), build_gem(config, population, mines)
    defects: list[PlantedDefect] = []
    if config.defects:
        defects = [*plant_in_eia(eia), *plant_in_gem(gem), *plant_files(draft, config)]
    rows = write_markets(draft, config, population)
    for year in eia:
        write_year(draft, config, year)
        rows[year.name, ""] = year.row_count
    write_gem(draft, gem)
    rows[WORKBOOK_NAME, OPEN_SHEET] = len(gem.open_rows)
    rows[WORKBOOK_NAME, CLOSED_SHEET] = len(gem.closed_rows)
    rows[GEOJSON_NAME, ""] = len(gem.features)
    rows |= write_documents(draft, config, population, mines)
    return _truth(folder, config, population, mines, eia, rows, tuple(defects))


def _move(draft: Path, folder: Path) -> None:
    if not folder.exists() or not any(folder.iterdir()):
        draft.replace(folder)
        return
    for name in _FOLDERS:
        (folder / name).mkdir(exist_ok=True)
    for path in sorted(path for path in draft.rglob("*") if path.is_file()):
        path.replace(folder / path.relative_to(draft))


def simulate_truth(config: SimulationConfig) -> SimulatedTruth:
    """The truth of a simulation whose files nobody needs: no row counts, no defects, no folder."""
    population, mines = draw_population(config), draw_attributes(config)
    eia = build_years(config, as_published(config, population), mines)
    return _truth(Path(), config, population, mines, eia, {}, ())


def _refuse_other_content(folder: Path, marker: dict[str, Any]) -> None:
    if not folder.exists() or not any(folder.iterdir()):
        return
    path = folder / MARKER_NAME
    if not path.is_file():
        raise SimulationConfigError(
            f"{folder} holds files that no simulation wrote. Name an empty folder: nothing is mixed in."
        )
    if json.loads(path.read_text(encoding="utf-8")) != marker:
        raise SimulationConfigError(
            f"{folder} holds a simulation of other settings. Name an empty folder, or remove that one."
        )


def _truth(
    folder: Path,
    config: SimulationConfig,
    population: Population,
    mines: list[MineAttributes],
    eia: list[EiaYear],
    rows: dict[tuple[str, str], int],
    defects: tuple[PlantedDefect, ...],
) -> SimulatedTruth:
    return SimulatedTruth(
        folder=folder,
        config=config,
        population=population,
        panel=_panel(config, as_published(config, population), mines),
        mine_ids=tuple(mine.mine_id for mine in mines),
        rows=rows,
        production_short_tons_by_year={year.year: sum(row.production for row in year.rows) for year in eia},
        defects=defects,
    )


def _panel(config: SimulationConfig, population: Population, mines: list[MineAttributes]) -> pl.DataFrame:
    i, t = np.nonzero(population.producing[:, :-1])
    return pl.DataFrame(
        {
            "mine_id": [mines[k].mine_id for k in i],
            "msha_id": [mines[k].msha_id for k in i],
            "as_of_year": (t + config.first_year).astype(np.int32),
            "production_short_tons": population.production[i, t].astype(np.int64),
            "average_employees": population.employees[i, t].astype(np.int64),
            "labor_hours": population.hours[i, t].astype(np.int64),
            "mine_status": population.status[i, t].tolist(),
            "mine_type": ["Underground" if population.underground[k] else "Surface" for k in i],
            "in_cohort": cohort_mask(config, population)[i, t],
            "closing_probability": logistic(population.log_odds[i, t]),
        }
    ).sort("mine_id", "as_of_year")
