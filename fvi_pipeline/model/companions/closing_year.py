"""The likely closing year of a mine, read off its survival curve: the scores of the viability model at its horizons,
with a constant hazard between them.

Pure functions over scores, and their measure on backtests. The year says as much as the scores do: beyond the longest
horizon nothing is said but `after`, and how far the scores were tested is stated beside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fvi_pipeline.model.dataset import HORIZON
from fvi_pipeline.model.errors import ScoringError

Floats = NDArray[np.float64]

_SMALLEST = 1e-12  # of a probability: the hazard before a certain end is large, not infinite
_QUARTERS = (0.75, 0.5, 0.25)


@dataclass(frozen=True)
class SurvivalCurves:
    """P(a mine still produces) of n mines at the horizons, which begin with 0 years and 1: [n, H]."""

    horizons: list[int]
    probability: Floats

    def at(self, years: Floats) -> Floats:
        """P(still producing) [n] after `years` [n], NaN beyond the longest horizon."""
        place = np.clip(np.searchsorted(self.horizons, years, side="left"), 1, len(self.horizons) - 1)
        mines = np.arange(len(years))
        start, end = np.array(self.horizons)[place - 1], np.array(self.horizons)[place]
        before, after = np.log(self.probability[mines, place - 1]), np.log(self.probability[mines, place])
        found = np.exp(before + (after - before) * (years - start) / (end - start))
        return np.where(years <= self.horizons[-1], found, np.nan)

    def years_until(self, level: float) -> Floats:
        """Years [n] after which the probability is down to `level`; infinity where it stays above it."""
        reached = self.probability <= level
        ends = reached.any(axis=1)
        place = np.where(ends, reached.argmax(axis=1), 1)
        mines = np.arange(len(place))
        start, end = np.array(self.horizons)[place - 1], np.array(self.horizons)[place]
        before, after = np.log(self.probability[mines, place - 1]), np.log(self.probability[mines, place])
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.where(after < before, (math.log(level) - before) / (after - before), 1.0)
        return np.where(ends, start + share * (end - start), np.inf)


def survival_curves(horizons: Sequence[int], probability: Floats) -> SurvivalCurves:
    """Curves through probabilities [n, H] at ascending horizons; where one would rise it stays level."""
    with_start = np.hstack([np.ones((len(probability), 1)), np.clip(probability, _SMALLEST, 1.0)])
    return SurvivalCurves([0, *horizons], np.minimum.accumulate(with_start, axis=1))


def closing_years(scores: pl.DataFrame, tested_horizon_years: int | None) -> pl.DataFrame:
    """Rows for mart.closing_years: for each mine the first year in which it more likely does not produce than does.

    closing_year_low and closing_year_high are the same year by the lower and the upper ends of the scores' intervals;
    a quarter and three quarters of such mines have closed by the years so called. Null: after `last_year`, the longest
    horizon's.

    Args:
        scores: mine_id, as_of_year, horizon_years, fvi_score, interval_low, interval_high as in mart.fvi_scores; of
            every mine the same horizons.
        tested_horizon_years: the longest horizon that the model was tested at, None: none was.

    Raises:
        ScoringError: the mines do not have the same horizons.
    """
    horizons, keys, (score, low, high) = _by_mine(scores, ("fvi_score", "interval_low", "interval_high"))
    as_of = keys["as_of_year"].to_numpy()
    curves = survival_curves(horizons, score / 100)
    tested_until = as_of + (tested_horizon_years or 0)
    table = keys.with_columns(
        _year_column("closing_year", as_of, curves, 0.5),
        _year_column("closing_year_low", as_of, survival_curves(horizons, low / 100), 0.5),
        _year_column("closing_year_high", as_of, survival_curves(horizons, high / 100), 0.5),
        _year_column("quarter_closed_by", as_of, curves, _QUARTERS[0]),
        _year_column("three_quarters_closed_by", as_of, curves, _QUARTERS[2]),
        pl.Series("last_year", as_of + horizons[-1]),
        pl.Series("tested_until_year", tested_until),
    )
    return table.with_columns(
        # a year beyond the tested ones rests on scores that nobody could check yet, and so does "after"
        is_tested=(pl.col("closing_year") <= pl.col("tested_until_year")).fill_null(
            pl.col("last_year") <= pl.col("tested_until_year")
        )
    ).with_columns(in_words=_in_words())


@dataclass(frozen=True)
class ClosingMeasure:
    """How closing years of backtests compare with what came."""

    mines: int
    closings: int
    concordance: float | None
    """Of two mines of one cohort, how often the one that closed first had the worse curve; ties count half."""
    inside_interval: float | None
    """Share of the closings within closing_year_low and closing_year_high."""
    due: int
    closed_when_due: float | None
    """Of the mines whose closing year lies within the known years, the share that did not produce in it."""
    expected_when_due: float | None
    """What their curves said of that."""

    def as_metrics(self) -> dict[str, float]:
        """Flat numbers, without those that could not be measured."""
        named = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {f"closing_{name}": float(value) for name, value in named.items() if value is not None}


def measure_closing_years(predictions: pl.DataFrame, production: pl.DataFrame) -> ClosingMeasure:
    """Closing years of backtest predictions beside the years in which the mines produced.

    Args:
        predictions: train_until_year, mine_id, as_of_year, horizon_years, viability_probability, interval_low and
            interval_high in 0-1. Only the horizons whose outcome is known stand there, so a cohort has its own.
        production: mine_id and year of every production, of all years that are known.
    """
    if predictions.is_empty() or production.is_empty():
        return ClosingMeasure(0, 0, None, None, 0, None, None)
    last_year = int(production["year"].to_numpy().max())
    parts = [
        _measured_cohort(cohort, production, last_year)
        for _, cohort in predictions.group_by("train_until_year", "as_of_year", maintain_order=True)
    ]
    cohorts = [part for part in parts if part is not None]
    if not cohorts:
        return ClosingMeasure(0, 0, None, None, 0, None, None)
    table = pl.concat([table for table, _, _ in cohorts])
    pairs, ordered = sum(pairs for _, pairs, _ in cohorts), sum(ordered for _, _, ordered in cohorts)
    closed = table.filter(pl.col("closed_in").is_not_null())
    inside = closed.select(
        (
            (pl.col("closed_in") >= pl.col("closing_year_low").fill_null(9999))
            & (pl.col("closed_in") <= pl.col("closing_year_high").fill_null(9999))
        ).mean()
    ).item()
    due = table.filter(pl.col("closing_year").is_not_null())
    return ClosingMeasure(
        mines=table.height,
        closings=closed.height,
        concordance=ordered / pairs if pairs else None,
        inside_interval=inside,
        due=due.height,
        closed_when_due=due["idle_when_due"].mean() if due.height else None,  # type: ignore[arg-type]
        expected_when_due=due["expected_when_due"].mean() if due.height else None,  # type: ignore[arg-type]
    )


def concordance(risk: Floats, years: NDArray[np.int64], happened: NDArray[np.bool_]) -> tuple[int, float]:
    """Harrell's: (pairs of which one is known to have come first, those that the risk orders; ties count half)."""
    pairs, ordered = 0, 0.0
    for mine in np.flatnonzero(happened):
        later = (years > years[mine]) | ((years == years[mine]) & ~happened)
        pairs += int(later.sum())
        ordered += float((risk[later] < risk[mine]).sum()) + 0.5 * float((risk[later] == risk[mine]).sum())
    return pairs, ordered


def _measured_cohort(
    cohort: pl.DataFrame, production: pl.DataFrame, last_year: int
) -> tuple[pl.DataFrame, int, float] | None:
    horizons, keys, ends = _by_mine(cohort, ("viability_probability", "interval_low", "interval_high"))
    as_of = int(keys["as_of_year"].to_numpy()[0])
    if as_of + horizons[-1] > last_year:
        return None
    columns = ("fvi_score", "interval_low", "interval_high")
    long = pl.concat(
        keys.with_columns(
            pl.lit(horizon).alias(HORIZON),
            *(pl.Series(name, 100 * values[:, place]) for name, values in zip(columns, ends, strict=True)),
        )
        for place, horizon in enumerate(horizons)
    )
    table = closing_years(long, None)
    followed = range(as_of + 1, as_of + horizons[-1] + 1)
    mines = keys["mine_id"].to_list()
    produced = set(production.filter(pl.col("year").is_in(list(followed))).select("mine_id", "year").iter_rows())
    closed_in = [next((year for year in followed if (mine, year) not in produced), None) for mine in mines]
    curves = survival_curves(horizons, ends[0])
    due = table["closing_year"].to_list()
    expected = 1 - curves.at(np.array([(year or as_of) - as_of for year in due], dtype=np.float64))
    years = np.array([followed[-1] if year is None else year for year in closed_in])
    happened = np.array([year is not None for year in closed_in])
    risk = -np.asarray(np.trapezoid(curves.probability, curves.horizons, axis=1), dtype=np.float64)
    pairs, ordered = concordance(risk, years, happened)
    return (
        table.with_columns(
            pl.Series("closed_in", closed_in, dtype=pl.Int64),
            pl.Series(
                "idle_when_due",
                [None if year is None else (mine, year) not in produced for mine, year in zip(mines, due, strict=True)],
                dtype=pl.Boolean,
            ),
            pl.Series("expected_when_due", expected),
        ),
        pairs,
        ordered,
    )


def _by_mine(scores: pl.DataFrame, columns: Sequence[str]) -> tuple[list[int], pl.DataFrame, list[Floats]]:
    ordered = scores.sort("mine_id", "as_of_year", HORIZON)
    horizons = sorted(int(horizon) for horizon in ordered[HORIZON].unique())
    keys = ordered.select("mine_id", pl.col("as_of_year").cast(pl.Int64)).unique(maintain_order=True)
    if not horizons or ordered[HORIZON].to_list() != horizons * keys.height:
        raise ScoringError("The scores of every mine must be of the same horizons, each once.")
    shape = (keys.height, len(horizons))
    return horizons, keys, [ordered[name].cast(pl.Float64).to_numpy().reshape(shape) for name in columns]


def _in_words() -> pl.Expr:
    year, low, high = pl.col("closing_year"), pl.col("closing_year_low"), pl.col("closing_year_high")
    named = pl.when(year.is_null()).then(pl.format("after {}", pl.col("last_year"))).otherwise(year.cast(pl.String))
    between = (
        pl.when(low.is_null())
        .then(pl.lit(""))
        .when(high.is_null())
        .then(pl.format(", not before {}", low))
        .otherwise(pl.format(", between {} and {}", low, high))
    )
    untested = (
        pl.when("is_tested").then(pl.lit("")).otherwise(pl.format("; tested until {}", pl.col("tested_until_year")))
    )
    return pl.concat_str(named, between, untested)


def _year_column(name: str, as_of: NDArray[np.int64], curves: SurvivalCurves, level: float) -> pl.Series:
    # viability at h speaks of the year as_of + h: the first year in which the curve is down is the next whole one
    years = [
        int(year) + max(math.ceil(after - 1e-9), 1) if math.isfinite(after) else None
        for year, after in zip(as_of, curves.years_until(level), strict=True)
    ]
    return pl.Series(name, years, dtype=pl.Int64)  # all of them may be null
