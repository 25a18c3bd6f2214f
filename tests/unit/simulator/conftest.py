"""One default and one small simulation for all tests of the simulator, each written once."""

from __future__ import annotations

from pathlib import Path

import pytest

from fvi_pipeline.simulator import (
    SimulatedTruth,
    SimulationConfig,
    small_simulation_config,
    write_landing_folder,
)


@pytest.fixture(scope="session")
def default_truth(tmp_path_factory: pytest.TempPathFactory) -> SimulatedTruth:
    folder: Path = tmp_path_factory.mktemp("default-simulation")
    return write_landing_folder(folder, SimulationConfig(seed=1))


@pytest.fixture(scope="session")
def small_truth(tmp_path_factory: pytest.TempPathFactory) -> SimulatedTruth:
    folder: Path = tmp_path_factory.mktemp("small-simulation")
    return write_landing_folder(folder, small_simulation_config(seed=1))
