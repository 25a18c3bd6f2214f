"""A small real model, and a store of mines in memory, behind the real application."""

from datetime import UTC, datetime

import lightgbm
import numpy as np
import pytest
from starlette.testclient import TestClient

from fvi_pipeline.model.intervals import IntervalTable
from fvi_pipeline.model.onnx_export import to_onnx
from fvi_pipeline.model.scoring import ModelMetadata, ViabilityModel
from fvi_pipeline.serving.app import create_app
from fvi_pipeline.serving.arms import FixedBoard, MineFields, ServedModel, Standing
from fvi_pipeline.serving.backends import Backends
from fvi_pipeline.serving.contract import WeightHistoryResponse, WeightsResponse
from fvi_pipeline.serving.errors import StoreUnavailableError
from fvi_pipeline.serving.gate import Gate
from fvi_pipeline.serving.guard import Guard, GuardState
from fvi_pipeline.serving.mines import StoredMine
from fvi_pipeline.serving.predictor import Predictor
from fvi_pipeline.serving.scorer import Scorer

FEATURES = ["production_short_tons", "average_employees", "coal_price_usd_per_tonne"]


class MinesInMemory:
    """Stands for the online store: validation needs mines, not servers."""

    def __init__(self):
        self.down = False
        self.reads = 0
        values, known_at = np.array([1.2e6, 80, np.nan], dtype=np.float32), datetime(2020, 10, 1, tzinfo=UTC)
        few = np.array([1.2e6, 5, np.nan], dtype=np.float32)
        self.mines = {
            "msha:0000001": StoredMine(values, 2019, True, 61.5, known_at),
            "msha:0000002": StoredMine(few, 2019, True, None, known_at),
            "msha:0000003": StoredMine(values, 2019, False, 12.0, known_at),
            "msha:0000004": StoredMine(values, 1998, True, None, known_at),
            "gem:M0086": StoredMine(None, None, False, 44.0),
        }

    async def read(self, served, mine_ids, *also, version=None):
        self.reads += 1
        if self.down:
            raise StoreUnavailableError("The online store does not answer: ask again in a moment.")
        return [self.mines.get(mine_id) for mine_id in mine_ids], [[None] * (len(command) - 2) for command in also]


class LogInMemory:
    """Keeps what is offered."""

    def __init__(self):
        self.entries = []

    def offer(self, entry):
        self.entries.append(entry)


@pytest.fixture(scope="session")
def model():
    generator = np.random.default_rng(7)
    rows = generator.random((600, len(FEATURES) + 1)) * [2e6, 200, 100, 20]
    viable = (rows[:, 1] + generator.normal(0, 30, 600) > 5 * rows[:, 3]).astype(int)
    booster = lightgbm.train(
        {"objective": "binary", "num_leaves": 7, "verbose": -1, "num_threads": 1, "seed": 1},
        lightgbm.Dataset(rows.astype(np.float32), viable, feature_name=[*FEATURES, "horizon_years"]),
        num_boost_round=20,
    )
    metadata = ModelMetadata(
        features=FEATURES,
        horizons=[1, 2, 3, 5, 10, 20],
        train_until_year=2013,
        data_hash="0",
        code_version="0",
        feature_service="fvi_v1",
        intervals=IntervalTable(confidence=0.9, year_variance=0.0, knots={}),
    )
    return ViabilityModel(to_onnx(booster, metadata), booster.model_to_string())


@pytest.fixture
def mines():
    return MinesInMemory()


@pytest.fixture
def application(model, mines, log):
    async def retrieve(request):
        if mines.down:
            raise StoreUnavailableError("The evidence store does not answer: ask again in a moment.")
        passage = {
            "document_id": "d",
            "chunk_id": "d#0",
            "text": request.query,
            "score": 0.5,
            "source": "documents/a.md",
        }
        return [passage] * request.k

    async def weights():
        return WeightsResponse(weights=[])

    types = dict(zip(FEATURES, ("DOUBLE", "INT64", "DOUBLE"), strict=True))
    fields = MineFields("fvi", "mine_id", tuple(FEATURES), (), types)
    board = FixedBoard(Standing(ServedModel(model, "7", "champion", fields, datetime(2024, 1, 1, tzinfo=UTC))))
    app = create_app()
    app.state.backends = Backends(
        predictor=Predictor(board, mines, Scorer(), newest_year=2019),
        board=board,
        retrieve=retrieve,
        weights=weights,
        weight_history=lambda since, until, metric: WeightHistoryResponse(nights=[]),
        log=log,
    )
    return app


@pytest.fixture
def log():
    return LogInMemory()


@pytest.fixture
def guarded(application):
    """The application behind the guard, without tokens."""
    state = GuardState()
    state.open(Gate(verifier=None))
    return Guard(application, state)


@pytest.fixture
def client(guarded):
    return TestClient(
        guarded, base_url="http://127.0.0.1:3000", client=("127.0.0.1", 50_000), raise_server_exceptions=False
    )
