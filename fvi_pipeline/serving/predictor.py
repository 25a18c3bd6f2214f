"""From a request to a prediction: stored features, what-if values, the model, the reasons.

Reading the online store belongs in `feature_reader`; loading and running the model in `model.scoring`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from fvi_pipeline.serving.contract import (
    MAXIMUM_BATCH,
    Contribution,
    ModelIdentity,
    Prediction,
    PredictRequest,
)
from fvi_pipeline.serving.errors import InvalidRequestError, TooLargeError, UnknownMineError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TOP_FEATURES = 5


@dataclass(frozen=True)
class StoredMine:
    """What the online store holds of a mine: the features of its newest year, and its index.

    `features` has every model feature, None where the value is missing; it is empty when the mine has
    no row of features (no production history).
    """

    features: Mapping[str, float | None]
    as_of_year: int | None
    in_cohort: bool
    index_score: float | None


class FeatureReader(Protocol):
    """Reads mines from the online store; raises StoreUnavailableError when it does not answer."""

    def read(self, mine_ids: Sequence[str]) -> list[StoredMine | None]:
        """Return one entry a mine, in order; None for a mine that is not stored."""

    def newest_year(self) -> int | None:
        """Return the as-of year that mines are scored for now; None when nothing is scored yet."""


class Model(Protocol):
    """The part of model.scoring.ViabilityModel that serving uses."""

    @property
    def name(self) -> str:
        """Registered name."""

    @property
    def version(self) -> str:
        """Registered version."""

    @property
    def features(self) -> list[str]:
        """Features in the order of a row, without the horizon."""

    def probability(self, row: "NDArray[np.float32]", horizon: int) -> float:
        """Return P(viable) of one row."""

    def interval(self, probability: float, horizon: int) -> tuple[float, float]:
        """Return the interval around a probability."""

    def top_contributions(
        self, row: "NDArray[np.float32]", horizon: int, k: int
    ) -> list[tuple[str, float | None, float]]:
        """Return (feature, value, contribution) of the k largest contributions."""


class Predictor:
    """Answers predictions with one model and one store."""

    def __init__(self, model: Model, reader: FeatureReader) -> None:
        self._model = model
        self._reader = reader
        self._features = list(model.features)
        self._known = frozenset(self._features)
        self._identity = ModelIdentity(name=model.name, version=str(model.version))

    def predict(self, request: PredictRequest) -> Prediction:
        """Answer one request.

        Raises UnknownMineError, InvalidRequestError (a feature that the model does not have) and
        StoreUnavailableError.
        """
        return self.predict_batch([request])[0]

    def predict_batch(self, requests: list[PredictRequest]) -> list[Prediction]:
        """Answer all requests in their order, or none: one unknown mine is an error of the batch.

        Raises TooLargeError beyond MAXIMUM_BATCH, and what `predict` raises.
        """
        if len(requests) > MAXIMUM_BATCH:
            raise TooLargeError(f"A batch holds at most {MAXIMUM_BATCH:,} requests, not {len(requests):,}.")
        for request in requests:
            self._check_names(request)
        mine_ids = list(dict.fromkeys(request.mine_id for request in requests))
        mines = dict(zip(mine_ids, self._reader.read(mine_ids), strict=True))
        unknown = [mine_id for mine_id, mine in mines.items() if mine is None]
        if unknown:
            more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
            raise UnknownMineError(f"No such mine: {', '.join(unknown[:5])}{more}.")
        newest_year = self._reader.newest_year()
        return [
            self._answer(request, mine, newest_year)
            for request in requests
            if (mine := mines[request.mine_id]) is not None
        ]

    def _check_names(self, request: PredictRequest) -> None:
        unknown = sorted(set(request.features or {}) - self._known)
        if unknown:
            raise InvalidRequestError(
                f"The model has no feature {', '.join(name[:60] for name in unknown[:5])}; "
                "mart.feature_catalogue lists what it has."
            )

    def _answer(self, request: PredictRequest, mine: StoredMine, newest_year: int | None) -> Prediction:
        reason = _why_no_score(mine, newest_year)
        if reason is not None:
            return self._prediction(request, mine, None, None, [], reason)
        row = self._row(mine, request.features or {})
        horizon = request.horizon_years
        probability = self._model.probability(row, horizon)
        low, high = self._model.interval(probability, horizon)
        top = [
            Contribution(feature=feature, value=value, contribution=contribution)
            for feature, value, contribution in self._model.top_contributions(row, horizon, TOP_FEATURES)
        ]
        return self._prediction(request, mine, probability, (low, high), top, None)

    def _row(self, mine: StoredMine, overrides: Mapping[str, float | None]) -> "NDArray[np.float32]":
        import numpy as np

        values = {**mine.features, **overrides}
        # float32 is what the model was fitted on: the same cast as in training and in the batch scores.
        return np.array(
            [np.nan if (value := values[name]) is None else value for name in self._features], dtype=np.float32
        )

    def _prediction(
        self,
        request: PredictRequest,
        mine: StoredMine,
        probability: float | None,
        interval: tuple[float, float] | None,
        top: list[Contribution],
        reason: str | None,
    ) -> Prediction:
        return Prediction(
            mine_id=request.mine_id,
            horizon_years=request.horizon_years,
            fvi_score=None if probability is None else 100 * probability,
            viability_probability=probability,
            interval=None if interval is None else (100 * interval[0], 100 * interval[1]),
            as_of=mine.as_of_year,
            index_score=mine.index_score,
            model=self._identity,
            top_features=top,
            reason=reason,
        )


def _why_no_score(mine: StoredMine, newest_year: int | None) -> str | None:
    if not mine.features or mine.as_of_year is None:
        return "The mine has no production history to score; its index is given instead."
    if not mine.in_cohort:
        return f"The mine is outside the cohort: it was not producing in {mine.as_of_year}."
    if newest_year is not None and mine.as_of_year < newest_year:
        return f"The mine is outside the cohort: it reported last for {mine.as_of_year}, not for {newest_year}."
    return None
