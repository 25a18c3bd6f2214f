"""Warehouses for the benchmarks, each a database of its own on a scratch server: made, copied, filled, built, dropped.

What is measured, and on which history, belongs to the benchmark itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psycopg

from fvi_pipeline.feeds.ingest import ingest_folder
from fvi_pipeline.platform.bootstrap import bootstrap
from fvi_pipeline.platform.environment import tool_environment
from fvi_pipeline.platform.servers import Servers
from fvi_pipeline.platform.settings import Settings

_FOREIGN = ("FVI_", "PG", "DAGSTER_", "DBT_", "MLFLOW_", "FEAST_", "BENTOML_")


@dataclass(frozen=True)
class ScratchDatabase:
    """The warehouse at hand; it has one name always, because dbt parses the project anew for another."""

    settings: Settings
    servers: Servers
    name: str = "night"

    @property
    def url(self) -> str:
        """Its address."""
        return self.servers.database_url.replace("/fvi?", f"/{self.name}?")

    def create(self, template: str | None = None) -> None:
        """Make it, with every schema and table, or as a copy of another one."""
        with psycopg.connect(self.servers.database_url, autocommit=True) as connection:
            copied = f' template "{template}"' if template else ""
            connection.execute(f'create database "{self.name}"{copied}'.encode())
        with psycopg.connect(self.url) as connection:
            bootstrap(connection)

    def rename(self, name: str) -> None:
        """Give it another name, so that it can be copied from."""
        with psycopg.connect(self.servers.database_url, autocommit=True) as connection:
            connection.execute(f'alter database "{self.name}" rename to "{name}"'.encode())

    def drop(self) -> None:
        """Delete it."""
        with psycopg.connect(self.servers.database_url, autocommit=True) as connection:
            connection.execute(f'drop database "{self.name}" with (force)'.encode())

    def ingest(self, folder: Path) -> None:
        """Take in a landing folder."""
        with psycopg.connect(self.url) as connection:
            ingest_folder(connection, folder)

    def build(self, *arguments: str) -> dict[str, float]:
        """`dbt build` with the arguments; returns the seconds of each model."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        environment = inherited | tool_environment(self.settings, Servers(self.url, self.servers.redis_url))
        command = [str(Path(sys.executable).parent / "dbt"), "build", "--quiet", *arguments]
        result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            sys.exit(f"dbt build of {self.name} failed:\n{result.stdout}{result.stderr}")
        results = json.loads((Path(environment["DBT_TARGET_PATH"]) / "run_results.json").read_text())["results"]
        return {
            node["unique_id"].rsplit(".", 1)[1]: float(node["execution_time"])
            for node in results
            if node["unique_id"].startswith("model.")
        }

    def panel_rows(self) -> int:
        """Rows of the agency's panel that are loaded."""
        with psycopg.connect(self.url) as connection:
            row = connection.execute("select count(*) from landing.eia_coal_mines").fetchone()
        return int(row[0]) if row else 0


def landing_folder(source: str, scratch: Path) -> Path:
    """The landing folder `source`; simulated files for `sample` (or `auto`)."""
    if source not in ("auto", "sample"):
        return Path(source).resolve()
    from fvi_pipeline.simulator import SimulationConfig, write_landing_folder

    write_landing_folder(scratch / "landing", SimulationConfig())
    return scratch / "landing"
