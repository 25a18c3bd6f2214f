"""Folds and the comparison in a real PostgreSQL and a real MLflow store: what is computed, kept, removed and told."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import psycopg
import pytest

from fvi_pipeline.model.backtest.comparison import ComparisonPolicy, compare
from fvi_pipeline.model.backtest.fold_process import folds_at_once
from fvi_pipeline.model.backtest.folds import Backtest, BacktestPolicy, fold_predictions
from fvi_pipeline.model.backtest.report import flat_metrics, table_rows
from fvi_pipeline.model.backtest.rivals import BaseRate, LogisticRegression, Rival, SizeOnly
from fvi_pipeline.model.backtest.rolling import Rolled, roll, roll_rivals
from fvi_pipeline.model.backtest.store import PRODUCT, read_predictions, served_origin
from fvi_pipeline.model.backtest.tracking import EXPERIMENT, log_comparison
from fvi_pipeline.model.challenger import Challenger, train_challenger
from fvi_pipeline.model.dataset import SplitPolicy
from fvi_pipeline.model.errors import DatasetError
from fvi_pipeline.model.scoring import ViabilityModel
from fvi_pipeline.model.training import TrainingSettings
from fvi_pipeline.platform.database import connect, with_search_path
from tests.unit.model.panel import FEATURES, HORIZONS, survival_panel

POLICY = SplitPolicy(minimum_comparable_rows=200)
QUICK = TrainingSettings(seed=3, trials=1, maximum_rounds=30, stopping_rounds=10)
THREE = BacktestPolicy(maximum_folds=3)
RIVALS: list[Rival] = [BaseRate(), SizeOnly(), LogisticRegression()]


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture(scope="module")
def backtest() -> Backtest:
    return Backtest(
        frame=survival_panel(mines=250),
        features=tuple(FEATURES),
        size_feature="log_size",
        served_until_year=2013,
        split=POLICY,
        settings=QUICK,
        horizons=HORIZONS,
    )


@pytest.fixture(scope="module")
def challenger(backtest: Backtest) -> Challenger:
    return train_challenger(
        backtest.frame,
        FEATURES,
        size_feature="log_size",
        feature_service="fvi_v1",
        settings=QUICK,
        policy=POLICY,
        horizons=HORIZONS,
    )


@pytest.fixture
def served(challenger: Challenger) -> ViabilityModel:
    return challenger.files.model()


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    with connect(database_url) as opened:
        yield opened


def quiet(_: str) -> None:
    """Nobody listens."""


def years(rolled: list[tuple[str, int]]) -> list[int]:
    return sorted({until for _, until in rolled})


def test_a_fold_is_computed_when_its_rows_are_new(
    connection: psycopg.Connection,
    backtest: Backtest,
    served: ViabilityModel,
    challenger: Challenger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # killed in the second fold: the first is stored, and the next run begins after it
    fits = []

    def fit(backtest: Backtest, until: int) -> pl.DataFrame:
        fits.append(until)
        if len(fits) == 2:
            raise Killed
        return fold_predictions(backtest, until)

    monkeypatch.setattr("fvi_pipeline.model.backtest.rolling.fold_predictions", fit)
    with pytest.raises(Killed):
        roll(connection, backtest, THREE, served, quiet)
    connection.rollback()
    done = roll(connection, backtest, THREE, served, quiet)
    assert (years(done.unchanged), years(done.computed)) == ([2011, 2013], [2015])
    assert fits == [2011, 2015, 2015]  # the served model answers for its own fold; nothing is fitted for it
    of_2013 = connection.execute(
        "select viability_probability from mart.backtest_predictions where train_until_year = 2013 "
        "order by mine_id, as_of_year, horizon_years"
    ).fetchall()
    assert np.array_equal(np.ravel(of_2013), challenger.test_probability)
    served_folds = connection.execute("select train_until_year from ops.backtest_folds where is_served").fetchall()
    assert served_folds == [(2013,)]

    before = read_predictions(connection)
    assert roll(connection, backtest, THREE, served, quiet).computed == []
    assert read_predictions(connection).equals(before)

    # a value of as-of year 2017: no fit of 2011 and no test of it
    changed = replace(
        backtest,
        frame=backtest.frame.with_columns(
            trend=pl.when(pl.col("as_of_year") == 2017).then(pl.col("trend") + 0.5).otherwise("trend")
        ),
    )
    done = roll(connection, changed, THREE, served, quiet)
    assert (years(done.unchanged), years(done.computed)) == ([2011], [2013, 2015])

    # folds that are no longer asked for, and other settings
    done = roll(connection, changed, BacktestPolicy(maximum_folds=2), served, quiet)
    assert (years(done.unchanged), years(done.removed)) == ([2011, 2013], [2015])
    other = replace(changed, settings=QUICK.model_copy(update={"seed": 4}))
    assert years(roll(connection, other, BacktestPolicy(maximum_folds=2), served, quiet).computed) == [2011]


def test_processes_change_nothing_but_the_time(backtest: Backtest) -> None:
    apart = dict(folds_at_once(backtest, [2005, 2009, 1990], processes=2))
    assert isinstance(apart[1990], DatasetError)
    for until in (2005, 2009):
        answer = apart[until]
        assert isinstance(answer, pl.DataFrame)
        assert answer.equals(fold_predictions(backtest, until))


def test_the_database_refuses_a_prediction_of_a_year_that_was_fitted_on(
    connection: psycopg.Connection, challenger: Challenger
) -> None:
    from fvi_pipeline.model.backtest.store import replace_fold

    leaking = challenger.backtest_predictions().with_columns(train_until_year=pl.lit(2014))
    for model in (PRODUCT, "base_rate"):
        with pytest.raises(psycopg.errors.CheckViolation):
            replace_fold(connection, model, 2014, leaking, digest="digest", seconds=0.0)
    assert read_predictions(connection).is_empty()
    assert connection.execute("select count(*) from ops.backtest_folds").fetchone() == (0,)


def test_the_comparison_says_what_the_marts_hold(
    connection: psycopg.Connection, backtest: Backtest, served: ViabilityModel, database_url: str, tmp_path: Path
) -> None:
    with pytest.raises(DatasetError, match="no backtest"):
        compare(read_predictions(connection))
    roll(connection, backtest, BacktestPolicy(maximum_folds=2), served, quiet)
    done = roll_rivals(connection, backtest, RIVALS, quiet)
    assert (len(done.computed), roll_rivals(connection, backtest, RIVALS, quiet).computed) == (6, [])
    predictions = read_predictions(connection)
    policy = ComparisonPolicy(draws=50, calibration_rows=100)
    compared = compare(predictions, policy, served_until_year=served_origin(connection))

    stored = connection.execute(
        """
        with answers as (
            select 'fvi_viability' as model, horizon_years, train_until_year, viability_probability as p, viable
            from mart.backtest_predictions
            union all
            select model, horizon_years, train_until_year, viability_probability, viable
            from mart.backtest_rival_predictions
        ), ranked as (
            select *, rank() over (partition by model, train_until_year, horizon_years order by p)
                + (count(*) over (partition by model, train_until_year, horizon_years, p) - 1) / 2.0 as position
            from answers
        ), counted as (
            select model, train_until_year, horizon_years, count(*) as n, count(*) filter (where viable) as open,
                avg((p - viable::int) ^ 2) as brier, sum(position) filter (where viable) as positions
            from ranked group by 1, 2, 3
        )
        select model, train_until_year, horizon_years, n, brier,
            (positions - open * (open + 1) / 2.0) / (open * (n - open)) from counted
        """
    ).fetchall()
    told = {
        (row["model"], row["train_until_year"], row["horizon_years"]): (row["rows"], row["brier"], row["auc"])
        for row in compared.by_fold.iter_rows(named=True)
    }
    assert len(stored) == len(told) == 32
    for model, until, horizon, rows, brier, auc in stored:
        assert told[model, until, horizon] == (rows, pytest.approx(float(brier)), pytest.approx(float(auc)))

    # over the folds: weighted by rows; what the bootstrap is centred on is that difference
    numbers = flat_metrics(compared)
    for row in compared.differences.iter_rows(named=True):
        measure, horizon = row["measure"], row["horizon_years"]
        if row["train_until_year"] is not None:
            continue
        difference = numbers[f"{row['model']}_{measure}_h{horizon}"] - numbers[f"{PRODUCT}_{measure}_h{horizon}"]
        assert row["difference"] == pytest.approx(difference, abs=1e-6)
        assert row["low"] <= row["high"]
    assert compared.better_beyond_noise("base_rate", 3, "auc") is True
    own = compared.by_fold.filter(pl.col("train_until_year") == 2013, pl.col("horizon_years") == 3)
    auc = dict(own.select("model", "auc").iter_rows())
    told_apart = compared.difference("size_only", 3, "auc", 2013)
    assert told_apart is not None
    assert told_apart[0] == pytest.approx(auc["size_only"] - auc[PRODUCT], abs=1e-6)
    assert len(table_rows(compared)) == 16
    assert compared.calibration().height == 8

    # one run of MLflow for one comparison
    tracking = with_search_path(database_url, "mlflow")
    runs = {log_comparison(tracking, tmp_path, compared, predictions) for _ in range(2)}
    assert len(runs) == 1
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=tracking)
    run = client.get_run(runs.pop())
    assert client.get_experiment(run.info.experiment_id).name == EXPERIMENT
    assert run.data.metrics["size_only_auc_h3"] == pytest.approx(numbers["size_only_auc_h3"])
    files = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert {"by_horizon.csv", "by_fold.csv", "differences.csv", "model_comparison.md", "pictures"} <= files
    page = (tmp_path / "mlflow" / run.info.run_id / "artifacts" / "model_comparison.md").read_text()
    assert "fvi backtest --write-docs" in page
    assert "The fold of T = 2013 alone" in page
    pictures = tmp_path / "mlflow" / run.info.run_id / "artifacts" / "pictures"
    assert {path.name for path in pictures.iterdir() if path.read_bytes().startswith(b"\x89PNG")} == {
        name.split(")")[0].split("pictures/")[1] for name in page.split("](")[1:] if name.startswith("pictures/")
    }

    # rivals that no longer exist go, and rows that a rival has not answered for are told
    with pytest.raises(DatasetError, match="size_only"):
        compare(predictions.filter((pl.col("model") != "size_only") | (pl.col("horizon_years") == 1)))
    done = roll_rivals(connection, backtest, RIVALS[:1], quiet)
    assert {model for model, _ in done.removed} == {"size_only", "logistic_regression"}
    assert isinstance(done, Rolled)
    assert set(read_predictions(connection)["model"].unique()) == {PRODUCT, "base_rate"}
