"""Which mines a text speaks of: by identifier, by name, by alias.

Pure: a gazetteer and a text in, mentions out. A name that several mines share is decided by what stands around it
(state, county, owner, country) or not at all: a wrong link makes an answer wrong, a missing one is found by search.
Where gazetteers and texts come from, and where links go, belongs in `mine_links`.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fvi_pipeline.evidence.vocabulary import (
    BEFORE_A_NAME,
    BEFORE_MINE,
    COMPANY_FORMS,
    DIRECTIONS,
    FORMS,
    GENERIC,
    HONORIFICS,
    MINE_WORDS,
    OTHER_THINGS,
    SEAMS,
    STATE_CODES,
)

_TOKEN = re.compile(r"\w+|#")
_MSHA = re.compile(r"\bMSHA\b\D{0,24}(\d{2})-?(\d{5})\b|\bmsha:(\d{2})(\d{5})\b|\b(\d{2})-(\d{5})\b")
_GEM = re.compile(r"\b(?:gem:)?(M\d{4,5})\b")
_LONGEST_NAME = 7
_IDEOGRAPH = re.compile("[\u3040-\u9fff]")
_LEAST_IDEOGRAPHS = 4

_ALONE = 1.0
"""Evidence of a name that is told as a mine's: "Bailey Mine", "Black Thunder". A bare single word has none."""
_ENOUGH = 1.0
_ENOUGH_FOR_A_WORD = 2.0
_MARGIN = 0.5
_OWNER, _COUNTY, _STATE, _COUNTRY, _PRODUCING, _ELSEWHERE = 2.0, 1.5, 1.0, 0.5, 0.5, -1.0


@dataclass(frozen=True)
class GazetteerMine:
    """What is known of a mine to recognise it by. Names and companies as written; identifiers without prefix."""

    mine_id: str
    names: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    msha_id: str | None = None
    gem_ids: tuple[str, ...] = ()
    state: str | None = None
    county: str | None = None
    country: str | None = None
    companies: tuple[str, ...] = ()
    is_producing: bool = False


@dataclass(frozen=True)
class Mention:
    """A mine that a text speaks of; `how` is identifier, name or alias, `words` what was read."""

    mine_id: str
    how: str
    words: str


@dataclass(frozen=True)
class _Place:
    mine: GazetteerMine
    how: str


@dataclass(frozen=True)
class _Context:
    """What stands around a name: words between blanks, and the U.S. states that are named."""

    words: str
    states: frozenset[str]

    def has(self, phrase: str) -> bool:
        return bool(phrase) and f" {phrase} " in self.words


class Gazetteer:
    """The mines by their names and identifiers; built once, asked for each text."""

    def __init__(self, mines: Iterable[GazetteerMine]) -> None:
        self._by_core: dict[tuple[str, ...], list[_Place]] = defaultdict(list)
        self._by_ideographs: dict[str, list[_Place]] = defaultdict(list)
        self._by_msha: dict[str, str] = {}
        self._by_gem: dict[str, str] = {}
        self._companies: dict[str, list[str]] = {}
        self._states: set[str] = set(STATE_CODES.values())
        for mine in mines:
            for how, names in (("name", mine.names), ("alias", mine.aliases)):
                for core in sorted({core for name in names if (core := _core(name))}):
                    if all(place.mine.mine_id != mine.mine_id for place in self._by_core[core]):
                        self._by_core[core].append(_Place(mine, how))
            for name in (*mine.names, *mine.aliases):
                if len(_IDEOGRAPH.findall(name)) >= _LEAST_IDEOGRAPHS:
                    self._by_ideographs[name.strip()].append(_Place(mine, "alias"))
            if mine.msha_id:
                self._by_msha[mine.msha_id] = mine.mine_id
            self._by_gem.update(dict.fromkeys(mine.gem_ids, mine.mine_id))
            self._companies[mine.mine_id] = [key for name in mine.companies if (key := _company(name))]

    def mentions(self, text: str, around: str = "") -> list[Mention]:
        """Return the mines that `text` speaks of, each once, in the order of their identifiers.

        `around` (a title, headings) helps to decide between mines of one name; nothing is looked for in it.
        """
        found: dict[str, Mention] = {}
        for mention in (*self._identified(text), *self._named(text, around), *self._in_ideographs(text, around)):
            found.setdefault(mention.mine_id, mention)
        return [found[mine_id] for mine_id in sorted(found)]

    def _identified(self, text: str) -> Iterable[Mention]:
        for match in _MSHA.finditer(text):
            mine_id = self._by_msha.get("".join(part for part in match.groups() if part))
            if mine_id:
                yield Mention(mine_id, "identifier", match.group())
        for match in _GEM.finditer(text):
            mine_id = self._by_gem.get(match.group(1))
            if mine_id:
                yield Mention(mine_id, "identifier", match.group())

    def _in_ideographs(self, text: str, around: str) -> Iterable[Mention]:
        """Names in a script without blanks, which stand in a text whole."""
        if _IDEOGRAPH.search(text) is None:
            return
        for name, candidates in self._by_ideographs.items():
            if name in text and (mention := self._decided((name,), candidates, ("mine",), self._context(text, around))):
                yield mention

    def _named(self, text: str, around: str) -> Iterable[Mention]:
        text = unicodedata.normalize("NFC", text)
        matches = list(_TOKEN.finditer(text))
        raw = [match.group() for match in matches]
        words = _tokens(text)
        context: _Context | None = None
        place = 0
        while place < len(words):
            for length in range(min(_LONGEST_NAME, len(words) - place), 0, -1):
                core = tuple(words[place : place + length])
                candidates = self._by_core.get(core)
                if candidates and _is_proper(raw[place : place + length]):
                    after = place + length
                    before = (
                        raw[place - 1]
                        if place and text[matches[place - 1].end() : matches[place].start()] == " "
                        else ""
                    )
                    directed = after < len(raw) and raw[after] in DIRECTIONS  # "Leer South" is not "Leer"
                    if not directed and not self._is_part_of_a_name(before, core, candidates):
                        context = context or self._context(text, around)
                        mention = self._decided(core, candidates, words[after : after + 5], context)
                        if mention is not None:
                            yield mention
                    place += length - 1
                    break
            place += 1

    def _is_part_of_a_name(self, before: str, core: tuple[str, ...], candidates: Sequence[_Place]) -> bool:
        """Whether the one word of a name follows another capitalised word: "Norwich Park" is not "Park"."""
        own = [word for word in core if word not in GENERIC and not word.isdigit()]
        word = before.casefold()
        if word in HONORIFICS:
            return True
        if len(own) > 1 or not before[:1].isupper() or word in BEFORE_A_NAME or word in GENERIC:
            return False
        around = []
        for place in candidates:
            mine = place.mine
            parts = [*self._companies[mine.mine_id], _phrase(mine.state), _phrase(mine.country)]
            around.append(f" {' '.join(parts)} ")
        return not any(f" {word} " in words for words in around)

    def _decided(
        self, core: tuple[str, ...], candidates: Sequence[_Place], following: Sequence[str], context: _Context
    ) -> Mention | None:
        if _is_something_else(following):
            return None
        told = _tells(core, following)
        scored = sorted(
            (
                ((_ALONE if told else 0.0) + self._evidence(core, place.mine, context, len(candidates) > 1), place)
                for place in candidates
            ),
            key=lambda pair: -pair[0],
        )
        best, place = scored[0]
        if best < (_ENOUGH if told else _ENOUGH_FOR_A_WORD):
            return None
        if len(scored) > 1 and (best - scored[1][0] < _MARGIN or best < _ENOUGH + 2 * _MARGIN):
            return None  # that one of them produces, alone, does not say that it is meant
        return Mention(place.mine.mine_id, place.how, " ".join(core))

    def _evidence(self, core: tuple[str, ...], mine: GazetteerMine, context: _Context, is_shared: bool) -> float:
        evidence = _PRODUCING if mine.is_producing else 0.0
        name = " ".join(core)
        # a company that bears the mine's name says nothing beyond the name
        if any(company != name and context.has(company) for company in self._companies[mine.mine_id]):
            evidence += _OWNER
        county = _phrase(mine.county)
        if county and (context.has(f"{county} county") or (county != name and len(county) > 4 and context.has(county))):
            evidence += _COUNTY
        state = _phrase(_without_brackets(mine.state))
        if state and (state in context.states or (state not in self._states and state != name and context.has(state))):
            evidence += _STATE
        elif is_shared and state in self._states and context.states:
            evidence += _ELSEWHERE
        country = _phrase(mine.country)
        if country and country != "united states" and context.has(country):
            evidence += _COUNTRY
        return evidence

    def _context(self, text: str, around: str) -> _Context:
        both = f"{around}\n{text}"
        words = f" {' '.join(_tokens(both))} "
        states = {state for state in self._states if f" {state} " in words}
        if "west virginia" in states and words.count(" virginia ") == words.count(" west virginia "):
            states.discard("virginia")
        states |= {STATE_CODES[code] for code in re.findall(r",\s*([A-Z]{2})\b", both) if code in STATE_CODES}
        return _Context(words, frozenset(states))


def _tells(core: tuple[str, ...], following: Sequence[str]) -> bool:
    """Whether the words alone tell a mine: a word for a mine follows, or the name has two words of its own."""
    rest = list(following)
    while rest and rest[0] in BEFORE_MINE:
        rest.pop(0)
    if rest and rest[0] in MINE_WORDS:
        return True
    own = [word for word in core if word not in GENERIC and not word.isdigit()]
    return (len(own) > 1 or (len(own) == 1 and len(core) > 1)) and own[0] not in SEAMS


def _is_something_else(following: Sequence[str]) -> bool:
    """Whether the name goes on to another mine ("… No. 2") or is that of a place, a seam or a company."""
    rest = [word for word in following if word == "no" or word not in GENERIC]
    another = len(rest) > 1 and rest[0] == "no" and rest[1].isdigit() and "no" in following[:3]
    return another or (bool(following) and following[0] in OTHER_THINGS)


def _is_proper(words: Sequence[str]) -> bool:
    """Whether the words are written as a name: none that matters starts with a small letter."""
    return not any(word[0].islower() for word in words if word.casefold() not in GENERIC)


def _core(name: str) -> tuple[str, ...]:
    """The words that tell a mine's name, without generic ones at its ends; () if nothing is left but a number."""
    words = _tokens(_without_brackets(re.sub(r"\((North|South|East|West)\)", r"\1", name)))
    while words and words[-1] in FORMS:
        words.pop()
    while words and words[0] in FORMS:
        words.pop(0)
    own = [word for word in words if word not in GENERIC and not word.isdigit()]
    letters = sum(character.isalpha() for word in own for character in word)
    least = 2 if any(character >= "\u3040" for word in own for character in word) else 3
    return tuple(words) if letters >= least and len(words) <= _LONGEST_NAME else ()


def _tokens(text: str) -> list[str]:
    """Words in small letters; "#" and "No." are the same word."""
    found = _TOKEN.findall(unicodedata.normalize("NFC", text))
    return ["no" if word == "#" else word.casefold() for word in found]


def _phrase(name: str | None) -> str:
    return " ".join(_tokens(name)) if name else ""


def _without_brackets(name: str | None) -> str:
    return re.sub(r"\s*[\[(][^\])]*[\])]", "", name or "").strip()


def _company(name: str) -> str:
    """A company's name without its form; "" where what is left is too short or too common to tell it."""
    words = _tokens(_without_brackets(name))
    while words and words[-1] in COMPANY_FORMS:
        words.pop()
    while words and words[0] in COMPANY_FORMS:
        words.pop(0)
    key = " ".join(words)
    return key if len(key) >= 3 and not all(word in COMPANY_FORMS for word in words) else ""
