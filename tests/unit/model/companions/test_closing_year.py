"""Closing years of curves whose years can be worked out by hand, and their measure where the truth is known."""

import numpy as np
import polars as pl
import pytest

from fvi_pipeline.model.companions.closing_year import (
    closing_years,
    concordance,
    measure_closing_years,
    survival_curves,
)
from fvi_pipeline.model.errors import ScoringError

HORIZONS = [1, 2, 3, 5, 10, 20]


def scores(*mines: list[float], low: float = 0.0, high: float = 0.0) -> pl.DataFrame:
    """Scores of mines m0, m1 ... at the horizons, in any order; the interval is wider by that much."""
    return pl.DataFrame(
        [
            (f"m{number}", 2019, horizon, score, max(score - low, 0.0), min(score + high, 100.0))
            for number, of_mine in enumerate(mines)
            for horizon, score in reversed(list(zip(HORIZONS, of_mine, strict=True)))
        ],
        schema=["mine_id", "as_of_year", "horizon_years", "fvi_score", "interval_low", "interval_high"],
        orient="row",
    )


def only(frame: pl.DataFrame) -> dict[str, object]:
    assert frame.height == 1
    return frame.row(0, named=True)


def test_the_closing_year_is_the_first_in_which_a_mine_more_likely_stands_still() -> None:
    # half are left after 5 years, so in 2024 it is not more likely than not that it produces
    row = only(closing_years(scores([90, 80, 70, 50, 30, 10]), 5))
    assert row["closing_year"] == 2024
    assert (row["last_year"], row["tested_until_year"], row["is_tested"]) == (2039, 2024, True)
    assert only(closing_years(scores([90, 80, 70, 50.1, 30, 10]), 5))["closing_year"] == 2025
    assert only(closing_years(scores([40, 30, 20, 10, 5, 1]), 5))["closing_year"] == 2020


def test_the_hazard_is_constant_between_horizons() -> None:
    curves = survival_curves(HORIZONS, np.array([[0.9, 0.9, 0.9, 0.8, 0.2, 0.1]]))
    # from 0.8 at 5 years to 0.2 at 10, a quarter: half of that factor lies in the middle
    assert curves.years_until(0.4)[0] == pytest.approx(7.5)
    assert curves.at(np.array([7.5]))[0] == pytest.approx(0.4)
    assert curves.years_until(0.05)[0] == np.inf
    assert np.isnan(curves.at(np.array([21.0]))[0])


def test_beyond_the_longest_horizon_nothing_is_said_but_after() -> None:
    row = only(closing_years(scores([99, 98, 96, 90, 80, 60], low=20, high=5), 5))
    assert row["closing_year"] is None
    assert row["closing_year_low"] == 2034
    assert row["closing_year_high"] is None
    assert row["is_tested"] is False
    assert row["in_words"] == "after 2039, not before 2034; tested until 2024"


def test_a_cohort_without_any_closing_year_stands_beside_one_that_has_some() -> None:
    without = closing_years(scores([99, 98, 97, 96, 95, 94]), 5)
    assert without["closing_year_high"].to_list() == [None]
    assert pl.concat([without, closing_years(scores([90, 80, 70, 50, 30, 10]), 5)])["closing_year"].to_list() == [
        None,
        2024,
    ]


def test_the_interval_follows_the_ends_of_the_scores_and_words_tell_all_of_it() -> None:
    row = only(closing_years(scores([90, 80, 70, 50, 30, 10], low=25, high=15), 5))
    assert (row["closing_year_low"], row["closing_year_high"]) == (2022, 2028)
    assert row["in_words"] == "2024, between 2022 and 2028"
    assert row["quarter_closed_by"] <= row["closing_year"] <= row["three_quarters_closed_by"]


def test_a_year_beyond_the_tested_horizons_says_so() -> None:
    assert only(closing_years(scores([90, 80, 70, 60, 30, 10]), 5))["is_tested"] is False
    assert only(closing_years(scores([90, 80, 70, 60, 30, 10]), 10))["is_tested"] is True
    assert only(closing_years(scores([90, 80, 70, 60, 30, 10]), None))["tested_until_year"] == 2019


def test_a_curve_that_would_rise_stays_level_and_a_certain_end_is_an_end() -> None:
    curves = survival_curves(HORIZONS, np.array([[0.6, 0.7, 0.6, 0.0, 0.0, 0.0]]))
    assert (np.diff(curves.probability[0]) <= 0).all()
    assert 3 < curves.years_until(0.5)[0] < 5


def test_mines_with_other_horizons_are_refused() -> None:
    with pytest.raises(ScoringError, match="same horizons"):
        closing_years(scores([90, 80, 70, 50, 30, 10], [90, 80, 70, 50, 30, 10])[1:], 5)


def test_concordance_counts_the_pairs_whose_order_is_known() -> None:
    years = np.array([2015, 2016, 2017, 2017])
    happened = np.array([True, True, False, False])
    assert concordance(np.array([4.0, 3.0, 2.0, 1.0]), years, happened) == (5, 5.0)
    assert concordance(np.array([1.0, 3.0, 2.0, 1.0]), years, happened) == (5, 2.5)


def test_true_curves_come_out_calibrated_and_the_horizons_that_are_not_known_are_left_out() -> None:
    generator = np.random.default_rng(4)
    hazard = generator.uniform(0.02, 0.5, 3000)
    lifetime = generator.geometric(hazard)  # the year, counted from 2010, in which it first stands still
    mines = [f"m{number}" for number in range(len(hazard))]
    predictions = pl.concat(
        pl.DataFrame({"mine_id": mines, "viability_probability": (1 - hazard) ** horizon}).select(
            "mine_id",
            "viability_probability",
            train_until_year=pl.lit(2009),
            as_of_year=pl.lit(2010),
            horizon_years=pl.lit(horizon),
            interval_low=(pl.col("viability_probability") - 0.1).clip(0),
            interval_high=(pl.col("viability_probability") + 0.1).clip(0, 1),
        )
        for horizon in (1, 2, 3, 5)
    )
    production = pl.DataFrame(
        [(mine, year) for mine, life in zip(mines, lifetime, strict=True) for year in range(2010, 2010 + min(life, 8))],
        schema=["mine_id", "year"],
        orient="row",
    )
    measure = measure_closing_years(predictions, production)
    assert (measure.mines, measure.closings) == (3000, int((lifetime <= 5).sum()))
    assert measure.concordance is not None
    assert 0.65 < measure.concordance < 0.85
    assert measure.closed_when_due == pytest.approx(measure.expected_when_due, abs=0.03)
    assert measure.closed_when_due > 0.5
    assert measure.inside_interval is not None
    assert set(measure.as_metrics()) >= {"closing_concordance", "closing_inside_interval"}
    assert measure_closing_years(predictions[:0], production).as_metrics() == {
        "closing_mines": 0.0,
        "closing_closings": 0.0,
        "closing_due": 0.0,
    }
