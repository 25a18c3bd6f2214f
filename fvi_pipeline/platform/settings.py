"""The one place that reads the environment. No connection is opened here and no server is started here."""

from __future__ import annotations

from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT_ROOT = Path(__file__).resolve().parents[2]


class Settings(BaseSettings):
    """Settings of one installation, read from `FVI_*` and the tools' own variables; frozen once read."""

    model_config = SettingsConfigDict(env_prefix="FVI_", frozen=True, extra="ignore", env_ignore_empty=True)

    home: Path = PROJECT_ROOT / ".fvi"
    """Folder of all state (`FVI_HOME`)."""
    database_url: str | None = None
    """PostgreSQL with pgvector (`FVI_DATABASE_URL`); unset: the embedded server."""
    redis_url: str | None = None
    """Redis or Valkey (`FVI_REDIS_URL`); unset: the embedded server."""
    redis_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Port of the embedded Valkey (`FVI_REDIS_PORT`); unset: a free one, kept from start to start."""
    mlflow_tracking_uri: str | None = Field(default=None, validation_alias="MLFLOW_TRACKING_URI")
    """MLflow server or store; unset: schema `mlflow` of the database."""
    source: str = "auto"
    """Default landing folder: `auto`, `sample` or a path (`FVI_SOURCE`)."""
    http_port: Annotated[int, Field(ge=1, le=65535)] = 3000
    """Port of the scoring service on loopback (`FVI_HTTP_PORT`)."""
    ui_port: Annotated[int, Field(ge=1, le=65535)] = 3001
    """Port of the Dagster UI on loopback (`FVI_UI_PORT`)."""
    eia_api_key: SecretStr | None = None
    """Key of EIA's Open Data API (`FVI_EIA_API_KEY`); unset: its feeds are skipped."""
    comtrade_api_key: SecretStr | None = None
    """Subscription key of UN Comtrade (`FVI_COMTRADE_API_KEY`); unset: its feed is skipped."""
    seed: int = 20240401
    """Seed of the simulator, the trials and the model (`FVI_SEED`)."""
    optuna_trials: Annotated[int, Field(ge=1, le=1000)] = 8
    """Trials of one training (`FVI_OPTUNA_TRIALS`)."""
    tuning_processes: Annotated[int, Field(ge=1, le=256)] = 2
    """Processes of this machine that share the trials of a training (`FVI_TUNING_PROCESSES`)."""
    backtest_origins: Annotated[int, Field(ge=1)] | None = None
    """Origins that the model is tested from (`FVI_BACKTEST_ORIGINS`), the served one and those nearest to it; unset:
    all that the years allow."""
    openai_api_key: SecretStr | None = Field(default=None, validation_alias="OPENAI_API_KEY")
    """Key of the language model that summarises model cards; unset: cards have no summary."""
    openai_base_url: str | None = Field(default=None, validation_alias="OPENAI_BASE_URL")
    """Address of an OpenAI-compatible service; unset: OpenAI's own."""
    llm_model: str = "gpt-4.1-mini"
    """Name of the language model there (`FVI_LLM_MODEL`)."""
    webhook_url: SecretStr | None = None
    """Where failed runs are posted to as JSON (`FVI_WEBHOOK_URL`); unset: nowhere."""
    quality_floor: Annotated[float, Field(ge=0, le=100)] = 70
    """Least score of a metric's data quality, of 100, with which a night goes on to training (`FVI_QUALITY_FLOOR`)."""

    engine: Literal["polars", "spark"] = "polars"
    """What computes the information gain (`FVI_ENGINE`): polars in the run's own process, or Spark."""
    spark_master: str = "local[*]"
    """Address of Spark's master (`FVI_SPARK_MASTER`), for `FVI_ENGINE=spark`."""
    exports_dir: Path | None = None
    """Folder of the Parquet exports (`FVI_EXPORTS_DIR`), which Spark's executors must see too; unset: in the home."""
    retraining_importance: Annotated[float, Field(gt=0, le=1)] = 0.25
    """A training is asked for when features that moved far make more than this part of the scores' contributions
    (`FVI_RETRAINING_IMPORTANCE`)."""
    retraining_score_psi: Annotated[float, Field(gt=0)] = 0.25
    """The same when the scores of a horizon moved by more than this population stability index
    (`FVI_RETRAINING_SCORE_PSI`)."""
    retraining_cooldown_days: Annotated[float, Field(ge=0)] = 3
    """Days after a training, or a request for one, in which none is asked for (`FVI_RETRAINING_COOLDOWN_DAYS`)."""

    @field_validator("home", "exports_dir")
    @classmethod
    def _absolute_folder(cls, folder: Path | None) -> Path | None:
        return folder.expanduser().resolve() if folder else None

    @field_validator("database_url")
    @classmethod
    def _postgres_scheme(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("postgresql://", "postgres://")):
            raise ValueError("FVI_DATABASE_URL must start with postgresql://")
        return url

    @field_validator("redis_url")
    @classmethod
    def _redis_scheme(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("redis://", "rediss://")):
            raise ValueError("FVI_REDIS_URL must start with redis:// or rediss://")
        return url

    @field_validator("database_url", "redis_url")
    @classmethod
    def _readable_url(cls, url: str | None) -> str | None:
        try:
            if url is not None:
                urlsplit(url).port  # noqa: B018 (reading it is what checks it)
        except ValueError:
            raise ValueError(
                "the host or port in it cannot be read; write / : @ in a password as %2F %3A %40"
            ) from None
        return url

    @cached_property
    def api_keys(self) -> dict[str, str]:
        """The keys of publishers' APIs that are set, by the name of their variable."""
        keys = {"FVI_EIA_API_KEY": self.eia_api_key, "FVI_COMTRADE_API_KEY": self.comtrade_api_key}
        return {variable: key.get_secret_value() for variable, key in keys.items() if key is not None}

    @cached_property
    def dbt_project_dir(self) -> Path:
        """The dbt project that belongs to this code."""
        return PROJECT_ROOT / "dbt_project"

    @cached_property
    def feature_repo_dir(self) -> Path:
        """The Feast repository that belongs to this code."""
        return PROJECT_ROOT / "feature_repo"


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process, read from the environment once.

    Raises:
        pydantic.ValidationError: a variable has a value that cannot be used; the message names it.
    """
    return Settings()
