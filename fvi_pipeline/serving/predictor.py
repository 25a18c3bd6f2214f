"""From a request to a prediction: stored features, what-if values, the model, the reasons.

Reading the online store belongs in `feature_reader`; loading and running the model in `model.scoring`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fvi_pipeline.model.scoring import Contribution as ModelContribution
from fvi_pipeline.model.scoring import Score, ViabilityModel
from fvi_pipeline.serving.contract import (
    MAXIMUM_BATCH,
    Contribution,
    ModelIdentity,
    Prediction,
    PredictRequest,
)
from fvi_pipeline.serving.errors import InvalidRequestError, TooLargeError, UnknownMineError

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


class Predictor:
    """Answers predictions with one model and one store."""

    def __init__(self, model: ViabilityModel, version: str, reader: FeatureReader) -> None:
        """`version` is the registered version of the model, as mart.fvi_scores names it."""
        self._model = model
        self._reader = reader
        self._known = frozenset(model.features)
        self._identity = ModelIdentity(name=model.metadata.name, version=version)

    def warm_up(self) -> None:
        """Run the whole way once. Raises StoreUnavailableError when the store does not answer."""
        self._reader.read(["warm-up"])
        self._reader.newest_year()
        row = np.full((1, len(self._model.features)), np.nan, dtype=np.float32)
        self._model.score(row)
        self._model.contributions(row, self._model.horizons[0], TOP_FEATURES)

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
        answers: list[Prediction | None] = []
        scored: list[tuple[int, PredictRequest, StoredMine]] = []
        for position, request in enumerate(requests):
            mine = mines[request.mine_id]
            if mine is None:  # cannot be: the unknown ones are told above
                raise UnknownMineError(f"No such mine: {request.mine_id}.")
            reason = why_no_score(mine, newest_year)
            if reason is None:
                scored.append((position, request, mine))
                answers.append(None)
            else:
                answers.append(self._unscored(request, mine, reason))
        for position, answer in self._score(scored):
            answers[position] = answer
        return [answer for answer in answers if answer is not None]

    def _score(self, scored: list[tuple[int, PredictRequest, StoredMine]]) -> Iterator[tuple[int, Prediction]]:
        """Score all at once: one run of the model, and one computation of reasons a horizon."""
        if not scored:
            return
        matrix = np.vstack([self._row(mine, request.features or {}) for _, request, mine in scored])
        scores = self._model.score(matrix)
        for horizon in sorted({request.horizon_years for _, request, _ in scored}):
            rows = [row for row, (_, request, _) in enumerate(scored) if request.horizon_years == horizon]
            reasons = self._model.contributions(matrix[rows], horizon, TOP_FEATURES)
            for row, reason in zip(rows, reasons, strict=True):
                position, request, mine = scored[row]
                score = next(score for score in scores[row] if score.horizon_years == horizon)
                yield position, self._scored(request, mine, score, reason)

    def _check_names(self, request: PredictRequest) -> None:
        unknown = sorted(set(request.features or {}) - self._known)
        if unknown:
            raise InvalidRequestError(
                f"The model has no feature {', '.join(name[:60] for name in unknown[:5])}; "
                "mart.feature_catalogue lists what it has."
            )

    def _row(self, mine: StoredMine, overrides: Mapping[str, float | None]) -> NDArray[np.float32]:
        values = {**mine.features, **overrides}
        # float32 is what the model was fitted on: the same cast as in training and in the batch scores.
        return np.array(
            [np.nan if (value := values[name]) is None else value for name in self._model.features],
            dtype=np.float32,
        )

    def _scored(
        self, request: PredictRequest, mine: StoredMine, score: Score, reasons: list[ModelContribution]
    ) -> Prediction:
        return Prediction(
            mine_id=request.mine_id,
            horizon_years=request.horizon_years,
            fvi_score=score.fvi_score,
            viability_probability=score.viability_probability,
            interval=(100 * score.interval_low, 100 * score.interval_high),
            as_of=mine.as_of_year,
            index_score=mine.index_score,
            model=self._identity,
            top_features=[
                Contribution(feature=reason.feature, value=reason.value, contribution=reason.contribution)
                for reason in reasons
            ],
        )

    def _unscored(self, request: PredictRequest, mine: StoredMine, reason: str) -> Prediction:
        return Prediction(
            mine_id=request.mine_id,
            horizon_years=request.horizon_years,
            fvi_score=None,
            viability_probability=None,
            interval=None,
            as_of=mine.as_of_year,
            index_score=mine.index_score,
            model=self._identity,
            top_features=[],
            reason=reason,
        )


def why_no_score(mine: StoredMine, newest_year: int | None) -> str | None:
    """Return why the mine is outside the cohort of `newest_year`, in a sentence; None when it is inside."""
    if not mine.features or mine.as_of_year is None:
        return "The mine has no production history to score; its index is given instead."
    if not mine.in_cohort:
        return f"The mine is outside the cohort: it was not producing in {mine.as_of_year}."
    if newest_year is not None and mine.as_of_year < newest_year:
        return f"The mine is outside the cohort: it reported last for {mine.as_of_year}, not for {newest_year}."
    return None
