"""A minute of load on the real service, with a promotion, a materialisation and restarts of the real servers in it.

Every answer is looked at: its score is that of the version it names, on the values of now. Duration and clients are
bounded; FVI_LOAD_SECONDS makes it longer.
"""

from __future__ import annotations

import os
import time

import pytest

from fvi_pipeline.model import ledger
from fvi_pipeline.model.registry import open_registry
from fvi_pipeline.platform.database import connect
from fvi_pipeline.platform.postgres import EmbeddedPostgres
from fvi_pipeline.platform.settings import PROJECT_ROOT
from fvi_pipeline.platform.valkey import EmbeddedValkey
from tests.another_version import register_another
from tests.commands import BIN, run_tool
from tests.conftest import Demo
from tests.integration.serving_load import expected_scores, load, wait_until
from tests.integration.serving_process import served

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo")]

SECONDS = float(os.environ.get("FVI_LOAD_SECONDS", "60"))
_MENDED_SECONDS = 5.0
"""So long after a server is back, a 503 is still explained by its absence."""


def test_a_minute_of_load_with_a_promotion_a_materialisation_and_restarts(demo: Demo, tmp_path) -> None:
    environment = demo.environment
    registry = open_registry(environment["MLFLOW_TRACKING_URI"], demo.settings.home)
    before = registry.champion().version
    after = register_another(environment).version
    expected = expected_scores(environment, [before, after])

    def promote(version: str) -> None:
        with connect(environment["FVI_DATABASE_URL"]) as connection:
            ledger.promote(connection, registry, version, reason="a load test", actor="test")

    def logged() -> int:
        with connect(environment["FVI_DATABASE_URL"]) as connection:
            return connection.execute("select count(*) from ops.predictions").fetchone()[0]

    valkey, postgres = EmbeddedValkey(demo.settings.home), EmbeddedPostgres(demo.settings.home)
    already = logged()
    try:
        with served(environment, tmp_path) as client:

            def health() -> dict:
                return client.get("/models/fvi_viability/health").json()

            part = SECONDS / 6
            with load(client.base_url.port, expected, clients=2, pause_seconds=0.01) as seen:
                wait_until(lambda: seen.answers > 100)
                time.sleep(part)
                promote(after)
                wait_until(lambda: seen.versions[after] > 50)
                time.sleep(part)
                made = run_tool(
                    environment,
                    str(BIN / "dagster"),
                    *("asset", "materialize", "-m", "fvi_pipeline.definitions"),
                    *("--select", "key:feature_store/online_features"),
                    cwd=PROJECT_ROOT,
                )
                assert made.returncode == 0, made.stdout + made.stderr
                away_from = time.monotonic()
                valkey.stop()
                time.sleep(part / 2)
                valkey.start()
                redis_back = time.monotonic()
                wait_until(lambda: client.post("/predict", json=a_question(expected)).json().get("degraded") is False)
                time.sleep(part)
                postgres.stop()
                time.sleep(part / 2)
                without_postgresql = len(seen.at)
                postgres.start()
                time.sleep(part)
                promote(before)
                wait_until(lambda: seen.versions[before] > 0 and health()["version"] == before)
                time.sleep(part)
            wait_until(lambda: health()["log"]["waiting"] == 0)
            log = health()["log"]
    finally:
        valkey.start()
        postgres.start()
        promote(before)
    away = (away_from, redis_back + _MENDED_SECONDS)
    unexplained = [status for at, status in seen.at if status != 200 and not away[0] <= at <= away[1]]
    print(
        f"{seen.answers} answers, {dict(seen.statuses)}, by version {dict(seen.versions)}, {seen.degraded} from the "
        f"warehouse, p99 {1_000 * sorted(seen.seconds)[int(0.99 * len(seen.seconds))]:.1f} ms"
    )
    assert (seen.wrong[:5], seen.refused[:5], unexplained) == ([], [], [])
    assert set(seen.statuses) <= {200, 503}
    assert seen.degraded > 0
    assert without_postgresql > 0
    assert log["lost"] == 0
    # each answer with status 200 is one row, and so are the few questions between
    assert logged() - already >= seen.statuses[200]


def a_question(expected: dict[tuple[str, str, int], float]) -> dict:
    """Any of them."""
    _, mine, horizon = next(iter(expected))
    return {"mine_id": mine, "horizon_years": horizon}
