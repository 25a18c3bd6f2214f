"""The second opinion: a hierarchical Bayesian model of the viable share by state, mine type and size class, with what a
year to come may bring. It knows no feature of a mine, so where the champion's mean score leaves its interval, either
the features tell something or one of the two is wrong.

Counting, sampling and predicting are here; `bayes_opinion` compares. PyMC, an extra (`bayes`), is imported to sample.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from fvi_pipeline.model.errors import ModelError

if TYPE_CHECKING:
    import pymc

Floats = NDArray[np.float64]
CELL = ("mine_state", "mine_type", "size_class")
INSTALL = "`.venv/bin/python -m pip install -e '.[bayes]'` in the folder of the project"


class BayesError(ModelError):
    """The second opinion cannot be had: PyMC is not installed, or there is nothing to count."""


class BayesSettings(BaseModel):
    """How the posterior is sampled, and when the sample is good enough to be shown without a warning."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = 20240401
    chains: int = Field(default=2, ge=2)
    tuning_steps: int = Field(default=500, ge=100)
    draws: int = Field(default=500, ge=100)
    target_acceptance: float = Field(default=0.9, gt=0.5, lt=1)
    largest_r_hat: float = Field(default=1.05, gt=1)
    confidence: float = Field(default=0.9, gt=0.5, lt=1)


@dataclass(frozen=True)
class Diagnostics:
    """Whether the chains agree: largest r-hat, smallest effective sample size, divergent steps."""

    horizon_years: int
    largest_r_hat: float
    least_effective_draws: float
    divergences: int
    draws: int
    cells: int
    mines: int

    def is_sound(self, settings: BayesSettings) -> bool:
        """Whether the sample may be trusted: the chains agree, and at most one step in a hundred diverged."""
        return self.largest_r_hat <= settings.largest_r_hat and 100 * self.divergences <= self.draws


@dataclass(frozen=True)
class Posterior:
    """Draws of one horizon's model. Log-odds of a cell: the fixed part, its state, its state and type, its year.

    The year's part is a level that moves by a step every year, plus a shift of the single year; a year to come has
    steps and a shift that nobody has seen.
    """

    horizon_years: int
    last_year: int
    """The newest as-of year with a known outcome; the level is that of this year."""
    fixed: dict[str, Floats]
    states: dict[str, Floats]
    state_types: dict[tuple[str, str], Floats]
    scale_state: Floats
    scale_state_type: Floats
    scale_step: Floats
    scale_shift: Floats
    diagnostics: Diagnostics

    def share_to_come(self, state: str, mine_type: str, size_class: str, level: Floats, noise: Floats) -> Floats:
        """Draws of the viable share of a cell; `level` is the year's part, `noise` [2, draws] stands for groups that
        were never seen.
        """
        log_odds = self.fixed["intercept"] + level
        for name in (f"type {mine_type}", f"size {size_class}"):
            log_odds = log_odds + self.fixed.get(name, 0.0)
        log_odds = log_odds + self.states.get(state, self.scale_state * noise[0])
        log_odds = log_odds + self.state_types.get((state, mine_type), self.scale_state_type * noise[1])
        return np.asarray(1 / (1 + np.exp(-log_odds)), dtype=np.float64)

    def level_to_come(self, as_of_year: int, generator: np.random.Generator) -> Floats:
        """Draws of a year's part: the steps since the last known year, and the year's own shift."""
        gap = max(1, as_of_year - self.last_year)
        draws = len(self.scale_step)
        steps = self.scale_step * math.sqrt(gap) * generator.standard_normal(draws)
        return np.asarray(steps + self.scale_shift * generator.standard_normal(draws), dtype=np.float64)


def count_cells(outcomes: pl.DataFrame) -> pl.DataFrame:
    """Mines and viable mines by horizon, as-of year, state, type and size class.

    Args:
        outcomes: a row per mine, as-of year and horizon: horizon_years, as_of_year, viable (0 or 1) and the groups.
    """
    keys = ["horizon_years", "as_of_year", *CELL]
    return (
        outcomes.group_by(keys)
        .agg(mines=pl.len(), viable=pl.col("viable").cast(pl.Int64).sum())
        .sort(keys)
        .with_columns(pl.col("mines").cast(pl.Int64))
    )


def fit(cells: pl.DataFrame, settings: BayesSettings | None = None) -> dict[int, Posterior]:
    """Sample the posterior of each horizon in `cells` (of `count_cells`).

    Raises:
        BayesError: PyMC is not installed, or the cells hold no mine.
    """
    settings = settings or BayesSettings()
    if cells.is_empty():
        raise BayesError("There is no outcome to count. Materialise gold/gold_mine_outcomes first.")
    horizons = cells["horizon_years"].unique().sort().to_list()
    return {horizon: _fit_horizon(cells.filter(horizon_years=horizon), settings) for horizon in horizons}


def predict(
    posteriors: dict[int, Posterior], to_come: pl.DataFrame, settings: BayesSettings | None = None
) -> pl.DataFrame:
    """Posterior predictive of the viable share in cells of years to come.

    Cells of one year and horizon share the year's draw, so that sums over cells keep what they have in common.

    Args:
        posteriors: by horizon.
        to_come: horizon_years, as_of_year, the groups, and mines: how many the cell has.
        settings: seed and confidence.

    Returns:
        `to_come` with share_mean, share_low, share_high (what the share is expected to be in that year) and
        outcome_low, outcome_high (what so many mines will show of it).
    """
    settings = settings or BayesSettings()
    tail = (1 - settings.confidence) / 2
    frames = []
    for (horizon, year), cells in sorted(to_come.group_by("horizon_years", "as_of_year"), key=lambda item: item[0]):
        posterior = posteriors.get(int(horizon))
        if posterior is None:
            continue
        generator = np.random.default_rng([settings.seed, int(horizon), int(year)])
        level = posterior.level_to_come(int(year), generator)
        found = []
        for state, mine_type, size_class, mines in cells.sort(*CELL).select(*CELL, "mines").iter_rows():
            noise = generator.standard_normal((2, len(level)))
            share = posterior.share_to_come(state, mine_type, size_class, level, noise)
            outcome = generator.binomial(mines, share) / mines
            found.append((share.mean(), *np.quantile(share, [tail, 1 - tail]), *np.quantile(outcome, [tail, 1 - tail])))
        names = ["share_mean", "share_low", "share_high", "outcome_low", "outcome_high"]
        frames.append(pl.concat([cells.sort(*CELL), pl.DataFrame(np.array(found), schema=names)], how="horizontal"))
    return pl.concat(frames) if frames else to_come.clear()


def _fit_horizon(cells: pl.DataFrame, settings: BayesSettings) -> Posterior:
    horizon = int(cells["horizon_years"][0])
    years = list(range(cells["as_of_year"].min(), cells["as_of_year"].max() + 1))  # type: ignore[operator,arg-type]
    rows = cells.to_dicts()
    fixed = ["intercept"]
    # the first of each is what the intercept speaks of
    fixed += [f"type {name}" for name in sorted({row["mine_type"] for row in rows})[1:]]
    fixed += [f"size {name}" for name in sorted({row["size_class"] for row in rows})[1:]]
    states = sorted({row["mine_state"] for row in rows})
    state_types = sorted({(row["mine_state"], row["mine_type"]) for row in rows})
    design = np.hstack(
        [
            _indicators(
                [["intercept", f"type {row['mine_type']}", f"size {row['size_class']}"] for row in rows], fixed
            ),
            _indicators([[row["mine_state"]] for row in rows], states),
            _indicators([[(row["mine_state"], row["mine_type"])] for row in rows], state_types),
            # the level of a year lacks the steps that came after it
            np.array([[-1.0 if row["as_of_year"] < year else 0.0 for year in years[1:]] for row in rows]).reshape(
                len(rows), len(years) - 1
            ),
            _indicators([[row["as_of_year"]] for row in rows], years),
        ]
    )
    sizes = [len(states), len(state_types), len(years) - 1, len(years)]
    draws, scales, diagnostics = _sample(
        design,
        cells["mines"].to_numpy().astype(np.float64),
        cells["viable"].to_numpy().astype(np.float64),
        len(fixed),
        sizes,
        settings,
        (horizon, len(rows), int(cells["mines"].sum())),
    )
    at = np.cumsum([len(fixed), *sizes])
    return Posterior(
        horizon_years=horizon,
        last_year=years[-1],
        fixed=dict(zip(fixed, draws[: at[0]], strict=True)),
        states=dict(zip(states, draws[at[0] : at[1]], strict=True)),
        state_types=dict(zip(state_types, draws[at[1] : at[2]], strict=True)),
        scale_state=scales[0],
        scale_state_type=scales[1],
        scale_step=scales[2],
        scale_shift=scales[3],
        diagnostics=diagnostics,
    )


def _sample(
    design: Floats,
    mines: Floats,
    viable: Floats,
    fixed: int,
    sizes: Sequence[int],
    settings: BayesSettings,
    counted: tuple[int, int, int],
) -> tuple[Floats, Floats, Diagnostics]:
    """Draws of the coefficients [P, draws] and of the four scales [4, draws]."""
    pm = _pymc()
    import arviz
    import pytensor.tensor as pt

    # the intercept is that of the mean row, which the chains find at once; what it was moved by is taken off below
    means = np.average(design, axis=0, weights=mines)
    means[0] = 0.0
    centred = design - means
    with pm.Model():
        # about one in log-odds for what is fixed; states differ more than states by type, and years by a few tenths
        coefficients = pm.Normal("fixed", 0.0, np.r_[2.0, np.full(fixed - 1, 1.0)], shape=fixed)
        scales = pm.HalfNormal("scales", np.array([0.7, 0.5, 0.3, 0.3]), shape=4)
        raw = pm.Normal("raw", shape=sum(sizes))
        effects = pm.Deterministic("effects", raw * pt.repeat(scales, np.array(sizes)))
        log_odds = pt.dot(centred, pt.concatenate([coefficients, effects]))
        # the binomial likelihood without its constant: several times as fast as the distribution
        pm.Potential("outcomes", (viable * log_odds - mines * pt.softplus(log_odds)).sum())
        trace: Any = pm.sample(
            draws=settings.draws,
            tune=settings.tuning_steps,
            chains=settings.chains,
            cores=1,
            random_seed=settings.seed,
            target_accept=settings.target_acceptance,
            progressbar=False,
            compile_kwargs={"mode": "NUMBA"},  # needs no C compiler on the machine
            compute_convergence_checks=False,
        )
    posterior = trace.posterior
    summary = arviz.summary(trace, var_names=["fixed", "scales", "raw"], kind="diagnostics", round_to="none")
    stacked = {
        name: posterior[name].to_numpy().reshape(-1, posterior[name].shape[-1]).T
        for name in ("fixed", "effects", "scales")
    }
    horizon, cells, counted_mines = counted
    diagnostics = Diagnostics(
        horizon_years=horizon,
        largest_r_hat=float(summary["r_hat"].max()),
        least_effective_draws=float(summary["ess_bulk"].min()),
        divergences=int(trace.sample_stats["diverging"].sum()),
        draws=settings.chains * settings.draws,
        cells=cells,
        mines=counted_mines,
    )
    draws = np.vstack([stacked["fixed"], stacked["effects"]])
    draws[0] -= means @ draws
    return draws, stacked["scales"], diagnostics


def _pymc() -> pymc:
    import logging

    try:
        import pymc
    except ImportError as error:
        raise BayesError(f"The second opinion needs PyMC. Install it: {INSTALL}") from error
    logging.getLogger("pymc").setLevel(logging.ERROR)
    return pymc


def _indicators(names: Sequence[Sequence[object]], columns: Sequence[object]) -> Floats:
    place = {name: column for column, name in enumerate(columns)}
    found = np.zeros((len(names), len(columns)))
    for row, of_row in enumerate(names):
        found[row, [place[name] for name in of_row if name in place]] = 1.0
    return found
