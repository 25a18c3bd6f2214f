import polars as pl
import pytest

from fvi_pipeline.model.challenger import Challenger, train_challenger
from fvi_pipeline.model.dataset import SplitPolicy
from fvi_pipeline.model.training import TrainingSettings

from .panel import FEATURES, HORIZONS, survival_panel

SETTINGS = TrainingSettings(seed=3, trials=3, fits=2, maximum_rounds=120, stopping_rounds=20)
POLICY = SplitPolicy(minimum_comparable_rows=200)


@pytest.fixture(scope="session")
def panel() -> pl.DataFrame:
    return survival_panel()


@pytest.fixture(scope="session")
def challenger(panel: pl.DataFrame) -> Challenger:
    return train_challenger(
        panel,
        FEATURES,
        size_feature="log_size",
        feature_service="fvi_v1",
        settings=SETTINGS,
        policy=POLICY,
        horizons=(*HORIZONS, 20),
    )
