"""Fixtures that several parts share: real servers, a fresh database, landing folders, a home with a finished run."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from filelock import FileLock

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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep a module of integration tests on one worker: what it builds for all its tests is then built once."""
    for item in items:
        if "integration" in item.path.parts and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


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
class Finished:
    """A home at rest in which the whole pipeline has run once on simulated files, and the truth behind those."""

    home: Path
    landing: Path
    truth: SimulatedTruth
    output: str


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
def finished(tmp_path_factory: pytest.TempPathFactory, simulated: tuple[Path, SimulatedTruth]) -> Finished:
    """`fvi run` on simulated files, as a user runs it: once for all workers of a session. Nobody changes it.

    Its tests are in two groups, demo and demo-served. The first begins the session; the second comes in the order of
    the modules (`make test` keeps it), when the home is there and no worker has to wait.
    """
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "finished"
    shared.mkdir(exist_ok=True)
    landing, home, printed = shared / "landing", shared / "home", shared / "printed"
    folder, truth = simulated  # the same for every worker: the same configuration draws the same files
    with FileLock(shared / "lock"):
        if not printed.exists():
            shutil.copytree(folder, landing)
            result = run_fvi(clean_environment(home), "run", "--source", str(landing))
            assert result.returncode == 0, result.stdout + result.stderr
            printed.write_text(result.stdout)
    return Finished(home, landing, truth, printed.read_text())


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory, finished: Finished) -> Iterator[Demo]:
    """This worker's own copy of the finished home; its servers stay up for the session."""
    home = tmp_path_factory.mktemp("demo") / "home"
    # a copy that keeps the owner, too: PostgreSQL insists on it
    subprocess.run(["cp", "-a", str(finished.home), str(home)], check=True)
    (home / "valkey" / "server.json").unlink()  # the original's port, which another worker's copy would want too
    settings = embedded_settings(home)
    with running_servers(settings) as servers:
        environment = clean_environment(home) | tool_environment(settings, servers)
        tools = {**environment, "PYTHONPATH": str(PROJECT_ROOT)}
        yield Demo(settings, finished.landing, finished.truth, tools, finished.output)
