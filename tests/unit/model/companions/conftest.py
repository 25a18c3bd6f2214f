"""A panel whose next year follows a known law, and both companions fitted on it."""

import numpy as np
import polars as pl
import pytest
from scipy.special import softmax
from scipy.stats import norm

from fvi_pipeline.model.companions.boosting import BoostingSettings
from fvi_pipeline.model.companions.predictor import STATUSES
from fvi_pipeline.model.companions.production import ProductionCandidate, ProductionSettings, train_production
from fvi_pipeline.model.companions.status import StatusCandidate, StatusSettings, train_status

FEATURES = ["production_short_tons", "trend", "risk", "noise"]
BOOSTING = BoostingSettings(seed=3, maximum_rounds=120, stopping_rounds=15)
_WEIGHTS = np.array([[2.2, 0.0, 0.0], [0.0, -0.5, 1.0], [-0.7, 0.8, -0.2], [-1.0, -0.4, 0.9], [-0.6, -1.0, -0.6]])


def next_year_panel(mines: int = 330, first_year: int = 1996, last_year: int = 2018, seed: int = 5) -> pl.DataFrame:
    """Rows for both companions, with the law of each beside them: `median`, `spread` (log), the classes' `p_`.

    Production changes by a median that follows from `trend` and a spread that follows from `risk`; a mine in ten
    produces nothing. Some values of `trend` are missing, which is as if they were 0.
    """
    generator = np.random.default_rng(seed)
    years = np.arange(first_year, last_year + 1)
    count = mines * len(years)
    tons = np.round(np.exp(generator.normal(11.5, 1.5, count)))
    trend, risk, noise = generator.normal(size=(3, count))
    missing = generator.random(count) < 0.1
    trend[missing] = 0.0
    spread = 0.15 + 0.25 * norm.cdf(risk)
    following = np.expm1(np.log1p(tons) + 0.4 * trend + spread * generator.normal(size=count)).clip(1.0)
    idle = generator.random(count) < 0.1
    chance = softmax(np.column_stack([np.ones(count), trend, risk]) @ _WEIGHTS.T, axis=1)
    classes = (chance.cumsum(axis=1) < generator.random((count, 1))).sum(axis=1)
    return pl.DataFrame(
        {
            "mine_id": np.repeat([f"msha:{number:07d}" for number in range(mines)], len(years)),
            "as_of_year": np.tile(years, mines),
            "outcome_year": np.tile(years + 1, mines),
            "production_short_tons": tons,
            "trend": np.where(missing, np.nan, trend),
            "risk": risk,
            "noise": noise,
            "production_short_tons_next": np.where(idle, 0.0, following),
            "status_next": np.array(STATUSES)[classes],
            "median": np.log1p(tons) + 0.4 * trend,
            "spread": spread,
            **{f"p_{name}": chance[:, number] for number, name in enumerate(STATUSES)},
        }
    ).with_columns(pl.col("trend").fill_nan(None))


def fit_production(frame: pl.DataFrame, **other: object) -> ProductionCandidate:
    return train_production(
        frame,
        FEATURES,
        size_feature="production_short_tons",
        feature_service="fvi_v1",
        settings=ProductionSettings(boosting=BOOSTING),
        **other,  # type: ignore[arg-type]
    )


def fit_status(frame: pl.DataFrame) -> StatusCandidate:
    return train_status(frame, FEATURES, feature_service="fvi_v1", settings=StatusSettings(boosting=BOOSTING))


def with_law(candidate: ProductionCandidate | StatusCandidate, panel: pl.DataFrame) -> pl.DataFrame:
    """The panel's rows in the order of the candidate's test."""
    return candidate.split.test.keys.join(panel, on=["mine_id", "as_of_year", "outcome_year"], how="left")


@pytest.fixture(scope="session")
def next_years() -> pl.DataFrame:
    return next_year_panel()


@pytest.fixture(scope="session")
def production(next_years: pl.DataFrame) -> ProductionCandidate:
    return fit_production(next_years)


@pytest.fixture(scope="session")
def status(next_years: pl.DataFrame) -> StatusCandidate:
    return fit_status(next_years)
