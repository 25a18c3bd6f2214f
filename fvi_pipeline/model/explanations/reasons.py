"""Reasons in words: what a feature's value says and which way it moves the score, and several of them as a paragraph.

Which sentence belongs to which value is described beside the feature (`features.wording`); nothing is computed here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fvi_pipeline.features.catalogue import FeatureColumn
from fvi_pipeline.features.wording import sentence

STRONGEST = 3
"""So many reasons on each side make the paragraph."""
_LEAST_IN_PARAGRAPH = 0.05  # log-odds: about one point of a score in the middle


@dataclass(frozen=True)
class Reason:
    """What one feature of a mine adds to the log-odds of a score, and the sentence of its value."""

    feature: str
    value: float | None
    contribution: float
    sentence: str

    @property
    def direction(self) -> str:
        """Which way it moves the score."""
        if self.contribution == 0:
            return "does not move the score"
        return "speaks for the mine" if self.contribution > 0 else "speaks against the mine"

    @property
    def in_words(self) -> str:
        """The sentence, and its direction as a second one."""
        return f"{self.sentence} This {self.direction}."


class Phrasebook:
    """The sentences of the features of one model, by name."""

    def __init__(self, columns: Mapping[str, FeatureColumn]) -> None:
        """A feature without a column is stated as it stands."""
        self._columns = columns

    def sentence(self, feature: str, value: float | None) -> str:
        """What a value of the feature says."""
        column = self._columns.get(feature)
        if column is None:
            return sentence(feature, (), value)
        return sentence(feature, column.in_words, value, null_means=column.null_means)

    def reason(self, feature: str, value: float | None, contribution: float) -> Reason:
        """A contribution with its sentence."""
        return Reason(feature, value, contribution, self.sentence(feature, value))


def narrative(reasons: Iterable[Reason]) -> str:
    """The strongest reasons for and against, as a paragraph; empty when none of them moves the score.

    Features that say the same of a mine are one reason, which adds what they add together.
    """
    added: dict[str, float] = defaultdict(float)
    for reason in reasons:
        added[reason.sentence] += reason.contribution
    strongest = sorted(added, key=lambda said: (-abs(added[said]), said))
    moving = [said for said in strongest if abs(added[said]) >= _LEAST_IN_PARAGRAPH]
    sides = (
        ("For the mine:", [said for said in moving if added[said] > 0]),
        ("Against the mine:", [said for said in moving if added[said] < 0]),
    )
    return " ".join(" ".join([opening, *side[:STRONGEST]]) for opening, side in sides if side)
