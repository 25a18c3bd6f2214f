"""The simulator as a user gets it (`SOURCE=sample`), where the truth is known: the model comes near the oracle."""

from __future__ import annotations

import polars as pl
import pytest

from fvi_pipeline.platform.database import connect
from fvi_pipeline.platform.servers import running_servers
from fvi_pipeline.simulator import SimulationConfig, simulate_truth
from tests.commands import clean_environment, run_fvi
from tests.conftest import embedded_settings

pytestmark = [pytest.mark.slow]


def test_the_model_of_the_sample_comes_near_the_oracle(tmp_path_factory: pytest.TempPathFactory) -> None:
    from sklearn.metrics import roc_auc_score

    home = tmp_path_factory.mktemp("sample-home")
    result = run_fvi(clean_environment(home) | {"FVI_OPTUNA_TRIALS": "8"}, "run", "--source", "sample")
    assert result.returncode == 0, result.stdout + result.stderr
    with running_servers(embedded_settings(home)) as servers, connect(servers.database_url) as connection:
        rows = connection.execute(
            "select mine_id, as_of_year, horizon_years, viability_probability, viable from mart.backtest_predictions"
        ).fetchall()
    names = ["mine_id", "as_of_year", "horizon_years", "predicted", "viable"]
    oracle = simulate_truth(SimulationConfig()).oracle.drop("viable")
    both = pl.DataFrame(rows, schema=names, orient="row").join(
        oracle.with_columns(pl.col("as_of_year", "horizon_years").cast(pl.Int64)),
        on=["mine_id", "as_of_year", "horizon_years"],
    )
    gaps = {}
    for (horizon,), part in both.group_by("horizon_years"):
        oracle_auc = roc_auc_score(part["viable"], part["viability_probability"])
        closures = int((~part["viable"]).sum())
        gaps[horizon] = (oracle_auc - roc_auc_score(part["viable"], part["predicted"]), closures)
    # an AUC is as sure as its rarer outcome is frequent: some twenty closures at h = 1, a hundred at h = 3
    mean = sum(gap * closures for gap, closures in gaps.values()) / sum(closures for _, closures in gaps.values())
    assert mean < 0.03, gaps
