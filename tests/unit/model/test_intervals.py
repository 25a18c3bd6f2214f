from itertools import pairwise

import numpy as np
import pytest

from fvi_pipeline.model.calibration import sigmoid
from fvi_pipeline.model.intervals import FloatVector, IntervalTable, fit_intervals, quantile_bins, year_variance
from fvi_pipeline.model.spread import Spread

HORIZONS = (1, 3, 10)
YEARS = np.arange(2000, 2012)
PROBABILITIES = np.linspace(0.0005, 0.9995, 400)


def _panel(
    year_shift: float = 0.0, estimation: float = 0.3, seed: int = 0, rows_per_cell: int = 250
) -> dict[str, FloatVector]:
    """Scores (log-odds) that err by a shift of their year and by something of each mine; viable follows the truth."""
    generator = np.random.default_rng(seed)
    year = np.tile(np.repeat(YEARS, rows_per_cell), len(HORIZONS))
    horizon = np.repeat(HORIZONS, rows_per_cell * len(YEARS))
    score = generator.normal(2.0 - 0.2 * horizon, 1.0)
    shift = generator.normal(0, year_shift, (len(HORIZONS), len(YEARS)))
    truth = score + shift.repeat(rows_per_cell, axis=1).ravel() + generator.normal(0, estimation, len(score))
    viable = (generator.random(len(score)) < sigmoid(truth)).astype(np.int8)
    return {"log_odds": score, "viable": viable, "horizon_years": horizon, "as_of_year": year, "truth": truth}


def _spread(panel: dict[str, FloatVector], estimation: float = 0.3, correction: float = 0.0) -> Spread:
    score = panel["log_odds"]
    deviation = np.random.default_rng(9).normal(0, estimation, (2, len(score)))
    return Spread(score, score - correction, panel["horizon_years"], deviation)


def _table(panel: dict[str, FloatVector], spread: Spread | None = None, **settings: float) -> IntervalTable:
    known = {name: values for name, values in panel.items() if name != "truth"}
    known.setdefault("comparable", np.ones(len(panel["viable"]), dtype=bool))
    return fit_intervals(**known, spread=spread or _spread(panel), **settings)  # type: ignore[arg-type]


def _limits(table: IntervalTable, horizon: int, probabilities: FloatVector = PROBABILITIES) -> FloatVector:
    return np.array([table.interval(float(p), horizon) for p in probabilities])


@pytest.mark.parametrize(("rows", "bins", "minimum"), [(1000, 10, 60), (130, 10, 60), (20, 10, 60), (1, 10, 60)])
def test_bins_hold_every_row_once_and_are_not_thin(rows: int, bins: int, minimum: int) -> None:
    probability = np.random.default_rng(0).random(rows).round(2)
    found = list(quantile_bins(probability, bins, minimum))
    assert sorted(np.concatenate(found).tolist()) == list(range(rows))
    if rows >= minimum:
        assert min(len(b) for b in found) >= minimum // 2
    edges = [(probability[b].min(), probability[b].max()) for b in found]
    assert all(before[1] < after[0] for before, after in pairwise(edges))


def test_equal_probabilities_share_one_bin() -> None:
    assert len(list(quantile_bins(np.full(500, 0.4), 10, 20))) == 1


@pytest.mark.parametrize("seed", range(5))
def test_intervals_hold_the_score_rise_with_it_and_never_with_the_horizon(seed: int) -> None:
    generator = np.random.default_rng(seed)
    panel = _panel(generator.uniform(0, 0.6), generator.uniform(0.1, 0.8), seed)
    # a spread that differs wildly from score to score and from horizon to horizon
    spread = Spread(
        panel["log_odds"],
        panel["log_odds"] - generator.normal(0, 0.5),
        panel["horizon_years"],
        generator.normal(0, generator.uniform(0.05, 1.5, len(panel["log_odds"])), (2, len(panel["log_odds"]))),
    )
    table = _table(panel, spread)
    by_horizon = [_limits(table, horizon) for horizon in HORIZONS]
    for limits in by_horizon:
        assert (limits[:, 0] <= PROBABILITIES).all()
        assert (limits[:, 1] >= PROBABILITIES).all()
        assert (np.diff(limits, axis=0) >= 0).all()
        assert (limits >= 0).all()
        assert (limits <= 1).all()
    for shorter, longer in pairwise(by_horizon):
        assert (longer <= shorter).all()


@pytest.mark.parametrize("year_shift", [0.0, 0.4])
@pytest.mark.parametrize("confidence", [0.8, 0.9])
def test_the_truth_of_a_year_to_come_lies_inside_as_often_as_stated(year_shift: float, confidence: float) -> None:
    inside: list[bool] = []
    for seed in range(30):
        panel = _panel(year_shift, seed=seed)
        last = panel["as_of_year"] == YEARS[-1]
        table = _table({name: values[~last] for name, values in panel.items()}, confidence=confidence)
        for horizon in HORIZONS:
            rows = last & (panel["horizon_years"] == horizon)
            # the rule for the safest only adds to the upper side, on purpose
            rows &= panel["log_odds"] < np.quantile(panel["log_odds"][rows], 0.6)
            limits = _limits(table, horizon, sigmoid(panel["log_odds"][rows]))
            truth = sigmoid(panel["truth"][rows])
            inside += ((limits[:, 0] <= truth) & (truth <= limits[:, 1])).tolist()
    # a little wide where no year shifts: a few years cannot rule it out
    assert confidence - 0.04 < np.mean(inside) < confidence + 0.06


def test_shares_of_like_mines_lie_inside_at_least_as_often_as_stated() -> None:
    inside = groups = 0
    for seed in range(20):
        panel = _panel(0.4, seed=seed)
        last = panel["as_of_year"] == YEARS[-1]
        table = _table({name: values[~last] for name, values in panel.items()})
        later = {name: values[last] for name, values in panel.items()}
        found = table.coverage(
            sigmoid(later["log_odds"]), later["viable"], later["horizon_years"], later["as_of_year"], minimum_rows=50
        )
        assert sorted(found) == list(HORIZONS)
        inside += sum(covered for covered, _ in found.values())
        groups += sum(total for _, total in found.values())
    assert inside / groups > 0.88


def test_the_shift_of_a_year_is_found_and_a_bias_of_all_years_counts_too() -> None:
    def variance(panel: dict[str, FloatVector], bias: float = 0.0) -> float:
        score = panel["log_odds"] + bias
        return year_variance(score, panel["viable"], panel["horizon_years"], panel["as_of_year"])

    assert variance(_panel(0.0, estimation=0.0)) < 0.02
    assert variance(_panel(0.5, estimation=0.0, rows_per_cell=2000)) == pytest.approx(0.25, abs=0.1)
    assert variance(_panel(0.0, estimation=0.0), bias=0.6) > 0.15


def test_few_years_leave_the_usual_shift() -> None:
    panel = _panel(0.0, estimation=0.0)
    first = panel["as_of_year"] == YEARS[0]
    one_year = {name: values[first] for name, values in panel.items()}
    assert _table(one_year).year_variance > _table(panel).year_variance > 0


def test_what_older_fits_got_wrong_counts_at_the_horizons_that_only_they_reach() -> None:
    panel = _panel(0.0)
    far = panel["horizon_years"] == 10
    panel["log_odds"] = np.where(far, panel["log_odds"] + 1.5, panel["log_odds"])
    honest, told_apart = _table(panel), _table({**panel, "comparable": ~far})
    narrow, wide = _limits(told_apart, 3), _limits(told_apart, 10)
    assert told_apart.year_variance < honest.year_variance
    assert (narrow[100:300, 0] > _limits(honest, 3)[100:300, 0]).all()
    assert (wide[100:300, 0] < narrow[100:300, 0]).all()


def test_what_the_calibration_corrected_widens_towards_the_margin() -> None:
    panel = _panel()
    plain, raised = _limits(_table(panel), 3), _limits(_table(panel, _spread(panel, correction=1.0)), 3)
    lowered = _limits(_table(panel, _spread(panel, correction=-1.0)), 3)
    middle = slice(100, 300)
    assert (raised[middle, 0] < plain[middle, 0]).all()
    assert (raised[middle, 1] == plain[middle, 1]).all()
    assert (lowered[middle, 1] > plain[middle, 1]).all()
    assert (lowered[middle, 0] == plain[middle, 0]).all()


def test_a_horizon_without_a_measurement_has_the_widest_interval() -> None:
    panel = _panel()
    thin = {name: np.concatenate([values, values[:20]]) for name, values in panel.items()}
    thin["horizon_years"][-20:] = 20
    table = _table(thin)
    assert not table.is_measured(20)
    assert table.is_measured(10)
    assert table.interval(0.3, 20) == (0.0, 1.0)
    twenty = np.full(len(panel["viable"]), 20)
    assert table.coverage(sigmoid(panel["log_odds"]), panel["viable"], twenty) == {}


def test_table_survives_json_and_reads_the_bins_of_older_versions() -> None:
    table = _table(_panel(0.2))
    assert IntervalTable.model_validate_json(table.model_dump_json()) == table
    old = IntervalTable.model_validate_json(
        '{"confidence": 0.9, "year_variance": 0.01, "bins": {"3": ['
        '{"upper": 0.5, "low": 0.3, "high": 0.6, "rows": 80}, {"upper": 0.9, "low": 0.8, "high": 1.0, "rows": 80}]}}'
    )
    assert old.is_measured(3)
    assert old.interval(0.5, 3) == pytest.approx((0.3, 0.6))
    low, high = old.interval(0.8, 3)
    assert 0.3 < low < 0.8 < high < 1.0
