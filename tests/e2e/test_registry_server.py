"""The service beside a real `mlflow server`: who reigns, and the files, come over HTTP, without MLflow's own client."""

from __future__ import annotations

import os
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from fvi_pipeline.model.registry import open_registry
from fvi_pipeline.model.scoring import MODEL_NAME
from fvi_pipeline.serving.board import ChampionBoard
from fvi_pipeline.serving.errors import StoreUnavailableError
from fvi_pipeline.serving.model_files import ModelShelf
from fvi_pipeline.serving.standing_note import RegistryServer, Reign, registry_source
from tests.another_version import Candidate
from tests.commands import BIN
from tests.integration.serving_load import wait_until
from tests.integration.serving_process import free_port
from tests.unit.serving.small_models import Layouts, small_model

pytestmark = pytest.mark.slow
ROW = np.array([[1e6, 50]], dtype=np.float32)


@contextmanager
def tracking_server(folder: Path) -> Iterator[str]:
    """`mlflow server` with its store and its artifacts in a folder, on loopback."""
    url = f"http://127.0.0.1:{free_port()}"
    with (folder / "mlflow.log").open("wb") as log:
        server = subprocess.Popen(
            [str(BIN / "mlflow"), "server", "--host", "127.0.0.1", "--port", url.rpartition(":")[2], "--workers", "1",
             "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--serve-artifacts",
             "--artifacts-destination", str(folder / "artifacts")],
            cwd=folder, env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}, stdin=subprocess.DEVNULL, stdout=log,
            stderr=log, start_new_session=True,
        )  # fmt: skip

    def is_up() -> bool:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    try:
        wait_until(is_up, 90)
        yield url
    finally:
        os.killpg(server.pid, 15)
        server.wait(20)


def test_versions_and_files_come_from_an_mlflow_server_and_stay_when_it_is_gone(tmp_path: Path) -> None:
    models = {"1": small_model(1), "2": small_model(2)}
    with tracking_server(tmp_path) as url:
        source = registry_source(url)
        assert isinstance(source, RegistryServer)
        assert source.read(MODEL_NAME) == Reign()  # neither a model nor an alias yet
        registry = open_registry(url, tmp_path)
        assert [registry.register(Candidate(files)).version for files in models.values()] == ["1", "2"]
        registry.set_champion("1")
        reign = source.read(MODEL_NAME)
        assert reign.champion is not None
        assert (reign.champion.version, reign.champion.onnx_sha256) == ("1", models["1"].onnx_sha256)
        assert reign.challenger is None
        board = ChampionBoard(Layouts(), ModelShelf(tmp_path / "shelf"), [source], None, share=0.5, mode="route")
        assert (board.standing.champion.version, board.known_from) == ("1", "RegistryServer")
        registry.set_challenger("2")
        assert board.refresh()
        challenger = board.standing.challenger
        assert challenger is not None
        assert challenger.version == "2"
        registry.set_challenger(None)
        registry.set_champion("2")
        assert board.refresh()
        assert (board.standing.champion.version, board.standing.challenger) == ("2", None)
        right = models["2"].model().probabilities(ROW, 5)
        assert board.standing.champion.model.probabilities(ROW, 5) == right
    with pytest.raises(StoreUnavailableError):
        source.read(MODEL_NAME)
    assert not board.refresh()
    assert board.standing.champion.version == "2"
    # the next start on this disk needs no registry
    again = ChampionBoard(Layouts(), ModelShelf(tmp_path / "shelf"), [source], None)
    assert again.standing.champion.version == "2"
