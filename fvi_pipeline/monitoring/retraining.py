"""Whether what was measured asks for a new model: the thresholds, and the reasons in words. Whether it is the time for
one, and asking, belong to `defs.retraining`; whether the new model may reign is the gate's to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from fvi_pipeline.monitoring.measurements import FEATURE, Measurement
from fvi_pipeline.monitoring.performance import worse_in_words
from fvi_pipeline.monitoring.scores import SCORE

RETRAINING = "retraining"
_NAMED = 5


@dataclass(frozen=True)
class Thresholds:
    """What is too much: the part of the scores' contributions that features of the level `large` make (0-1), and the
    population stability index of the scores of a horizon, which has to be beyond chance and the years' usual too.
    """

    importance_moved: float = 0.25
    score_psi: float = 0.25


@dataclass(frozen=True)
class Reason:
    """One thing that is past its threshold."""

    kind: str
    text: str
    value: float
    threshold: float | None

    def as_json(self) -> dict[str, Any]:
        """As ops.monitoring keeps it."""
        return {"kind": self.kind, "text": self.text, "value": self.value, "threshold": self.threshold}


def importance_moved(features: Iterable[Measurement]) -> tuple[float, list[str]]:
    """The part of the contributions that features of the level `large` make, and these by their part, largest first."""
    listed = list(features)
    large = {each.name for each in listed if each.measure == "psi" and each.details.get("level") == "large"}
    parts = {
        each.name: each.value
        for each in listed
        if each.subject == FEATURE and each.measure == "importance" and each.value and each.name in large
    }
    return sum(parts.values(), start=0.0), sorted(parts, key=lambda name: (-parts[name], name))


def reasons(measurements: Sequence[Measurement], thresholds: Thresholds) -> list[Reason]:
    """What of the newest measurements (of every subject) is past its threshold."""
    found: list[Reason] = []
    moved, names = importance_moved(each for each in measurements if each.subject == FEATURE)
    if moved > thresholds.importance_moved:
        named = ", ".join(names[:_NAMED]) + (" …" if len(names) > _NAMED else "")
        text = f"{moved:.0%} of the scores' contributions come from features that moved far: {named}"
        found.append(Reason("features", text, moved, thresholds.importance_moved))
    for each in measurements:
        if each.subject == SCORE and each.measure == "psi" and each.value is not None:
            stable = each.details.get("level") == "stable"
            if not stable and each.value > thresholds.score_psi:
                text = f"the scores of {each.name} moved: PSI {each.value:.2f}"
                found.append(Reason("scores", text, each.value, thresholds.score_psi))
    for each in measurements:
        for text in worse_in_words([each]):
            found.append(Reason("performance", text, float(each.value or 0.0), each.details.get("promised")))
    return found
