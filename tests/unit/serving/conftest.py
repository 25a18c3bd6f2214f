"""A small real model, and a store of mines in memory, behind the real application."""

import lightgbm
import numpy as np
import pytest
from starlette.testclient import TestClient

from fvi_pipeline.model.intervals import IntervalTable
from fvi_pipeline.model.onnx_export import to_onnx
from fvi_pipeline.model.scoring import ModelMetadata, ViabilityModel
from fvi_pipeline.serving.app import Backends, create_app, with_body_limit
from fvi_pipeline.serving.contract import WeightsResponse
from fvi_pipeline.serving.errors import StoreUnavailableError
from fvi_pipeline.serving.predictor import Predictor, StoredMine

FEATURES = ["production_short_tons", "average_employees", "coal_price_usd_per_tonne"]


class MinesInMemory:
    """Stands for the online store: validation needs mines, not servers."""

    def __init__(self):
        self.down = False
        self.reads = 0
        values = dict(zip(FEATURES, (1.2e6, 80.0, None), strict=True))
        self.mines = {
            "msha:0000001": StoredMine(values, 2019, True, 61.5),
            "msha:0000002": StoredMine({**values, "average_employees": 5.0}, 2019, True, None),
            "msha:0000003": StoredMine(values, 2019, False, 12.0),
            "msha:0000004": StoredMine(values, 1998, True, None),
            "gem:M0086": StoredMine({}, None, False, 44.0),
        }

    def read(self, mine_ids):
        self.reads += 1
        if self.down:
            raise StoreUnavailableError("The online store does not answer: ask again in a moment.")
        return [self.mines.get(mine_id) for mine_id in mine_ids]

    def newest_year(self):
        return 2019


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
def application(model, mines):
    async def retrieve(query, k):
        if mines.down:
            raise StoreUnavailableError("The evidence store does not answer: ask again in a moment.")
        passage = {
            "document_id": "d",
            "chunk_id": "d#0",
            "text": query,
            "score": 0.5,
            "source": "documents/a.md",
        }
        return [passage] * k

    app = create_app()
    app.state.backends = Backends(
        scorer=Predictor(model, "7", mines), retrieve=retrieve, weights=lambda: WeightsResponse(weights=[])
    )
    return app


@pytest.fixture
def client(application):
    return TestClient(with_body_limit(application), raise_server_exceptions=False)
