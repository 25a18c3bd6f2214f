"""Countries, states and counties in a text, as the data spells them. Mines by name belong to `directory`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from fvi_pipeline.answers.words import tokens

_ABBREVIATIONS = {
    "AL": "Alabama", "AK": "Alaska", "AZ": "Arizona", "AR": "Arkansas", "CO": "Colorado", "IL": "Illinois",
    "IN": "Indiana", "KS": "Kansas", "KY": "Kentucky", "LA": "Louisiana", "MD": "Maryland", "MO": "Missouri",
    "MS": "Mississippi", "MT": "Montana", "ND": "North Dakota", "NM": "New Mexico", "OH": "Ohio", "OK": "Oklahoma",
    "PA": "Pennsylvania", "TN": "Tennessee", "TX": "Texas", "UT": "Utah", "VA": "Virginia", "WA": "Washington",
    "WV": "West Virginia", "WY": "Wyoming",
}  # fmt: skip
_COUNTRY_WORDS = {
    ("united", "states"): "United States", ("usa",): "United States", ("america",): "United States",
    ("american",): "United States", ("chinese",): "China", ("indian",): "India", ("australian",): "Australia",
    ("indonesian",): "Indonesia", ("russian",): "Russia", ("polish",): "Poland", ("german",): "Germany",
    ("canadian",): "Canada", ("ukrainian",): "Ukraine", ("turkish",): "Türkiye", ("turkey",): "Türkiye",
    ("south", "african"): "South Africa", ("vietnamese",): "Vietnam", ("colombian",): "Colombia",
}  # fmt: skip
_REGIONS = {"eastern": "East", "western": "West", "northern": "North", "southern": "South"}
_NO_PLACES = frozenset({"refuse recovery"})


@dataclass(frozen=True)
class Place:
    """Where, as a text says it; state is the one of the data, with or without its coal region."""

    country: str | None = None
    state: str | None = None
    county: str | None = None
    spans: tuple[tuple[int, int], ...] = ()
    states: tuple[tuple[str, int], ...] = ()
    """Every state that is named, with the place of its first word."""

    def __bool__(self) -> bool:
        return bool(self.country or self.state or self.county)

    def beside(self, end: int) -> Place:
        """Of several states the one that stands next behind a name that ends there, else the last before it."""
        if len({state for state, _ in self.states}) < 2:
            return self
        behind = [state for state, start in self.states if start >= end]
        return replace(self, state=behind[0] if behind else self.states[-1][0])


@dataclass
class Places:
    """The places that mines lie in; add them with `add`, read a text with `read`."""

    _states: dict[tuple[str, ...], str] = field(default_factory=dict)
    _regions: set[str] = field(default_factory=set)
    _countries: dict[tuple[str, ...], str] = field(default_factory=lambda: dict(_COUNTRY_WORDS))
    _counties: set[tuple[str, ...]] = field(default_factory=set)

    def add(self, country: str | None, state: str | None, county: str | None) -> None:
        """Know where a mine lies; a state may have its coal region behind it, in brackets."""
        if country:
            self._countries.setdefault(tokens(country), country)
        if state and state.casefold() not in _NO_PLACES:
            bare = state.partition(" (")[0].strip()
            self._states.setdefault(tokens(bare), bare)
            self._regions.add(state)
        if county:
            self._counties.add(tokens(county))

    def read(self, text: str) -> Place:
        """The place that a text names, the smallest of each kind."""
        words = tokens(text)
        country = state = county = None
        spans: list[tuple[int, int]] = []
        states: list[tuple[str, int]] = []
        start = 0
        raw = re.findall(r"[A-Z]{2}(?![\w])", text)
        while start < len(words):
            step = 1
            for end in range(min(len(words), start + 4), start, -1):
                span = words[start:end]
                beside = end < len(words) and words[end] in ("mine", "colliery")
                if end < len(words) and words[end] == "county" and span in self._counties:
                    if words[end + 1 : end + 2] == ("mine",):
                        continue  # the name of a mine
                    county, step = " ".join(span).title(), end + 1 - start
                elif span in self._states and not beside:
                    state, step = self._states[span], end - start
                    if start and words[start - 1] in _REGIONS and self._has_region(state, words[start - 1]):
                        state = f"{state} ({_REGIONS[words[start - 1]]})"
                        spans.append((start - 1, start))
                elif span in self._countries and not beside:
                    country, step = self._countries[span], end - start
                elif len(span) == 1 and span[0].upper() in raw and span[0].upper() in _ABBREVIATIONS:
                    state = _ABBREVIATIONS[span[0].upper()]
                elif span in (("u.s",), ("us",)) and ("US" in text or "U.S" in text):
                    country = "United States"
                elif span == ("u", "s") and "U.S" in text:
                    country, step = "United States", 2
                else:
                    continue
                spans.append((start, start + step))
                if state is not None and (not states or state != states[-1][0]):
                    states.append((state, start))
                break
            start += step
        return Place(country, state, county, tuple(spans), tuple(states))

    def _has_region(self, state: str, word: str) -> bool:
        wanted = f"{state} ({_REGIONS[word]}"
        return any(known.startswith(wanted) for known in self._regions)


def fits(wanted: str, own: str | None) -> bool:
    """Whether a place is the one wanted, or a coal region of it: "Kentucky (East)" lies in Kentucky."""
    name = (own or "").casefold()
    return name == wanted.casefold() or name.startswith(f"{wanted.casefold()} (")
