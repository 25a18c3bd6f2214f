"""What ops.monitoring says now, gathered for people: the moves of features and scores, how scores came true, and what
asks for a training. Measuring belongs to the other modules, printing to the command line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import psycopg

from fvi_pipeline.monitoring.measurements import FEATURE, Measurement
from fvi_pipeline.monitoring.performance import PERFORMANCE
from fvi_pipeline.monitoring.retraining import RETRAINING, Reason, Thresholds, importance_moved, reasons
from fvi_pipeline.monitoring.scores import SCORE
from fvi_pipeline.monitoring.store import newest_measurements, newest_moment
from fvi_pipeline.platform.errors import PlatformError

_LEVELS = ("large", "moderate", "stable")
_SHOWN_REQUESTS = 3


class NothingMeasured(PlatformError):
    """ops.monitoring has no drift yet."""


@dataclass(frozen=True)
class AskedFor:
    """A request for a training."""

    measured_at: datetime
    why: str


@dataclass(frozen=True)
class Report:
    """The newest measurements; `features` and `scores` are the index of each (with its level), those that moved most
    first.

    `measured_at` is when each subject came out differently last.
    """

    cohort: str
    reference: str
    features: list[Measurement]
    scores: list[Measurement]
    performance: list[Measurement]
    reasons: list[Reason]
    requests: list[AskedFor]
    importance_moved: float
    measured_at: Mapping[str, datetime | None]
    others: Mapping[tuple[str, str, str], float | None]

    @property
    def levels(self) -> Mapping[str, int]:
        """How many features have each level."""
        return Counter(each.details["level"] for each in self.features)

    def other(self, measurement: Measurement, measure: str) -> float | None:
        """Another measure of the same."""
        return self.others.get((measurement.subject, measurement.name, measure))

    def as_json(self) -> dict[str, Any]:
        """Everything, as JSON can hold it."""
        return {
            "cohort": self.cohort,
            "reference": self.reference,
            "measured_at": dict(self.measured_at),
            "features": [self._moved(each, ("ks", "outside_training", "importance")) for each in self.features],
            "importance_moved": self.importance_moved,
            "scores": [self._moved(each, ("ks", "mean", "outside_training")) for each in self.scores],
            "performance": [
                {"name": each.name, "measure": each.measure, "value": each.value, **each.details}
                for each in self.performance
            ],
            "past_threshold": [each.as_json() for each in self.reasons],
            "requests": [asdict(each) for each in self.requests],
        }

    def _moved(self, measurement: Measurement, measures: tuple[str, ...]) -> dict[str, Any]:
        others = {measure: self.other(measurement, measure) for measure in measures}
        return {"name": measurement.name, "psi": measurement.value, **others, **measurement.details}


def read_report(connection: psycopg.Connection, thresholds: Thresholds) -> Report:
    """The report as of now.

    Raises:
        NothingMeasured: nothing has been compared with a model's training data yet.
    """
    by_subject = {subject: newest_measurements(connection, subject) for subject in (FEATURE, SCORE, PERFORMANCE)}
    everything = [each for measured in by_subject.values() for each in measured]
    moved = {
        subject: sorted(
            (each for each in by_subject[subject] if each.measure == "psi" and "level" in each.details), key=_order
        )
        for subject in (FEATURE, SCORE)
    }
    if not moved[FEATURE]:
        raise NothingMeasured("No drift has been measured yet: there is no model to compare with. Run `fvi run` first.")
    requests = connection.execute(
        "select measured_at, reference from ops.monitoring where subject = %s order by measured_at desc limit %s",
        [RETRAINING, _SHOWN_REQUESTS],
    ).fetchall()
    cohort = next(each.reference for each in by_subject[FEATURE] if each.measure == "rows")
    return Report(
        cohort=cohort or "",
        reference=next(each.reference for each in moved[FEATURE]) or "",
        features=moved[FEATURE],
        scores=sorted(moved[SCORE], key=lambda each: int(each.name[1:])),
        performance=by_subject[PERFORMANCE],
        reasons=reasons(everything, thresholds),
        requests=[AskedFor(*row) for row in requests],
        importance_moved=importance_moved(by_subject[FEATURE])[0],
        measured_at={subject: newest_moment(connection, subject) for subject in by_subject},
        others={(each.subject, each.name, each.measure): each.value for each in everything},
    )


def _order(measurement: Measurement) -> tuple[int, float, str]:
    return (_LEVELS.index(measurement.details["level"]), -(measurement.value or 0.0), measurement.name)
