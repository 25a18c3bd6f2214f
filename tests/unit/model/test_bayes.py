import sys

import numpy as np
import polars as pl
import pytest

from fvi_pipeline.model.bayes import BayesError, BayesSettings, Posterior, count_cells, fit, predict
from fvi_pipeline.model.bayes_opinion import coverage, verdicts

SETTINGS = BayesSettings(seed=11, tuning_steps=300, draws=300)
STATES = {f"state {number}": effect for number, effect in enumerate((-1.2, -0.4, 0.0, 0.4, 1.2))}
SIZES = {"small": -0.7, "medium": 0.0, "large": 0.7}
YEARS = dict(zip(range(2001, 2013), np.random.default_rng(5).normal(0, 0.25, 12), strict=True))
THIN = "state of one mine"


def truth(state: str, size: str, year_effect: float) -> float:
    return float(1 / (1 + np.exp(-(1.0 + STATES[state] + SIZES[size] + year_effect))))


@pytest.fixture(scope="module")
def cells() -> pl.DataFrame:
    generator = np.random.default_rng(3)
    rows = [
        (3, year, state, "Surface", size, 25, generator.binomial(25, truth(state, size, effect)))
        for year, effect in YEARS.items()
        for state in STATES
        for size in SIZES
    ]
    rows += [(3, year, THIN, "Surface", "medium", 1, 0) for year in (2011, 2012)]
    names = ["horizon_years", "as_of_year", "mine_state", "mine_type", "size_class", "mines", "viable"]
    return pl.DataFrame(rows, schema=names, orient="row")


@pytest.fixture(scope="module")
def posterior(cells: pl.DataFrame) -> Posterior:
    return fit(cells, SETTINGS)[3]


def cells_of(year: int, mines: int, states: list[str]) -> pl.DataFrame:
    return pl.DataFrame(
        [(3, year, state, "Surface", size, mines) for state in states for size in SIZES],
        schema=["horizon_years", "as_of_year", "mine_state", "mine_type", "size_class", "mines"],
        orient="row",
    )


def test_a_known_truth_is_found(posterior: Posterior) -> None:
    assert posterior.diagnostics.is_sound(SETTINGS)
    differences = posterior.states["state 4"] - posterior.states["state 0"]
    differences = (
        differences + posterior.state_types["state 4", "Surface"] - posterior.state_types["state 0", "Surface"]
    )
    low, high = np.quantile(differences, [0.025, 0.975])
    assert low < STATES["state 4"] - STATES["state 0"] < high
    assert high - low < 1.2


def test_the_shares_of_years_to_come_are_covered(posterior: Posterior) -> None:
    generator = np.random.default_rng(17)
    tested = []
    for year_effect in generator.normal(0, 0.25, 40):
        predicted = predict({3: posterior}, cells_of(2013, 25, list(STATES)), SETTINGS)
        shares = [truth(row["mine_state"], row["size_class"], year_effect) for row in predicted.to_dicts()]
        tested.append(predicted.with_columns(viable=pl.Series(generator.binomial(25, shares))))
    assert 0.85 < (coverage(pl.concat(tested)) or 0) <= 0.99


def test_little_evidence_moves_little_and_none_moves_nothing(posterior: Posterior) -> None:
    known = predict({3: posterior}, cells_of(2013, 10, [*STATES, THIN, "never seen"]), SETTINGS)
    medium = known.filter(size_class="medium")
    share = dict(medium.select("mine_state", "share_mean").iter_rows())
    width = dict(medium.select("mine_state", pl.col("share_high") - pl.col("share_low")).iter_rows())
    # two mines closed out of two: lower than a state nobody knows, and far from zero
    assert 0.3 < share[THIN] < share["never seen"]
    assert width["state 2"] < width[THIN]
    assert width["state 2"] < width["never seen"]
    assert (known["outcome_low"] <= known["share_low"] + 0.05).all()


def test_a_later_year_is_less_certain(posterior: Posterior) -> None:
    def mean_width(year: int) -> float:
        found = predict({3: posterior}, cells_of(year, 10, list(STATES)), SETTINGS)
        return float((found["share_high"] - found["share_low"]).mean() or 0)

    assert mean_width(2013) < mean_width(2020)


def test_the_same_seed_gives_the_same_opinion(posterior: Posterior) -> None:
    to_come = cells_of(2013, 10, list(STATES))
    first, second = (predict({3: posterior}, shuffled, SETTINGS) for shuffled in (to_come, to_come.reverse()))
    assert first.equals(second)
    assert predict({}, to_come, SETTINGS).is_empty()


def test_mines_are_counted_by_cell() -> None:
    outcomes = pl.DataFrame(
        {
            "mine_id": ["a", "b", "c"],
            "horizon_years": [1, 1, 1],
            "as_of_year": [2005, 2005, 2005],
            "viable": [1, 0, 1],
            "mine_state": ["Ohio", "Ohio", "Utah"],
            "mine_type": ["Surface"] * 3,
            "size_class": ["small"] * 3,
        }
    )
    counted = count_cells(outcomes).select("mine_state", "mines", "viable").rows()
    assert counted == [("Ohio", 2, 1), ("Utah", 1, 1)]


def test_the_champion_is_judged_where_there_are_mines_enough() -> None:
    frame = pl.DataFrame(
        {
            "mines": [30, 30, 30, 1],
            "champion_mean": [0.5, 0.9, 0.1, 0.9],
            "share_low": [0.4] * 4,
            "share_high": [0.6] * 4,
        }
    )
    told = frame.select(verdict=verdicts())["verdict"].to_list()
    assert told == ["agrees", "champion higher", "champion lower", "too few mines"]


def test_without_pymc_the_error_says_what_to_install(cells: pl.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymc", None)
    with pytest.raises(BayesError, match=r"pip install -e '\.\[bayes\]'"):
        fit(cells, SETTINGS)
    with pytest.raises(BayesError, match="no outcome to count"):
        fit(cells.clear(), SETTINGS)
