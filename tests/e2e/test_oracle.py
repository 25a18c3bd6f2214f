"""The simulator, where the truth is known: the model comes near the oracle, is calibrated, and its intervals hold the
truth as often as they say.

A panel decides by its own closures how well a model can do, so the run of the product is one large panel. Its level is
luck that all its rows share, so the intervals are asked on several smaller ones beside it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fvi_pipeline.model.challenger import train_challenger
from fvi_pipeline.model.training import TrainingSettings
from fvi_pipeline.platform.database import connect
from fvi_pipeline.platform.servers import running_servers
from fvi_pipeline.simulator import SimulationConfig, simulate_truth, write_landing_folder
from tests.commands import clean_environment, run_fvi
from tests.conftest import embedded_settings
from tests.simulated_panels import FEATURES, SIZE, simulated_frame

pytestmark = [pytest.mark.slow]

NOMINAL = 0.9
LARGE = SimulationConfig(seed=3, mines=8000, defects=False)
_KEYS = ["mine_id", "as_of_year", "horizon_years"]


@pytest.fixture(scope="module")
def large_panel(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    """What `fvi run` predicted for the years that its model was not fitted on, beside the truth."""
    folder = tmp_path_factory.mktemp("large") / "landing"
    write_landing_folder(folder, LARGE)
    return _predicted_by_a_run(tmp_path_factory.mktemp("large-home"), str(folder), LARGE)


def test_the_model_comes_near_the_oracle(large_panel: pl.DataFrame) -> None:
    gap, by_horizon = _auc_gap(large_panel)
    assert gap < 0.01, by_horizon


def test_probabilities_are_near_the_true_ones(large_panel: pl.DataFrame) -> None:
    error, by_horizon = _calibration_error(large_panel)
    assert error < 0.02, by_horizon
    assert max(by_horizon.values()) < 0.02, by_horizon


def test_intervals_of_a_run_are_not_too_narrow(large_panel: pl.DataFrame) -> None:
    # one panel: its years may have lain further apart than those to come
    inside, by_horizon = _coverage(large_panel)
    assert inside > NOMINAL - 0.02, by_horizon


def test_the_default_sample_is_near_what_its_few_closures_allow(tmp_path_factory: pytest.TempPathFactory) -> None:
    sample = _predicted_by_a_run(tmp_path_factory.mktemp("sample-home"), "sample", SimulationConfig())
    gap, by_horizon = _auc_gap(sample)
    # 900 mines close some twenty times in the test at one year, a hundred times at three
    assert gap < 0.03, by_horizon
    error, errors = _calibration_error(sample)
    assert error < 0.03, errors


def test_intervals_hold_the_true_probability_as_often_as_they_say() -> None:
    # seeds that nothing in `intervals` was chosen on
    pooled = pl.concat(_predicted_by_training(SimulationConfig(seed=seed, mines=2000)) for seed in range(21, 36))
    inside, by_horizon = _coverage(pooled)
    assert inside == pytest.approx(NOMINAL, abs=0.02), by_horizon
    # a horizon has fewer rows, of five years only one
    assert min(by_horizon.values()) > NOMINAL - 0.06, by_horizon


def _predicted_by_a_run(home: Path, source: str, config: SimulationConfig) -> pl.DataFrame:
    few = {"FVI_OPTUNA_TRIALS": "4", "FVI_BACKTEST_ORIGINS": "1"}
    result = run_fvi(clean_environment(home) | few, "run", "--source", source, timeout=1500)
    assert result.returncode == 0, result.stdout + result.stderr
    with running_servers(embedded_settings(home)) as servers, connect(servers.database_url) as connection:
        rows = connection.execute(
            "select mine_id, as_of_year, horizon_years, viability_probability, viable, interval_low, interval_high "
            "from mart.backtest_predictions "
            "where train_until_year in (select train_until_year from ops.backtest_folds where is_served)"
        ).fetchall()
    predicted = pl.DataFrame(
        rows, schema=[*_KEYS, "predicted", "viable", "interval_low", "interval_high"], orient="row"
    )
    oracle = simulate_truth(config).oracle.select(
        "mine_id", pl.col("as_of_year", "horizon_years").cast(pl.Int64), truth="viability_probability"
    )
    both = predicted.join(oracle, on=_KEYS)
    assert both.height > 0.95 * predicted.height
    return both


def _predicted_by_training(config: SimulationConfig) -> pl.DataFrame:
    frame = simulated_frame(config)
    challenger = train_challenger(
        frame, list(FEATURES), size_feature=SIZE, feature_service="simulated", settings=TrainingSettings(trials=1)
    )
    test, intervals = challenger.split.test, challenger.files.metadata.intervals
    limits = np.array(
        [
            intervals.interval(probability, horizon)
            for probability, horizon in zip(
                challenger.test_probability.tolist(), test.horizon_years.tolist(), strict=True
            )
        ]
    )
    return test.keys.with_columns(interval_low=limits[:, 0], interval_high=limits[:, 1]).join(
        frame.select(*_KEYS, "truth"), on=_KEYS
    )


def _coverage(predicted: pl.DataFrame) -> tuple[float, dict[int, float]]:
    """Share of rows whose true probability lies inside the interval: of all rows, and by horizon."""
    inside = predicted.select(
        "horizon_years", inside=pl.col("truth").is_between("interval_low", "interval_high").cast(pl.Float64)
    )
    by_horizon = inside.group_by("horizon_years").agg(pl.col("inside").mean()).sort("horizon_years")
    return float(np.mean(inside["inside"].to_numpy())), dict(by_horizon.iter_rows())


def _auc_gap(predicted: pl.DataFrame) -> tuple[float, dict[int, tuple[float, int]]]:
    """How far the AUC lies below the oracle's: the mean over horizons, weighted by closures, and each."""
    from sklearn.metrics import roc_auc_score

    gaps = {}
    for (horizon,), part in predicted.group_by("horizon_years"):
        # an AUC is as sure as its rarer outcome is frequent
        closures = int((~part["viable"]).sum())
        oracle, model = (roc_auc_score(part["viable"], part[name]) for name in ("truth", "predicted"))
        gaps[horizon] = (oracle - model, closures)
    total = sum(closures for _, closures in gaps.values())
    return sum(gap * closures for gap, closures in gaps.values()) / total, gaps


def _calibration_error(predicted: pl.DataFrame, bins: int = 10) -> tuple[float, dict[int, float]]:
    """Mean distance of predicted from true probability over bins of like predictions: of all rows, and by horizon."""
    errors = {}
    for (horizon,), part in predicted.sort("predicted").group_by("horizon_years"):
        numbered = part.with_columns(bin=pl.int_range(pl.len()) * bins // pl.len())
        of_bin = numbered.group_by("bin").agg(pl.col("predicted").mean() - pl.col("truth").mean(), pl.len())
        errors[horizon] = float(np.average(of_bin["predicted"].abs(), weights=of_bin["len"]))
    weights = predicted.group_by("horizon_years").len()
    return sum(errors[h] * n for h, n in weights.iter_rows()) / predicted.height, errors
