"""What is measured about features in one run, as rows of ops.monitoring. Arithmetic belongs to `statistics`, `drift`
and `weights.information_gain`, reading and writing to `store`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from fvi_pipeline.monitoring.drift import Drift, drift
from fvi_pipeline.monitoring.statistics import statistics
from fvi_pipeline.monitoring.training_rows import GAIN_HORIZON_YEARS, TrainingRows
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
    cohort: Cohort, features: Sequence[str], training: TrainingRows | None, moves: Mapping[str, Drift]
) -> list[Measurement]:
    """Every measure of every feature, also those that could not be taken; `moves` are those of `drifts`."""
    measured = [*_lie(cohort, features), *_told(features, training), *_read(features, training)]
    return measured + list(_moved(features, moves, training))


def drifts(cohort: Cohort, features: Sequence[str], training: TrainingRows | None) -> dict[str, Drift]:
    """The move of each feature from the training rows to the cohort; empty when one of them is."""
    if training is None or training.features.is_empty() or cohort.rows.is_empty():
        return {}
    # a feature that was described after the training set was made is not in it
    known = [feature for feature in features if feature in training.features.columns]
    return {each.feature: each for each in drift(training.features, cohort.rows, known)}


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


def _moved(features: Sequence[str], moves: Mapping[str, Drift], training: TrainingRows | None) -> Iterator[Measurement]:
    for feature in features:
        each = moves.get(feature)
        if each is None or training is None:
            for measure in ("psi", "ks", "outside_training"):
                yield Measurement(FEATURE, feature, measure, None)
            continue
        details = {
            "level": each.level,
            "by_chance": each.psi_by_chance,
            "upper_ends": list(each.bins.upper_ends),
            "single_values": list(each.bins.single_values),
            "training_shares": list(each.reference_shares),
            "cohort_shares": list(each.current_shares),
            "training_rows": training.features.height,
        }
        yield Measurement(FEATURE, feature, "psi", each.psi, training.description, details)
        yield Measurement(FEATURE, feature, "ks", each.ks, training.description)
        yield Measurement(FEATURE, feature, "outside_training", each.outside, training.description)
