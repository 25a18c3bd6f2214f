from itertools import pairwise

import numpy as np
import pytest

from fvi_pipeline.model.intervals import IntervalTable, fit_intervals, quantile_bins, wilson_interval


def test_wilson_interval_of_known_values() -> None:
    # 8 of 10 at 95 %: 0.4902 to 0.9433
    assert wilson_interval(8, 10, 0.95) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    low, high = wilson_interval(10, 10, 0.9)
    assert high == 1.0
    assert 0.7 < low < 1.0
    narrow, wide = wilson_interval(500, 1000, 0.9), wilson_interval(500, 1000, 0.9, year_variance=0.04)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


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


def _calibration(year_shift: float, seed: int = 0, rows_per_year: int = 3000):  # type: ignore[no-untyped-def]
    generator = np.random.default_rng(seed)
    years = np.repeat(np.arange(2000, 2012), rows_per_year)
    log_odds = generator.normal(0.5, 1.2, len(years))
    shift = np.repeat(generator.normal(0, year_shift, 12), rows_per_year)
    viable = (generator.random(len(years)) < 1 / (1 + np.exp(-log_odds - shift))).astype(np.int8)
    return 1 / (1 + np.exp(-log_odds)), viable, np.full(len(years), 3), years


def test_intervals_hold_the_score_and_rise_with_it() -> None:
    table = fit_intervals(*_calibration(0.0))
    probabilities = np.linspace(0.001, 0.999, 200)
    limits = np.array([table.interval(float(p), 3) for p in probabilities])
    assert ((limits[:, 0] <= probabilities) & (probabilities <= limits[:, 1])).all()
    assert (np.diff(limits, axis=0) >= 0).all()
    assert (limits >= 0).all()
    assert (limits <= 1).all()


def test_variance_between_years_is_found() -> None:
    assert fit_intervals(*_calibration(0.0)).year_variance < 0.005
    assert fit_intervals(*_calibration(0.4)).year_variance == pytest.approx(0.2, abs=0.12)


def test_intervals_cover_years_to_come() -> None:
    covered = bins = 0
    for seed in range(40):
        probability, viable, horizon, years = _calibration(0.3, seed=seed, rows_per_year=500)
        known, later = years < 2011, years == 2011
        table = fit_intervals(probability[known], viable[known], horizon[known], years[known])
        inside, total = table.coverage(probability[later], viable[later], horizon[later])[3]
        covered, bins = covered + inside, bins + total
    assert covered / bins == pytest.approx(0.9, abs=0.06)


def test_a_horizon_without_a_measurement_has_the_widest_interval() -> None:
    table = fit_intervals(*_calibration(0.0))
    assert not table.is_measured(20)
    assert table.interval(0.3, 20) == (0.0, 1.0)
    probability, viable, horizon, _ = _calibration(0.0)
    assert 20 not in table.coverage(probability, viable, horizon + 17)


def test_table_survives_json() -> None:
    table = fit_intervals(*_calibration(0.1))
    assert IntervalTable.model_validate_json(table.model_dump_json()) == table
