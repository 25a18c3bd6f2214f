"""A seeded simulator of publishers' files, whose truth is known.

Here belongs what draws mines from a stated survival process and writes them as a landing folder, defects
included. What reads a landing folder does not belong here: the feeds must not be able to tell these files
from real ones, except by the marker `SIMULATED.json`.
"""

from fvi_pipeline.simulator.config import (
    PublishedShift,
    RegimeChange,
    SimulationConfig,
    SimulationConfigError,
    SurvivalCoefficients,
    small_simulation_config,
)
from fvi_pipeline.simulator.folder import MARKER_NAME, simulate_truth, write_landing_folder
from fvi_pipeline.simulator.truth import PlantedDefect, SimulatedTruth

__all__ = [
    "MARKER_NAME",
    "PlantedDefect",
    "PublishedShift",
    "RegimeChange",
    "SimulatedTruth",
    "SimulationConfig",
    "SimulationConfigError",
    "SurvivalCoefficients",
    "simulate_truth",
    "small_simulation_config",
    "write_landing_folder",
]
