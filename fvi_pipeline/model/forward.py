"""Forward predictions: what fits on earlier outcomes, with the tuned parameters, say of later years up to T.

Calibration and intervals are fitted on them and on nothing else: they are as far out of sample as the test is, and
no row of the test is among them. What is made of them belongs in `calibration` and `intervals`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fvi_pipeline.model.calibration import FloatVector
from fvi_pipeline.model.dataset import HORIZON, Part, Split, SplitPolicy, fit_rows
from fvi_pipeline.model.errors import DatasetError
from fvi_pipeline.model.training import TrainingSettings, Tuned, fit

ORIGIN = "origin_year"
COMPARABLE = "comparable"
_LEAST_SHARE = 0.25


@dataclass(frozen=True)
class ForwardPredictions:
    """Margins of rows that their fit has not seen: keys [n] (those of a `Part`, `origin_year` and
    `comparable`), margins [n], outcomes 0 or 1 [n].

    A fit of origin O knows outcomes up to O and predicts as-of years from O on, with outcomes up to T. Each row
    stands once, predicted from the latest origin that may predict it. It is comparable if that fit has learned the
    row's horizon much as the final fit has, from cohorts like today's: only such rows tell of the final fit's level.
    """

    keys: pl.DataFrame
    margin: FloatVector
    viable: NDArray[np.int8]

    def __len__(self) -> int:
        """Number of rows."""
        return self.keys.height

    @property
    def horizon_years(self) -> NDArray[np.int64]:
        """The horizon of each row, in years [n]."""
        return self.keys[HORIZON].to_numpy()

    @property
    def as_of_year(self) -> NDArray[np.int64]:
        """The as-of year of each row [n]."""
        return self.keys["as_of_year"].to_numpy()

    @property
    def is_comparable(self) -> NDArray[np.bool_]:
        """Whether a row tells of the final fit's level [n]."""
        return self.keys[COMPARABLE].to_numpy()

    @property
    def comparable(self) -> ForwardPredictions:
        """The rows that tell of the final fit's level, in the same order."""
        mask = self.keys[COMPARABLE].to_numpy()
        return ForwardPredictions(self.keys.filter(pl.Series(mask)), self.margin[mask], self.viable[mask])

    @property
    def origins(self) -> list[int]:
        """The origins that occur, ascending."""
        return sorted(int(origin) for origin in self.keys[ORIGIN].unique())


def predict_forward(
    dataset: Part,
    split: Split,
    policy: SplitPolicy,
    tuned: Tuned,
    feature_names: list[str],
    settings: TrainingSettings,
    horizons: Sequence[int],
) -> ForwardPredictions:
    """Fit at each origin and predict the as-of years up to the next one.

    The origins lie `validation_years` apart, from T backwards while the cohorts are comparable. A horizon that none
    of them reaches is measured from an origin of its own, T less the horizon, if that fit knows the horizon at all.
    The mines that stopped the boosting are left out where they did.
    """
    until, step = split.train_until_year, policy.validation_years
    parts: list[ForwardPredictions] = []

    def add(origin: int, later: Part, comparable: bool) -> None:
        fit_part = split.tuning_fit if origin == split.tuning_until_year else fit_rows(dataset, origin, policy)
        is_known = _is_known_like(split.final_fit, fit_part, policy) if comparable else _is_known(fit_part, policy)
        later = later.where(pl.col(HORIZON).is_in([h for h in later.horizons if is_known(h)]))
        if len(later):
            booster = fit(fit_part, feature_names, tuned.parameters, tuned.rounds, settings)
            keys = later.keys.with_columns(pl.lit(origin, pl.Int64).alias(ORIGIN), pl.lit(comparable).alias(COMPARABLE))
            margin = np.asarray(booster.predict(later.features, raw_score=True, num_threads=settings.threads))
            parts.append(ForwardPredictions(keys, margin, later.viable))

    add(split.tuning_until_year, split.calibration, True)
    within = pl.col("outcome_year") <= until
    for origin in range(until - 2 * step, policy.comparable_since_year, -step):
        add(origin, dataset.where(within & pl.col("as_of_year").is_between(origin, origin + step - 1)), True)
    reached = {horizon for part in parts for horizon in part.keys[HORIZON].unique()}
    for horizon in sorted(set(horizons) - reached):
        origin = until - horizon
        add(origin, dataset.where((pl.col("as_of_year") == origin) & (pl.col(HORIZON) == horizon)), False)
    if not parts:
        raise DatasetError(
            f"No fit on outcomes up to {split.tuning_until_year} or earlier knows a horizon well enough to predict the "
            "years after it. Load more years."
        )
    return ForwardPredictions(
        keys=pl.concat([part.keys for part in parts]),
        margin=np.concatenate([part.margin for part in parts]),
        viable=np.concatenate([part.viable for part in parts]),
    )


def _is_known(fit_part: Part, policy: SplitPolicy) -> Callable[[int], bool]:
    def known(horizon: int) -> bool:
        viable = fit_part.viable[fit_part.horizon_years == horizon]
        return len(viable) >= policy.minimum_comparable_rows and 0 < float(viable.mean()) < 1

    return known


def _is_known_like(final_fit: Part, fit_part: Part, policy: SplitPolicy) -> Callable[[int], bool]:
    # a horizon whose fit fell back on cohorts that were drawn otherwise is not known like this
    since = pl.col("as_of_year") >= policy.comparable_since_year
    here, there = fit_part.where(since), final_fit.where(since)
    known = _is_known(here, policy)
    return lambda horizon: (
        known(horizon)
        and ((here.horizon_years == horizon).sum() >= _LEAST_SHARE * (there.horizon_years == horizon).sum())
    )
