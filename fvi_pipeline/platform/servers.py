"""Life of the servers that a command stands on: started when needed, stopped when the last user leaves.

Every user holds a shared lock on one file; the kernel frees it however the process ends, kill -9 included.
The one who leaves last (its exclusive lock succeeds) stops the servers, unless `fvi up` asked to keep them.
How a server is started belongs to `postgres.py` and `valkey.py`.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from filelock import FileLock, Timeout

from fvi_pipeline.platform.bootstrap import bootstrap
from fvi_pipeline.platform.database import connect
from fvi_pipeline.platform.errors import PlatformError
from fvi_pipeline.platform.postgres import EmbeddedPostgres
from fvi_pipeline.platform.settings import Settings
from fvi_pipeline.platform.valkey import EmbeddedValkey

_START_LOCK_SECONDS = 180  # longer than the slowest start, a recovery after a crash


class StartLockTimeout(PlatformError):
    """Another command has held the start lock for too long."""


class ServerLost(PlatformError):
    """The embedded PostgreSQL ended while a command was using it."""


@dataclass(frozen=True)
class Servers:
    """Addresses of the servers that answer now."""

    database_url: str
    redis_url: str


@dataclass(frozen=True)
class ServerStatus:
    """What `fvi status` prints of one server; the process id is None when it is external or does not run."""

    name: str
    embedded: bool
    address: str
    pid: int | None


@contextmanager
def running_servers(settings: Settings) -> Iterator[Servers]:
    """Servers that answer, for the length of the block, with every schema and table in place.

    Raises:
        PlatformError: the home cannot be written, a port or folder is taken, or a server does not answer.
        ServerLost: the block failed, and the embedded PostgreSQL is not the one that the block began with.
    """
    with _open_users_file(settings.home) as users:
        try:
            with _start_lock(settings.home):
                fcntl.flock(users, fcntl.LOCK_SH)
                servers = _start(settings)
            with _reporting_loss(EmbeddedPostgres(settings.home)):
                yield servers
        finally:
            _leave(settings, users)


def up(settings: Settings) -> Servers:
    """Start the servers and keep them until `down`."""
    with running_servers(settings) as servers:
        _keep_file(settings.home).touch()
        return servers


def down(settings: Settings, *, force: bool = False) -> None:
    """Stop the embedded servers.

    Raises:
        PlatformError: another command uses them and `force` is off.
    """
    if not settings.home.is_dir():
        return
    with _open_users_file(settings.home) as users, _start_lock(settings.home):
        if not force and not _nobody_uses(users):
            raise PlatformError("Another command is using the servers. Wait for it, or use `fvi down --force`.")
        _keep_file(settings.home).unlink(missing_ok=True)
        _stop(settings)


def status(settings: Settings) -> list[ServerStatus]:
    """What runs, without starting anything."""
    recorded = _recorded(settings.home)
    postgres, valkey = _embedded(settings)
    wanted = [
        ("PostgreSQL", "database_url", settings.database_url, postgres.pid),
        ("Valkey", "redis_url", settings.redis_url, valkey.pid),
    ]
    found = []
    for name, key, url, pid in wanted:
        if url is None or url == recorded.get(key):
            found.append(ServerStatus(name, True, recorded.get(key) or "not started yet", pid()))
        else:
            found.append(ServerStatus(name, False, url, None))
    return found


def _start(settings: Settings) -> Servers:
    recorded = _recorded(settings.home)
    postgres, valkey = _embedded(settings)
    # a shell that ran `eval "$(fvi env)"` carries the embedded servers' own addresses: those are not the
    # user's servers
    embedded: dict[str, str] = {}
    database_url, redis_url = settings.database_url, settings.redis_url
    if database_url is None or database_url == recorded.get("database_url"):
        database_url = embedded["database_url"] = postgres.start()
    if redis_url is None or redis_url == recorded.get("redis_url"):
        redis_url = embedded["redis_url"] = valkey.start()
    else:
        _ping(redis_url)
    if recorded != recorded | embedded:
        # what was recorded of a server that is not used now stays: it may still run for another command
        _write_record(settings.home, recorded | embedded)
    with connect(database_url) as connection:
        bootstrap(connection)
    return Servers(database_url=database_url, redis_url=redis_url)


@contextmanager
def _reporting_loss(postgres: EmbeddedPostgres) -> Iterator[None]:
    """Whatever a block fails with once its server is gone, the loss is the reason to tell."""
    began_with = postgres.pid()
    try:
        yield
    except Exception as error:
        if postgres.pid() == began_with:
            raise
        raise ServerLost(
            "PostgreSQL ended while this command was using it (killed, or out of memory?). What was committed is kept. "
            f"Run the same command again; the server's log is {postgres.log_file}."
        ) from error


def _leave(settings: Settings, users: IO[str]) -> None:
    try:
        with _start_lock(settings.home):
            fcntl.flock(users, fcntl.LOCK_UN)
            if _nobody_uses(users) and not _keep_file(settings.home).exists():
                _stop(settings)
    except StartLockTimeout:
        fcntl.flock(users, fcntl.LOCK_UN)  # somebody is starting them right now: they are that user's to stop


def _stop(settings: Settings) -> None:
    postgres, valkey = _embedded(settings)
    valkey.stop()
    postgres.stop()


def _embedded(settings: Settings) -> tuple[EmbeddedPostgres, EmbeddedValkey]:
    return EmbeddedPostgres(settings.home), EmbeddedValkey(settings.home, settings.redis_port)


def _recorded(home: Path) -> dict[str, str]:
    try:
        recorded = json.loads((home / "servers.json").read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(recorded, dict):
        return {}
    return {name: url for name, url in recorded.items() if isinstance(name, str) and isinstance(url, str)}


def _write_record(home: Path, addresses: dict[str, str]) -> None:
    temporary = home / "servers.json.new"
    temporary.unlink(missing_ok=True)
    temporary.touch(mode=0o600)  # it holds a password
    temporary.write_text(json.dumps(addresses))
    temporary.replace(home / "servers.json")


def _ping(redis_url: str) -> None:
    import redis

    from fvi_pipeline.platform.database import redacted

    try:
        with redis.Redis.from_url(redis_url, socket_connect_timeout=5, socket_timeout=5) as client:
            client.ping()
    except redis.RedisError as error:
        raise PlatformError(
            f"Redis at {redacted(redis_url)} does not answer ({error}). Correct FVI_REDIS_URL, or unset it "
            "to use the "
            'embedded Valkey; in a shell that ran eval "$(fvi env)" before, run that again in a new shell.'
        ) from error


@contextmanager
def _start_lock(home: Path) -> Iterator[None]:
    lock = FileLock(home / "servers.lock", timeout=_START_LOCK_SECONDS)
    try:
        lock.acquire()
    except Timeout as error:
        raise StartLockTimeout(
            f"Another command has been starting the servers of {home} for {_START_LOCK_SECONDS} s. Look at "
            "`fvi status`."
        ) from error
    try:
        yield
    finally:
        lock.release()


def _open_users_file(home: Path) -> IO[str]:
    """The file whose locks are the leases; makes the home.

    Raises:
        PlatformError: the home is not a folder or cannot be written.
    """
    if home.exists() and not home.is_dir():
        raise PlatformError(f"FVI_HOME={home} is a file, not a folder. Choose another one.")
    try:
        home.mkdir(parents=True, exist_ok=True)
        (home / "servers.lock").touch()
        return (home / "servers.users").open("a")
    except OSError as error:
        raise PlatformError(
            f"FVI_HOME={home} cannot be written ({error.strerror}). Choose another folder, or make it writable."
        ) from error


def _nobody_uses(users: IO[str]) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(users, fcntl.LOCK_UN)
    return True


def _keep_file(home: Path) -> Path:
    return home / "servers.keep"
