"""Simpler models that are fitted and tested on the product's rows: what its trees, tuning and calibration are worth.

Each is fitted anew for each horizon, with settings that were never tuned on anything. Discrete-time survival belongs in
`hazard`, storing in `store`, measuring in `comparison`.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fvi_pipeline.model.backtest.folds import Backtest, Fold
from fvi_pipeline.model.dataset import FloatArray, Part, fit_rows
from fvi_pipeline.model.evaluation import predictions_frame, size_only
from fvi_pipeline.model.intervals import FloatVector

_LINEAR_FLOOR = 0.001  # of a probability that a straight line would put outside 0 to 1
# what people reach for first: size, its past, people, hours, the kind of mine and the market
PLAIN_FEATURES = (
    "production_short_tons",
    "production_short_tons_1y_ago",
    "production_change_1y",
    "production_change_3y",
    "production_to_peak",
    "production_decline_years_in_a_row",
    "average_employees",
    "employees_change_1y",
    "labor_hours",
    "labor_hours_change_1y",
    "labor_hours_per_employee",
    "productivity_short_tons_per_hour",
    "productivity_change_1y",
    "operations_count",
    "years_since_first_production",
    "years_producing",
    "is_underground",
    "is_surface",
    "is_contractor",
    "is_independent_operator",
    "is_union",
    "operator_production_short_tons",
    "operator_mines_producing",
    "share_of_state_production",
    "coal_price_usd_per_tonne",
    "coal_price_change_1y",
    "gas_price_usd_per_mmbtu",
    "us_coal_share_of_electricity_percent",
)


@dataclass(frozen=True)
class RivalRows:
    """What a rival is given: rows to fit on, all rows with an outcome up to T, and rows to predict."""

    fit: Part
    known: Part
    test: Part
    features: tuple[str, ...]
    size_feature: str
    seed: int

    def size(self, part: Part) -> FloatVector:
        """Production [n] of the rows of a part."""
        return part.features[:, self.features.index(self.size_feature)].astype(np.float64)


class Rival(ABC):
    """One simpler model."""

    name: ClassVar[str]
    description: ClassVar[str]
    libraries: ClassVar[tuple[str, ...]] = ("numpy", "scikit-learn")

    @abstractmethod
    def probabilities(self, rows: RivalRows) -> FloatVector:
        """P(viable) of the test rows [m]; no outcome of theirs is read."""

    @cached_property
    def version(self) -> str:
        """Hash of what shapes the predictions beside the rows: the code and its libraries."""
        digest = hashlib.sha256(self.name.encode())
        for module in ("rivals.py", "hazard.py"):
            digest.update((Path(__file__).parent / module).read_bytes())
        for library in self.libraries:
            digest.update(f"{library}=={version(library)}".encode())
        return digest.hexdigest()[:16]


def rival_predictions(backtest: Backtest, fold: Fold, rival: Rival) -> pl.DataFrame:
    """Fit a rival on a fold and predict its test rows: as for mart.backtest_rival_predictions, without the model."""
    rows = RivalRows(
        fit=fit_rows(fold.known, fold.train_until_year, backtest.split),
        known=fold.known,
        test=fold.test,
        features=backtest.features,
        size_feature=backtest.size_feature,
        seed=backtest.settings.seed,
    )
    probability = np.clip(rival.probabilities(rows), 0.0, 1.0)
    return predictions_frame(fold.test, probability, fold.train_until_year).drop("interval_low", "interval_high")


class BaseRate(Rival):
    """The share of the fit rows of a horizon."""

    name = "base_rate"
    description = "the share that was viable among the fit rows of the horizon"

    def probabilities(self, rows: RivalRows) -> FloatVector:
        """One number for each horizon."""
        return _by_horizon(rows, lambda fit, test: np.full(len(test), fit.viable.mean()))


class SizeOnly(Rival):
    """Isotonic regression on production."""

    name = "size_only"
    description = "isotonic regression on the year's production alone"

    def probabilities(self, rows: RivalRows) -> FloatVector:
        """The larger, the likelier."""

        def predict(fit: Part, test: Part) -> FloatVector:
            return size_only(rows.size(fit), fit.viable, rows.size(test), otherwise=float(fit.viable.mean()))

        return _by_horizon(rows, predict)


class _Classifier(Rival):
    """A scikit-learn estimator for each horizon."""

    prepared: ClassVar[bool] = True
    """Missing values are filled in and flagged, and values standardised, by what the fit rows say."""

    @abstractmethod
    def estimator(self, seed: int) -> Any:
        """A new one."""

    def columns(self, features: tuple[str, ...]) -> list[int]:
        """The columns that it reads: all but the horizon."""
        return list(range(len(features)))

    def probabilities(self, rows: RivalRows) -> FloatVector:
        """Fit and predict each horizon by itself."""
        columns = self.columns(rows.features)

        def predict(fit: Part, test: Part) -> FloatVector:
            raw = fit.features[:, columns], test.features[:, columns]
            inputs, new_inputs = standardised(*raw) if self.prepared else raw
            return _fitted(self.estimator(rows.seed), inputs, fit.viable, new_inputs)

        return _by_horizon(rows, predict)


class LogisticRegression(_Classifier):
    """Logistic regression with the library's L2 penalty."""

    name = "logistic_regression"
    description = "logistic regression on all features"

    def estimator(self, seed: int) -> Any:
        """scikit-learn's, with enough steps to converge."""
        from sklearn.linear_model import LogisticRegression as Estimator

        return Estimator(max_iter=500)


class RidgeRegression(_Classifier):
    """Least squares of the outcome with an L2 penalty: a linear probability model."""

    name = "ridge_regression"
    description = "ridge regression of the outcome (0 or 1) on all features, cut to probabilities"

    def estimator(self, seed: int) -> Any:
        """scikit-learn's."""
        from sklearn.linear_model import Ridge

        return Ridge()


class RandomForest(_Classifier):
    """200 trees."""

    name = "random_forest"
    description = "200 trees with at least 10 rows in a leaf, on all features"

    def estimator(self, seed: int) -> Any:
        """With leaves large enough to give probabilities."""
        from sklearn.ensemble import RandomForestClassifier

        return RandomForestClassifier(n_estimators=200, min_samples_leaf=10, random_state=seed, n_jobs=1)


class DefaultBoosting(_Classifier):
    """LightGBM as it comes."""

    name = "boosting_defaults"
    description = "LightGBM with its default settings on all features, one model for each horizon"
    libraries = ("numpy", "lightgbm")
    prepared = False

    def estimator(self, seed: int) -> Any:
        """The library's defaults; the threads change nothing but the time."""
        import lightgbm

        return lightgbm.LGBMClassifier(random_state=seed, n_jobs=1, deterministic=True, force_row_wise=True, verbose=-1)


class PlainScript(DefaultBoosting):
    """LightGBM as it comes on the features that a plain script would build."""

    name = "plain_script"
    description = "LightGBM with its default settings on 28 plain features, one model for each horizon"

    def columns(self, features: tuple[str, ...]) -> list[int]:
        """Those of the plain features that there are; all when there is none."""
        plain = [features.index(name) for name in PLAIN_FEATURES if name in features]
        return plain or super().columns(features)


class NeuralNet(_Classifier):
    """A small net."""

    name = "neural_net"
    description = "a net with layers of 32 and 16 units on all features, 12 passes over the fit rows"

    def estimator(self, seed: int) -> Any:
        """Penalised, and stopped early by a fixed number of passes: no row is held out at random."""
        from sklearn.neural_network import MLPClassifier

        return MLPClassifier(hidden_layer_sizes=(32, 16), alpha=0.1, max_iter=12, batch_size=256, random_state=seed)


def standardised(inputs: FloatArray, new_inputs: FloatArray) -> tuple[FloatVector, FloatVector]:
    """Values filled in with the median, flagged where they were missing, and standardised by what `inputs` say.

    Values are made normal by their rank first: tons and dollars are too skewed for a sum of products.
    """
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import QuantileTransformer, StandardScaler

    pipeline = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        QuantileTransformer(
            n_quantiles=min(200, len(inputs)), output_distribution="normal", subsample=None, random_state=0
        ),
        StandardScaler(),
    )
    fitted = pipeline.fit_transform(inputs.astype(np.float64))
    return fitted, np.asarray(pipeline.transform(new_inputs.astype(np.float64)))


def _fitted(estimator: Any, inputs: NDArray[Any], viable: NDArray[np.int8], new_inputs: NDArray[Any]) -> FloatVector:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a net that has not converged is what was asked for
        estimator.fit(inputs, viable)
        if hasattr(estimator, "predict_proba"):
            return np.asarray(estimator.predict_proba(new_inputs)[:, 1], dtype=np.float64)
        return np.asarray(np.clip(estimator.predict(new_inputs), _LINEAR_FLOOR, 1 - _LINEAR_FLOOR))


def _by_horizon(rows: RivalRows, predict: Any) -> FloatVector:
    """Each horizon of the test by itself; one that the fit has not seen both outcomes of has the rate of all."""
    result = np.empty(len(rows.test))
    for horizon in rows.test.horizons:
        of_test = rows.test.horizon_years == horizon
        fit = rows.fit.where(pl.col("horizon_years") == horizon)
        if 0 < (fit.viable.mean() if len(fit) else 0) < 1:
            result[of_test] = predict(fit, rows.test.where(pl.col("horizon_years") == horizon))
        else:
            result[of_test] = (fit if len(fit) else rows.fit).viable.mean()
    return result


def all_rivals() -> list[Rival]:
    """Every rival, simplest first."""
    from fvi_pipeline.model.backtest.hazard import DiscreteTimeHazard

    return [
        BaseRate(),
        SizeOnly(),
        LogisticRegression(),
        RidgeRegression(),
        DiscreteTimeHazard(),
        NeuralNet(),
        RandomForest(),
        PlainScript(),
        DefaultBoosting(),
    ]


def descriptions() -> dict[str, str]:
    """What each rival is, by its name."""
    return {rival.name: rival.description for rival in all_rivals()}
