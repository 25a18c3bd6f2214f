"""Life of the servers that a command stands on: started when needed, stopped when the last user leaves.

Every user holds a shared lock on one file; the kernel frees it however the process ends, kill -9 included. The one who
leaves last (its exclusive lock succeeds) stops the servers, unless `fvi up` asked to keep them. How a server is started
belongs to `postgres.py` and `valkey.py`.
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

_START_LOCK_SECONDS = 120


@dataclass(frozen=True)
class Servers:
    """Addresses of the servers that answer now."""

    database_url: str
    redis_url: str


@dataclass(frozen=True)
class ServerStatus:
    """What `fvi status` prints of one server: where it is, and its process id when it is embedded and runs."""

    name: str
    embedded: bool
    address: str
    pid: int | None


@contextmanager
def running_servers(settings: Settings) -> Iterator[Servers]:
    """Servers that answer, for the length of the block, with every schema and table in place.

    Raises:
        PlatformError: the home cannot be written, a port or folder is taken, or a server does not answer.
    """
    users = _open_users_file(settings.home)
    try:
        with _start_lock(settings.home):
            fcntl.flock(users, fcntl.LOCK_SH)
            servers = _start(settings)
        yield servers
    finally:
        with _start_lock(settings.home):
            fcntl.flock(users, fcntl.LOCK_UN)
            if _nobody_uses(users) and not _keep_file(settings.home).exists():
                _stop(settings)
        users.close()


def up(settings: Settings) -> Servers:
    """Start the servers and keep them until `down`."""
    with _start_lock(settings.home):
        servers = _start(settings)
        _keep_file(settings.home).touch()
    return servers


def down(settings: Settings, *, force: bool = False) -> None:
    """Stop the embedded servers.

    Raises:
        PlatformError: another command uses them and `force` is off.
    """
    users = _open_users_file(settings.home)
    try:
        with _start_lock(settings.home):
            if not force and not _nobody_uses(users):
                raise PlatformError("Another command is using the servers. Wait for it, or use `fvi down --force`.")
            _keep_file(settings.home).unlink(missing_ok=True)
            _stop(settings)
    finally:
        users.close()


def status(settings: Settings) -> list[ServerStatus]:
    """What runs, without starting anything."""
    recorded = _recorded(settings.home)
    postgres_embedded = _is_embedded(settings.database_url, recorded.get("database_url"))
    valkey_embedded = _is_embedded(settings.redis_url, recorded.get("redis_url"))
    postgres, valkey = _embedded(settings)
    return [
        ServerStatus(
            "PostgreSQL",
            postgres_embedded,
            (recorded.get("database_url") or "not started yet") if postgres_embedded else str(settings.database_url),
            postgres.pid() if postgres_embedded else None,
        ),
        ServerStatus(
            "Valkey",
            valkey_embedded,
            (recorded.get("redis_url") or "not started yet") if valkey_embedded else str(settings.redis_url),
            valkey.pid() if valkey_embedded else None,
        ),
    ]


def _start(settings: Settings) -> Servers:
    recorded = _recorded(settings.home)
    postgres, valkey = _embedded(settings)
    database_url, redis_url = settings.database_url, settings.redis_url
    if database_url is None or _is_embedded(database_url, recorded.get("database_url")):
        database_url = postgres.start()
    if redis_url is None or _is_embedded(redis_url, recorded.get("redis_url")):
        redis_url = valkey.start()
    else:
        _ping(redis_url)
    addresses = settings.home / "servers.json"
    addresses.touch(mode=0o600, exist_ok=True)
    addresses.write_text(json.dumps({"database_url": database_url, "redis_url": redis_url}))
    with connect(database_url) as connection:
        bootstrap(connection)
    return Servers(database_url=database_url, redis_url=redis_url)


def _stop(settings: Settings) -> None:
    postgres, valkey = _embedded(settings)
    valkey.stop()
    postgres.stop()


def _embedded(settings: Settings) -> tuple[EmbeddedPostgres, EmbeddedValkey]:
    return EmbeddedPostgres(settings.home), EmbeddedValkey(settings.home, settings.redis_port)


def _is_embedded(url: str | None, recorded: str | None) -> bool:
    # a shell that ran `eval "$(fvi env)"` carries the embedded server's own address: that is not a server of the user's
    return url is None or url == recorded


def _recorded(home: Path) -> dict[str, str]:
    try:
        recorded = json.loads((home / "servers.json").read_text())
    except (OSError, ValueError):
        return {}
    return recorded if isinstance(recorded, dict) else {}


def _ping(redis_url: str) -> None:
    import redis

    from fvi_pipeline.platform.database import redacted

    try:
        with redis.Redis.from_url(redis_url, socket_connect_timeout=5, socket_timeout=5) as client:
            client.ping()
    except redis.RedisError as error:
        raise PlatformError(
            f"Redis at {redacted(redis_url)} does not answer ({error}). Correct FVI_REDIS_URL, or unset it to use the "
            "embedded Valkey."
        ) from error


@contextmanager
def _start_lock(home: Path) -> Iterator[None]:
    _make_home(home)
    try:
        with FileLock(home / "servers.lock", timeout=_START_LOCK_SECONDS):
            yield
    except Timeout as error:
        raise PlatformError(
            f"Another command has been starting the servers of {home} for {_START_LOCK_SECONDS} s. Look at `fvi status`."
        ) from error


def _make_home(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise PlatformError(f"FVI_HOME={home} is not a folder. Choose another one.") from error
    except PermissionError as error:
        raise PlatformError(f"FVI_HOME={home} cannot be written. Choose another one.") from error


def _open_users_file(home: Path) -> IO[str]:
    _make_home(home)
    return (home / "servers.users").open("a")


def _nobody_uses(users: IO[str]) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(users, fcntl.LOCK_UN)
    return True


def _keep_file(home: Path) -> Path:
    return home / "servers.keep"
