"""Each sentence of an answer against what it cites: its numbers, its direction, its words.

A number must equal a value of a cited fact, in its unit and rounded as it is written, or stand in a cited passage. Of
the words that carry meaning LEAST_OVERLAP must be in what is cited. A sentence that cites nothing is not supported.
What becomes of an unsupported sentence is decided in `service`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fvi_pipeline.answers.fact import Fact, Passage
from fvi_pipeline.answers.words import content_stems, plain, stem, tokens

LEAST_OVERLAP = 0.6
"""Of the stems of a sentence that carry meaning, this share must be in the facts and passages that it cites."""
_ROUGHLY = re.compile(r"\b(?:about|approximately|roughly|around|nearly|almost|some|over|more than|just under)\s*$")
_ROUGH_TOLERANCE = 0.01
_TONNES_PER_SHORT_TON = 0.90718474
_SCALES = {"thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12, "mt": 1e6, "m": 1e6, "bn": 1e9}
_NUMBER = re.compile(
    r"(?<![\w.])(?P<sign>[-+−]?)(?P<number>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
    r"\s*(?P<percent>%|percent(?:age points?)?\b|per cent\b)?"
    r"(?:\s*(?P<scale>thousand|million|billion|trillion|mt|bn)\b)?"
    r"(?:\s*(?P<unit>short tons?|tons?|metric tons?|tonnes?|people|employees|workers|miners|hours|years?|points|of 100"
    r"|metres|meters|square kilomet\w+|mines|rows)\b)?",
    re.IGNORECASE,
)
_UNITS = {
    "short ton": "short tons", "short tons": "short tons", "ton": "short tons", "tons": "short tons",
    "metric ton": "tonnes", "metric tons": "tonnes", "tonne": "tonnes", "tonnes": "tonnes", "people": "people",
    "employees": "people", "workers": "people", "miners": "people", "hours": "hours", "points": "points",
    "of 100": "points", "metres": "metres", "meters": "metres", "mines": "mines", "rows": "rows",
}  # fmt: skip
_IDENTIFIERS = re.compile(
    r"\b(?:msha:\d{7}|gem:M\d{4,5}|fvi_\w+|\w+_\w+|version \d+)\b|\b\d{4}-\d{2}-\d{2}\b|\[[FP]\d+(?:\s*,\s*[FP]\d+)*\]"
)
_DATES = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")
_UP = frozenset(
    map(
        stem,
        ["rose", "rise", "rises", "risen", "increased", "increase", "grew", "grow", "grown", "higher", "gained", "up"],
    )
)
_DOWN_TEXT = """
fell fall falls fallen decreased decrease declined decline dropped drop lower lost down shrank
"""
_DOWN = frozenset(map(stem, _DOWN_TEXT.split()))
_NEGATIONS = frozenset(
    ["not", "no", "never", "none", "neither", "nor", "without", "cannot", "isn't", "doesn't", "didn't", "won't"]
)
# forms in which the phrasebook of the features puts a value into words
_IN_WORDS = frozenset({"mart.score_explanations", "mart.score_reasons"})
# Words that only connect: an answer may add them to what it cites.
_CONNECTING_TEXT = """
mine mines coal data score scores model year years figure figures reason reasons value newest latest known also
while however mainly most respectively both according answer document documents say says state stated report
reported short shown told follow following there overall this these speak speaks
"""
_CONNECTING = frozenset(stem(word) for word in _CONNECTING_TEXT.split())


@dataclass(frozen=True)
class Check:
    """Whether a sentence is supported by what it cites; if not, why."""

    supported: bool
    problems: tuple[str, ...] = ()
    numbers: int = 0
    """Numbers that were compared."""


@dataclass(frozen=True)
class _Stated:
    """A number as a text has it: its value, the half of its last digit, its unit."""

    text: str
    value: float
    tolerance: float
    unit: str | None
    is_percent: bool
    is_rough: bool
    decimals: int


def check(sentence: str, cited: Sequence[Fact | Passage], names: Iterable[str] = ()) -> Check:
    """Compare a sentence with the facts and passages that it cites; `names` are names in it that hold digits."""
    if not cited:
        return Check(False, ("it cites nothing",))
    if any(isinstance(source, Passage) and _quoted(sentence, source.text) for source in cited):
        return Check(True)
    problems = []
    stated = numbers(_without(sentence, [*names, *_texts(cited)]))
    for number in stated:
        if not any(_holds(number, source) for source in cited):
            problems.append(f"{number.text} is in nothing that it cites")
    problems += _direction(sentence, cited)
    share = overlap(sentence, cited, names)
    if share < LEAST_OVERLAP:
        problems.append(f"only {share:.0%} of its words are in what it cites")
    return Check(not problems, tuple(problems), len(stated))


def numbers(text: str) -> list[_Stated]:
    """The numbers of a text with their units; identifiers and days are none."""
    found = []
    cleaned = _IDENTIFIERS.sub(" ", text)
    for match in _NUMBER.finditer(cleaned):
        digits = match["number"].replace(",", "")
        decimals = len(digits.partition(".")[2])
        scale = _SCALES[match["scale"].lower()] if match["scale"] else 1.0
        sign = -1 if match["sign"] in ("-", "−") and not re.search(r"\w\s*$", cleaned[: match.start()]) else 1
        unit = _UNITS.get(" ".join((match["unit"] or "").lower().split()))
        found.append(
            _Stated(
                match[0].strip(), sign * float(digits) * scale, 0.5 * 10**-decimals * scale, unit,
                match["percent"] is not None, _ROUGHLY.search(plain(cleaned[: match.start()])) is not None, decimals,
            )
        )  # fmt: skip
    return found


def overlap(sentence: str, cited: Sequence[Fact | Passage], names: Iterable[str] = ()) -> float:
    """The share of a sentence's stems that are in what it cites; 1 for a sentence of connecting words alone."""
    # a number's scale and unit are compared with the number
    own = content_stems(_NUMBER.sub(" ", _IDENTIFIERS.sub(" ", sentence))) - _CONNECTING
    if not own:
        return 1.0
    has = content_stems(" ".join([*(_readable(source) for source in cited), *names]))
    return len(own & has) / len(own)


def _readable(source: Fact | Passage) -> str:
    if isinstance(source, Passage):
        return f"{source.title or ''} {source.text}"
    told = " ".join(
        f"{v.name.replace('_', ' ')} {v.value if isinstance(v.value, str) else ''} {v.unit}" for v in source.values
    )
    return f"{source.sentence} {told}"


def _quoted(sentence: str, text: str) -> bool:
    squeezed = " ".join(plain(sentence).split()).strip(" .…\"“”'‘’")
    return len(squeezed) > 0 and squeezed in " ".join(plain(text).split())


def _texts(cited: Sequence[Fact | Passage]) -> list[str]:
    """The texts among the values of facts, whose digits are names rather than numbers."""
    return [
        str(text)
        for source in cited
        if isinstance(source, Fact)
        for text in [*(v.value for v in source.values), *source.key.values()]
        if isinstance(text, str) and text
    ]


def _without(sentence: str, names: Sequence[str]) -> str:
    for name in sorted(set(names), key=len, reverse=True):
        if any(c.isdigit() for c in name):
            sentence = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", " ", sentence, flags=re.IGNORECASE)
    return sentence


def _holds(number: _Stated, source: Fact | Passage) -> bool:
    if isinstance(source, Passage):
        return any(_same(number, other.value, other.tolerance * 0) for other in numbers(source.text))
    years = [source.as_of_year, *(y for y in _flat(source.key.values()))]
    if number.unit is None and not number.is_percent and number.decimals == 0 and number.value in years:
        return True
    if any(number.value == float(part) for date in _dates(source) for part in date.split("-")):
        return number.unit is None
    if number.unit == "points" and number.value == 100:
        return True  # "of 100"
    return any(
        isinstance(v.value, int | float)
        and not isinstance(v.value, bool)
        and _fits(number, float(v.value), v.unit, source)
        for v in source.values
    )


def _flat(values: Iterable[object]) -> Iterable[float]:
    for value in values:
        if isinstance(value, int | float):
            yield value
        elif isinstance(value, list | tuple):
            yield from (v for v in value if isinstance(v, int | float))


def _dates(source: Fact) -> list[str]:
    return [d for v in source.values if isinstance(v.value, str) for d in _DATES.findall(v.value)]


def _fits(number: _Stated, value: float, unit: str, source: Fact) -> bool:
    forms: list[float] = [value]
    if number.is_percent:
        forms = [value] if unit in ("points", "percent") else [100 * value]
        if source.table in _IN_WORDS:
            forms += [value, 100 * (1 - value), 100 * (value - 1), 100 * (1 + value)]
    elif source.table in _IN_WORDS:
        forms += [100 * value, 1 + value]
    elif number.unit == "short tons":
        if unit == "million tonnes":
            forms = [value * 1e6 / _TONNES_PER_SHORT_TON]
        elif unit and unit != "short tons":
            return unit == "short tons per hour" and _same(number, value)
    elif number.unit == "tonnes":
        if unit == "short tons":
            forms = [value * _TONNES_PER_SHORT_TON]
        elif unit == "million tonnes":
            forms = [value * 1e6]
        elif unit:
            return False
    elif number.unit == "points":
        if unit not in ("points", "share", ""):
            return False
        forms = [100 * value] if unit == "share" else [value]
    elif number.unit is not None:
        if unit and unit != number.unit:
            return False
    elif unit == "million tonnes":
        forms = [value, value * 1e6]
    elif unit == "share":
        forms = [value, 100 * value]
    return any(_same(number, form) or _same(number, abs(form)) for form in forms)


def _same(number: _Stated, value: float, least: float = 0.0) -> bool:
    tolerance = max(number.tolerance * (1 + 1e-9), least)
    if number.is_rough:
        tolerance = max(tolerance, _ROUGH_TOLERANCE * abs(value))
    if number.decimals == 0 and number.tolerance == 0.5 and value == int(value):
        tolerance = 0.0 if not number.is_rough else tolerance  # a whole number that is written out is exact
    return abs(number.value - value) <= tolerance + 1e-9 * abs(value)


def _direction(sentence: str, cited: Sequence[Fact | Passage]) -> list[str]:
    """What a sentence turns round: up for down, or a "not" that nothing cited has."""
    own_words = set(tokens(sentence))
    own = {stem(word) for word in own_words}
    source_words = {word for source in cited for word in tokens(_readable(source))}
    has = {stem(word) for word in source_words}
    problems = []
    for side, other, said in ((_UP, _DOWN, "rise"), (_DOWN, _UP, "fall")):
        if own & side and not own & other and has & other and not has & side:
            problems.append(f"it tells a {said}, and what it cites the opposite")
    if own_words & _NEGATIONS and not source_words & _NEGATIONS:
        problems.append("it denies what nothing that it cites denies")
    return problems


def summary(checks: Sequence[tuple[bool, Check]]) -> Mapping[str, int | float | None]:
    """Over the sentences of an answer, as (makes a claim, its check): how many are supported."""
    claims = [found for is_claim, found in checks if is_claim]
    supported = sum(found.supported for found in claims)
    return {
        "claims": len(claims),
        "supported": supported,
        "unsupported": len(claims) - supported,
        "supported_share": supported / len(claims) if claims else None,
        "numbers": sum(found.numbers for found in claims),
    }
