"""Fitting: what LightGBM is told, and the same bytes for the same data and seed.

Choosing what to fit on belongs in `dataset`, choosing the parameters in `tuning`, judging the result in `evaluation`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat

from fvi_pipeline.model.dataset import COMPARABLE_SINCE_YEAR, HORIZON, Part

if TYPE_CHECKING:
    import lightgbm


# LightGBM predicts for a value within this bound of zero as for zero
_ZERO_BOUND = np.float32(1e-35)
# LightGBM bins by a sample of so many rows; more than there are means all of them
_ALL_ROWS = 2**31 - 1
# what a tree adds, and what it would add at its inner nodes
_SCALED_LINE = re.compile(r"^((?:leaf|internal)_value=)(.*)$", re.MULTILINE)


class BoosterParameters(BaseModel):
    """What LightGBM is told. Modes that its ONNX form gets silently wrong are not values of these types."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    objective: Literal["binary"] = "binary"
    boosting: Literal["gbdt"] = "gbdt"
    linear_tree: Literal[False] = False
    zero_as_missing: Literal[False] = False
    # with use_missing off, LightGBM reads NaN as zero
    use_missing: Literal[True] = True
    learning_rate: float = Field(default=0.06, gt=0, le=1)
    num_leaves: int = Field(default=15, ge=2, le=255)
    min_data_in_leaf: int = Field(default=100, ge=1)
    feature_fraction: float = Field(default=0.8, gt=0, le=1)
    bagging_fraction: float = Field(default=0.7, gt=0, le=1)
    bagging_freq: int = Field(default=1, ge=0)
    lambda_l2: float = Field(default=10.0, ge=0)
    extra_trees: bool = True
    max_bin: int = Field(default=63, ge=15, le=255)
    monotone_constraints_method: Literal["basic", "intermediate"] = "intermediate"
    yearly_gain: float = Field(default=0.3, ge=0, le=1)
    """What a split is worth on a column with one value per as-of year, such as a price: there are as many values as
    years, and trees learn by heart what came of each. Not LightGBM's own; see `feature_contri` there."""


class TrainingSettings(BaseModel):
    """How a model is searched for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = 20240401
    trials: int = Field(default=8, ge=1)
    start: BoosterParameters = BoosterParameters()
    """The first trial: parameters that did well on validation years of the U.S. panel."""
    horizon_weights: dict[int, PositiveFloat] = {1: 4.0, 2: 1.5}
    """Weight of a row by its horizon, 1 unless named. Closures within a year are rare and their gradients small: a
    boosting that all horizons share learns the shortest last."""
    earlier_cohort_weight: PositiveFloat = 0.2
    """Weight of a row of an as-of year whose cohort is not drawn like today's: it serves horizons that hardly any other
    row reaches, and has many rows there."""
    fits: int = Field(default=4, ge=1)
    """Boosters with seeds of their own that are merged into one, which then is the mean of their log-odds."""
    maximum_rounds: int = Field(default=400, ge=1)
    stopping_rounds: int = Field(default=50, ge=1)
    threads: int = Field(default=1, ge=1)
    """The trees do not depend on it. One is right beside other work: LightGBM's threads spin while they wait
    for each other, and on a busy machine two take several times as long as one."""


@dataclass(frozen=True)
class Tuned:
    """The outcome of the trials: the parameters, the number of trees and the log loss on the stopping rows."""

    parameters: BoosterParameters
    rounds: int
    stopping_log_loss: float
    trials: int
    pruned: int = 0


def fit(
    part: Part,
    feature_names: list[str],
    parameters: BoosterParameters,
    rounds: int,
    settings: TrainingSettings,
) -> lightgbm.Booster:
    """Fit `rounds` trees for each of the settings' fits on the rows of `part`; P(viable) never rises with the horizon.

    Thresholds are rounded down to float32, which changes no decision on float32 features and makes the ONNX
    form exact.
    """
    import lightgbm

    data = fitting_data(part, feature_names, parameters.max_bin, settings)
    told = booster_parameters(parameters, feature_names, yearly_columns(part), settings)
    seeds = range(settings.seed, settings.seed + settings.fits)
    boosters = [lightgbm.train({**told, "seed": seed}, data, num_boost_round=rounds) for seed in seeds]
    return with_float32_thresholds(merged(boosters) if len(boosters) > 1 else boosters[0])


def merged(boosters: Sequence[lightgbm.Booster]) -> lightgbm.Booster:
    """One booster with the trees of all, whose log-odds are the mean of theirs."""
    import lightgbm

    trees: list[str] = []
    for booster in boosters:
        body = booster.model_to_string().partition("\nTree=0\n")[2].partition("\nend of trees\n")[0]
        for tree in re.split(r"\nTree=\d+\n", body):
            trees.append(f"Tree={len(trees)}\n{_SCALED_LINE.sub(partial(_divided, by=len(boosters)), tree)}")
    head, _, rest = boosters[0].model_to_string().partition("\nTree=0\n")
    tail = rest.partition("\nend of trees\n")[2]
    head = re.sub(r"^tree_sizes=.*\n", "", head, flags=re.MULTILINE)  # as in with_float32_thresholds
    return lightgbm.Booster(model_str="\n".join([head, *trees]) + f"\nend of trees\n{tail}")


def _divided(line: re.Match[str], by: int) -> str:
    return line[1] + " ".join(repr(float(value) / by) for value in line[2].split())


def with_float32_thresholds(booster: lightgbm.Booster) -> lightgbm.Booster:
    """The same trees with every threshold replaced by the greatest float32 not above it.

    For float32 x, x <= threshold holds before exactly if it holds after. ONNX stores thresholds as float32
    and would round some of them up, past a feature value. A threshold between the negative values and zero lies on
    the bound within which LightGBM takes a value for zero, and ONNX does not: it goes one float32 further down.
    """
    import lightgbm

    lines = []
    for line in booster.model_to_string().splitlines():
        if line.startswith("tree_sizes="):
            continue  # byte counts of the old text; LightGBM reads the trees one after the other without them
        if line.startswith("threshold="):
            values = np.array(line.removeprefix("threshold=").split(), dtype=np.float64)
            line = "threshold=" + " ".join(repr(float(value)) for value in _exact_in_onnx(values))
        lines.append(line)
    return lightgbm.Booster(model_str="\n".join(lines) + "\n")


def _exact_in_onnx(thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
    floored = float32_floor(thresholds)
    return np.where(floored == -_ZERO_BOUND, np.nextafter(-_ZERO_BOUND, np.float32(-np.inf)), floored).astype(
        np.float64
    )


def float32_floor(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The greatest float32 not above each value, as float64."""
    nearest = values.astype(np.float32)
    below = np.nextafter(nearest, np.float32(-np.inf))
    return np.where(nearest.astype(np.float64) > values, below, nearest).astype(np.float64)


def row_weights(part: Part, settings: TrainingSettings) -> NDArray[np.float64]:
    """The weight of each row of `part` [n], in fits and in what stops them."""
    of_horizon = np.array([settings.horizon_weights.get(int(horizon), 1.0) for horizon in part.horizon_years])
    is_earlier = part.keys["as_of_year"].to_numpy() < COMPARABLE_SINCE_YEAR
    of_horizon[is_earlier] *= settings.earlier_cohort_weight
    return of_horizon


def yearly_columns(part: Part) -> list[bool]:
    """For each column of the features, the horizon last: whether all rows of an as-of year have one value of it."""
    years = part.keys["as_of_year"].to_numpy()
    first = np.unique(years, return_index=True)[1]
    values = part.features[first][np.searchsorted(years[first], years)]
    same = (part.features == values) | (np.isnan(part.features) & np.isnan(values))
    return [bool(column) for column in same.all(axis=0)]


def fitting_data(part: Part, feature_names: list[str], max_bin: int, settings: TrainingSettings) -> lightgbm.Dataset:
    """The weighted rows of `part` as LightGBM's bins, which serve trials with different leaf sizes.

    One row of no weight lacks the horizon. Extra trees never draw the last cut of a column, and without a bin of
    missing values that is the one between the two longest horizons: the trees could not tell them apart.
    """
    import lightgbm

    without_horizon = part.features[:1].copy()
    without_horizon[0, -1] = np.nan
    return lightgbm.Dataset(
        np.concatenate([part.features, without_horizon]),
        label=np.append(part.viable, 0),
        weight=np.append(row_weights(part, settings), 0.0),
        feature_name=[*feature_names, HORIZON],
        free_raw_data=False,
        params={
            "feature_pre_filter": False,
            "max_bin": max_bin,
            "bin_construct_sample_cnt": _ALL_ROWS,
            "verbose": -1,
        },
    )


def booster_parameters(
    parameters: BoosterParameters, feature_names: list[str], yearly: Sequence[bool], settings: TrainingSettings
) -> dict[str, Any]:
    """What LightGBM is told: the parameters, the monotone horizon, and what makes a fit repeatable; `yearly` as from
    `yearly_columns`.
    """
    return {
        **parameters.model_dump(exclude={"yearly_gain"}),
        "feature_contri": [parameters.yearly_gain if column else 1.0 for column in yearly],
        "monotone_constraints": [0] * len(feature_names) + [-1],
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": settings.threads,
        "seed": settings.seed,
        "feature_pre_filter": False,
        "bin_construct_sample_cnt": _ALL_ROWS,
        "verbose": -1,
    }
