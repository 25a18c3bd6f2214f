"""Whether the model errs in one direction for the mines of one region: its calibration and its false alarms and misses
there, less those of all other mines. What follows for the people who use it is the card's text.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fvi_pipeline.model.card.measures import Draws, Estimate, Floats, Resampled, draw_mines, pool_thin, quotient

LEAST_CASES = 20
"""A rate among fewer rows (of mines that went on, or that closed) says nothing."""


@dataclass(frozen=True)
class RegionFairness:
    """One region beside all others, at one horizon; None where a rate has too few rows, or there is no other region."""

    region: str
    horizon_years: int
    rows: int
    closed: int
    predicted_less_observed: Estimate
    """Above zero: the scores are too high there."""
    calibration_difference: Estimate | None
    """The same, less that of all other mines."""
    false_alarm_rate: Estimate | None
    """Part of the mines that went on which the model had flagged."""
    false_alarm_difference: Estimate | None
    miss_rate: Estimate | None
    """Part of the mines that closed which the model had not flagged."""
    miss_difference: Estimate | None

    @property
    def differences(self) -> list[Estimate]:
        """Those that could be measured, with an interval."""
        found = (self.calibration_difference, self.false_alarm_difference, self.miss_difference)
        return [difference for difference in found if difference is not None and difference.low is not None]


@dataclass(frozen=True)
class Threshold:
    """At one horizon, scores up to `probability` are flagged: as many as the model itself expects to close."""

    horizon_years: int
    probability: float
    flagged: int


def measure_fairness(
    rows: pl.DataFrame, *, draws: int = 400, seed: int = 7
) -> tuple[list[RegionFairness], list[Threshold]]:
    """Each region against all other mines, by horizon; `rows` as for `measures.measure_groups`, with `region`.

    One threshold holds for all regions of a horizon. It follows from the predictions alone: the lowest scores are
    flagged, as many as the probabilities of closing add up to.
    """
    found, thresholds = [], []
    for (horizon,), of_horizon in sorted(rows.group_by("horizon_years"), key=lambda item: item[0]):
        pooled = pool_thin(of_horizon, "region").sort("mine_id", "as_of_year")
        probability = pooled["viability_probability"].to_numpy()
        viable = pooled["viable"].cast(pl.Float64).to_numpy()
        expected = max(1, round(float((1 - probability).sum())))
        limit = float(np.sort(probability)[min(expected, len(probability)) - 1])
        flagged = (probability <= limit).astype(np.float64)
        thresholds.append(Threshold(horizon, limit, int(flagged.sum())))
        sampled = draw_mines(pooled["mine_id"].to_list(), draws=draws, seed=seed)
        regions = pooled["region"].to_numpy()
        for region in sorted(set(regions)):
            found.append(
                _beside_others(region, horizon, regions == region, sampled, probability - viable, flagged, viable)
            )
    return found, thresholds


def _beside_others(
    region: str,
    horizon: int,
    inside: NDArray[np.bool_],
    sampled: Draws,
    gap: Floats,
    flagged: Floats,
    viable: Floats,
) -> RegionFairness:
    everything = np.ones(len(gap))
    false_alarm_rate, false_alarm_difference = _rate(sampled, inside, flagged, viable)
    miss_rate, miss_difference = _rate(sampled, inside, 1 - flagged, 1 - viable)
    return RegionFairness(
        region=region,
        horizon_years=horizon,
        rows=int(inside.sum()),
        closed=int((inside & (viable == 0)).sum()),
        predicted_less_observed=sampled.estimate(_within(inside, gap, everything)),
        calibration_difference=None if inside.all() else sampled.estimate(_difference(inside, gap, everything)),
        false_alarm_rate=false_alarm_rate,
        false_alarm_difference=false_alarm_difference,
        miss_rate=miss_rate,
        miss_difference=miss_difference,
    )


def _rate(
    sampled: Draws, inside: NDArray[np.bool_], happened: Floats, among: Floats
) -> tuple[Estimate | None, Estimate | None]:
    """How often it happened in the region, and that less the same elsewhere; None where it is of too few rows."""
    if (inside * among).sum() < LEAST_CASES:
        return None, None
    own = sampled.estimate(_within(inside, happened, among))
    # of all or of none: every draw says the same, which is no certainty
    is_telling = 0 < own.value < 1
    if not is_telling:
        own = Estimate(own.value, None, None)
    if (~inside * among).sum() < LEAST_CASES:
        return own, None
    difference = sampled.estimate(_difference(inside, happened, among))
    return own, difference if is_telling else Estimate(difference.value, None, None)


def _within(inside: NDArray[np.bool_], values: Floats, among: Floats) -> Resampled:
    # the mean of the values over the rows of the group that are among those meant
    denominator = inside * among

    def statistic(weights: Floats) -> Floats:
        total = weights @ denominator
        return quotient(weights @ (values * denominator), total)

    return statistic


def _difference(inside: NDArray[np.bool_], values: Floats, among: Floats) -> Resampled:
    own, others = _within(inside, values, among), _within(~inside, values, among)
    return lambda weights: own(weights) - others(weights)
