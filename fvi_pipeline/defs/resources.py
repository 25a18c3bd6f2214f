"""Dagster resources: addresses and folders, handed to assets. Opening is their only act; no SQL and no logic here."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import dagster as dg
import psycopg

from fvi_pipeline.platform.database import connect
from fvi_pipeline.platform.environment import watched_folder
from fvi_pipeline.platform.settings import Settings, get_settings

if TYPE_CHECKING:
    from fvi_pipeline.model.registry import ModelRegistry


# Dagster leaves the type of its resources' value open: strict typing asks for one that does not exist
class Warehouse(dg.ConfigurableResource):  # type: ignore[type-arg]  # it gives itself
    """The PostgreSQL that holds every layer."""

    database_url: str

    def connect(self, *, autocommit: bool = False) -> psycopg.Connection:
        """Open a connection; the caller closes it."""
        return connect(self.database_url, autocommit=autocommit)


class OnlineStore(dg.ConfigurableResource):  # type: ignore[type-arg]  # it gives itself
    """The Redis or Valkey that serving reads from."""

    redis_url: str


class LandingFolder(dg.ConfigurableResource):  # type: ignore[type-arg]  # it gives itself
    """Where publishers' files lie; without a path, where the last `fvi run` took them from."""

    path: str | None = None

    @property
    def folder(self) -> Path:
        """The folder, looked up anew each time: a running UI follows a run that took another one."""
        return Path(self.path) if self.path else watched_folder(get_settings())


class ModelWorkshop(dg.ConfigurableResource):  # type: ignore[type-arg]  # it gives itself
    """Where models are tuned, kept and registered; the seed, the number of trials and of processes that share them,
    and the number of origins that the model is tested from.
    """

    mlflow_tracking_uri: str
    optuna_storage_url: str
    home: str
    seed: int
    trials: int
    tuning_processes: int = 1
    backtest_origins: int | None = None

    @property
    def training_folder(self) -> Path:
        """Where training sets lie as Parquet, one per content."""
        return self._made("training")

    def registry(self, name: str | None = None) -> ModelRegistry:
        """The registry of a model (without a name, of viability); a server keeps artifacts itself, for a database they
        lie under the home.
        """
        from fvi_pipeline.model.registry import open_registry
        from fvi_pipeline.model.scoring import MODEL_NAME

        return open_registry(self.mlflow_tracking_uri, Path(self.home), name or MODEL_NAME)

    def _made(self, name: str) -> Path:
        folder = Path(self.home) / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder


class Webhook(dg.ConfigurableResource):  # type: ignore[type-arg]  # it gives itself
    """Where people want to be told of a failed run; nobody is without an address."""

    url: str | None = None


class QualityFloor(dg.ConfigurableResource):  # type: ignore[type-arg]  # it gives itself
    """The least score of a metric's data quality, of 100, with which a night goes on to training."""

    floor: float


class Exports(dg.ConfigurableResource):  # type: ignore[type-arg]  # it gives itself
    """Where tables lie as Parquet for engines that do not read the warehouse, and which engine reads them."""

    folder: str
    engine: Literal["polars", "spark"] = "polars"
    spark_master: str = "local[*]"


class RetrainingPolicy(dg.ConfigurableResource):  # type: ignore[type-arg]  # it gives itself
    """When a training is asked for: thresholds of what was measured, and the days after one in which none is."""

    importance_moved: float
    score_psi: float
    cooldown_days: float


class Pages(dg.ConfigurableResource):  # type: ignore[type-arg]  # it gives itself
    """Where pages for people are written."""

    folder: str


def default_resources(settings: Settings) -> Mapping[str, Any]:
    """Resources of a real run; addresses come from the tools' environment when an asset starts, not at import."""
    from dagster_dbt import DbtCliResource

    return {
        "warehouse": Warehouse(database_url=dg.EnvVar("FVI_DATABASE_URL")),
        "online_store": OnlineStore(redis_url=dg.EnvVar("FVI_REDIS_URL")),
        "landing_folder": LandingFolder(),
        "quality_floor": QualityFloor(floor=settings.quality_floor),
        "retraining_policy": RetrainingPolicy(
            importance_moved=settings.retraining_importance,
            score_psi=settings.retraining_score_psi,
            cooldown_days=settings.retraining_cooldown_days,
        ),
        "exports": Exports(
            folder=str(settings.exports_dir or settings.home / "exports"),
            engine=settings.engine,
            spark_master=settings.spark_master,
        ),
        "webhook": Webhook(url=settings.webhook_url.get_secret_value() if settings.webhook_url else None),
        "pages": Pages(folder=str(settings.home / "pages")),
        "model_workshop": ModelWorkshop(
            mlflow_tracking_uri=dg.EnvVar("MLFLOW_TRACKING_URI"),
            optuna_storage_url=dg.EnvVar("FVI_OPTUNA_STORAGE_URL"),
            home=str(settings.home),
            seed=settings.seed,
            trials=settings.optuna_trials,
            tuning_processes=settings.tuning_processes,
            backtest_origins=settings.backtest_origins,
        ),
        "dbt": DbtCliResource(
            project_dir=str(settings.dbt_project_dir),
            profiles_dir=str(settings.dbt_project_dir),
            dbt_executable=str(Path(sys.executable).parent / "fvi-dbt"),
        ),
    }
