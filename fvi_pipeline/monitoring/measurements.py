"""What is measured about features in one run, as rows of ops.monitoring. Arithmetic belongs to `statistics`, `drift`,
`year_drift` and `weights.information_gain`, reading and writing to `store`; scores have `scores` and `performance`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from fvi_pipeline.monitoring.drift import Drift
from fvi_pipeline.monitoring.statistics import statistics
from fvi_pipeline.monitoring.training_rows import GAIN_HORIZON_YEARS, TrainingRows
from fvi_pipeline.monitoring.year_drift import Move, YearDrift, moves
from fvi_pipeline.weights.information_gain import information_gain

FEATURE = "feature"


@dataclass(frozen=True)
class Cohort:
    """The mines that are scored now: one row each, and of which year they are."""

    rows: pl.DataFrame
    as_of_year: int

    @property
    def description(self) -> str:
        """In words."""
        return f"cohort of {self.as_of_year}"


@dataclass(frozen=True)
class Measurement:
    """One row of ops.monitoring; value None: it could not be measured."""

    subject: str
    name: str
    measure: str
    value: float | None
    reference: str | None = None
    details: dict[str, Any] = field(default_factory=dict)


def measure_features(
    cohort: Cohort,
    features: Sequence[str],
    training: TrainingRows | None,
    moved: Mapping[str, Move],
    importance: Mapping[str, float] | None = None,
) -> list[Measurement]:
    """Every measure of every feature, also those that could not be taken.

    Args:
        cohort: the mines that are scored now.
        features: all that are described.
        training: what the model learned from; None: there is no model.
        moved: the moves that `drifts` found.
        importance: the part of the scores' contributions that each feature makes; see `store.importance`.
    """
    measured = [*_lie(cohort, features), *_told(features, training), *_read(features, training)]
    measured += [
        Measurement(FEATURE, feature, "importance", None if importance is None else importance.get(feature, 0.0))
        for feature in features
    ]
    return measured + list(_moved(features, moved, training))


def drifts(cohort: Cohort, features: Sequence[str], training: TrainingRows | None) -> dict[str, Move]:
    """The move of each feature from the training rows to the cohort; empty when one of them is."""
    if training is None or training.features.is_empty() or cohort.rows.is_empty():
        return {}
    # a feature that was described after the training set was made is not in it
    known = [feature for feature in features if feature in training.features.columns]
    return {each.feature: each for each in moves(training.features, cohort.rows, known, "as_of_year")}


def details_of(move: Move, training: TrainingRows) -> dict[str, Any]:
    """What a move was judged by."""
    if isinstance(move, YearDrift):
        return {
            "level": move.level,
            "judged_by": "years",
            "value": move.value,
            "training_values": {str(year): value for year, value in move.years},
            "years_below": move.below,
            "deviations_outside": move.beyond,
            "by_chance": move.by_chance,
            "level_of_missing": move.absent,
        }
    return {
        "level": move.level,
        "judged_by": "mines",
        "by_chance": move.psi_by_chance,
        "of_training_years": move.psi_of_years,
        "upper_ends": list(move.bins.upper_ends),
        "single_values": list(move.bins.single_values),
        "training_shares": list(move.reference_shares),
        "cohort_shares": list(move.current_shares),
        "training_rows": training.features.height,
    }


def _lie(cohort: Cohort, features: Sequence[str]) -> Iterator[Measurement]:
    for each in statistics(cohort.rows, features):
        for measure, value in (
            ("rows", float(each.rows)),
            ("null_rate", each.null_rate),
            ("minimum", each.minimum),
            ("maximum", each.maximum),
            ("mean", each.mean),
            ("deviation", each.deviation),
        ):
            yield Measurement(FEATURE, each.feature, measure, value, cohort.description)


def _told(features: Sequence[str], training: TrainingRows | None) -> Iterator[Measurement]:
    gains: dict[str, float | None] = {}
    reference, details = None, {}
    if training is not None and not training.outcomes.is_empty():
        known = [feature for feature in features if feature in training.outcomes.columns]
        measured = information_gain(training.outcomes, known)
        gains = dict(zip(measured["metric"], measured["information_gain"], strict=True))
        reference = training.description
        details = {"rows": training.outcomes.height, "horizon_years": GAIN_HORIZON_YEARS}
    for feature in features:
        yield Measurement(FEATURE, feature, "information_gain", gains.get(feature), reference, details)


def _read(features: Sequence[str], training: TrainingRows | None) -> Iterator[Measurement]:
    for feature in features:
        value = None if training is None else float(feature in training.model_inputs)
        yield Measurement(FEATURE, feature, "model_input", value, training.description if training else None)


def _moved(features: Sequence[str], moved: Mapping[str, Move], training: TrainingRows | None) -> Iterator[Measurement]:
    for feature in features:
        each = moved.get(feature)
        if each is None or training is None:
            for measure in ("psi", "ks", "outside_training"):
                yield Measurement(FEATURE, feature, measure, None)
            continue
        psi, ks, outside = _figures(each)
        yield Measurement(FEATURE, feature, "psi", psi, training.description, details_of(each, training))
        yield Measurement(FEATURE, feature, "ks", ks, training.description)
        yield Measurement(FEATURE, feature, "outside_training", outside, training.description)


def _figures(move: Move) -> tuple[float | None, float | None, float | None]:
    """Index, statistic and the part beyond the extremes; of a value that a year's mines share there are no shares."""
    if isinstance(move, Drift):
        return move.psi, move.ks, move.outside
    return None, None, None if move.value is None or not move.years else float(move.is_outside)
