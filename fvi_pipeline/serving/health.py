"""The health of the served models: version and since when, calls and latency, errors, drift, age of the data.

Counting calls belongs in `call_meter`, measuring drift in `monitoring`: here they are brought together.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from fvi_pipeline.model.scoring import MODEL_NAME
from fvi_pipeline.serving.arms import Board, ServedModel
from fvi_pipeline.serving.call_meter import CallMeter, Calls
from fvi_pipeline.serving.errors import ServingError, StoreUnavailableError
from fvi_pipeline.serving.standing_note import Reign, ReignSource

COMPANIONS = ("fvi_production", "fvi_next_status")
_KEPT_SECONDS = 2.0
_P95 = 0.95
_SINCE = (
    "select promoted_at from ops.promotions where model_name = %s and version = %s "
    "and decision in ('promoted', 'rolled_back') order by promoted_at desc limit 1"
)
_SCORES_MOVED = (
    "select distinct on (name) name, value, details ->> 'level', measured_at from ops.monitoring "
    "where subject = 'score' and measure = 'psi' and reference is not null order by name, measured_at desc"
)
_FEATURES_MOVED = (
    "select count(*) filter (where level = 'large'), count(*), max(measured_at) from (select distinct on (name) "
    "details ->> 'level' as level, measured_at from ops.monitoring where subject = 'feature' and measure = 'psi' "
    "order by name, measured_at desc) as newest"
)
_DATA = (
    "select (select max(as_of_year) from gold.gold_mine_feature_history), "
    "(select max(created_timestamp) from gold.gold_mine_feature_history), (select max(scored_at) from mart.fvi_scores)"
)


class UnknownModelError(ServingError):
    """No such model is served."""

    status = 404
    code = "unknown_model"


class ArmHealth(BaseModel):
    """One version that answers, or scores in the shadow, in this worker."""

    arm: str
    version: str
    serving_since: AwareDatetime | None = Field(
        description="When this worker took it up; null: it gives stored forecasts"
    )
    calls: int = Field(description="Of this worker since it started; a batch is one call")
    mean_latency_ms: float | None = Field(description="Of its newest 4,096 calls; null before the first")
    p95_latency_ms: float | None


class ScoreDrift(BaseModel):
    """How far the scores of one horizon lie from those of the training rows."""

    horizon: str
    psi: float | None
    level: str | None
    measured_at: AwareDatetime


class Drift(BaseModel):
    """What ops.monitoring says last."""

    scores: list[ScoreDrift]
    features_that_moved_far: int
    features_measured: int
    measured_at: AwareDatetime | None = Field(description="Null: nothing has been measured yet")


class DataAge(BaseModel):
    """How old the facts behind the answers are."""

    as_of_year: int | None
    known_at: AwareDatetime | None = Field(description="When the newest fact became public")
    age_days: float | None = Field(description="Days since then")
    scored_at: AwareDatetime | None = Field(description="When the stored scores last changed")


class LogState(BaseModel):
    """The answers on their way into ops.predictions, of this worker."""

    waiting: int = Field(description="In memory: more than some only while PostgreSQL is down")
    written: int
    lost: int = Field(description="Never to be written: the memory for them was full")


class ModelHealth(BaseModel):
    """A served model and how it fares."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "fvi_viability",
                    "status": "ok",
                    "version": "2",
                    "champion_since": "2026-10-01T03:12:00Z",
                    "calls": 120,
                    "mean_latency_ms": 0.4,
                    "p95_latency_ms": 0.7,
                    "error_rate": 0.0,
                    "refused": 0,
                    "arms": [
                        {
                            "arm": "champion",
                            "version": "2",
                            "serving_since": "2026-10-01T03:12:02Z",
                            "calls": 120,
                            "mean_latency_ms": 0.4,
                            "p95_latency_ms": 0.7,
                        }
                    ],
                    "challenger_share": 0.0,
                    "challenger_mode": "shadow",
                    "pending": [],
                    "drift": None,
                    "data": None,
                    "unavailable": None,
                    "log": {"waiting": 3, "written": 117, "lost": 0},
                }
            ]
        }
    )

    name: str
    status: str = Field(description="ok; or degraded: what is in `pending` or `unavailable` says why")
    version: str | None = Field(description="The champion that answers; null: not known")
    champion_since: AwareDatetime | None = Field(description="When it was promoted")
    calls: int = Field(description="Of the champion, by this worker since it started")
    mean_latency_ms: float | None
    p95_latency_ms: float | None
    error_rate: float | None = Field(
        description="Share of the scoring endpoints' answers with status 500 and above; null before the first"
    )
    refused: int = Field(description="Calls of the scoring endpoints without right, too slow, too large or too often")
    arms: list[ArmHealth]
    challenger_share: float
    challenger_mode: str
    pending: list[str] = Field(description="Versions that reign and cannot be taken up, with the reason")
    drift: Drift | None = Field(description="Null while PostgreSQL is down")
    data: DataAge | None = Field(description="Null while PostgreSQL is down")
    unavailable: str | None = Field(description="The store that does not answer")
    log: LogState | None = Field(description="Null where nothing is logged")


class ModelSummary(BaseModel):
    """A served model in the list."""

    name: str
    version: str | None
    predictions: list[str] = Field(description="What it is asked for")


class ModelsResponse(BaseModel):
    """The models behind the answers."""

    models: list[ModelSummary]


_PREDICTIONS = {
    MODEL_NAME: ["viability", "closing_year"],
    "fvi_production": ["production"],
    "fvi_next_status": ["next_status"],
}


class HealthDesk:
    """Answers for all models. Blocking: PostgreSQL is asked, at most every 2 s a model."""

    def __init__(self, board: Board, meter: CallMeter, source: ReignSource | None, database_url: str) -> None:
        self._board = board
        self._meter = meter
        self._source = source
        self._database_url = database_url
        self._lock = threading.Lock()
        self._stored: dict[tuple[str, str | None], tuple[float, _Stored]] = {}
        self._reigns: dict[str, Reign] = {}

    def models(self) -> ModelsResponse:
        """All models with their versions."""
        return ModelsResponse(
            models=[
                ModelSummary(name=name, version=self._version(name), predictions=predictions)
                for name, predictions in _PREDICTIONS.items()
            ]
        )

    def of(self, name: str) -> ModelHealth:
        """The health of one model. Raises UnknownModelError."""
        if name not in _PREDICTIONS:
            raise UnknownModelError(f"No such model. There are {', '.join(_PREDICTIONS)}.")
        standing = self._board.standing
        version = self._version(name)
        arms = (
            [_arm(model, self._meter) for model in (standing.champion, standing.challenger) if model is not None]
            if name == MODEL_NAME
            else _of_forecasts(version, self._meter.of(name, [version] if version else []))
        )
        champion = next((arm for arm in arms if arm.arm == "champion"), None)
        pending = list(getattr(self._board, "pending", {}).values()) if name == MODEL_NAME else []
        stored = self._read(name, version)
        return ModelHealth(
            name=name,
            status="degraded" if pending or stored.unavailable else "ok",
            version=version,
            champion_since=stored.champion_since,
            calls=champion.calls if champion else 0,
            mean_latency_ms=champion.mean_latency_ms if champion else None,
            p95_latency_ms=champion.p95_latency_ms if champion else None,
            error_rate=self._meter.error_rate,
            refused=self._meter.refused,
            arms=arms,
            challenger_share=standing.share if name == MODEL_NAME else 0.0,
            challenger_mode=standing.mode,
            pending=pending,
            drift=stored.drift if name == MODEL_NAME else None,
            data=stored.data,
            unavailable=stored.unavailable,
            log=_log_state(self._meter.log),
        )

    def _version(self, name: str) -> str | None:
        if name == MODEL_NAME:
            return self._board.standing.champion.version
        if self._source is not None:
            with self._lock, contextlib.suppress(StoreUnavailableError):  # what was read last holds
                self._reigns[name] = self._source.read(name)
        reign = self._reigns.get(name)
        return reign.champion.version if reign and reign.champion else None

    def _read(self, name: str, version: str | None) -> _Stored:
        key = (name, version)
        with self._lock:
            until, stored = self._stored.get(key, (0.0, _Stored()))
            if time.monotonic() >= until:
                stored = _query(self._database_url, name, version)
                self._stored[key] = (time.monotonic() + (_KEPT_SECONDS if stored.unavailable is None else 1.0), stored)
        if stored.data is not None and stored.data.known_at is not None:
            age = datetime.now(UTC) - stored.data.known_at
            stored.data.age_days = round(age.total_seconds() / 86_400, 3)
        return stored


class _Stored(BaseModel):
    champion_since: AwareDatetime | None = None
    drift: Drift | None = None
    data: DataAge | None = None
    unavailable: str | None = None


def _query(database_url: str, name: str, version: str | None) -> _Stored:
    import psycopg

    try:
        with psycopg.connect(database_url, autocommit=True, connect_timeout=2) as connection:
            since = connection.execute(_SINCE, [name, version]).fetchone()
            scores = connection.execute(_SCORES_MOVED).fetchall()
            features = connection.execute(_FEATURES_MOVED).fetchone()
            data = connection.execute(_DATA).fetchone()
    except psycopg.Error:
        return _Stored(unavailable="PostgreSQL does not answer.")
    far, measured, when = features or (0, 0, None)
    return _Stored(
        champion_since=since[0] if since else None,
        drift=Drift(
            scores=[
                ScoreDrift(horizon=horizon, psi=psi, level=level, measured_at=at) for horizon, psi, level, at in scores
            ],
            features_that_moved_far=far,
            features_measured=measured,
            measured_at=max((at for at in (when, *(row[3] for row in scores)) if at), default=None),
        ),
        data=DataAge(as_of_year=data[0], known_at=data[1], age_days=None, scored_at=data[2]) if data else None,
    )


def _log_state(log: object) -> LogState | None:
    counts = [getattr(log, name, None) for name in ("waiting", "written", "lost")]
    if not all(isinstance(count, int) for count in counts):
        return None
    return LogState(**dict(zip(("waiting", "written", "lost"), counts, strict=True)))


def _arm(model: ServedModel, meter: CallMeter) -> ArmHealth:
    of_version = meter.of(model.name, [model.version])
    # what the challenger scores in the shadow is counted as its own
    arms = ("champion",) if model.arm == "champion" else ("challenger", "shadow")
    calls = next((of_version[model.version, arm] for arm in arms if (model.version, arm) in of_version), Calls())
    return _arm_health(model.arm, model.version, calls, model.since)


def _of_forecasts(version: str | None, calls: Mapping[tuple[str, str], Calls]) -> list[ArmHealth]:
    if version is None:
        return []
    found: Any = next(iter(calls.values()), Calls())
    return [_arm_health("champion", version, found, None)]


def _arm_health(arm: str, version: str, calls: Calls, since: datetime | None) -> ArmHealth:
    return ArmHealth(
        arm=arm,
        version=version,
        serving_since=since,
        calls=calls.count,
        mean_latency_ms=calls.mean_ms,
        p95_latency_ms=calls.percentile_ms(_P95),
    )
