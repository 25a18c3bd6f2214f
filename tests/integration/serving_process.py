"""The real `bentoml serve` in a process of its own, with a relay before Valkey that a test can cut."""

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from fvi_pipeline.platform.database import connection_parts, with_search_path
from tests.commands import BIN

START_SECONDS = 90


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Relay:
    """Passes TCP on to a server; `cut` closes what is open and refuses what is new, `mend` listens again."""

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        self.port = free_port()
        self._open: list[socket.socket] = []
        self.mend()

    def mend(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        # shutdown wakes a thread that waits in accept or recv; close alone does not
        for opened in [self._listener, *self._open]:
            try:
                opened.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
            finally:
                opened.close()
        self._open.clear()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
                server = self._reach()
            except OSError:
                return
            self._open += [client, server]
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(source, target), daemon=True).start()

    def _reach(self) -> socket.socket:
        return socket.create_connection(self.target)

    @staticmethod
    def _pump(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65_536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return


class PostgresRelay(Relay):
    """The same before the embedded PostgreSQL, which listens on a Unix socket only."""

    def __init__(self, database_url: str) -> None:
        parts = connection_parts(database_url)
        self._path = f"{parts['host']}/.s.PGSQL.{parts['port']}"
        super().__init__(parts["host"], int(parts["port"]))

    def _reach(self) -> socket.socket:
        reached = socket.socket(socket.AF_UNIX)
        reached.connect(self._path)
        return reached

    def through(self, environment: dict[str, str]) -> dict[str, str]:
        """The environment with PostgreSQL's address replaced by the relay's, for all tools."""
        url = f"postgresql://postgres@127.0.0.1:{self.port}/fvi"
        return environment | {
            "FVI_DATABASE_URL": url,
            "FVI_FEAST_REGISTRY_URL": with_search_path(url, "feast").replace("postgresql:", "postgresql+psycopg:"),
            "MLFLOW_TRACKING_URI": with_search_path(url, "mlflow"),
        }


def through(relay: Relay, environment: dict[str, str]) -> dict[str, str]:
    """The environment with Valkey's address replaced by the relay's."""
    parts = urlsplit(environment["FVI_REDIS_URL"])
    address = f"{parts.hostname}:{parts.port}"
    return environment | {
        name: environment[name].replace(address, f"127.0.0.1:{relay.port}")
        for name in ("FVI_REDIS_URL", "FVI_FEAST_REDIS")
    }


@contextmanager
def served(environment: dict[str, str], folder: Path, ready_status: int = 200) -> Iterator[httpx.Client]:
    """`bentoml serve fvi:latest` on a free port until the block ends; its log is in `folder`."""
    port = free_port()
    log = folder / f"serve-{port}.log"
    # an idle connection lives for five seconds else, and a test on a busy machine may ask in the moment of its end
    command = [str(BIN / "bentoml"), "serve", "fvi:latest", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--timeout-keep-alive", "60"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            _wait(client, process, log, ready_status)
            yield client
    finally:
        # its group: the main process and its two workers
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait(client: httpx.Client, process: subprocess.Popen, log: Path, ready_status: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    status = None
    while time.monotonic() < deadline and process.poll() is None:
        try:
            status = client.get("/readyz").status_code
        except httpx.TransportError:
            status = None
        if status == ready_status:
            return
        time.sleep(0.2)
    raise AssertionError(f"the service did not start (last /readyz: {status}):\n{log.read_text()[-4000:]}")
