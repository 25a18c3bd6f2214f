"""The sensor that asks for a training when what was measured is past a threshold. What is too much belongs to
`monitoring.retraining`, training and the gate to `model`.

A request is a row of ops.monitoring, written before the run is asked for: it survives a restart, and a request whose
run was never started is made again under the same key. The same measurements ask once, whatever became of the run: on
the data that they were taken from, another training would make the same model.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
import psycopg

from fvi_pipeline.defs.landing import RUN_LOCK
from fvi_pipeline.defs.model import CHALLENGER, WEEKLY_JOB
from fvi_pipeline.defs.resources import RetrainingPolicy, Warehouse
from fvi_pipeline.model.scoring import MODEL_NAME
from fvi_pipeline.monitoring import store
from fvi_pipeline.monitoring.measurements import FEATURE, Measurement
from fvi_pipeline.monitoring.performance import PERFORMANCE
from fvi_pipeline.monitoring.retraining import RETRAINING, Reason, Thresholds, reasons
from fvi_pipeline.monitoring.scores import SCORE
from fvi_pipeline.platform.database import is_locked

REQUEST = "request"
KEY_TAG, REASON_TAG = "fvi/retraining_request", "fvi/retraining_reason"
_SENSOR_SECONDS = 60
_UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]
_SUBJECTS = (FEATURE, SCORE, PERFORMANCE)


@dataclass(frozen=True)
class Request:
    """A request as ops.monitoring has it."""

    key: str
    why: str
    requested_at: datetime

    def run(self) -> dg.RunRequest:
        """The run that it asks for."""
        return dg.RunRequest(run_key=self.key, tags={KEY_TAG: self.key, REASON_TAG: self.why})


@dg.sensor(
    name="retraining_sensor",
    job=WEEKLY_JOB,
    minimum_interval_seconds=_SENSOR_SECONDS,
    # it only asks: the training waits for its turn, the gate decides, and the cool-down keeps requests rare
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks for a training when the features that carry the scores have moved far, the scores have moved, or "
    "they came true less often than promised (FVI_RETRAINING_*); at most once in the days of the cool-down.",
)
def retraining_sensor(
    context: dg.SensorEvaluationContext, warehouse: Warehouse, retraining_policy: RetrainingPolicy
) -> dg.RunRequest | dg.SkipReason:
    """Look at the newest measurements."""
    now = datetime.now(UTC)
    with warehouse.connect() as connection:
        if is_locked(connection, RUN_LOCK):
            return dg.SkipReason("`fvi run` is under way and trains what there is.")
        last = newest_request(connection)
        if last is not None and not _was_started(context.instance, last):
            return last.run()
        if context.instance.get_run_ids(dg.RunsFilter(statuses=_UNDER_WAY), limit=1):
            return dg.SkipReason("A run is under way: what it trains and measures comes first.")
        measured = [each for subject in _SUBJECTS for each in store.newest_measurements(connection, subject)]
        thresholds = Thresholds(retraining_policy.importance_moved, retraining_policy.score_psi)
        found = reasons(measured, thresholds)
        if not found:
            return dg.SkipReason("Nothing that was measured is past its threshold.")
        since, what = _last_training(connection, context.instance, last)
        until = None if since is None else since + timedelta(days=retraining_policy.cooldown_days)
        if until is not None and now < until:
            why = "; ".join(each.text for each in found)
            return dg.SkipReason(f"Cool-down until {until:%Y-%m-%d %H:%M} UTC, since the last {what}. Waiting: {why}")
        request = _request(connection, found, now)
        if _is_known(connection, request):
            return dg.SkipReason("These measurements have asked already: another training would give the same model.")
        _record(connection, request, found)
    context.log.info(f"A training is asked for: {request.why}")
    return request.run()


def newest_request(connection: psycopg.Connection) -> Request | None:
    """The last request; None: there was none."""
    row = connection.execute(
        "select name, reference, measured_at from ops.monitoring where subject = %s and measure = %s "
        "order by measured_at desc limit 1",
        [RETRAINING, REQUEST],
    ).fetchone()
    return None if row is None else Request(*row)


def _was_started(instance: dg.DagsterInstance, request: Request) -> bool:
    return bool(instance.get_run_ids(dg.RunsFilter(tags={KEY_TAG: request.key}), limit=1))


def _last_training(
    connection: psycopg.Connection, instance: dg.DagsterInstance, request: Request | None
) -> tuple[datetime | None, str]:
    """The newest of the last request and the last training, whatever the gate made of it."""
    moments = [(request.requested_at, "request")] if request is not None else []
    row = connection.execute(
        # what people decided by hand carries no measurements
        "select max(promoted_at) from ops.promotions where model_name = %s and metrics <> '{}'",
        [MODEL_NAME],
    ).fetchone()
    if row is not None and row[0] is not None:
        moments.append((row[0], "training"))
    event = instance.get_latest_materialization_event(CHALLENGER)
    if event is not None:
        # the ledger has no line for a challenger that is the champion already
        moments.append((datetime.fromtimestamp(event.timestamp, UTC), "training"))
    return max(moments) if moments else (None, "")


def _request(connection: psycopg.Connection, found: Sequence[Reason], now: datetime) -> Request:
    """Its key follows from the measurements that ask, not from the moment."""
    subjects = {"features": FEATURE, "scores": SCORE, "performance": PERFORMANCE}
    asked_by = {
        subject: str(store.newest_moment(connection, subject)) for subject in {subjects[each.kind] for each in found}
    }
    key = hashlib.sha256(json.dumps(asked_by, sort_keys=True).encode()).hexdigest()[:16]
    return Request(key, "; ".join(each.text for each in found), now)


def _is_known(connection: psycopg.Connection, request: Request) -> bool:
    row = connection.execute(
        "select 1 from ops.monitoring where subject = %s and name = %s limit 1", [RETRAINING, request.key]
    ).fetchone()
    return row is not None


def _record(connection: psycopg.Connection, request: Request, found: Sequence[Reason]) -> None:
    details = {"reasons": [each.as_json() for each in found]}
    row = Measurement(RETRAINING, request.key, REQUEST, float(len(found)), request.why, details)
    store.write_measurements(connection, [row], request.requested_at)


SENSORS = [retraining_sensor]
