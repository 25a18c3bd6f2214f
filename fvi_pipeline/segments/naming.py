"""A short name for each segment, by rule: its size, then what sets it apart most, in words. Figures belong to
`profile`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

FLAG_UNIT = "0 or 1"
_SIZE = "size"
_TELLING_SIZE, _TELLING = 0.2, 0.25
_WORDS_BESIDE_SIZE = 2
_MOSTLY, _HARDLY = 0.5, 1 / 3
"""A flag is told of a segment when at least half of its mines have it, its opposite when at most a third do."""
_NOUN = "~"


class Telling(Protocol):
    """What a name needs to know of a trait (`profile.Trait`)."""

    @property
    def more(self) -> float | None:
        """The part of the pairs of which the mine of the segment has more."""

    @property
    def telling(self) -> float:
        """How far it sets the segment apart, 0 to 0.5."""

    @property
    def unit(self) -> str:
        """The feature's unit."""

    @property
    def of_segment(self) -> float | None:
        """The segment's value."""


@dataclass(frozen=True)
class Words:
    """What little and much of a feature are called; empty: nothing worth a name. `~` stands for the word mines. Of one
    theme one word is used.
    """

    theme: str
    low: str
    high: str


WORDS: Mapping[str, Words] = {
    "production_short_tons": Words(_SIZE, "small ~", "large ~"),
    "average_employees": Words(_SIZE, "small ~", "large ~"),
    "production_to_peak": Words("peak", "~ past their peak", "~ at their peak"),
    "production_to_recent_peak_5y": Words("peak", "~ past their peak", "~ at their peak"),
    "years_since_peak_production": Words("peak", "~ at their peak", "~ past their peak"),
    "employees_to_peak": Words("peak", "~ past their peak", "~ at their peak"),
    "years_since_first_production": Words("age", "young ~", "old ~"),
    "years_producing": Words("age", "young ~", "old ~"),
    "mine_age_years": Words("age", "young ~", "old ~"),
    "years_producing_in_a_row": Words("run", "", "steady ~"),
    "share_of_years_producing": Words("run", "often idle ~", "steady ~"),
    "production_restarts": Words("run", "", "restarted ~"),
    "productivity_short_tons_per_hour": Words("productivity", "~ of low productivity", "productive ~"),
    "labor_hours_per_employee": Words("hours", "part-time ~", ""),
    "operations_count": Words("operations", "", "~ of several operations"),
    "is_underground": Words("type", "surface ~", "underground ~"),
    "is_surface": Words("type", "underground ~", "surface ~"),
    "is_refuse_recovery": Words("type", "", "refuse-recovering ~"),
    "is_western": Words("place", "", "western ~"),
    "is_appalachian": Words("place", "~ outside Appalachia", "Appalachian ~"),
    "has_preparation_plant": Words("plant", "", "~ with a preparation plant"),
    "is_contractor": Words("company", "", "~ worked by contractors"),
    "is_subsidiary": Words("company", "", "~ of larger companies"),
    "is_union": Words("union", "", "unionised ~"),
    "operator_tenure_years": Words("operator", "~ under a new operator", "~ long with one operator"),
    "operator_changes_5y": Words("operator", "", "~ that changed hands"),
    "reserves_short_tons": Words("reserves", "~ with small reserves", "~ with large reserves"),
    "is_metallurgical": Words("coal", "", "~ of coking coal"),
}
"""The features that a name may speak of. One that is not here is told in the profile alone."""


def segment_names(traits: Mapping[int, Mapping[str, Telling]]) -> dict[int, str]:
    """A name for each segment from its traits by feature, no two alike.

    A name has the size when that is telling, and the two most telling others. One that would be another's gets further
    words while there are any, then its number.
    """
    names: dict[int, str] = {}
    for segment, found in traits.items():
        size, others = _words(found)
        tried = [_name([*size, *others[:count]]) for count in range(_WORDS_BESIDE_SIZE, len(others) + 1)]
        fresh = [name for name in tried or [_name([*size, *others])] if name not in names.values()]
        names[segment] = fresh[0] if fresh else f"{_name([*size, *others])} ({segment})"
    return names


def _words(traits: Mapping[str, Telling]) -> tuple[list[str], list[str]]:
    """The word of the size, if any, and those of the other themes, the most telling first."""
    found: dict[str, str] = {}
    for feature, trait in sorted(traits.items(), key=lambda item: -item[1].telling):
        words = WORDS.get(feature)
        if words is None or words.theme in found:
            continue
        word = _word(words, trait)
        if word and trait.telling >= (_TELLING_SIZE if words.theme == _SIZE else _TELLING):
            found[words.theme] = word
    size = [word for theme, word in found.items() if theme == _SIZE]
    return size, [word for theme, word in found.items() if theme != _SIZE]


def _word(words: Words, trait: Telling) -> str:
    if trait.more is None:
        return ""
    is_high = trait.more > 0.5
    if trait.unit == FLAG_UNIT:
        share = trait.of_segment or 0.0
        if (share < _MOSTLY) if is_high else (share > _HARDLY):
            return ""
    return words.high if is_high else words.low


def _name(words: Sequence[str]) -> str:
    before = [word.removesuffix(f" {_NOUN}") for word in words if word.endswith(_NOUN)]
    after = [word.removeprefix(f"{_NOUN} ") for word in words if word.startswith(_NOUN)]
    text = " ".join([", ".join(before), "mines", ", ".join(after)]).strip() if words else "mines like most others"
    return text[0].upper() + text[1:]
