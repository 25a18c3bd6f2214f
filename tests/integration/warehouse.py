"""A database of its own with landing tables, and dbt for it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from fvi_pipeline.platform.bootstrap import bootstrap
from fvi_pipeline.platform.environment import tool_environment
from fvi_pipeline.platform.servers import Servers
from fvi_pipeline.platform.settings import Settings
from tests.commands import BIN, clean_environment, run_tool


@dataclass(frozen=True)
class Warehouse:
    """A database with landing tables, and dbt for it."""

    url: str
    environment: dict[str, str]

    def build(self) -> None:
        """`dbt build`, every test included."""
        self.dbt("build")

    def dbt(self, *arguments: str, **variables: Any) -> None:
        """Run dbt with these arguments and variables; it must succeed."""
        command = [str(BIN / "dbt"), *arguments, "--quiet", "--vars", json.dumps(variables)]
        result = run_tool(self.environment, *command)
        assert result.returncode == 0, result.stdout + result.stderr

    def rows(self, query: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        with psycopg.connect(self.url) as connection:
            return connection.execute(query.encode(), parameters).fetchall()

    def value(self, query: str, parameters: tuple[Any, ...] = ()) -> Any:
        """The single value of a query."""
        return self.rows(query, parameters)[0][0]


@contextmanager
def new_warehouse(servers: Servers, home: Path) -> Iterator[Warehouse]:
    """A warehouse on a database of its own, dropped afterwards."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        connection.execute(f'create database "{name}"'.encode())
    url = servers.database_url.replace("/fvi?", f"/{name}?")
    with psycopg.connect(url) as connection:
        bootstrap(connection)
    settings = Settings(home=home, database_url=None, redis_url=None)
    environment = clean_environment(home) | tool_environment(settings, Servers(url, servers.redis_url))
    yield Warehouse(url, environment)
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        connection.execute(f'drop database "{name}" with (force)'.encode())
