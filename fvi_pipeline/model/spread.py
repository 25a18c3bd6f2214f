"""How far scores move between fits on other mines: the estimation error of the served fit.

A fit on half of the mines errs from the whole fit about as much as the whole fit errs from the truth (the variance of
the half is twice that of the whole, which is a part of both). So the halves are fitted as the whole was, and both are
asked about rows of which no fit has seen the outcome. No outcome is read here; what is made of the deviations belongs
in `intervals`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fvi_pipeline.model.calibration import Calibration, FloatVector
from fvi_pipeline.model.dataset import Part, Split
from fvi_pipeline.model.training import TrainingSettings, Tuned, fit

if TYPE_CHECKING:
    import lightgbm

_HALVINGS = 2  # the deviations of thousands of rows are pooled
_ENOUGH_ROWS = 100_000  # with so many to fit on, one halving says as much
_NEWEST_YEARS = 3
_BINS = 10
_THINNEST_BIN = 30


@dataclass(frozen=True)
class Spread:
    """Calibrated log-odds [n] of the whole fit and its margins [n], horizons [n], and how far each refit is from those
    log-odds [refits, n].
    """

    log_odds: FloatVector
    margin: FloatVector
    horizon_years: NDArray[np.int64]
    deviation: FloatVector

    def deviation_at(self, log_odds: FloatVector, horizon_years: int) -> FloatVector:
        """Root mean square deviation at scores [m] of one horizon, in log-odds [m].

        Measured in bins of like scores, with lines between them. A horizon without rows has those of the nearest.
        """
        rows = self._rows_of(horizon_years)
        ordered = rows[np.argsort(self.log_odds[rows], kind="stable")]
        bins = np.array_split(ordered, max(1, min(_BINS, len(ordered) // _THINNEST_BIN)))
        middle = np.array([self.log_odds[b].mean() for b in bins])
        deviation = np.array([np.sqrt((self.deviation[:, b] ** 2).mean()) for b in bins])
        return np.asarray(np.interp(log_odds, middle, deviation), dtype=np.float64)

    def correction_at(self, log_odds: FloatVector, horizon_years: int) -> FloatVector:
        """What the calibration added to the margins, at calibrated scores [m] of one horizon, in log-odds [m]."""
        rows = self._rows_of(horizon_years)
        calibrated, margin = np.sort(self.log_odds[rows]), np.sort(self.margin[rows])  # one rises with the other
        return np.asarray(np.interp(log_odds, calibrated, calibrated - margin), dtype=np.float64)

    def score_quantile(self, share: float, horizon_years: int) -> float:
        """The score (log-odds) at one horizon that this share of the newest mines does not exceed."""
        return float(np.quantile(self.log_odds[self._rows_of(horizon_years)], share))

    def _rows_of(self, horizon_years: int) -> NDArray[np.int64]:
        horizons = np.unique(self.horizon_years)
        nearest = horizons[np.argmin(np.abs(np.log(horizons / horizon_years)))]
        return np.flatnonzero(self.horizon_years == nearest)


def measure_spread(
    dataset: Part,
    split: Split,
    booster: lightgbm.Booster,
    calibration: Calibration,
    tuned: Tuned,
    feature_names: list[str],
    settings: TrainingSettings,
    horizons: Sequence[int],
) -> Spread:
    """Refit on halves of the mines and compare on the newest rows up to T.

    Args:
        dataset: gives the features of the rows; their outcomes are not read.
        split: its final fit is halved, its `train_until_year` is T.
        booster: the fit that is served.
        calibration: of that fit; it serves the refits too.
        tuned: the parameters and rounds of that fit.
        feature_names: the features in the order of the model.
        settings: seed and threads.
        horizons: those that the model answers for.
    """
    rows = _rows_ahead(dataset, split.train_until_year, horizons)
    horizon_years = rows[:, -1].astype(np.int64)

    def margin(fitted: lightgbm.Booster) -> FloatVector:
        return np.asarray(fitted.predict(rows, raw_score=True, num_threads=settings.threads), dtype=np.float64)

    whole = margin(booster)
    log_odds = calibration.log_odds(whole, horizon_years)
    mines = split.final_fit.keys["mine_id"].unique().sort().to_numpy()
    deviations = []
    for number in range(1 if len(split.final_fit) >= _ENOUGH_ROWS else _HALVINGS):
        shuffled = np.random.default_rng([settings.seed, number]).permutation(mines)
        for side, half in enumerate(np.array_split(shuffled, 2)):
            part = split.final_fit.where(pl.col("mine_id").is_in(half.tolist()))
            seeded = settings.model_copy(update={"seed": settings.seed + 2 * number + side})
            refit = margin(fit(part, feature_names, tuned.parameters, tuned.rounds, seeded))
            deviations.append(calibration.log_odds(refit, horizon_years) - log_odds)
    return Spread(log_odds, whole, horizon_years, np.array(deviations))


def _rows_ahead(dataset: Part, until_year: int, horizons: Sequence[int]) -> NDArray[np.float32]:
    """Features [n, F + 1] of the newest as-of years up to T, at the horizons whose outcome lies after T."""
    # the features of a mine and year are the same in the rows of all its horizons
    first = dataset.keys.select(pl.struct("mine_id", "as_of_year").is_first_distinct()).to_series().to_numpy()
    years = dataset.keys["as_of_year"].to_numpy()
    newest = int(years[years <= until_year].max())
    parts = []
    for horizon in horizons:
        ahead = first & (years <= until_year) & (years > newest - _NEWEST_YEARS) & (years + horizon > until_year)
        chosen = dataset.features[ahead].copy()
        chosen[:, -1] = horizon
        parts.append(chosen)
    return np.concatenate(parts)
