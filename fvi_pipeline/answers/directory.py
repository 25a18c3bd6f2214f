"""The mines by name, held in memory: which mines a text names, and which of like names are meant.

A name leads to every mine that has it, or had it; nothing is chosen here without a reason that can be told. What else
a question says belongs to `questions`.
"""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from fvi_pipeline.answers.fact import Fact, Value
from fvi_pipeline.answers.grammar import known
from fvi_pipeline.answers.marts import integer
from fvi_pipeline.answers.places import Place, Places, fits
from fvi_pipeline.answers.words import FUNCTION_WORDS, plain, tokens

MAXIMUM_CANDIDATES = 8
_GENERIC = frozenset({"mine", "mines", "coal", "colliery", "the", "pit", "coalmine"})
_LONGEST_NAME = 8
_IDENTIFIER = re.compile(r"\b(msha:\d{7}|gem:M\d{4,5}|M\d{4}|\d{7})\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Mine:
    """What tells a mine from another of like name."""

    mine_id: str
    name: str
    country: str | None
    state: str | None
    county: str | None
    status: str | None
    companies: tuple[str, ...]
    last_production_year: int | None
    is_scored: bool
    first_production_year: int | None = None
    former_names: tuple[str, ...] = ()
    tracker_ids: tuple[str, ...] = ()

    @property
    def produces(self) -> bool:
        """Whether it produces by the newest word on it."""
        return self.is_scored or self.status == "Operating"

    @property
    def where(self) -> str:
        """County, state and country."""
        county = f"{self.county} County" if self.county and self.country == "United States" else self.county
        return ", ".join(part for part in (county, self.state, self.country) if part)


@dataclass(frozen=True)
class Named:
    """A name in a text: its tokens' span, and the mines that have it."""

    text: str
    start: int
    end: int
    mines: tuple[Mine, ...]
    by_identifier: bool = False
    is_beginning: bool = False
    """No mine is called so, but these begin so."""


@dataclass
class Directory:
    """All mines, by name and by identifier; build it with `load_directory`."""

    mines: dict[str, Mine]
    _by_name: dict[tuple[str, ...], list[Mine]] = field(default_factory=lambda: defaultdict(list))
    _beginnings: dict[tuple[str, ...], dict[Mine, None]] = field(default_factory=lambda: defaultdict(dict))
    _by_tracker: dict[str, Mine] = field(default_factory=dict)
    places: Places = field(default_factory=Places)

    def __post_init__(self) -> None:
        for mine in self.mines.values():
            self._by_tracker |= dict.fromkeys((f"gem:{number}" for number in mine.tracker_ids), mine)
            for name in dict.fromkeys((mine.name, *mine.former_names)):
                key = core(tokens(name))
                if key and mine not in self._by_name[key][-1:]:
                    self._by_name[key].append(mine)
            self.places.add(mine.country, mine.state, mine.county)
        for key, mines in self._by_name.items():
            for length in range(1, min(len(key), _LONGEST_NAME) + 1):
                self._beginnings[key[:length]] |= dict.fromkeys(mines)
        self._by_name, self._beginnings = dict(self._by_name), dict(self._beginnings)

    def names(
        self, text: str, taken: Iterable[tuple[int, int]] = (), vocabulary: frozenset[str] = frozenset()
    ) -> list[Named]:
        """The mines that a text names, the longest names first come; spans in `taken` are not looked at.

        A name of one word counts if it is written like a name (a capital, or "mine" beside it), and if it is not a
        word of the vocabulary; of text all in small letters any other word may be one.
        """
        words = tokens(text)
        found = self._identified(text, words)
        closed = {i for start, end in (*taken, *((n.start, n.end) for n in found)) for i in range(start, end)}
        capitals = _capitals(text, words)
        any_capital = any(capitals[1:])
        start = 0
        while start < len(words):
            named = None
            for end in range(min(len(words), start + _LONGEST_NAME), start, -1):
                if closed.isdisjoint(range(start, end)):
                    named = self._at(words, start, end, capitals, any_capital, vocabulary)
                    if named is not None:
                        break
            if named is None:
                start += 1
            else:
                found.append(named)
                start = named.end
        return _joined(found, text)

    def _at(
        self, words: tuple[str, ...], start: int, end: int, capitals: Sequence[bool], any_capital: bool,
        vocabulary: frozenset[str],
    ) -> Named | None:  # fmt: skip
        span = words[start:end]
        if (words[start] in _GENERIC and core(span)[:1] != span[:1]) or words[end - 1] in FUNCTION_WORDS:
            return None
        mines = self._by_name.get(core(span))
        if not mines:
            begun = self.beginning(core(span)) if len(core(span)) > 1 and all(capitals[start:end]) else []
            return Named(" ".join(span), start, end, tuple(begun), is_beginning=True) if begun else None
        if span[-1] in _GENERIC and len(core(span)) == len(span):
            return None
        own = core(span)
        beside = span != own or (end < len(words) and words[end] in ("mine", "colliery"))
        ordinary = all(word in vocabulary or word in FUNCTION_WORDS for word in own)
        if ordinary and own[0] != "no" and (len(own) < 2 or not all(capitals[start:end])):
            return None
        if own[0] == "no" and len(own) == 2 and not (beside or capitals[start]):
            return None
        if len(own) == 1:
            word = own[0]
            if word[0].isdigit() and not beside:
                return None
            if not beside and not capitals[start] and (any_capital or len(word) < 4):
                return None
        return Named(" ".join(span), start, end, tuple(mines))

    def _identified(self, text: str, words: tuple[str, ...]) -> list[Named]:
        found = []
        for match in _IDENTIFIER.finditer(text):
            written = match[1].removeprefix("msha:").removeprefix("MSHA:").removeprefix("gem:").removeprefix("GEM:")
            identifier = f"msha:{written}" if written.isdigit() else f"gem:{written.upper()}"
            mine = self.mines.get(identifier) or self._by_tracker.get(identifier)
            part = tokens(match[1])
            start = next((i for i in range(len(words)) if words[i : i + len(part)] == part), 0)
            found.append(Named(identifier, start, start + len(part), (mine,) if mine else (), True))
        return found

    def facts(self, name: str) -> list[Fact]:
        """The mines of a name as facts, those that produce first; without one, the mines of the nearest names."""
        named = self.names(name) or self.names(f"{name} mine")
        mines = [mine for found in named for mine in found.mines] or list(self.nearest(name))
        return [candidate(mine) for mine in ordered(mines)[:MAXIMUM_CANDIDATES]]

    def beginning(self, words: tuple[str, ...]) -> list[Mine]:
        """The mines whose names begin with these words."""
        return list(self._beginnings.get(words, ()))

    def nearest(self, name: str, limit: int = 3) -> tuple[Mine, ...]:
        """Mines whose names begin with this one, or are spelt almost like it."""
        words = core(tokens(name))
        wanted = " ".join(words)
        if len(wanted) < 4:
            return ()
        if longer := self.beginning(words):
            return tuple(ordered(longer)[:MAXIMUM_CANDIDATES])
        near = [
            key
            for key in self._by_name
            if key[0][:1] == wanted[:1] and abs(len(" ".join(key)) - len(wanted)) <= max(2, len(wanted) // 4)
        ]
        spelt = {" ".join(key): key for key in near}
        close = difflib.get_close_matches(wanted, spelt, n=limit, cutoff=0.8)
        return tuple(ordered([mine for text in close for mine in self._by_name[spelt[text]]])[:MAXIMUM_CANDIDATES])


def _joined(found: list[Named], text: str) -> list[Named]:
    """Two names of one word with nothing between them are one name, which is none: "Raven Ridge" is not Raven and
    Ridge."""
    joined: list[Named] = []
    for named in found:
        last = joined[-1] if joined else None
        if (
            last is not None
            and last.end == named.start
            and last.end - last.start == named.end - named.start == 1
            and re.search(rf"\b{re.escape(last.text)}\s+{re.escape(named.text)}\b", plain(text))
        ):
            joined[-1] = Named(f"{last.text} {named.text}", last.start, named.end, ())
        else:
            joined.append(named)
    return joined


def ordered(mines: Iterable[Mine]) -> list[Mine]:
    """Those that have a score first, then others that produce, then those that produced last."""
    return sorted(
        dict.fromkeys(mines),
        key=lambda mine: (not mine.is_scored, not mine.produces, -(mine.last_production_year or 0), mine.mine_id),
    )


def narrowed(mines: Sequence[Mine], place: Place, words: frozenset[str]) -> list[Mine]:
    """The mines of like name that fit the place, and the companies whose words the text has."""
    kept = list(mines)
    for kind in ("country", "state", "county"):
        wanted = getattr(place, kind)
        if wanted:
            fitting = [mine for mine in kept if fits(wanted, getattr(mine, kind))]
            # a county that has none of them may be spelt in another way; a state is not
            kept = fitting or (kept if kind == "county" else [])
    if len(kept) > 1:
        companies = [m for m in kept if _names_company(m, words)]
        kept = companies or kept
    return kept


_COMPANY_WORDS_TEXT = """
inc llc corp corporation co company ltd limited lp llp plc group coal mining energy resources mines holdings and
the of sales services enterprises development
"""
_COMPANY_WORDS = frozenset(_COMPANY_WORDS_TEXT.split())


def _names_company(mine: Mine, words: frozenset[str]) -> bool:
    own = {w for company in mine.companies for w in tokens(company)} - _COMPANY_WORDS - set(core(tokens(mine.name)))
    return any(len(word) > 2 and not known(word) for word in own & words - FUNCTION_WORDS)


def candidate(mine: Mine) -> Fact:
    """One of several mines of like name, with what tells it apart."""
    told = [mine.where]
    if mine.status:
        told.append(mine.status.lower())
    if mine.companies:
        told.append(mine.companies[0])
    if mine.last_production_year is not None:
        told.append(f"last produced in {mine.last_production_year}")
    values = (
        () if mine.last_production_year is None else (Value("last_production_year", mine.last_production_year, "year"),)
    )
    return Fact(
        f"{mine.name or 'A mine without a name'} ({mine.mine_id}): {'; '.join(filter(None, told))}.",
        "silver.silver_mine_profiles",
        {"mine_id": mine.mine_id},
        values,
        mine_id=mine.mine_id,
    )


def core(words: Sequence[str]) -> tuple[str, ...]:
    """A name without what every mine is called; all of it if nothing else is left."""
    own = list(words)
    while own and own[-1] in _GENERIC:
        own.pop()
    while own and own[0] in ("the", "mine") and len(own) > 1:
        own.pop(0)
    return tuple(own)


def _capitals(text: str, words: tuple[str, ...]) -> list[bool]:
    """Which tokens are written with a capital or a digit; by their first place in the text from left to right."""
    written, place = [], 0
    readable = plain_positions(text)
    for word in words:
        at = readable.find(word, place)
        if at < 0:
            written.append(word == "no")  # "#1" is written without it
            continue
        written.append(text[at : at + 1].isupper() or text[at : at + 1].isdigit())
        place = at + len(word)
    return written


def plain_positions(text: str) -> str:
    """The text in small letters, each character in its place."""
    return "".join(p if len(p := plain(c)) == 1 else c for c in text)


_MINES = """
select p.mine_id, p.mine_name, p.mine_name_local, p.country, p.state_province, p.mine_county, p.mine_status,
       p.operating_company, p.owners, p.parent_company, p.first_production_year, p.last_production_year,
       s.mine_id is not null as is_scored, n.names, p.gem_mine_ids
from silver.silver_mine_profiles as p
left join (
    select mine_id, array_agg(distinct mine_name) as names from silver.silver_mine_years
    where known_until is null and mine_name is not null group by mine_id
) as n using (mine_id)
left join (
    select distinct mine_id from mart.fvi_scores where as_of_year = (select max(as_of_year) from mart.fvi_scores)
) as s using (mine_id)
order by p.mine_id
"""


def load_directory(connection: psycopg.Connection[Any]) -> Directory:
    """Read all mines with their names of now and before."""
    mines = {}
    for (
        mine_id, name, local, country, state, county, status, operator, owners, parent, first, last, is_scored, names,
        tracker_ids,
    ) in connection.execute(_MINES).fetchall():  # fmt: skip
        former = tuple(n for n in [*(names or ()), local] if n and n != name)
        companies = tuple(company for company in (operator, owners, parent) if company)
        mines[mine_id] = Mine(
            mine_id, (name or "").strip(), country, state, county, status, companies, last, is_scored, first, former,
            tuple(tracker_ids or ()),
        )  # fmt: skip
    return Directory(mines)


def too_many(named: Named) -> str:
    """What is said when a name has too many mines to list."""
    return f"{integer(len(named.mines))} mines are called {named.text!r}"
