"""The survival process: how simulated mines live and close, and nothing about files.

A mine's state in year t is its log production, log productivity, hours per worker, last year's employees and
its peak to date. The annual chance of closing is a logistic function of drivers that anyone can compute from
the written files of years up to t, plus an unobserved frailty. Production reverts to a mean of the mine's
type, so a state is all there is to know: a mine has no hidden long-run size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fvi_pipeline.simulator.config import SimulationConfig, SurvivalCoefficients

Array = NDArray[Any]

# Surface mines first, underground mines second. Plain floats, so that single precision stays single.
MEAN_LOG_PRODUCTION = (11.5, 11.9)
MEAN_LOG_PRODUCTIVITY = (1.75, 1.15)  # log short tons per labor hour
PRODUCTION_REVERSION, PRODUCTION_SHOCK = 0.03, 0.30
PRODUCTIVITY_REVERSION, PRODUCTIVITY_SHOCK = 0.10, 0.16
HOURS_REVERSION, HOURS_SHOCK, FULL_YEAR_HOURS = 0.5, 0.10, 2000.0
COAL_MEAN_LOG_PRICE, COAL_REVERSION, COAL_SHOCK = float(np.log(60.0)), 0.25, 0.25
GAS_MEAN_LOG_PRICE, GAS_REVERSION, GAS_SHOCK = float(np.log(4.0)), 0.25, 0.28

STATUSES_OF_OPEN = ("Active, men working, not producing", "Temporarily closed", "Mine closed by MSHA")
STATUSES_OF_CLOSING = ("Permanently abandoned", "Active, men working, not producing", "Temporarily closed")
FIRST_YEAR_OF_USABLE_STATUS = 2001


@dataclass(frozen=True)
class MineState:
    """State of mines in one year; every array has the same shape (mines, or rows by paths)."""

    log_production: Array
    log_productivity: Array
    log_hours_per_worker: Array
    previous_employees: Array
    peak_production: Array
    underground: Array

    def measures(self) -> tuple[Array, Array, Array]:
        """Production (short tons), average employees and labor hours, rounded as they are written."""
        production = np.maximum(np.rint(np.exp(self.log_production)), 100.0)
        hours = np.maximum(np.rint(production / np.exp(self.log_productivity)), 10.0)
        employees = np.maximum(np.rint(hours / (FULL_YEAR_HOURS * np.exp(self.log_hours_per_worker))), 1.0)
        return production, employees, hours


def step(state: MineState, employees: Array, normal: Callable[[], Array]) -> MineState:
    """The state one year later. `normal` draws standard normals of the state's shape."""
    log_production = (
        state.log_production
        + PRODUCTION_REVERSION * (_mean_of_type(MEAN_LOG_PRODUCTION, state) - state.log_production)
        + PRODUCTION_SHOCK * normal()
    )
    log_productivity = (
        state.log_productivity
        + PRODUCTIVITY_REVERSION * (_mean_of_type(MEAN_LOG_PRODUCTIVITY, state) - state.log_productivity)
        + PRODUCTIVITY_SHOCK * normal()
    )
    later = replace(
        state,
        log_production=log_production,
        log_productivity=log_productivity,
        log_hours_per_worker=(1 - HOURS_REVERSION) * state.log_hours_per_worker + HOURS_SHOCK * normal(),
        previous_employees=employees,
    )
    return replace(later, peak_production=np.maximum(state.peak_production, later.measures()[0]))


def _mean_of_type(means: tuple[float, float], state: MineState) -> Array:
    mean: Array = means[0] + (means[1] - means[0]) * state.underground
    return mean


def closing_log_odds(
    state: MineState,
    production: Array,
    employees: Array,
    hours: Array,
    coal_price_change: Array | float,
    beta: SurvivalCoefficients,
) -> Array:
    """Log odds of not producing in year t+1, without frailty, from the measures of years up to t.

    The drivers are centred and scaled by constants, so that a coefficient is an effect per standard
    deviation. `coal_price_change` is the change of the log annual mean price from t-1 to t.
    """
    employees_change = np.clip(np.log(employees / state.previous_employees), -1.0, 1.0)
    odds: Array = (
        beta.intercept
        + beta.log_production * (np.log(production) - 11.7) / 1.25
        + beta.productivity * (np.log(production / hours) - 1.45) / 0.5
        + beta.production_to_peak * (production / state.peak_production - 0.75) / 0.22
        + beta.employees_change * employees_change / 0.33
        + beta.coal_price_change * coal_price_change / 0.25
        + beta.underground * (state.underground - 0.5)
    )
    return odds


def logistic(log_odds: Array) -> Array:
    """Probability of a log odds."""
    probability: Array = 1.0 / (1.0 + np.exp(-log_odds))
    return probability


@dataclass(frozen=True)
class Population:
    """Everything drawn, mine by year; `producing` has one column more, the year after the panel.

    Shapes: (mines,) for `underground` and `entry`; (years + 1,) for prices, which begin a
    year early; (mines, years) for the rest. Values
    of years in which a mine does not produce are meaningless and must be masked by `producing`.
    """

    underground: Array
    entry: Array
    producing: Array
    production: Array
    employees: Array
    hours: Array
    states: tuple[MineState, ...]
    log_odds: Array
    status: Array
    log_coal_price: Array
    log_gas_price: Array

    @property
    def coal_price_change(self) -> Array:
        """Change of the log annual mean coal price into each year of the panel; shape (years,)."""
        change: Array = np.diff(self.log_coal_price)
        return change


def stream(config: SimulationConfig, name: str) -> np.random.Generator:
    """An independent generator for one purpose, so that a change in one file leaves the others alone."""
    return np.random.default_rng([config.seed, *name.encode()])


def next_log_coal_price(log_price: Array, normal: Array) -> Array:
    """The log annual mean coal price one year on."""
    later: Array = log_price + COAL_REVERSION * (COAL_MEAN_LOG_PRICE - log_price) + COAL_SHOCK * normal
    return later


def draw_population(config: SimulationConfig) -> Population:
    """Draw prices, states, closings and statuses for every mine and year."""
    years = len(config.years)
    log_coal = _draw_prices(config, years + 1, "coal", COAL_MEAN_LOG_PRICE, COAL_REVERSION, COAL_SHOCK)
    log_gas = _draw_prices(config, years + 1, "gas", GAS_MEAN_LOG_PRICE, GAS_REVERSION, GAS_SHOCK)
    rng = stream(config, "mines")
    mines, beta = config.mines, config.survival
    underground = (rng.random(mines) < 0.5).astype(np.int8)
    entry = np.where(rng.random(mines) < config.share_open_in_first_year, 0, rng.integers(1, years, size=mines))
    frailty = beta.frailty_sd * rng.standard_normal(mines)
    state = _draw_entrants(rng, underground)
    producing = np.zeros((mines, years + 1), dtype=bool)
    production, employees, hours, log_odds = (np.zeros((mines, years)) for _ in range(4))
    states: list[MineState] = []
    for t in range(years):
        enters = entry == t
        state = _replace_where(enters, _draw_entrants(rng, underground), state)
        production[:, t], employees[:, t], hours[:, t] = state.measures()
        # A mine that has just opened has no earlier employees to change from.
        state = replace(
            state,
            previous_employees=np.where(enters, employees[:, t], state.previous_employees),
            peak_production=np.where(enters, production[:, t], state.peak_production),
        )
        states.append(state)
        producing[:, t] |= enters
        log_odds[:, t] = closing_log_odds(
            state,
            production[:, t],
            employees[:, t],
            hours[:, t],
            float(log_coal[t + 1] - log_coal[t]),
            config.survival_in(config.first_year + t),
        )
        draw = rng.random(mines)
        goes_on = draw >= logistic(log_odds[:, t] + frailty)
        restarts = (draw < beta.annual_restart_probability) & (entry < t)
        producing[:, t + 1] = np.where(producing[:, t], goes_on, restarts)
        state = step(state, employees[:, t], lambda: rng.standard_normal(mines))
    return Population(
        underground=underground,
        entry=entry,
        producing=producing,
        production=production,
        employees=employees,
        hours=hours,
        states=tuple(states),
        log_odds=log_odds,
        status=_draw_statuses(config, producing),
        log_coal_price=log_coal,
        log_gas_price=log_gas,
    )


def _draw_prices(config: SimulationConfig, count: int, name: str, mean: float, reversion: float, shock: float) -> Array:
    normals = stream(config, name).standard_normal(count)
    prices = np.empty(count)
    prices[0] = mean + shock * normals[0]
    for t in range(1, count):
        prices[t] = prices[t - 1] + reversion * (mean - prices[t - 1]) + shock * normals[t]
    return prices


def _draw_entrants(rng: np.random.Generator, underground: Array) -> MineState:
    mines = len(underground)
    state = MineState(
        log_production=np.array(MEAN_LOG_PRODUCTION)[underground] + 1.25 * rng.standard_normal(mines),
        log_productivity=np.array(MEAN_LOG_PRODUCTIVITY)[underground] + 0.38 * rng.standard_normal(mines),
        log_hours_per_worker=0.115 * rng.standard_normal(mines),
        previous_employees=np.ones(mines),
        peak_production=np.ones(mines),
        underground=underground.astype(np.float64),
    )
    production, employees, _ = state.measures()
    return replace(state, previous_employees=employees, peak_production=production)


def _replace_where(mask: Array, new: MineState, old: MineState) -> MineState:
    return MineState(
        log_production=np.where(mask, new.log_production, old.log_production),
        log_productivity=np.where(mask, new.log_productivity, old.log_productivity),
        log_hours_per_worker=np.where(mask, new.log_hours_per_worker, old.log_hours_per_worker),
        previous_employees=np.where(mask, new.previous_employees, old.previous_employees),
        peak_production=np.where(mask, new.peak_production, old.peak_production),
        underground=old.underground,
    )


def _draw_statuses(config: SimulationConfig, producing: Array) -> Array:
    """Status of every mine and year as it is written; meaningful for producing mines only."""
    rng = stream(config, "status")
    mines, years = producing.shape[0], producing.shape[1] - 1
    open_next = producing[:, 1:]
    rates = config.status
    active = rng.random((mines, years)) < np.where(
        open_next, rates.active_given_open_next_year, rates.active_given_closed_next_year
    )
    other = np.where(
        open_next,
        rng.choice(STATUSES_OF_OPEN, size=(mines, years), p=(0.5, 0.25, 0.25)),
        rng.choice(STATUSES_OF_CLOSING, size=(mines, years), p=(0.45, 0.33, 0.22)),
    )
    status = np.where(active, "Active", other)
    # Before 2001 the column says nothing: mostly '-', and elsewhere a word unrelated to what the mine does.
    noise = rng.choice(("-", "Inactive", "Active"), size=(mines, years), p=(0.9, 0.06, 0.04))
    usable = np.array(config.years) >= FIRST_YEAR_OF_USABLE_STATUS
    drawn: Array = np.where(usable[None, :], status, noise)
    return drawn
