"""How good a model is on the test rows, horizon by horizon, beside two simple rivals. Deciding on it
belongs in `gate`.

A horizon that no test row reaches is reported as untested; no number is made up for it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fvi_pipeline.model.dataset import HORIZON, Part, Split
from fvi_pipeline.model.intervals import FloatVector, quantile_bins


@dataclass(frozen=True)
class HorizonMetrics:
    """Measures on the test rows of one horizon; None where the rows have one outcome only."""

    horizon_years: int
    rows: int
    viable_share: float
    mean_probability: float
    auc: float | None
    brier: float
    log_loss: float
    calibration_error: float
    closure_average_precision: float | None
    base_rate_brier: float
    size_auc: float | None
    size_brier: float


@dataclass(frozen=True)
class Evaluation:
    """The measures by horizon and over all test rows; AUC over all is the mean of the horizons, weighted by
    rows.
    """

    by_horizon: list[HorizonMetrics]
    untested_horizons: list[int]
    rows: int
    auc: float | None
    brier: float
    log_loss: float
    calibration_error: float
    base_rate_brier: float
    size_auc: float | None
    size_brier: float

    def as_metrics(self) -> dict[str, float]:
        """Flat numbers, such as test_auc and test_auc_h3, for MLflow and asset metadata; unknown ones are
        left out.
        """
        flat = {f"test_{name}": value for name, value in asdict(self).items() if isinstance(value, int | float)}
        for measures in self.by_horizon:
            suffix = f"h{measures.horizon_years}"
            flat |= {f"test_{k}_{suffix}": v for k, v in asdict(measures).items() if v is not None and k != HORIZON}
        return {name: float(value) for name, value in flat.items()}


def evaluate(
    split: Split,
    probability: FloatVector,
    *,
    size: FloatVector,
    final_fit_size: FloatVector,
    horizons: list[int],
) -> Evaluation:
    """Measure predictions of the test rows.

    Args:
        split: its test part gives outcomes and horizons, its final fit the training base rate and the
            size-only rival.
        probability: P(viable) of the test rows [n], from the ONNX model itself.
        size: production of the test rows [n], in any unit, NaN where missing; `final_fit_size` the same for
            the fit.
        horizons: all horizons that the model answers for.
    """
    test = split.test
    base_rate = np.empty(len(test))
    size_probability = np.empty(len(test))
    measures = []
    for horizon in test.horizons:
        rows = test.horizon_years == horizon
        fitted = split.final_fit.horizon_years == horizon
        base_rate[rows] = _mean(split.final_fit.viable[fitted], otherwise=split.final_fit.viable)
        size_probability[rows] = size_only(
            final_fit_size[fitted],
            split.final_fit.viable[fitted],
            size[rows],
            otherwise=float(base_rate[rows][0]),
        )
        measures.append(
            _measure(
                horizon,
                test.viable[rows],
                probability[rows],
                base_rate[rows],
                size_probability[rows],
                size[rows],
            )
        )
    weights = np.array([m.rows for m in measures])
    return Evaluation(
        by_horizon=measures,
        untested_horizons=[h for h in horizons if h not in test.horizons],
        rows=len(test),
        auc=_weighted([m.auc for m in measures], weights),
        brier=brier(test.viable, probability),
        log_loss=log_loss(test.viable, probability),
        calibration_error=float(np.average([m.calibration_error for m in measures], weights=weights)),
        base_rate_brier=brier(test.viable, base_rate),
        size_auc=_weighted([m.size_auc for m in measures], weights),
        size_brier=brier(test.viable, size_probability),
    )


def predictions_frame(
    part: Part, probability: FloatVector, train_until_year: int, limits: FloatVector | None = None
) -> pl.DataFrame:
    """Rows for mart.backtest_predictions; limits [n, 2] are the interval of each, 0 to 1 where none was measured."""
    limits = np.tile([0.0, 1.0], (len(part), 1)) if limits is None else limits
    return part.keys.select(
        "mine_id",
        "as_of_year",
        HORIZON,
        pl.lit(train_until_year, pl.Int64).alias("train_until_year"),
        pl.Series("viability_probability", probability),
        pl.Series("interval_low", limits[:, 0]),
        pl.Series("interval_high", limits[:, 1]),
        pl.Series("viable", part.viable.astype(bool)),
    )


def brier(viable: NDArray[np.int8], probability: FloatVector) -> float:
    """Mean squared difference of probability and outcome."""
    return float(np.mean((probability - viable) ** 2))


def log_loss(viable: NDArray[np.int8], probability: FloatVector) -> float:
    """Mean negative log-likelihood; probabilities are kept 1e-12 away from 0 and 1."""
    of_outcome = np.clip(np.where(viable == 1, probability, 1 - probability), 1e-12, 1.0)
    return float(-np.log(of_outcome).mean())


def calibration_error(viable: NDArray[np.int8], probability: FloatVector, bins: int = 10) -> float:
    """Expected calibration error: mean difference of probability and share over bins of equal size,
    weighted by rows.
    """
    gaps = [
        len(rows) * abs(float(probability[rows].mean()) - float(viable[rows].mean()))
        for rows in quantile_bins(probability, bins, minimum_rows=1)
    ]
    return float(sum(gaps) / len(viable))


def _measure(
    horizon: int,
    viable: NDArray[np.int8],
    probability: FloatVector,
    base_rate: FloatVector,
    size_probability: FloatVector,
    size: FloatVector,
) -> HorizonMetrics:
    from sklearn.metrics import average_precision_score, roc_auc_score

    both = 0 < viable.mean() < 1
    return HorizonMetrics(
        horizon_years=horizon,
        rows=len(viable),
        viable_share=float(viable.mean()),
        mean_probability=float(probability.mean()),
        auc=float(roc_auc_score(viable, probability)) if both else None,
        brier=brier(viable, probability),
        log_loss=log_loss(viable, probability),
        calibration_error=calibration_error(viable, probability),
        closure_average_precision=float(average_precision_score(1 - viable, 1 - probability)) if both else None,
        base_rate_brier=brier(viable, base_rate),  # a mine whose size is missing ranks last
        size_auc=float(roc_auc_score(viable, np.nan_to_num(size, nan=-1.0))) if both else None,
        size_brier=brier(viable, size_probability),
    )


def size_only(size: FloatVector, viable: NDArray[np.int8], new_size: FloatVector, otherwise: float) -> FloatVector:
    """P(viable) from size alone; isotonic, the best that a probability rising with size can do."""
    from sklearn.isotonic import IsotonicRegression

    known = ~np.isnan(size)
    result = np.full(len(new_size), otherwise)
    if known.any():
        rival = IsotonicRegression(y_min=0.0, y_max=1.0, increasing=True, out_of_bounds="clip")
        rival.fit(size[known], viable[known])
        sized = ~np.isnan(new_size)
        result[sized] = rival.predict(new_size[sized])
    return result


def _mean(values: NDArray[np.int8], otherwise: NDArray[np.int8]) -> float:
    return float((values if len(values) else otherwise).mean())


def _weighted(values: list[float | None], weights: NDArray[np.int64]) -> float | None:
    known = [(value, weight) for value, weight in zip(values, weights, strict=True) if value is not None]
    return float(np.average([v for v, _ in known], weights=[w for _, w in known])) if known else None
