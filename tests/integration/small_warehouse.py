"""A database of its own with the landing tables of a folder, and dbt for it. What is asserted belongs to the tests."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from fvi_pipeline.feeds.ingest import ingest_folder
from fvi_pipeline.platform.bootstrap import bootstrap
from fvi_pipeline.platform.environment import tool_environment
from fvi_pipeline.platform.servers import Servers
from fvi_pipeline.platform.settings import Settings
from tests.commands import BIN, clean_environment, run_tool


@dataclass(frozen=True)
class SmallWarehouse:
    """The database's address and the environment of the tools that work on it."""

    url: str
    environment: dict[str, str]

    def take_in(self, folder: Path) -> None:
        """Ingest the folder and build every model, without the tests."""
        with psycopg.connect(self.url) as connection:
            ingest_folder(connection, folder, simulated=True)
        self.dbt("build", "--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")

    def dbt(self, *arguments: str) -> None:
        """Run dbt to its end."""
        result = run_tool(self.environment, str(BIN / "dbt"), *arguments, "--quiet")
        assert result.returncode == 0, result.stdout + result.stderr

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        with psycopg.connect(self.url) as connection:
            return connection.execute(query.encode(), parameters).fetchall()


@contextmanager
def small_warehouse(servers: Servers, home: Path) -> Iterator[SmallWarehouse]:
    """An empty database with every schema, dropped afterwards; the tools use it as a server of the user's own."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(servers.database_url, autocommit=True) as admin:
        admin.execute(f'create database "{name}"'.encode())
        try:
            url = servers.database_url.replace("/fvi?", f"/{name}?")
            with psycopg.connect(url) as connection:
                bootstrap(connection)
            settings = Settings(home=home, database_url=None, redis_url=None)
            tools = tool_environment(settings, Servers(url, servers.redis_url))
            addresses = {"FVI_DATABASE_URL": url, "FVI_REDIS_URL": servers.redis_url}
            yield SmallWarehouse(url, clean_environment(home) | tools | addresses)
        finally:
            admin.execute(f'drop database "{name}" with (force)'.encode())
