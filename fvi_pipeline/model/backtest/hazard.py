"""A survival model in discrete time: the hazard of the first year without production, year by year.

For a mine in as-of year t, each year k after it is a row of its own as long as the mine has produced in every year
before: did it stop in t+k? A logistic regression over the features of t and the elapsed years gives that hazard, and
the product of one less the hazards is the chance S(h) of not having stopped by t+h.

Restarts: viable at h means production in t+h, whatever was in between, so a mine that stopped and started again counts.
P(viable at h) is S(h) + (1 - S(h)) r(h), r(h) being the share that produced in t+h among the fit rows whose mine had
stopped by then. A mine is followed as long as the rows say of each year whether it produced; where they do not, its
rows end, and no stop is counted.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from fvi_pipeline.model.backtest.rivals import Rival, RivalRows, standardised
from fvi_pipeline.model.dataset import HORIZON, Part
from fvi_pipeline.model.intervals import FloatVector

_STOPPED = "stopped"
_UNTIL = "followed_until_year"
_RESTART_PRIOR_ROWS = 20  # of the restart share over all horizons, for horizons with few stops


class DiscreteTimeHazard(Rival):
    """Annual hazards by logistic regression, and what restarts add."""

    name = "discrete_time_hazard"
    description = "logistic hazard of the first year without production, by year elapsed, with the share of restarts"

    def probabilities(self, rows: RivalRows) -> FloatVector:
        """Fit the hazards on all elapsed years that a test row asks for, and chain them."""
        spells = _spells(rows.known)
        periods = _person_periods(rows.fit, spells)
        survival = _survival(rows, periods)
        restarts = _restart_shares(rows.fit, spells)
        share = np.array([restarts.get(int(h), restarts[0]) for h in rows.test.horizon_years])
        return np.asarray(survival + (1 - survival) * share, dtype=np.float64)


def _spells(known: Part) -> pl.DataFrame:
    """For each mine and as-of year t: the last year that it is followed to, and whether it stopped in it.

    Whether a mine produced in a year is told by its rows of any horizon whose outcome is of that year.
    """
    outcomes = known.keys.select("mine_id", pl.col("outcome_year").alias("year"), pl.Series("viable", known.viable))
    as_of = known.keys.select("mine_id", pl.col("as_of_year").alias("year"), pl.lit(1, pl.Int8).alias("viable"))
    years = pl.concat([outcomes, as_of]).unique(["mine_id", "year"]).sort("mine_id", "year")
    next_year, next_viable = (pl.col(name).shift(-1).over("mine_id") for name in ("year", "viable"))
    is_followed = (next_year == pl.col("year") + 1).fill_null(False)
    stops = is_followed & (next_viable == 0)
    ends = years.with_columns(
        pl.when(stops).then(pl.col("year") + 1).when(~is_followed).then(pl.col("year")).alias(_UNTIL),
        pl.when(stops).then(True).when(~is_followed).then(False).alias(_STOPPED),
    )
    # a year after which the mine goes on shares the end of the next one
    filled = ends.with_columns(pl.col(_UNTIL, _STOPPED).backward_fill().over("mine_id"))
    return filled.select("mine_id", pl.col("year").alias("as_of_year"), _UNTIL, _STOPPED)


def _person_periods(fit: Part, spells: pl.DataFrame) -> pl.DataFrame:
    """One row for each fit row's mine, as-of year and elapsed year at risk: its row number in the fit, k, the event.

    The elapsed years between two horizons belong to the fit rows of the longer one.
    """
    before = dict(zip(fit.horizons, [0, *fit.horizons[:-1]], strict=True))
    rows = fit.keys.with_row_index("row").join(spells, on=["mine_id", "as_of_year"], how="inner")
    first = pl.col(HORIZON).replace_strict(before, return_dtype=pl.Int64) + 1
    last = pl.min_horizontal(pl.col(HORIZON), pl.col(_UNTIL) - pl.col("as_of_year"))
    return (
        rows.with_columns(pl.int_ranges(first, last + 1).alias("elapsed_years"))
        .filter(pl.col("elapsed_years").list.len() > 0)
        .explode("elapsed_years")
        .select(
            "row",
            "elapsed_years",
            stops=pl.col(_STOPPED) & (pl.col("as_of_year") + pl.col("elapsed_years") == pl.col(_UNTIL)),
        )
    )


def _survival(rows: RivalRows, periods: pl.DataFrame) -> FloatVector:
    """S(h) [m] of the test rows.

    The first year has a regression of its own: the cohort is of mines that were called active after t, so what stops
    soon is rarer in it, and shows by other signs.
    """
    asked = int(rows.test.horizon_years.max())
    survival = np.ones(len(rows.test))
    for first, last in ((1, 1), (2, asked)):
        of_years = periods.filter(pl.col("elapsed_years").is_between(first, last))
        if of_years.height:
            for year, hazard in _hazards(rows, of_years, range(first, last + 1)).items():
                survival *= np.where(rows.test.horizon_years >= year, 1 - hazard, 1.0)
    return survival


def _hazards(rows: RivalRows, periods: pl.DataFrame, years: range) -> dict[int, FloatVector]:
    """By elapsed year, the hazard [m] of the test rows."""
    from sklearn.linear_model import LogisticRegression

    stops = periods["stops"].to_numpy()
    if len(set(stops.tolist())) < 2:
        return {year: np.full(len(rows.test), float(stops.mean())) for year in years}
    inputs, new_inputs = standardised(
        rows.fit.features[periods["row"].to_numpy(), :-1],
        rows.test.features[:, :-1],
    )
    model: Any = LogisticRegression(max_iter=500)
    model.fit(np.column_stack([inputs, np.log(periods["elapsed_years"].to_numpy())]), stops)
    # the logarithm, so that years that nobody was followed to go on from those that are known
    return {
        year: np.asarray(
            model.predict_proba(np.column_stack([new_inputs, np.full(len(new_inputs), np.log(year))]))[:, 1]
        )
        for year in years
    }


def _restart_shares(fit: Part, spells: pl.DataFrame) -> dict[int, float]:
    """By horizon, the share that produced again at the horizon among fit rows whose mine had stopped; 0: over all."""
    rows = fit.keys.with_columns(pl.Series("viable", fit.viable)).join(spells, on=["mine_id", "as_of_year"])
    stopped = rows.filter(pl.col(_STOPPED), pl.col(_UNTIL) <= pl.col("outcome_year"))
    overall = float(stopped["viable"].mean() or 0.0) if stopped.height else 0.0  # type: ignore[arg-type]
    shares = {0: overall}
    for horizon, viable, count in (
        stopped.group_by(HORIZON).agg(pl.col("viable").sum(), pl.len().alias("rows")).iter_rows()
    ):
        shares[int(horizon)] = (viable + _RESTART_PRIOR_ROWS * overall) / (count + _RESTART_PRIOR_ROWS)
    return shares
