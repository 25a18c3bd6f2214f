"""Reasons in words: what a feature's value says and which way it moves the score, and several of them as a paragraph.

Which sentence belongs to which value is described beside the feature (`features.wording`); nothing is computed here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

from fvi_pipeline.features.wording import sentence

STRONGEST = 3
"""So many reasons on each side make the paragraph."""
_LEAST_IN_PARAGRAPH = 0.05  # log-odds: about one point of a score in the middle


class Reason(NamedTuple):
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


class Worded(Protocol):
    """A feature with its sentences: a FeatureColumn is one."""

    @property
    def in_words(self) -> tuple[tuple[str, str], ...]:
        """The sentences by case: see features.wording."""

    @property
    def null_means(self) -> str:
        """What a null means."""


class Phrasebook:
    """The sentences of the features of one model, by name."""

    def __init__(self, columns: Mapping[str, Worded]) -> None:
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
    """The strongest reasons for and against, as a paragraph: see `paragraph`."""
    return paragraph((reason.sentence, reason.contribution) for reason in reasons)


def paragraph(reasons: Iterable[tuple[str, float]]) -> str:
    """The strongest of some sentences with their contributions, for and against; empty when none moves the score.

    Features that say the same of a mine are one reason, which adds what they add together.
    """
    added: dict[str, float] = defaultdict(float)
    for said, contribution in reasons:
        added[said] += contribution
    moving = [said for said, parts in added.items() if abs(parts) >= _LEAST_IN_PARAGRAPH]
    moving.sort(key=lambda said: (-abs(added[said]), said))
    sides = (
        ("For the mine:", [said for said in moving if added[said] > 0]),
        ("Against the mine:", [said for said in moving if added[said] < 0]),
    )
    return " ".join(" ".join([opening, *side[:STRONGEST]]) for opening, side in sides if side)
