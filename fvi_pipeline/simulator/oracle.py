"""The best possible forecast: viability given what defines the cohort and everything that is known at t.

For a cohort row the next year's closing is conditioned on the status by Bayes; the years after are averaged
over forward paths of the state and the coal price. The unknown frailty is integrated over its posterior given
that the mine has survived so far. No forecast built from files of years up to t can have a lower expected
Brier score.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.polynomial.hermite_e import hermegauss

from fvi_pipeline.simulator.config import SimulationConfig
from fvi_pipeline.simulator.process import (
    FIRST_YEAR_OF_USABLE_STATUS,
    Array,
    MineState,
    Population,
    closing_log_odds,
    logistic,
    next_log_coal_price,
    step,
    stream,
)

HORIZONS_YEARS = (1, 2, 3, 5, 10, 20)
_ROWS_AT_ONCE = 250


def cohort_mask(config: SimulationConfig, population: Population) -> Array:
    """(mines, years): producing, and exactly 'Active' in the years in which the status is usable."""
    usable = np.array(config.years) >= FIRST_YEAR_OF_USABLE_STATUS
    mask: Array = population.producing[:, :-1] & ((population.status == "Active") | ~usable[None, :])
    return mask


def oracle_frame(config: SimulationConfig, population: Population, mine_ids: list[str]) -> pl.DataFrame:
    """One row per cohort row and horizon: mine_id, as_of_year, horizon_years, viability_probability, viable.

    `viable` is null where year t+h lies after the panel. Rows are ordered by mine, year and horizon.
    """
    rows, years = np.nonzero(cohort_mask(config, population))
    probability = _viability(config, population, rows, years)
    last = len(config.years) - 1
    frames = []
    for k, horizon in enumerate(HORIZONS_YEARS):
        known = years + horizon <= last
        outcome = population.producing[rows, np.minimum(years + horizon, last)]
        frames.append(
            pl.DataFrame(
                {
                    "mine_id": [mine_ids[i] for i in rows],
                    "as_of_year": (years + config.first_year).astype(np.int32),
                    "horizon_years": np.full(len(rows), horizon, dtype=np.int32),
                    "viability_probability": probability[:, k],
                    "viable": outcome,
                }
            ).with_columns(viable=pl.when(pl.Series(known)).then(pl.col("viable")))
        )
    return pl.concat(frames).sort("mine_id", "as_of_year", "horizon_years")


def _frailty_posterior(config: SimulationConfig, population: Population) -> tuple[Array, Array]:
    """Frailty nodes, and their weights (mines, years, nodes) given what each mine did before t."""
    if config.survival.frailty_sd == 0:
        return np.zeros(1), np.ones((*population.log_odds.shape, 1))
    nodes, prior = hermegauss(5)
    nodes = nodes * config.survival.frailty_sd
    closing = logistic(population.log_odds[:, :, None] + nodes)
    stays = population.producing[:, 1:, None]
    likelihood = np.where(stays, 1 - closing, closing)
    at_risk = population.producing[:, :-1, None]
    log_likelihood = np.where(at_risk, np.log(likelihood), 0.0)
    before = np.cumsum(log_likelihood, axis=1) - log_likelihood
    weights = (prior / prior.sum()) * np.exp(before - before.max(axis=2, keepdims=True))
    return nodes, weights / weights.sum(axis=2, keepdims=True)


def _viability(config: SimulationConfig, population: Population, rows: Array, years: Array) -> Array:
    """(cohort rows, horizons): probability of producing in year t+h."""
    nodes, posterior = _frailty_posterior(config, population)
    rng = stream(config, "oracle")
    result = np.empty((len(rows), len(HORIZONS_YEARS)))
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        result[part] = _viability_of_part(
            config, population, rows[part], years[part], nodes, posterior[rows[part], years[part]], rng
        )
    return result


def _viability_of_part(
    config: SimulationConfig,
    population: Population,
    rows: Array,
    years: Array,
    nodes: Array,
    weights: Array,
    rng: np.random.Generator,
) -> Array:
    beta, rates = config.survival, config.status
    shape = (len(rows), config.oracle_paths)

    def normal() -> Array:
        return rng.standard_normal(shape, dtype=np.float32)

    closing = logistic(population.log_odds[rows, years][:, None] + nodes)
    usable = (years + config.first_year >= FIRST_YEAR_OF_USABLE_STATUS)[:, None]
    active_if_open = np.where(usable, rates.active_given_open_next_year, 1.0)
    active_if_closed = np.where(usable, rates.active_given_closed_next_year, 1.0)
    seen = (1 - closing) * active_if_open + closing * active_if_closed
    weights = weights * seen
    weights = weights / weights.sum(axis=1, keepdims=True)
    alive_next = (1 - closing) * active_if_open / seen
    result = np.empty((len(rows), len(HORIZONS_YEARS)))
    result[:, 0] = (weights * alive_next).sum(axis=1)

    state, employees = _spread(population, rows, years, shape)
    log_price = np.repeat(population.log_coal_price[years + 1][:, None], shape[1], axis=1).astype(np.float32)
    alive = [np.repeat(alive_next[:, j : j + 1], shape[1], axis=1).astype(np.float32) for j in range(len(nodes))]
    for ahead in range(1, max(HORIZONS_YEARS)):
        state = step(state, employees, normal)
        production, employees, hours = state.measures()
        later_price = next_log_coal_price(log_price, normal())
        odds = _closing_log_odds_in(
            config, years + config.first_year + ahead, state, (production, employees, hours), later_price - log_price
        )
        log_price = later_price
        for j, node in enumerate(nodes):
            goes_on = logistic(-(odds + np.float32(node)))
            alive[j] = alive[j] * goes_on + (1 - alive[j]) * np.float32(beta.annual_restart_probability)
        if ahead + 1 in HORIZONS_YEARS:
            mean = np.stack([a.mean(axis=1, dtype=np.float64) for a in alive], axis=1)
            result[:, HORIZONS_YEARS.index(ahead + 1)] = (weights * mean).sum(axis=1)
    return result


def _closing_log_odds_in(
    config: SimulationConfig,
    as_of_years: Array,
    state: MineState,
    measures: tuple[Array, Array, Array],
    coal_price_change: Array,
) -> Array:
    """Log odds of closing, each row by the coefficients of its own year."""
    production, employees, hours = measures
    odds = closing_log_odds(state, production, employees, hours, coal_price_change, config.survival)
    change = config.regime_change
    if change is None:
        return odds
    later = closing_log_odds(state, production, employees, hours, coal_price_change, change.survival)
    changed: Array = np.where((as_of_years >= change.from_year)[:, None], later, odds)
    return changed


def _spread(population: Population, rows: Array, years: Array, shape: tuple[int, int]) -> tuple[MineState, Array]:
    """The states of cohort rows, repeated for every path, in single precision (half the time of double)."""

    def gather(name: str) -> Array:
        values = np.stack([getattr(s, name) for s in population.states], axis=1)[rows, years]
        return np.repeat(values[:, None], shape[1], axis=1).astype(np.float32)

    state = MineState(
        log_production=gather("log_production"),
        log_productivity=gather("log_productivity"),
        log_hours_per_worker=gather("log_hours_per_worker"),
        previous_employees=gather("previous_employees"),
        peak_production=gather("peak_production"),
        underground=gather("underground"),
    )
    employees = np.repeat(population.employees[rows, years][:, None], shape[1], axis=1).astype(np.float32)
    return state, employees
