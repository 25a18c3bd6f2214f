import numpy as np
import polars as pl
import pytest

from fvi_pipeline.model.calibration import Calibration
from fvi_pipeline.model.dataset import make_dataset, split_by_time
from fvi_pipeline.model.spread import Spread, measure_spread
from fvi_pipeline.model.training import BoosterParameters, TrainingSettings, Tuned, fit

from .conftest import POLICY
from .panel import FEATURES, HORIZONS, survival_panel

SETTINGS = TrainingSettings(seed=3)
TUNED = Tuned(parameters=BoosterParameters(), rounds=60, stopping_log_loss=0.0, trials=1)


def _measure(panel: pl.DataFrame, calibration: Calibration | None = None) -> Spread:
    dataset = make_dataset(panel, FEATURES)
    split = split_by_time(dataset, POLICY)
    booster = fit(split.final_fit, FEATURES, TUNED.parameters, TUNED.rounds, SETTINGS)
    return measure_spread(
        dataset, split, booster, calibration or Calibration(), TUNED, FEATURES, SETTINGS, (*HORIZONS, 20)
    )


@pytest.fixture(scope="module")
def spread(panel: pl.DataFrame) -> Spread:
    return _measure(panel)


def test_all_horizons_are_asked_about_and_no_outcome_after_t_is_read(panel: pl.DataFrame, spread: Spread) -> None:
    assert set(spread.horizon_years.tolist()) == {*HORIZONS, 20}
    until = split_by_time(make_dataset(panel, FEATURES), POLICY).train_until_year
    otherwise = panel.with_columns(
        viable=pl.when(pl.col("outcome_year") > until).then(1 - pl.col("viable")).otherwise(pl.col("viable"))
    )
    again = _measure(otherwise)
    assert (again.deviation == spread.deviation).all()
    assert (again.log_odds == spread.log_odds).all()


def test_fewer_mines_spread_further(spread: Spread) -> None:
    fewer = _measure(survival_panel(mines=120))
    assert _size(fewer) > 1.2 * _size(spread) > 0


def test_the_deviation_is_about_the_error_from_the_truth(panel: pl.DataFrame, spread: Spread) -> None:
    dataset = make_dataset(panel, FEATURES)
    split = split_by_time(dataset, POLICY)
    booster = fit(split.final_fit, FEATURES, TUNED.parameters, TUNED.rounds, SETTINGS)
    truth = split.test.keys.join(panel, on=["mine_id", "as_of_year", "horizon_years"], maintain_order="left")["truth"]
    odds = np.log(truth / (1 - truth)).to_numpy()
    error = odds - np.asarray(booster.predict(split.test.features, raw_score=True))
    middle = (split.test.horizon_years == 3) & (np.abs(odds) < 2)
    expected = spread.deviation_at(np.array([0.0, 1.0]), 3).mean()
    assert 0.5 < expected / np.sqrt((error[middle] ** 2).mean()) < 2


def test_the_calibration_scales_what_it_serves(panel: pl.DataFrame, spread: Spread) -> None:
    steep = _measure(panel, Calibration(slope=2.0, intercepts=dict.fromkeys((*HORIZONS, 20), -0.5)))
    assert np.allclose(steep.deviation, 2 * spread.deviation)
    corrected = steep.correction_at(np.array([1.0]), 3)
    assert corrected[0] == pytest.approx(1.0 - (1.0 + 0.5) / 2, abs=0.02)


def _size(spread: Spread) -> float:
    return float(np.sqrt((spread.deviation**2).mean()))
