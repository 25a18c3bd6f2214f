"""A database of its own with landing tables, and dbt for it. What is asserted belongs to the tests."""

from __future__ import annotations

import json
import shutil
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

_parses: dict[str, Path] = {}
"""dbt's parse of the project by the address of the database that it was made for, without which it is void."""


@dataclass(frozen=True)
class OwnWarehouse:
    """The database's address and the environment of the tools that work on it."""

    url: str
    environment: dict[str, str]

    def take_in(self, folder: Path) -> None:
        """Ingest the folder and build every model, without the tests."""
        with psycopg.connect(self.url) as connection:
            ingest_folder(connection, folder, simulated=True)
        self.build(tests=False)

    def build(self, *, tests: bool = True) -> None:
        """`dbt build`."""
        self.dbt("build", *(() if tests else ("--resource-type", "model", "--resource-type", "seed")))

    def dbt(self, *arguments: str, **variables: Any) -> None:
        """Run dbt with these arguments and variables; it must succeed."""
        command = [str(BIN / "dbt"), *arguments, "--quiet", "--vars", json.dumps(variables)]
        result = run_tool(self.environment, *command)
        assert result.returncode == 0, result.stdout + result.stderr

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        with psycopg.connect(self.url) as connection:
            return connection.execute(query.encode(), parameters).fetchall()

    def value(self, query: str, *parameters: Any) -> Any:
        """The single value of a query."""
        return self.rows(query, *parameters)[0][0]


@contextmanager
def new_warehouse(servers: Servers, home: Path) -> Iterator[OwnWarehouse]:
    """An empty database with every schema, dropped afterwards; the tools use it as a server of the user's own."""
    with psycopg.connect(servers.database_url, autocommit=True) as admin:
        taken = {name for (name,) in admin.execute("select datname from pg_database").fetchall()}
        # few names, each used again: the parse of one warehouse serves the next one of its name
        name = next(name for number in range(1, 100) if (name := f"warehouse_{number}") not in taken)
        admin.execute(f'create database "{name}"'.encode())
        try:
            url = servers.database_url.replace("/fvi?", f"/{name}?")
            with psycopg.connect(url) as connection:
                bootstrap(connection)
            tools = tool_environment(
                Settings(home=home, database_url=None, redis_url=None), Servers(url, servers.redis_url)
            )
            parse = Path(tools["DBT_TARGET_PATH"], "partial_parse.msgpack")
            if url in _parses and not parse.exists():
                parse.parent.mkdir(parents=True)
                shutil.copy2(_parses[url], parse)
            yield OwnWarehouse(url, clean_environment(home) | tools)
            if parse.exists():
                _parses[url] = parse
        finally:
            admin.execute(f'drop database "{name}" with (force)'.encode())
