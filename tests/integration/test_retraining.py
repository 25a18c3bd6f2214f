"""The sensor that asks for a training: once for the same measurements, not within the cool-down, and again when a
request was never carried out.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import psycopg
import pytest

from fvi_pipeline.defs.landing import RUN_LOCK
from fvi_pipeline.defs.model import CHALLENGER, WEEKLY_JOB
from fvi_pipeline.defs.resources import RetrainingPolicy, Warehouse
from fvi_pipeline.defs.retraining import KEY_TAG, REASON_TAG, retraining_sensor
from fvi_pipeline.monitoring.measurements import Measurement
from fvi_pipeline.monitoring.store import write_measurements
from fvi_pipeline.platform.database import advisory_lock

_LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


class Watchman:
    """The sensor of a database, with an instance of Dagster and a cool-down in days."""

    def __init__(self, url: str, instance: dg.DagsterInstance) -> None:
        self.url, self.instance = url, instance

    def tick(self, cooldown_days: float = 30) -> dg.RunRequest | dg.SkipReason:
        """Evaluate the sensor as a daemon does that has just been started."""
        resources = {
            "warehouse": Warehouse(database_url=self.url),
            "retraining_policy": RetrainingPolicy(importance_moved=0.25, score_psi=0.25, cooldown_days=cooldown_days),
        }
        answer = retraining_sensor(dg.build_sensor_context(instance=self.instance, resources=resources))
        assert isinstance(answer, dg.RunRequest | dg.SkipReason)
        return answer

    def measure(self, psi: float, measured_at: datetime = _LONG_AGO) -> None:
        """Let the scores have moved so far."""
        level = "large" if psi >= 0.25 else "stable"
        with psycopg.connect(self.url) as connection:
            row = Measurement("score", "h5", "psi", psi, "its scores of the training data", {"level": level})
            write_measurements(connection, [row], measured_at)

    def start(self, request: dg.RunRequest) -> None:
        """What the daemon does with a request."""
        _job.execute_in_process(instance=self.instance, tags=dict(request.tags))

    def rewrite(self, statement: str, *parameters: object) -> None:
        """Change the tables."""
        with psycopg.connect(self.url) as connection:
            connection.execute(statement.encode(), parameters)


@dg.job
def _job() -> None:
    """Stands for the training."""


@pytest.fixture
def watchman(database_url: str) -> Iterator[Watchman]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Watchman(database_url, instance)


def _requests(watchman: Watchman) -> list[tuple[str, str, int]]:
    with psycopg.connect(watchman.url) as connection:
        return connection.execute(
            "select name, reference, jsonb_array_length(details -> 'reasons') from ops.monitoring "
            "where subject = 'retraining' order by measured_at"
        ).fetchall()


def test_nothing_is_asked_for_while_nothing_is_past_its_threshold(watchman: Watchman) -> None:
    assert "past its threshold" in str(watchman.tick().skip_message)
    watchman.measure(0.2)
    assert isinstance(watchman.tick(), dg.SkipReason)
    assert _requests(watchman) == []


def test_one_request_for_the_same_measurements(watchman: Watchman) -> None:
    watchman.measure(0.6)
    request = watchman.tick()
    assert isinstance(request, dg.RunRequest)
    assert request.tags[KEY_TAG] == request.run_key
    assert request.tags[REASON_TAG] == "the scores of h5 moved: PSI 0.60"
    assert _requests(watchman) == [(request.run_key, request.tags[REASON_TAG], 1)]
    # the daemon died before the run began: the same request, not another one
    again = watchman.tick()
    assert isinstance(again, dg.RunRequest)
    assert again.run_key == request.run_key
    watchman.start(request)
    assert "Cool-down until" in str(watchman.tick().skip_message)
    assert "asked already" in str(watchman.tick(cooldown_days=0).skip_message)
    assert len(_requests(watchman)) == 1


def test_new_measurements_ask_again_after_the_cool_down(watchman: Watchman) -> None:
    watchman.measure(0.6)
    first = watchman.tick()
    assert isinstance(first, dg.RunRequest)
    watchman.start(first)
    watchman.measure(0.7, _LONG_AGO + timedelta(days=1))
    assert "PSI 0.70" in str(watchman.tick().skip_message)
    # the cool-down is counted from what the table says: it outlives the daemon
    watchman.rewrite(
        "update ops.monitoring set measured_at = measured_at - interval '31 days' where measure = 'request'"
    )
    second = watchman.tick()
    assert isinstance(second, dg.RunRequest)
    assert second.run_key != first.run_key
    assert [key for key, _, _ in _requests(watchman)] == [first.run_key, second.run_key]


@pytest.mark.parametrize("in_ledger", [True, False])
def test_a_training_begins_the_cool_down_too(watchman: Watchman, in_ledger: bool) -> None:
    watchman.measure(0.6)
    if in_ledger:
        watchman.rewrite(
            "insert into ops.promotions (promoted_at, model_name, version, decision, reason, metrics, actor) "
            "values (now(), 'fvi_viability', '2', 'refused', 'worse', '{\"test_brier\": 0.2}', 'pipeline')"
        )
    else:
        # the challenger was the champion already: the ledger has no line
        watchman.instance.report_runless_asset_event(dg.AssetMaterialization(asset_key=CHALLENGER))
    assert "since the last training" in str(watchman.tick().skip_message)
    assert isinstance(watchman.tick(cooldown_days=0), dg.RunRequest)


def test_a_promotion_by_hand_is_no_training(watchman: Watchman) -> None:
    watchman.measure(0.6)
    watchman.rewrite(
        "insert into ops.promotions (promoted_at, model_name, version, decision, reason, actor) "
        "values (now(), 'fvi_viability', '2', 'promoted', 'I trust it', 'ada')"
    )
    assert isinstance(watchman.tick(), dg.RunRequest)


def test_it_waits_while_a_run_is_under_way(watchman: Watchman) -> None:
    watchman.measure(0.6)
    with psycopg.connect(watchman.url) as connection, advisory_lock(connection, RUN_LOCK):
        assert "`fvi run` is under way" in str(watchman.tick().skip_message)
    run = watchman.instance.create_run_for_job(_job)
    assert "A run is under way" in str(watchman.tick().skip_message)
    watchman.instance.report_run_failed(run)
    assert isinstance(watchman.tick(), dg.RunRequest)


def test_it_asks_for_the_training_that_the_gate_judges() -> None:
    assert retraining_sensor.job_name == WEEKLY_JOB.name
    assert retraining_sensor.default_status == dg.DefaultSensorStatus.RUNNING
