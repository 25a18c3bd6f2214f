"""Which rows a model was fitted on: those that its training takes, each mine's year once, and what they measure."""

from __future__ import annotations

import polars as pl
import pytest

from fvi_pipeline.model.dataset import SplitPolicy, make_dataset, split_by_time
from fvi_pipeline.monitoring.drift import Drift
from fvi_pipeline.monitoring.measurements import Cohort, Measurement, drifts, measure_features
from fvi_pipeline.monitoring.training_rows import TrainingRows, fitted_rows, training_rows
from fvi_pipeline.weights.information_gain import information_gain
from tests.unit.model.panel import FEATURES, LAST_YEAR, survival_panel

_POLICY = SplitPolicy(minimum_comparable_rows=2000)
_UNTIL = LAST_YEAR - _POLICY.test_years


@pytest.fixture(scope="module")
def panel() -> pl.DataFrame:
    return survival_panel()


@pytest.fixture(scope="module")
def training(panel: pl.DataFrame) -> TrainingRows:
    inputs = frozenset(FEATURES) - {"noise"}
    return training_rows(panel, _UNTIL, inputs, "the champion, version 7", _POLICY)


@pytest.fixture(scope="module")
def cohort(panel: pl.DataFrame) -> Cohort:
    newest = panel.filter(pl.col("as_of_year") == LAST_YEAR - 1).select(FEATURES)
    return Cohort(newest.with_columns(pl.col("noise") + 2), LAST_YEAR - 1)


def test_fitted_rows_are_those_of_the_models_final_fit(panel: pl.DataFrame) -> None:
    split = split_by_time(make_dataset(panel, FEATURES), _POLICY)
    ours = fitted_rows(panel, split.train_until_year, _POLICY).select(split.final_fit.keys.columns)
    assert ours.sort(ours.columns).equals(split.final_fit.keys.sort(ours.columns))


def test_no_outcome_after_the_models_year_is_in_them(training: TrainingRows) -> None:
    assert training.outcomes["outcome_year"].max() == _UNTIL
    assert training.outcomes["horizon_years"].unique().to_list() == [3]
    assert training.features["as_of_year"].max() < _UNTIL


def test_a_mines_year_counts_once_and_only_comparable_years_do(panel: pl.DataFrame, training: TrainingRows) -> None:
    assert not training.features.select("mine_id", "as_of_year").is_duplicated().any()
    # the longest horizon is fitted on years before 2001 too; employees of these years were never published
    assert fitted_rows(panel, _UNTIL, _POLICY)["as_of_year"].min() < 2001
    assert training.features["as_of_year"].min() == 2001
    assert training.description == (
        f"training data of the champion, version 7: as-of years 2001 to {_UNTIL - 1}, outcomes up to {_UNTIL}"
    )


def test_a_panel_of_early_years_is_compared_with_itself(panel: pl.DataFrame) -> None:
    early = panel.filter(pl.col("outcome_year") < 2001)
    assert training_rows(early, 2000, frozenset(), "a challenger", _POLICY).features["as_of_year"].max() == 1999


def _values(measurements: list[Measurement], measure: str) -> dict[str, float | None]:
    return {each.name: each.value for each in measurements if each.measure == measure}


def test_every_feature_has_every_measure_once(cohort: Cohort, training: TrainingRows) -> None:
    measured = measure_features(cohort, FEATURES, training, drifts(cohort, FEATURES, training))
    keys = [(each.subject, each.name, each.measure) for each in measured]
    assert len(keys) == len(set(keys)) == 12 * len(FEATURES)
    assert {subject for subject, _, _ in keys} == {"feature"}
    assert _values(measured, "model_input") == {"log_size": 1, "trend": 1, "noise": 0, "hours": 1}
    gains = information_gain(training.outcomes, FEATURES)
    assert _values(measured, "information_gain") == dict(zip(gains["metric"], gains["information_gain"], strict=True))
    assert {each.reference for each in measured if each.measure == "psi"} == {training.description}
    assert {each.reference for each in measured if each.measure == "mean"} == {f"cohort of {LAST_YEAR - 1}"}


def test_the_shifted_feature_is_the_one_that_moved(cohort: Cohort, training: TrainingRows) -> None:
    moves = drifts(cohort, FEATURES, training)
    # `hours` was not published before 2003: the years without it are no part of the comparison
    assert {name for name, each in moves.items() if each.level != "stable"} == {"noise"}
    assert moves["hours"].ks < 0.2 < moves["noise"].ks
    measured = measure_features(cohort, FEATURES, training, moves)
    levels = {each.name: each.details["level"] for each in measured if each.measure == "psi"}
    assert levels == {name: each.level for name, each in moves.items()}


def test_the_importance_of_a_feature_is_told_where_scores_are_explained(cohort: Cohort, training: TrainingRows) -> None:
    moves = drifts(cohort, FEATURES, training)
    unexplained = measure_features(cohort, FEATURES, training, moves)
    assert set(_values(unexplained, "importance").values()) == {None}
    explained = measure_features(cohort, FEATURES, training, moves, {"trend": 0.75, "noise": 0.25})
    assert _values(explained, "importance") == {"log_size": 0, "trend": 0.75, "noise": 0.25, "hours": 0}


def test_without_a_model_there_are_statistics_and_no_drift(cohort: Cohort) -> None:
    measured = measure_features(cohort, FEATURES, None, drifts(cohort, FEATURES, None))
    assert None not in _values(measured, "mean").values()
    for measure in ("psi", "ks", "outside_training", "information_gain", "model_input"):
        assert set(_values(measured, measure).values()) == {None}


def test_a_feature_that_the_training_set_does_not_have_yet_has_statistics(
    cohort: Cohort, training: TrainingRows
) -> None:
    newer = Cohort(cohort.rows.with_columns(depth=pl.lit(100.0)), cohort.as_of_year)
    moves: dict[str, Drift] = drifts(newer, [*FEATURES, "depth"], training)
    measured = measure_features(newer, [*FEATURES, "depth"], training, moves)
    assert set(moves) == set(FEATURES)
    assert _values(measured, "mean")["depth"] == 100
    assert _values(measured, "psi")["depth"] is None
    assert _values(measured, "information_gain")["depth"] is None
    assert _values(measured, "model_input")["depth"] == 0
