"""What a worker counts of its calls, and what it says of its models while PostgreSQL is away."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from fvi_pipeline.serving.arms import FixedBoard, ServedModel, Standing
from fvi_pipeline.serving.call_meter import CallMeter
from fvi_pipeline.serving.health import HealthDesk, UnknownModelError
from fvi_pipeline.serving.log_entry import NoLog, PredictionEntry
from fvi_pipeline.serving.standing_note import Reign, VersionRef
from tests.unit.serving.small_models import FIELDS, Registry, small_model

_NOWHERE = "postgresql://nobody@127.0.0.1:1/none?connect_timeout=1"


def entry(number: int, latency_ms: float, version: str = "1", arm: str = "champion") -> PredictionEntry:
    blank = PredictionEntry(*[None] * len(PredictionEntry._fields))
    return blank._replace(
        request_id=f"r{number}", latency_ms=latency_ms, model_name="fvi_viability", model_version=version, arm=arm
    )


@pytest.fixture
def desk():
    model = small_model(1).model()
    now = datetime.now(UTC)
    champion = ServedModel(model, "1", "champion", FIELDS, now)
    challenger = ServedModel(model, "2", "challenger", FIELDS, now)
    meter = CallMeter(NoLog())
    board = FixedBoard(Standing(champion, challenger, 0.1, "shadow"))
    return HealthDesk(board, meter, Registry(Reign(VersionRef("7", "00"))), _NOWHERE), meter


def test_calls_are_counted_by_version_and_a_batch_once(desk) -> None:
    desk, meter = desk
    for number in range(1, 101):
        meter.offer(entry(number, float(number)))
    for _ in range(1_000):
        meter.offer(entry(101, 50.0))
    meter.offer(entry(102, 9.0, "2", "shadow"))
    health = desk.of("fvi_viability")
    assert (health.version, health.calls, health.p95_latency_ms) == ("1", 101, 95.0)
    assert health.mean_latency_ms == pytest.approx((5050 + 50) / 101)
    assert [(arm.arm, arm.version, arm.calls) for arm in health.arms] == [
        ("champion", "1", 101),
        ("challenger", "2", 1),
    ]


def test_it_answers_without_postgresql_and_says_so(desk) -> None:
    desk, _ = desk
    health = desk.of("fvi_viability")
    assert (health.status, health.unavailable) == ("degraded", "PostgreSQL does not answer.")
    assert (health.drift, health.data, health.calls, health.mean_latency_ms, health.error_rate) == (
        None, None, 0, None, None,
    )  # fmt: skip
    assert desk.of("fvi_production").version == "7"
    assert {model.name: model.version for model in desk.models().models} == {
        "fvi_viability": "1", "fvi_production": "7", "fvi_next_status": "7",
    }  # fmt: skip
    with pytest.raises(UnknownModelError):
        desk.of("fvi_weather")


def test_failures_are_the_services_own_and_refusals_no_answers(desk) -> None:
    desk, meter = desk
    for status in (200, 503, 404, 422, 401, 429):
        meter.answered(status)
    health = desk.of("fvi_viability")
    assert (health.error_rate, health.refused) == (0.25, 2)
