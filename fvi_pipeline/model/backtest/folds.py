"""Folds of the rolling origin: which years T there are, the rows that belong to one, and its predictions.

A fold is given its own rows only, those with an outcome up to T and the as-of years that test it, so that nothing
else can reach it. What is stored, and when a fold need not be computed, belongs in `rolling`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from fvi_pipeline.model.challenger import HORIZONS, code_version, fit_model
from fvi_pipeline.model.dataset import Part, SplitPolicy, data_hash, make_dataset
from fvi_pipeline.model.evaluation import predictions_frame
from fvi_pipeline.model.scoring import ViabilityModel
from fvi_pipeline.model.training import TrainingSettings

FOLD_TRIALS = 2
FOLD_FITS = 2


class BacktestPolicy(BaseModel):
    """Which folds there are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step_years: int = Field(default=2, ge=1)
    """Years between two origins."""
    maximum_folds: int | None = Field(default=None, ge=1)
    """The fold of the served model and those nearest to it, earlier ones first; None: all that the rows allow."""


@dataclass(frozen=True)
class Backtest:
    """The rows of a backtest and how it is made: what every fold has in common."""

    frame: pl.DataFrame
    """As for `dataset.make_dataset`."""
    features: tuple[str, ...]
    size_feature: str
    served_until_year: int
    """T of the model that is served."""
    split: SplitPolicy
    settings: TrainingSettings
    """How a fold's model is searched for; the served one has a search of its own."""
    horizons: tuple[int, ...] = HORIZONS


@dataclass(frozen=True)
class Fold:
    """One origin: T, the rows up to it [n] and the rows that test it [m]."""

    train_until_year: int
    known: Part
    test: Part

    def digest(self, features: Sequence[str], *others: str) -> str:
        """Hash (hex) of the rows, the features' names and whatever else shapes the predictions."""
        parts = [data_hash(self.known, features), data_hash(self.test, features), *others]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def origins(rows: Part, split: SplitPolicy, served_until_year: int, policy: BacktestPolicy) -> list[int]:
    """The years T of the folds, ascending: the served one, and others in steps from it.

    Backwards as long as the years up to T have enough comparable rows with both outcomes, and those that stop the
    boosting are all comparable, as the served model's are; forwards as long as there is a row to test with. Only keys
    and outcomes are read.
    """
    known = rows.keys.with_columns(pl.Series("viable", rows.viable))
    if known.is_empty():
        return []
    first = min(known["as_of_year"].to_list())

    def fits(until: int) -> bool:
        fitted = known.filter(pl.col("outcome_year") <= until)
        comparable = fitted.filter(pl.col("as_of_year") >= split.comparable_since_year)
        earlier = fitted.filter(pl.col("outcome_year") <= until - split.validation_years)
        enough = comparable.height >= split.minimum_comparable_rows
        enough &= until - split.validation_years >= split.comparable_since_year
        return enough and comparable["viable"].n_unique() == 2 and earlier["viable"].n_unique() == 2

    def tests(until: int) -> bool:
        return known.filter(_tests(until, split))["viable"].n_unique() == 2

    found = [served_until_year] if tests(served_until_year) else []
    for step in (-policy.step_years, policy.step_years):
        until = served_until_year + step
        while until > first and fits(until) and tests(until):
            found.append(until)
            until += step
    nearest = sorted(found, key=lambda until: (abs(until - served_until_year), until))
    return sorted(nearest[: policy.maximum_folds])


def fold_of(rows: Part, split: SplitPolicy, until: int) -> Fold:
    """The rows of one origin."""
    return Fold(until, rows.where(pl.col("outcome_year") <= until), rows.where(_tests(until, split)))


def rows_of(backtest: Backtest) -> Part:
    """All rows as arrays."""
    return make_dataset(backtest.frame, backtest.features)


def fold_frame(backtest: Backtest, until: int) -> pl.DataFrame:
    """What a fold is given: the rows with an outcome up to `until`, and those that test it."""
    return backtest.frame.filter((pl.col("outcome_year") <= until) | _tests(until, backtest.split))


def fold_predictions(backtest: Backtest, until: int) -> pl.DataFrame:
    """Fit, tune and calibrate on outcomes up to `until` and predict its test rows: as for mart.backtest_predictions.

    Raises:
        DatasetError: the years do not suffice for a split.
    """
    fitted = fit_model(
        fold_frame(backtest, until),
        backtest.features,
        feature_service="backtest",
        settings=backtest.settings,
        policy=backtest.split,
        train_until_year=until,
        horizons=backtest.horizons,
    )
    return served_predictions(fitted.files.model(), fitted.split.test, until)


def served_predictions(model: ViabilityModel, test: Part, until: int) -> pl.DataFrame:
    """What a model says of test rows, with its intervals."""
    probability = model.probabilities_by_row(test.features[:, :-1], test.horizon_years)
    horizons = test.horizon_years.tolist()
    limits = [model.interval(p, h) for p, h in zip(probability.tolist(), horizons, strict=True)]
    return predictions_frame(test, probability, until, np.array(limits, dtype=np.float64).reshape(-1, 2))


@lru_cache(maxsize=1)
def fold_code_version() -> str:
    """Hash of the code that shapes the predictions of a fold."""
    return hashlib.sha256(f"{code_version()}{Path(__file__).read_text()}".encode()).hexdigest()[:16]


def settings_digest(backtest: Backtest) -> str:
    """The settings of a fold as text: another text, other predictions."""
    shape = {"size_feature": backtest.size_feature, "horizons": sorted(backtest.horizons)}
    return json.dumps([backtest.settings.model_dump(), backtest.split.model_dump(), shape], sort_keys=True)


def _tests(until: int, split: SplitPolicy) -> pl.Expr:
    return pl.col("as_of_year").is_between(until + 1, until + split.test_as_of_years)
