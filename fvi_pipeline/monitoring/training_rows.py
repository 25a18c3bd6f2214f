"""The rows that a model was fitted on, out of the training set. Reading the set or the model does not belong here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from fvi_pipeline.model.dataset import HORIZON, KEY_COLUMNS, Part, SplitPolicy, fit_rows

GAIN_HORIZON_YEARS = 3


@dataclass(frozen=True)
class TrainingRows:
    """What a model learned from.

    `features` has one row per mine and year, `outcomes` the rows of them whose viability three years later the model
    was given, with `viable`; `model_inputs` are the features that it reads, `description` says whose rows these are.
    """

    features: pl.DataFrame
    outcomes: pl.DataFrame
    model_inputs: frozenset[str]
    description: str


def fitted_rows(training_set: pl.DataFrame, train_until_year: int, policy: SplitPolicy) -> pl.DataFrame:
    """The rows of the training set that the final fit of a model of this year was made on, by the model's own rule."""
    keys = training_set.select(KEY_COLUMNS)
    # the rule looks at keys alone
    without_values = Part(keys, np.empty((keys.height, 0), np.float32), np.empty(keys.height, np.int8))
    fitted = fit_rows(without_values, train_until_year, policy)
    return training_set.join(fitted.keys, on=KEY_COLUMNS, how="semi", maintain_order="left")


def training_rows(
    training_set: pl.DataFrame,
    train_until_year: int,
    model_inputs: frozenset[str],
    model: str,
    policy: SplitPolicy | None = None,
) -> TrainingRows:
    """The fitted rows as they are measured: a mine's year counts once, however many horizons it was used for.

    Earlier years, which the longest horizons are fitted on for want of others, are left out when there are comparable
    ones: their cohorts were drawn otherwise and half of what is published now was not published then, and that would be
    all that a comparison shows.
    """
    policy = policy or SplitPolicy()
    fitted = fitted_rows(training_set, train_until_year, policy)
    comparable = fitted.filter(pl.col("as_of_year") >= policy.comparable_since_year)
    fitted = fitted if comparable.is_empty() else comparable
    first, last = fitted.select(first=pl.col("as_of_year").min(), last=pl.col("as_of_year").max()).row(0)
    return TrainingRows(
        features=fitted.unique(["mine_id", "as_of_year"], keep="first", maintain_order=True),
        outcomes=fitted.filter(pl.col(HORIZON) == GAIN_HORIZON_YEARS),
        model_inputs=model_inputs,
        description=f"training data of {model}: as-of years {first} to {last}, outcomes up to {train_until_year}",
    )
