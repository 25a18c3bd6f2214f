from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from fvi_pipeline.model.calibration import Calibration, fit_calibration, sigmoid
from fvi_pipeline.model.challenger import Challenger
from fvi_pipeline.model.evaluation import calibration_error

HORIZONS = (1, 2, 3, 5, 10)


def _forward(
    mines: int, years: Sequence[int], wanted: Calibration, year_deviation: float = 0.0, seed: int = 1
) -> tuple[NDArray[np.float64], NDArray[np.int8], NDArray[np.int64], NDArray[np.int64]]:
    """Margins and outcomes drawn from what `wanted` makes of them, every year with a shift of its own."""
    generator = np.random.default_rng(seed)
    horizon, year = np.repeat(np.tile(HORIZONS, len(years)), mines), np.repeat(years, mines * len(HORIZONS))
    margin = generator.normal(3.0, 1.5, len(year)) - 0.4 * horizon
    cells = {(y, h): generator.normal(0, year_deviation) for y in years for h in HORIZONS}
    shift = np.array([cells[y, h] for y, h in zip(year.tolist(), horizon.tolist(), strict=True)])
    viable = generator.random(len(year)) < sigmoid(wanted.log_odds(margin, horizon) + shift)
    return margin, viable.astype(np.int8), horizon, year


@pytest.mark.parametrize(
    "wanted",
    [
        Calibration(),
        Calibration(slope=0.7),
        Calibration(slope=1.3, intercepts={1: 0.3, 3: -0.2, 10: -0.5}),
        Calibration(slope=0.9, pivot=1.5, steepenings={1: 1.0, 2: 0.5, 3: 0.0}, intercepts={1: 0.2, 5: 0.0}),
    ],
)
def test_a_known_miscalibration_is_found(wanted: Calibration) -> None:
    margin, viable, horizon, year = _forward(100, range(1960, 2020), wanted)
    found = fit_calibration(margin, viable, horizon, year, HORIZONS)
    probability, calibrated = wanted.probabilities(margin, horizon), found.probabilities(margin, horizon)
    for years in HORIZONS:
        rows = horizon == years
        before, after = (np.abs(p - probability)[rows].mean() for p in (sigmoid(margin), calibrated))
        assert after < max(0.008, before / 3)
        assert calibration_error(viable[rows], calibrated[rows]) < 0.02


def test_one_bad_year_is_not_taken_for_the_level_of_all() -> None:
    margin, viable, horizon, year = _forward(500, range(2004, 2009), Calibration())
    bad = year == 2008
    viable[bad] &= np.random.default_rng(2).random(bad.sum()) < 0.8
    found = fit_calibration(margin, viable, horizon, year, HORIZONS)
    assert max(abs(level) for level in found.intercepts.values()) < 0.1


def test_few_rows_change_little_and_none_nothing() -> None:
    margin, viable, horizon, year = _forward(4, [2004], Calibration(slope=2.0, intercepts={1: -1.0}))
    found = fit_calibration(margin, viable, horizon, year, HORIZONS)
    assert found.slope == pytest.approx(1.0, abs=0.05)
    assert np.abs(list(found.intercepts.values())).max() < 0.05
    nothing = (np.empty(0), np.empty(0, np.int8), np.empty(0, np.int64), np.empty(0, np.int64))
    assert fit_calibration(*nothing, HORIZONS) == Calibration()


def test_the_order_of_the_rows_does_not_matter() -> None:
    parts = _forward(300, range(2004, 2009), Calibration(slope=0.8, intercepts={1: 0.0, 5: -0.5}), 0.2)
    order = np.random.default_rng(3).permutation(len(parts[0]))
    assert fit_calibration(*parts, HORIZONS) == fit_calibration(*(part[order] for part in parts), HORIZONS)


_levels = st.lists(st.floats(-3, 3), min_size=5, max_size=5).map(lambda values: sorted(values, reverse=True))


@settings(max_examples=200, deadline=None)
@given(
    slope=st.floats(0.05, 5),
    pivot=st.floats(-5, 5),
    steepenings=_levels,
    intercepts=_levels,
    margins=st.lists(st.floats(-15, 15), min_size=6, max_size=6).map(lambda values: sorted(values, reverse=True)),
)
def test_viability_never_rises_with_the_horizon_nor_falls_with_the_margin(
    slope: float, pivot: float, steepenings: list[float], intercepts: list[float], margins: list[float]
) -> None:
    calibration = Calibration(
        slope=slope,
        pivot=pivot,
        steepenings=dict(zip(HORIZONS, np.abs(np.array(steepenings) + 3).tolist(), strict=True)),
        intercepts=dict(zip(HORIZONS, intercepts, strict=True)),
    )
    # margins that fall with the horizon, as those of the trees do
    of_mine = calibration.probabilities(np.array(margins), np.array([1, 2, 3, 5, 10, 20]))
    assert (np.diff(of_mine) <= 1e-15).all()
    at_one_horizon = calibration.probabilities(np.array(margins), np.full(6, 3))
    assert (np.diff(at_one_horizon) <= 1e-15).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"slope": 0.0},
        {"slope": -1.0},
        {"intercepts": {1: 0.0, 2: 0.1}},
        {"steepenings": {1: 0.0, 2: 0.1}},
        {"steepenings": {1: -0.1, 2: -0.1}},
        {"offset": 1.0},
    ],
)
def test_what_could_make_viability_rise_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Calibration.model_validate(wrong)


def test_horizons_between_have_that_of_the_shorter() -> None:
    calibration = Calibration(intercepts={10: -1.0, 1: 0.5, 3: 0.0})
    assert [calibration.intercept(years) for years in (1, 2, 3, 4, 9, 10, 20)] == [0.5, 0.5, 0.0, 0.0, 0.0, -1.0, -1.0]
    assert Calibration().intercept(5) == 0.0


def test_the_calibration_is_in_the_served_bytes(challenger: Challenger) -> None:
    model, test = challenger.files.model(), challenger.split.test
    calibration = model.metadata.calibration
    assert calibration != Calibration()
    margin = np.asarray(model._booster.predict(test.features, raw_score=True))
    expected = calibration.probabilities(margin, test.horizon_years)
    assert np.abs(challenger.test_probability - expected).max() < 1e-6
    assert np.abs(challenger.test_probability - sigmoid(margin)).max() > 1e-3
