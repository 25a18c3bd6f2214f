"""The second opinion beside the champion's scores, cell by cell, and how often its intervals held on the champion's
test years. The model itself is in `bayes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import psycopg
from psycopg import sql

from fvi_pipeline.model.bayes import CELL, BayesError, BayesSettings, Posterior, count_cells, fit, predict
from fvi_pipeline.model.card.groups import read_cohorts
from fvi_pipeline.model.dataset import SplitPolicy

_OUTCOMES = (
    "select mine_id, as_of_year, horizon_years, viable::int from gold.gold_mine_outcomes "
    "where as_of_year between %s and %s and outcome_year <= %s"
)
_NEWEST_OUTCOME = "select max(outcome_year) from gold.gold_mine_outcomes"
_SCORES = (
    "select mine_id, as_of_year, horizon_years, fvi_score / 100, interval_low / 100, interval_high / 100 "
    "from mart.fvi_scores where as_of_year = (select max(as_of_year) from mart.fvi_scores)"
)
_KEYS = {"mine_id": pl.String, "as_of_year": pl.Int64, "horizon_years": pl.Int64}
_OPINION_COLUMNS = (
    "horizon_years", "as_of_year", *CELL, "mines", "share_mean", "share_low", "share_high", "outcome_low",
    "outcome_high", "champion_mean", "champion_low", "champion_high", "verdict", "model_version", "train_until_year",
)  # fmt: skip
_QUALITY_COLUMNS = (
    "horizon_years", "train_until_year", "cells_fitted", "mines_fitted", "largest_r_hat", "least_effective_draws",
    "divergences", "is_sound", "nominal_coverage", "test_cells", "test_mines", "coverage", "large_test_cells",
    "large_cells_coverage",
)  # fmt: skip
_LARGE_CELL_MINES = 10
_LEAST_YEARS = 2
_AGREE, _HIGHER, _LOWER, _FEW = "agrees", "champion higher", "champion lower", "too few mines"
_JUDGED_MINES = 5  # one mine's score may well differ from what is expected of mines like it


@dataclass(frozen=True)
class Opinion:
    """Rows for mart.bayes_opinion and mart.bayes_quality."""

    cells: pl.DataFrame
    quality: pl.DataFrame

    @property
    def disagreements(self) -> pl.DataFrame:
        """The cells where the champion's mean lies outside the interval, the farthest first."""
        middle = (pl.col("champion_mean") - pl.col("share_mean")).abs()
        return self.cells.filter(pl.col("verdict").is_in([_HIGHER, _LOWER])).sort(middle, descending=True)


def second_opinion(
    connection: psycopg.Connection,
    *,
    champion_version: str,
    train_until_year: int,
    settings: BayesSettings | None = None,
    policy: SplitPolicy | None = None,
) -> Opinion:
    """Fit on what the champion could know, and compare with its scores of the newest cohort.

    Args:
        connection: to the warehouse.
        champion_version: noted in the rows; mart.fvi_scores holds its scores.
        train_until_year: the champion's T: outcomes of later years are used for the coverage only.
        settings: of the sampling.
        policy: the first as-of year whose cohort is drawn like today's, and how many as-of years are tested.

    Raises:
        BayesError: PyMC is not installed, or no horizon has two comparable as-of years.
    """
    settings, policy = settings or BayesSettings(), policy or SplitPolicy()
    known = _cells(connection, policy.comparable_since_year, train_until_year, train_until_year)
    posteriors = fit(_with_enough_years(known), settings)
    scores = _scores(connection)
    cells = predict(posteriors, scores, settings)
    first_test, last_test = train_until_year + 1, train_until_year + policy.test_as_of_years
    tested = predict(posteriors, _cells(connection, first_test, last_test, _newest_outcome(connection)), settings)
    return Opinion(
        cells=cells.with_columns(
            verdict=verdicts(), model_version=pl.lit(champion_version), train_until_year=pl.lit(train_until_year)
        ),
        quality=pl.DataFrame([_quality(each, tested, train_until_year, settings) for each in posteriors.values()]),
    )


def verdicts() -> pl.Expr:
    """Whether the champion's mean score lies in the interval of the expected share, or on which side of it; the mean
    of a handful of mines is not judged.
    """
    return (
        pl.when(pl.col("mines") < _JUDGED_MINES)
        .then(pl.lit(_FEW))
        .when(pl.col("champion_mean") > pl.col("share_high"))
        .then(pl.lit(_HIGHER))
        .when(pl.col("champion_mean") < pl.col("share_low"))
        .then(pl.lit(_LOWER))
        .otherwise(pl.lit(_AGREE))
    )


def write_opinion(connection: psycopg.Connection, opinion: Opinion) -> int:
    """Replace both tables in one transaction; commits; returns the cells."""
    with connection.transaction():
        for table, columns, frame in (
            ("bayes_opinion", _OPINION_COLUMNS, opinion.cells),
            ("bayes_quality", _QUALITY_COLUMNS, opinion.quality),
        ):
            connection.execute(sql.SQL("delete from mart.{}").format(sql.Identifier(table)))
            _copy(connection, table, columns, frame)
    connection.commit()
    return opinion.cells.height


def coverage(tested: pl.DataFrame) -> float | None:
    """Part of the cells, weighted by nothing, whose share lay within what so many mines were to show; None without."""
    if tested.is_empty():
        return None
    share = pl.col("viable") / pl.col("mines")
    # a share is a fraction of few mines: the limits are such fractions too, and belong to the interval
    inside = share.is_between(pl.col("outcome_low") - 1e-9, pl.col("outcome_high") + 1e-9)
    return float(tested.select(inside.mean()).item())


def _quality(
    posterior: Posterior, tested: pl.DataFrame, train_until_year: int, settings: BayesSettings
) -> dict[str, int | float | bool | None]:
    diagnostics = posterior.diagnostics
    rows = tested.filter(horizon_years=posterior.horizon_years)
    large = rows.filter(pl.col("mines") >= _LARGE_CELL_MINES)
    return {
        "horizon_years": posterior.horizon_years,
        "train_until_year": train_until_year,
        "cells_fitted": diagnostics.cells,
        "mines_fitted": diagnostics.mines,
        "largest_r_hat": diagnostics.largest_r_hat,
        "least_effective_draws": diagnostics.least_effective_draws,
        "divergences": diagnostics.divergences,
        "is_sound": diagnostics.is_sound(settings),
        "nominal_coverage": settings.confidence,
        "test_cells": rows.height,
        "test_mines": int(rows["mines"].sum()),
        "coverage": coverage(rows),
        "large_test_cells": large.height,
        "large_cells_coverage": coverage(large),
    }


def _with_enough_years(cells: pl.DataFrame) -> pl.DataFrame:
    # how much years differ cannot be told from one year
    kept = cells.filter(pl.col("as_of_year").n_unique().over("horizon_years") >= _LEAST_YEARS)
    if kept.is_empty():
        raise BayesError(f"No horizon has outcomes of {_LEAST_YEARS} comparable as-of years. Load more years.")
    return kept


def _cells(connection: psycopg.Connection, first_year: int, last_year: int, until_year: int) -> pl.DataFrame:
    outcomes = pl.DataFrame(
        connection.execute(_OUTCOMES, [first_year, last_year, until_year]).fetchall(),
        schema=_KEYS | {"viable": pl.Int64},
        orient="row",
    )
    cohorts = read_cohorts(connection, first_year, last_year)
    return count_cells(outcomes.join(cohorts, on=["mine_id", "as_of_year"], how="inner", validate="m:1"))


def _newest_outcome(connection: psycopg.Connection) -> int:
    row = connection.execute(_NEWEST_OUTCOME).fetchone()
    return int(row[0]) if row and row[0] is not None else 0


def _scores(connection: psycopg.Connection) -> pl.DataFrame:
    scores = pl.DataFrame(
        connection.execute(_SCORES).fetchall(),
        schema=_KEYS | {"champion_mean": pl.Float64, "champion_low": pl.Float64, "champion_high": pl.Float64},
        orient="row",
    )
    if scores.is_empty():
        raise BayesError("There is no score to have an opinion on. Materialise mart/fvi_scores first.")
    year = int(scores["as_of_year"][0])
    keys = ["horizon_years", "as_of_year", *CELL]
    return (
        scores.join(read_cohorts(connection, year, year), on=["mine_id", "as_of_year"], how="inner", validate="m:1")
        .group_by(keys)
        .agg(pl.len().cast(pl.Int64).alias("mines"), pl.col("champion_mean", "champion_low", "champion_high").mean())
        .sort(keys)
    )


def _copy(connection: psycopg.Connection, table: str, columns: Sequence[str], frame: pl.DataFrame) -> None:
    statement = sql.SQL("copy mart.{} ({}) from stdin").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in frame.select(columns).iter_rows():
            copy.write_row([None if isinstance(value, float) and np.isnan(value) else value for value in row])
