"""Fixtures that several parts share: real servers, a fresh database, landing folders, a home with a finished run."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from fvi_pipeline.platform.bootstrap import bootstrap
from fvi_pipeline.platform.dbt_manifest import ensure_manifest
from fvi_pipeline.platform.environment import tool_environment
from fvi_pipeline.platform.servers import Servers, running_servers
from fvi_pipeline.platform.settings import PROJECT_ROOT, Settings
from fvi_pipeline.simulator import SimulatedTruth, SimulationConfig, write_landing_folder
from tests.commands import clean_environment, run_fvi

# large enough for a model that the gate lets pass, small enough to run in well under a minute
_DEMO_SIMULATION = SimulationConfig(mines=600, first_year=1997, last_year=2019, foreign_mines=60)
REAL_LANDING = Path(os.environ.get("FVI_REAL_LANDING", PROJECT_ROOT.parent / "shared" / "landing"))


def embedded_settings(home: Path) -> Settings:
    """Settings of a home of its own, whatever a shell exported."""
    return Settings(home=home, database_url=None, redis_url=None)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Embedded PostgreSQL and Valkey of this test session (one per xdist worker)."""
    home = tmp_path_factory.mktemp("fvi-home")
    with running_servers(embedded_settings(home)) as running:
        yield running


@pytest.fixture
def database_url(servers: Servers) -> Iterator[str]:
    """A database of its own with every schema and table in place, dropped afterwards."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        connection.execute(f'create database "{name}"')
    url = servers.database_url.replace("/fvi?", f"/{name}?")
    with psycopg.connect(url) as connection:
        bootstrap(connection)
    yield url
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        connection.execute(f'drop database "{name}" with (force)')


@pytest.fixture
def redis_url(servers: Servers) -> Iterator[str]:
    """The session's Valkey, emptied before and after."""
    import redis

    with redis.Redis.from_url(servers.redis_url) as client:
        client.flushall()
        yield servers.redis_url
        client.flushall()


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dbt manifest of this checkout, parsed once for all workers."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    return ensure_manifest(PROJECT_ROOT / "dbt_project", shared / "parsed")


@pytest.fixture(scope="session")
def real_landing() -> Path:
    """The publishers' real files, which are never part of the repository."""
    if not REAL_LANDING.is_dir():
        pytest.skip(f"no real files at {REAL_LANDING}; set FVI_REAL_LANDING to run the tests on them")
    return REAL_LANDING


@dataclass(frozen=True)
class Demo:
    """A home in which the whole pipeline has run once on simulated files."""

    settings: Settings
    landing: Path
    truth: SimulatedTruth
    environment: dict[str, str]
    first_output: str


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SimulatedTruth]:
    """A small simulated landing folder, defects included, and the truth behind it. Tests must not change it."""
    folder = tmp_path_factory.mktemp("landing")
    return folder, write_landing_folder(folder, _DEMO_SIMULATION)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory, simulated: tuple[Path, SimulatedTruth]) -> Iterator[Demo]:
    """`fvi run` on the simulated files, as a user runs it; its servers stay up for the session."""
    home = tmp_path_factory.mktemp("demo-home")
    settings = embedded_settings(home)
    folder, truth = simulated
    environment = clean_environment(home)
    with running_servers(settings) as servers:
        result = run_fvi(environment, "run", "--source", str(folder))
        assert result.returncode == 0, result.stdout + result.stderr
        tools = {**environment, **tool_environment(settings, servers), "PYTHONPATH": str(PROJECT_ROOT)}
        yield Demo(settings, folder, truth, tools, result.stdout)
