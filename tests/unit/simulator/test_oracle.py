"""The oracle is right: calibrated, not to be improved upon, within reach of a model on the files alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from fvi_pipeline.simulator import SimulatedTruth, SimulationConfig, simulate_truth

FEATURES = (
    "log_production",
    "productivity",
    "production_to_peak",
    "employees_change",
    "production_change",
    "years_listed",
    "employees",
    "underground",
    "horizon_years",
)


@pytest.fixture(scope="module")
def pooled() -> pl.DataFrame:
    """Known outcomes of four seeds: several price paths, whose shocks all mines of a year share."""
    config = SimulationConfig(oracle_paths=60)
    frames = [simulate_truth(replace(config, seed=s)).oracle.with_columns(seed=s) for s in (11, 12, 13, 14)]
    return pl.concat(frames).drop_nulls("viable").with_columns(pl.col("viable").cast(pl.Float64))


def column(rows: pl.DataFrame, name: str) -> np.ndarray:
    return rows[name].to_numpy()


@pytest.mark.parametrize("horizon", [1, 2, 3, 5, 10])
def test_oracle_is_calibrated_within_monte_carlo_error(pooled: pl.DataFrame, horizon: int) -> None:
    rows = pooled.filter(pl.col("horizon_years") == horizon)
    fifths = rows.with_columns(fifth=pl.col("viability_probability").rank("ordinal") * 5 // (len(rows) + 1))
    for _, part in fifths.group_by("fifth"):
        p, y = column(part, "viability_probability"), column(part, "viable")
        # Outcomes of one mine overlap for `horizon` years, so fewer rows are independent; the last
        # term is for the price shocks that all mines of a year share.
        standard_error = np.sqrt((p * (1 - p)).sum() * horizon) / len(p)
        assert abs((y - p).mean()) < 4 * standard_error + 0.01


@pytest.mark.parametrize("horizon", [1, 3, 5])
def test_no_distortion_of_the_oracle_has_a_lower_brier_score(pooled: pl.DataFrame, horizon: int) -> None:
    rows = pooled.filter(pl.col("horizon_years") == horizon)
    p, y = column(rows, "viability_probability"), column(rows, "viable")
    odds = np.log(p / (1 - p))
    centre = odds.mean()
    brier = ((y - p) ** 2).mean()
    distorted = {
        "sharper": centre + 1.5 * (odds - centre),
        "flatter": centre + 0.65 * (odds - centre),
        "higher": odds + 0.5,
        "lower": odds - 0.5,
    }
    for name, log_odds in distorted.items():
        assert ((y - 1 / (1 + np.exp(-log_odds))) ** 2).mean() > brier, name


def test_probability_never_rises_with_the_horizon(default_truth: SimulatedTruth) -> None:
    rows = default_truth.oracle.sort("mine_id", "as_of_year", "horizon_years")
    rising = rows.select((pl.col("viability_probability").diff().over("mine_id", "as_of_year") > 1e-9).sum()).item()
    assert rising == 0


def test_cohort_closes_rarely_within_a_year_and_often_within_three(pooled: pl.DataFrame) -> None:
    recent = pooled.filter(pl.col("as_of_year") >= 2001)
    closing = dict(recent.group_by("horizon_years").agg(1 - pl.col("viable").mean()).iter_rows())
    assert 0.01 < closing[1] < 0.04
    assert 0.10 < closing[3] < 0.30


def test_oracle_agrees_with_outcomes_when_mines_may_restart() -> None:
    survival = replace(SimulationConfig().survival, annual_restart_probability=0.08)
    truth = simulate_truth(SimulationConfig(seed=5, oracle_paths=40, survival=survival))
    rows = truth.oracle.drop_nulls("viable").filter(pl.col("horizon_years") == 5)
    assert rows["viable"].mean() == pytest.approx(rows["viability_probability"].mean(), abs=0.025)


def test_known_frailty_sd_of_zero_needs_no_posterior() -> None:
    survival = replace(SimulationConfig().survival, frailty_sd=0.0)
    truth = simulate_truth(SimulationConfig(seed=6, oracle_paths=40, survival=survival))
    rows = truth.oracle.drop_nulls("viable").filter(pl.col("horizon_years") == 1)
    assert rows["viable"].mean() == pytest.approx(rows["viability_probability"].mean(), abs=0.01)


def features_from_files_alone(truth: SimulatedTruth) -> pl.DataFrame:
    """What the year files say: no workforce before 2001, no state of the process."""
    usable = pl.col("as_of_year") >= 2001
    mine = "mine_id"
    panel = truth.panel.sort(mine, "as_of_year").with_columns(
        employees=pl.when(usable).then(pl.col("average_employees")).cast(pl.Float64),
        hours=pl.when(usable).then(pl.col("labor_hours")).cast(pl.Float64),
    )
    return panel.select(
        mine,
        "as_of_year",
        "employees",
        log_production=pl.col("production_short_tons").log(),
        productivity=pl.col("production_short_tons") / pl.col("hours"),
        production_to_peak=pl.col("production_short_tons") / pl.col("production_short_tons").cum_max().over(mine),
        employees_change=pl.col("employees").log().diff().over(mine),
        production_change=pl.col("production_short_tons").log().diff().over(mine),
        years_listed=pl.col("as_of_year") - pl.col("as_of_year").min().over(mine),
        underground=(pl.col("mine_type") == "Underground").cast(pl.Float64),
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_model_on_the_files_comes_near_the_oracle(seed: int) -> None:
    import lightgbm as lgb

    truth = simulate_truth(SimulationConfig(seed=seed))
    table = truth.oracle.drop_nulls("viable").join(features_from_files_alone(truth), on=["mine_id", "as_of_year"])
    until = truth.config.last_year - 8
    train = table.filter(pl.col("as_of_year") + pl.col("horizon_years") <= until)
    test = table.filter(pl.col("as_of_year") > until, pl.col("horizon_years") == 3)
    parameters = {
        "objective": "binary",
        "learning_rate": 0.03,
        "num_leaves": 12,
        "min_data_in_leaf": 60,
        "feature_fraction": 0.8,
        "lambda_l2": 5.0,
        "num_threads": 1,
        "seed": 7,
        "verbose": -1,
        "monotone_constraints": [0] * (len(FEATURES) - 1) + [-1],
    }
    data = lgb.Dataset(train.select(FEATURES).cast(pl.Float32).to_numpy(), train["viable"].to_numpy().astype(int))
    predicted = lgb.train(parameters, data, 200).predict(test.select(FEATURES).cast(pl.Float32).to_numpy())
    oracle = roc_auc_score(test["viable"], test["viability_probability"])
    assert 0.75 < oracle < 0.88
    assert roc_auc_score(test["viable"], predicted) > oracle - 0.03
