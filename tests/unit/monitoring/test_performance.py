"""Scores beside what came: known losses are measured, an honest version is not called worse, a broken one is."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from fvi_pipeline.model.evaluation import brier
from fvi_pipeline.monitoring.measurements import Measurement
from fvi_pipeline.monitoring.performance import Promise, by_year, measure_performance, worse_in_words

_VERSION = "3"


def _scored(rows: int, seed: int, *, turned: bool = False, shift: float = 0.0, year: int = 2019) -> pl.DataFrame:
    """Scores of mines, and outcomes drawn from them; `turned`: from their opposites; `shift`: from less than they
    say."""
    generator = np.random.default_rng(seed)
    probability = generator.beta(4, 1.5, rows)
    truth = 1 - probability if turned else np.clip(probability - shift, 0, 1)
    return pl.DataFrame(
        {
            "model_version": _VERSION,
            "horizon_years": 3,
            "mine_id": [f"msha:{number:07}" for number in range(rows)],
            "as_of_year": year,
            "viability_probability": probability,
            "interval_low": np.clip(probability - 0.1, 0, 1),
            "interval_high": np.clip(probability + 0.1, 0, 1),
            "viable": generator.random(rows) < truth,
            "was_public": False,
        },
        schema_overrides={"horizon_years": pl.Int64, "as_of_year": pl.Int64},
    )


def _promise() -> Promise:
    test = pl.concat(_scored(400, seed=year, year=year) for year in range(2014, 2019))
    probability, viable = test["viability_probability"].to_numpy(), test["viable"].cast(pl.Int8).to_numpy()
    years = by_year(test)[3]
    auc = float(np.mean(list(years["auc"].values())))
    return Promise({"brier": brier(viable, probability), "auc": auc, "calibration_error": 0.02, "coverage": 0.9}, years)


def _measured(rows: pl.DataFrame, promise: Promise | None = None) -> dict[str, Measurement]:
    found = measure_performance(rows, {} if promise is None else {(_VERSION, 3): promise}, _VERSION)
    assert {(each.subject, each.name) for each in found} == {("performance", "v3 h3")}
    return {each.measure: each for each in found}


def test_the_figures_are_those_of_their_definitions() -> None:
    rows = _scored(500, seed=1)
    found = _measured(rows)
    probability, viable = rows["viability_probability"].to_numpy(), rows["viable"].cast(pl.Int8).to_numpy()
    assert found["brier"].value == pytest.approx(brier(viable, probability))
    assert found["rows"].value == 500
    assert found["rows"].details["closed"] == int((viable == 0).sum())
    assert found["viable_share"].value == pytest.approx(viable.mean())
    assert found["brier"].details["low"] < found["brier"].value < found["brier"].details["high"]
    assert found["coverage"].value >= 0.8
    assert found["brier"].details["promised"] is None


def test_an_honest_version_is_not_called_worse_than_promised() -> None:
    called = [bool(worse_in_words(_measured(_scored(400, seed=seed), _promise()).values())) for seed in range(20, 40)]
    assert sum(called) <= 1


def test_a_version_that_ranks_the_wrong_way_is_called_worse() -> None:
    found = _measured(_scored(400, seed=2, turned=True), _promise())
    assert found["brier"].details["is_worse"]
    assert found["auc"].details["is_worse"]
    sentences = worse_in_words(found.values())
    assert any(text.startswith("brier of v3 h3 is ") and ", promised " in text for text in sentences)


def test_a_version_that_was_replaced_is_shown_and_asks_for_nothing() -> None:
    rows = _scored(400, seed=2, turned=True)
    found = measure_performance(rows, {(_VERSION, 3): _promise()}, reigning="4")
    assert any(each.details.get("is_worse") for each in found)
    assert worse_in_words(found) == []


def test_a_bad_year_like_one_of_the_test_is_not_called_worse() -> None:
    promise = _promise()
    luckless = Promise(promise.figures, {**promise.by_year, "brier": {**promise.by_year["brier"], 2016: 0.5}})
    rows = _scored(400, seed=3, shift=0.35)
    assert _measured(rows, promise)["brier"].details["is_worse"]
    assert not _measured(rows, luckless)["brier"].details["is_worse"]


def test_few_scores_are_shown_and_not_judged() -> None:
    found = _measured(_scored(30, seed=4, turned=True), _promise())
    assert not found["brier"].details["is_worse"]
    assert found["coverage"].value is None


def test_one_outcome_alone_has_no_ranking() -> None:
    rows = _scored(80, seed=5).with_columns(viable=pl.lit(True))
    assert "auc" not in _measured(rows)


def test_nothing_has_come_true_without_outcomes() -> None:
    assert measure_performance(_scored(5, seed=1).clear(), {}) == []
