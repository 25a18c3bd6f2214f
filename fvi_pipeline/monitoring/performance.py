"""Whether scores came true: those whose outcome has come since, beside what the test of the same version promised.

Which scores count, and reading them, belong to `outcomes`; what follows from a worse version to `retraining`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fvi_pipeline.model.card.measures import (
    Draws,
    Resampled,
    draw_mines,
    weighted_auc,
    weighted_calibration_error,
    weighted_mean,
)
from fvi_pipeline.model.intervals import quantile_bins
from fvi_pipeline.monitoring.measurements import Measurement

PERFORMANCE, PROMISE = "performance", "promise"
FEWEST_ROWS = 50
"""With fewer scores of a version and horizon nothing is said of being worse."""
_DRAWS, _SEED = 1000, 7
_CHANCE = 0.005  # of each side: twelve figures and more are looked at, week after week
_CONFIDENCE_OF_INTERVALS = 0.9
_HIGHER_IS_BETTER = {"brier": False, "auc": True, "calibration_error": False}
_TRUSTED = ("brier", "auc")
"""What a version is called worse for; the calibration error of few rows is large by chance alone."""
_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Promise:
    """What the test of a version measured at one horizon, and in each of its test years; empty: not known."""

    figures: Mapping[str, float] = field(default_factory=dict)
    by_year: Mapping[str, Mapping[int, float]] = field(default_factory=dict)

    def worst_year(self, measure: str) -> float | None:
        """The figure of the test year that came out worst."""
        years = list(self.by_year.get(measure, {}).values())
        if not years:
            return None
        return min(years) if _HIGHER_IS_BETTER[measure] else max(years)


@dataclass(frozen=True)
class Figure:
    """What came of one measure: its value with its interval (whole mines drawn), beside the promise."""

    measure: str
    value: float
    low: float
    high: float
    promised: float | None
    worst_test_year: float | None
    is_judged: bool

    @property
    def is_worse(self) -> bool:
        """Beyond chance worse than promised, and worse than in any year of the test."""
        if not self.is_judged or self.promised is None:
            return False
        limits = [self.promised] if self.worst_test_year is None else [self.promised, self.worst_test_year]
        if _HIGHER_IS_BETTER[self.measure]:
            return self.high < self.promised and self.value < min(limits)
        return self.low > self.promised and self.value > max(limits)


def figures(rows: pl.DataFrame, promise: Promise) -> list[Figure]:
    """The measures of one version's scores at one horizon.

    Args:
        rows: mine_id, viability_probability and viable, a row for each score with its outcome.
        promise: what was measured when the version was tested.
    """
    ordered = rows.sort("mine_id", "as_of_year")
    probability = ordered["viability_probability"].to_numpy()
    viable = ordered["viable"].cast(pl.Float64).to_numpy()
    draws = draw_mines(ordered["mine_id"].to_list(), draws=_DRAWS, seed=_SEED)
    statistics: dict[str, Resampled] = {
        "brier": weighted_mean((probability - viable) ** 2),
        "calibration_error": weighted_calibration_error(probability, viable),
    }
    if 0 < viable.mean() < 1:
        statistics["auc"] = weighted_auc(probability, viable)
    found = []
    for measure, statistic in sorted(statistics.items()):
        value, low, high = _interval(draws, statistic)
        judged = measure in _TRUSTED and len(viable) >= FEWEST_ROWS
        promised, worst = promise.figures.get(measure), promise.worst_year(measure)
        found.append(Figure(measure, value, low, high, promised, worst, judged))
    return found


def by_year(fold: pl.DataFrame) -> dict[int, dict[str, dict[int, float]]]:
    """The measures of a test by horizon, measure and as-of year.

    Args:
        fold: as_of_year, horizon_years, viability_probability and viable.
    """
    found: dict[int, dict[str, dict[int, float]]] = {}
    for (horizon, year), rows in sorted(fold.group_by("horizon_years", "as_of_year"), key=lambda item: item[0]):
        probability = rows["viability_probability"].to_numpy()
        viable = rows["viable"].cast(pl.Float64).to_numpy()
        one = np.ones((1, len(viable)))
        of_horizon = found.setdefault(int(horizon), {"brier": {}, "auc": {}})
        of_horizon["brier"][int(year)] = float(weighted_mean((probability - viable) ** 2)(one)[0])
        if 0 < viable.mean() < 1:
            of_horizon["auc"][int(year)] = float(weighted_auc(probability, viable)(one)[0])
    return found


def measure_performance(
    rows: pl.DataFrame, promises: Mapping[tuple[str, int], Promise], reigning: str | None = None
) -> list[Measurement]:
    """The rows of ops.monitoring for every version and horizon that has outcomes; none when nothing has come true yet.

    Args:
        rows: model_version, horizon_years, mine_id, as_of_year, viability_probability, interval_low, interval_high,
            viable, and was_public: whether the outcome was public when the score was made, though not here yet.
        promises: by version and horizon.
        reigning: the version whose performance can be bettered by another one.
    """
    found: list[Measurement] = []
    for (version, horizon), scored in sorted(rows.group_by("model_version", "horizon_years"), key=lambda item: item[0]):
        promise = promises.get((version, horizon), Promise())
        years = scored["as_of_year"].unique().sort().to_list()
        name, reference = f"v{version} h{horizon}", f"scores of {years[0]} to {years[-1]} by version {version}"
        observed = scored["viable"].cast(pl.Float64).to_numpy()
        found += [
            Measurement(
                PERFORMANCE,
                name,
                "rows",
                float(scored.height),
                reference,
                {"closed": int((observed == 0).sum()), "outcome_was_public": int(scored["was_public"].sum())},
            ),
            Measurement(PERFORMANCE, name, "viable_share", float(observed.mean()), reference),
            Measurement(PERFORMANCE, name, "mean_probability", _mean(scored["viability_probability"]), reference),
            _coverage(name, reference, scored, promise),
        ]
        found += [
            Measurement(
                PERFORMANCE, name, each.measure, each.value, reference, {**_told(each), "reigns": version == reigning}
            )
            for each in figures(scored, promise)
        ]
    return found


def measure_promises(promises: Mapping[tuple[str, int], Promise]) -> list[Measurement]:
    """The promises whose test years are known, as rows of ops.monitoring: the fold that tells them is another version's
    after the next training.
    """
    return [
        Measurement(
            PROMISE,
            f"v{version} h{horizon}",
            measure,
            value,
            f"test of version {version}",
            {"years": {str(year): figure for year, figure in promise.by_year.get(measure, {}).items()}},
        )
        for (version, horizon), promise in sorted(promises.items())
        for measure, value in sorted(promise.figures.items())
        if promise.by_year
    ]


def worse_in_words(measurements: Iterable[Measurement]) -> list[str]:
    """A sentence for each measure of the reigning version that is worse than promised."""
    found = []
    for each in measurements:
        is_worse = each.details.get("is_worse") and each.details.get("reigns")
        if each.subject == PERFORMANCE and is_worse and each.value is not None:
            found.append(f"{each.measure} of {each.name} is {each.value:.3f}, promised {each.details['promised']:.3f}")
    return found


def _coverage(name: str, reference: str, scored: pl.DataFrame, promise: Promise) -> Measurement:
    low, high, probability = (
        scored[column].to_numpy() for column in ("interval_low", "interval_high", "viability_probability")
    )
    measured = (low > 0) | (high < 1)
    if len(scored) < FEWEST_ROWS or not measured.all():
        return Measurement(PERFORMANCE, name, "coverage", None, reference, {"groups": 0})
    viable = scored["viable"].cast(pl.Float64).to_numpy()
    held = [
        _is_held(low[rows].mean(), high[rows].mean(), probability[rows].mean(), viable[rows])
        for rows in quantile_bins(probability, maximum_bins=10, minimum_rows=FEWEST_ROWS)
    ]
    details = {"groups": len(held), "promised": promise.figures.get("coverage"), "nominal": _CONFIDENCE_OF_INTERVALS}
    return Measurement(PERFORMANCE, name, "coverage", sum(held) / len(held), reference, details)


def _is_held(low: float, high: float, centre: float, viable: _Floats) -> bool:
    # as the promise was measured: the share of few rows is a draw, whose noise is added to each side
    noise = NormalDist().inv_cdf(0.5 + _CONFIDENCE_OF_INTERVALS / 2) * math.sqrt(centre * (1 - centre) / len(viable))
    return bool(centre - math.hypot(centre - low, noise) <= viable.mean() <= centre + math.hypot(high - centre, noise))


def _told(figure: Figure) -> dict[str, float | bool | None]:
    return {
        "low": figure.low,
        "high": figure.high,
        "promised": figure.promised,
        "worst_test_year": figure.worst_test_year,
        "is_worse": figure.is_worse,
    }


def _interval(draws: Draws, statistic: Resampled) -> tuple[float, float, float]:
    value = float(statistic(np.ones((1, draws.weights.shape[1])))[0])
    drawn = statistic(draws.weights)
    known = drawn[~np.isnan(drawn)]
    low, high = np.quantile(known, [_CHANCE, 1 - _CHANCE]) if len(known) else (value, value)
    return value, float(low), float(high)


def _mean(values: pl.Series) -> float | None:
    mean = values.mean()
    return float(mean) if isinstance(mean, int | float) else None
