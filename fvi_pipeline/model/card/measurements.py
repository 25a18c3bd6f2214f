"""What a card shows of a version's test: by group, by region, and beside the rivals, from the stored predictions.

A fold of `mart.backtest_predictions` belongs to the version that was trained last on it, so a fold is taken for a
version's own only if it has the rows and the Brier score that the version's run noted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
import psycopg

from fvi_pipeline.model.card.fairness import RegionFairness, Threshold, measure_fairness
from fvi_pipeline.model.card.groups import GROUPINGS, read_cohorts
from fvi_pipeline.model.card.measures import (
    Estimate,
    GroupMeasures,
    draw_mines,
    measure_groups,
    weighted_auc,
    weighted_mean,
)

_FOLD = (
    "select mine_id, as_of_year, horizon_years, viability_probability, viable, interval_low, interval_high "
    "from mart.backtest_predictions where train_until_year = %s order by mine_id, as_of_year, horizon_years"
)
_RIVALS = (
    "select model, mine_id, as_of_year, horizon_years, viability_probability "
    "from mart.backtest_rival_predictions where train_until_year = %s"
)
_KEYS = ("mine_id", "as_of_year", "horizon_years")
_SCHEMA = {"mine_id": pl.String, "as_of_year": pl.Int64, "horizon_years": pl.Int64}
_SAME = 1e-6


@dataclass(frozen=True)
class RivalMeasures:
    """A rival, or the model itself, on the test rows of one horizon."""

    model: str
    horizon_years: int
    rows: int
    auc: Estimate | None
    brier: Estimate
    brier_less_model: Estimate | None
    """Above zero: the rival is worse. None for the model itself."""


@dataclass(frozen=True)
class Measurements:
    """All that is measured on one version's fold."""

    train_until_year: int
    test_first_year: int
    test_last_year: int
    rows: int
    mines: int
    groups: dict[str, list[GroupMeasures]]
    fairness: list[RegionFairness]
    thresholds: list[Threshold]
    rivals: list[RivalMeasures]


def measure_fold(
    connection: psycopg.Connection, model_name: str, train_until_year: int, run_metrics: Mapping[str, float]
) -> Measurements | None:
    """Measure the fold of a version; None if the stored fold is another version's, or there is none.

    Args:
        connection: to the warehouse.
        model_name: how the model is called beside its rivals.
        train_until_year: the version's T.
        run_metrics: what the version's run noted; `test_rows` and `test_brier` tell whose fold it is.
    """
    predictions = pl.DataFrame(
        connection.execute(_FOLD, [train_until_year]).fetchall(),
        schema=_SCHEMA
        | {
            "viability_probability": pl.Float64,
            "viable": pl.Boolean,
            "interval_low": pl.Float64,
            "interval_high": pl.Float64,
        },
        orient="row",
    )
    if predictions.is_empty() or not _is_of(predictions, run_metrics):
        return None
    years = predictions["as_of_year"].unique().sort().to_list()
    cohorts = read_cohorts(connection, years[0], years[-1])
    rows = predictions.join(cohorts, on=["mine_id", "as_of_year"], how="left", validate="m:1").with_columns(
        pl.col(*GROUPINGS).fill_null("not in gold")  # a restatement may take a mine out of the cohort
    )
    fairness, thresholds = measure_fairness(rows)
    return Measurements(
        train_until_year=train_until_year,
        test_first_year=years[0],
        test_last_year=years[-1],
        rows=rows.height,
        mines=rows["mine_id"].n_unique(),
        groups={column: measure_groups(rows, column) for column in GROUPINGS},
        fairness=fairness,
        thresholds=thresholds,
        rivals=_beside_rivals(connection, model_name, train_until_year, predictions),
    )


def _is_of(predictions: pl.DataFrame, run_metrics: Mapping[str, float]) -> bool:
    error = (predictions["viability_probability"] - predictions["viable"].cast(pl.Float64)) ** 2
    brier, rows = run_metrics.get("test_brier"), run_metrics.get("test_rows")
    mean = float(np.mean(error.to_numpy()))
    return brier is not None and rows == predictions.height and abs(mean - brier) < _SAME


def _beside_rivals(
    connection: psycopg.Connection, model_name: str, train_until_year: int, predictions: pl.DataFrame
) -> list[RivalMeasures]:
    rivals = pl.DataFrame(
        connection.execute(_RIVALS, [train_until_year]).fetchall(),
        schema={"model": pl.String} | _SCHEMA | {"rival_probability": pl.Float64},
        orient="row",
    )
    found = []
    for (horizon,), of_horizon in sorted(predictions.group_by("horizon_years"), key=lambda item: item[0]):
        own = of_horizon.sort("mine_id", "as_of_year")
        viable = own["viable"].cast(pl.Float64).to_numpy()
        probability = own["viability_probability"].to_numpy()
        found.append(_measure(model_name, horizon, own["mine_id"].to_list(), viable, probability, None))
        for name in sorted(rivals["model"].unique().to_list()):
            rival = own.join(rivals.filter(model=name), on=_KEYS, how="inner", validate="1:1")
            if rival.height != own.height:
                continue  # computed on other rows: no comparison
            beside = rival.sort("mine_id", "as_of_year")["rival_probability"].to_numpy()
            found.append(_measure(name, horizon, own["mine_id"].to_list(), viable, beside, probability))
    return found


def _measure(
    name: str,
    horizon: int,
    mine_ids: list[str],
    viable: np.typing.NDArray[np.float64],
    probability: np.typing.NDArray[np.float64],
    model: np.typing.NDArray[np.float64] | None,
) -> RivalMeasures:
    sampled = draw_mines(mine_ids, draws=400, seed=7)
    error = (probability - viable) ** 2
    return RivalMeasures(
        model=name,
        horizon_years=horizon,
        rows=len(viable),
        auc=sampled.estimate(weighted_auc(probability, viable)) if 0 < viable.mean() < 1 else None,
        brier=sampled.estimate(weighted_mean(error)),
        brier_less_model=None if model is None else sampled.estimate(weighted_mean(error - (model - viable) ** 2)),
    )
