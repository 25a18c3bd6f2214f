"""Folds and rivals on the simulated panel, whose truth is known."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from fvi_pipeline.model.backtest.folds import (
    Backtest,
    BacktestPolicy,
    fold_of,
    fold_predictions,
    origins,
    rows_of,
)
from fvi_pipeline.model.backtest.hazard import DiscreteTimeHazard
from fvi_pipeline.model.backtest.rivals import (
    BaseRate,
    LogisticRegression,
    Rival,
    SizeOnly,
    all_rivals,
    descriptions,
    rival_predictions,
)
from fvi_pipeline.model.dataset import SplitPolicy
from fvi_pipeline.model.training import TrainingSettings

from .conftest import POLICY
from .panel import FEATURES, HORIZONS

KEYS = ["mine_id", "as_of_year", "horizon_years"]
QUICK = TrainingSettings(seed=3, trials=1, maximum_rounds=40, stopping_rounds=10)


@pytest.fixture(scope="module")
def backtest(panel: pl.DataFrame) -> Backtest:
    return Backtest(
        frame=panel,
        features=tuple(FEATURES),
        size_feature="log_size",
        served_until_year=2013,
        split=POLICY,
        settings=QUICK,
        horizons=HORIZONS,
    )


def test_origins_go_in_steps_from_the_served_year_as_far_as_the_rows_allow(backtest: Backtest) -> None:
    rows = rows_of(backtest)
    assert origins(rows, POLICY, 2013, BacktestPolicy()) == [2007, 2009, 2011, 2013, 2015, 2017]
    assert origins(rows, POLICY, 2013, BacktestPolicy(maximum_folds=1)) == [2013]
    assert origins(rows, POLICY, 2013, BacktestPolicy(maximum_folds=3)) == [2011, 2013, 2015]
    # a cohort that is not like today's is none to stop a boosting on; the served origin is what it is
    late = SplitPolicy(minimum_comparable_rows=200, comparable_since_year=2010)
    assert origins(rows, late, 2013, BacktestPolicy()) == [2013, 2015, 2017]
    assert origins(rows.where(pl.col("as_of_year") > 3000), POLICY, 2013, BacktestPolicy()) == []


def test_every_horizon_is_tested_by_a_fold(backtest: Backtest) -> None:
    rows = rows_of(backtest)
    tested = {h for until in (2005, 2007, 2013) for h in fold_of(rows, POLICY, until).test.horizons}
    assert tested == set(HORIZONS)
    of_2007 = fold_of(rows, POLICY, 2007)
    assert of_2007.known.keys["outcome_year"].max() == 2007
    assert sorted(of_2007.test.keys["as_of_year"].unique()) == [2008, 2009, 2010, 2011, 2012]


def test_no_fold_sees_what_lies_after_its_year(backtest: Backtest, panel: pl.DataFrame) -> None:
    until = 2009
    later, tested = pl.col("outcome_year") > until, pl.col("as_of_year").is_between(until + 1, until + 5)
    noise = pl.Series("noise", np.random.default_rng(0).normal(size=panel.height))
    other_future = panel.with_columns(
        pl.when(later).then(1 - pl.col("viable")).otherwise(pl.col("viable")).alias("viable"),
        *(
            pl.when(later & ~tested).then(noise).otherwise(pl.col(name)).alias(name)
            for name in ("log_size", "trend", "hours")
        ),
    )
    changed = replace(backtest, frame=other_future)
    rivals: list[Rival] = [BaseRate(), SizeOnly(), LogisticRegression(), DiscreteTimeHazard()]
    before = _answers(backtest, until, rivals)
    after = _answers(changed, until, rivals)
    for name, frame in before.items():
        assert frame.height > 1000
        assert frame.drop("viable").equals(after[name].drop("viable")), name
        assert (frame["viable"] != after[name]["viable"]).all()
    # and the digest knows which rows are the fold's: others do not count
    others = panel.with_columns(pl.when(pl.col("as_of_year") > 2014).then(noise).otherwise("trend").alias("trend"))
    digests = [
        fold_of(rows_of(replace(backtest, frame=frame)), POLICY, until).digest(FEATURES)
        for frame in (panel, others, other_future)
    ]
    assert digests[0] == digests[1] != digests[2]


def test_intervals_hold_the_probability(backtest: Backtest) -> None:
    predictions = fold_predictions(backtest, 2013)
    assert predictions.filter(
        ~pl.col("viability_probability").is_between(pl.col("interval_low"), pl.col("interval_high"))
    ).is_empty()
    measured = predictions.filter(pl.col("interval_high") - pl.col("interval_low") < 1)
    assert measured.height > predictions.height / 2


def test_rivals_are_worth_what_they_know(backtest: Backtest, panel: pl.DataFrame) -> None:
    until, rivals = 2011, all_rivals()
    answers = _answers(backtest, until, rivals, product=False)
    truth = panel.select(*KEYS, "truth")
    auc: dict[str, dict[int, float]] = {}
    for name, frame in answers.items():
        joined = frame.join(truth, on=KEYS, how="left", maintain_order="left")
        for (horizon,), part in joined.group_by("horizon_years"):
            viable, probability = part["viable"].to_numpy(), part["viability_probability"].to_numpy()
            auc.setdefault(name, {})[int(str(horizon))] = roc_auc_score(viable, probability)
            if name in ("logistic_regression", "discrete_time_hazard"):
                # the process is one of hazards, without restarts: it is found again, years out too
                assert np.abs(probability - part["truth"].to_numpy()).mean() < 0.05, (name, horizon)
            auc.setdefault("truth", {})[int(str(horizon))] = roc_auc_score(viable, part["truth"].to_numpy())
    assert set(auc["base_rate"].values()) == {0.5}
    for horizon in (1, 2, 3, 5):
        assert auc["truth"][horizon] - 0.01 < auc["discrete_time_hazard"][horizon]
        assert auc["logistic_regression"][horizon] > auc["size_only"][horizon] > 0.6
    names = set(answers)
    assert {"ridge_regression", "random_forest", "neural_net", "boosting_defaults", "plain_script"} < names
    for name in names - {"base_rate"}:
        assert auc[name][3] > 0.6, name
    assert set(descriptions()) == names


def test_restarts_count_as_viable(backtest: Backtest) -> None:
    # a producing mine stops with 0.3 a year, a stopped one starts again with 0.5: after years, 0.625 produce
    generator = np.random.default_rng(5)
    years, mines = range(1999, 2020), 300
    produces = np.ones((len(years), mines), dtype=bool)
    for year in range(1, len(years)):
        draws = generator.random(mines)
        produces[year] = np.where(produces[year - 1], draws > 0.3, draws < 0.5)
    rows = [
        (f"msha:{mine:07d}", years[t], h, years[t + h], int(produces[t + h, mine]), *generator.normal(size=4))
        for mine in range(mines)
        for t in range(len(years))
        for h in HORIZONS
        if produces[t, mine] and t + h < len(years)
    ]
    columns = [*KEYS, "outcome_year", "viable", *FEATURES]
    restarting = replace(backtest, frame=pl.DataFrame(rows, schema=columns, orient="row"))
    answers = rival_predictions(restarting, fold_of(rows_of(restarting), POLICY, 2013), DiscreteTimeHazard())
    told = dict(answers.group_by("horizon_years").agg(pl.col("viability_probability").mean()).iter_rows())
    assert told[1] == pytest.approx(0.7, abs=0.03)
    assert told[5] == pytest.approx(0.625, abs=0.04)  # without restarts it would be 0.17


def _answers(backtest: Backtest, until: int, rivals: list[Rival], *, product: bool = True) -> dict[str, pl.DataFrame]:
    fold = fold_of(rows_of(backtest), POLICY, until)
    answers = {rival.name: rival_predictions(backtest, fold, rival) for rival in rivals}
    return {**({"product": fold_predictions(backtest, until)} if product else {}), **answers}
