"""A feature's value as a sentence: the cases that a column's `in_words` describes, chosen and filled in.

A case is a number or an interval, `[-1, 0)`, with a sentence; `missing` is the case of a null. A sentence holds
forms of the value in braces. Which way a value moves a score belongs to `model.explanations`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

MISSING = "missing"
NEVER_NULL = "never null"
"""What `null_means` says of a feature that always has a value."""

_INTERVAL = re.compile(r"^([\[(])\s*(-?[\d.]+|-inf)\s*,\s*(-?[\d.]+|inf)\s*([\])])$")
_FORM = re.compile(r"\{([^{}]*)\}")
_SMALL = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_PARTS = {
    (1, 2): "half",
    (1, 3): "a third",
    (2, 3): "two thirds",
    (1, 4): "a quarter",
    (3, 4): "three quarters",
    (1, 5): "a fifth",
    (2, 5): "two fifths",
    (3, 5): "three fifths",
    (4, 5): "four fifths",
}
_SINGLE_PRECISION = 1e-6  # a value passes through float32 on its way to the model


@dataclass(frozen=True)
class _Case:
    """The values from `low` to `high` (each with or without its end), and their sentence."""

    low: float
    high: float
    with_low: bool
    with_high: bool
    sentence: str

    def holds(self, value: float) -> bool:
        above = value >= self.low if self.with_low else value > self.low
        return above and (value <= self.high if self.with_high else value < self.high)


def sentence(name: str, in_words: Iterable[tuple[str, str]], value: float | None, *, null_means: str = "") -> str:
    """What a value of the feature says, as one sentence.

    A feature without words, or a value that no case holds (a what-if beyond what can be), is stated as it stands.
    """
    cases, missing = _read(tuple(in_words))
    readable = name.replace("_", " ")
    if value is None or math.isnan(value):
        why = f": {null_means}" if null_means not in ("", NEVER_NULL) else ""
        return missing or _sentence(f"{readable} is not known{why}.")
    for case in cases:
        if case.holds(value):
            return _filled(case.sentence, value)
    return _sentence(f"{readable} is {number(value)}.")


def faults(in_words: object, *, can_be_null: bool) -> list[str]:
    """What is wrong with a column's `in_words`; empty when it can be read."""
    if not isinstance(in_words, Mapping) or not in_words:
        return ["in_words is missing"]
    found = [] if MISSING in in_words or not can_be_null else [f"in_words has no sentence for {MISSING}"]
    for key, text in in_words.items():
        if not isinstance(text, str) or not re.match(r"^[A-Z{][^.:]*\.$", text.strip()):
            found.append(f"in_words {key!r}: not one sentence with a capital, a full stop and no colon")
            continue
        forms = _FORM.findall(text)
        unknown = [form for form in forms if form not in _FORMS and "|" not in form]
        found += [f"in_words {key!r}: {{{form}}} is none of {', '.join(_FORMS)}" for form in unknown]
        if key == MISSING:
            found += ["in_words missing: there is no value to fill in"] if forms else []
            continue
        case = _case(str(key), text)
        if case is None:
            found.append(f"in_words {key!r}: neither a number nor an interval such as [-1, 0)")
        elif case.low < case.high and not any(form in _FORMS for form in forms):
            found.append(f"in_words {key!r}: the sentence does not say the number")
    if all(key == MISSING for key in in_words):
        found.append("in_words has no sentence for a value")
    return found


def number(value: float) -> str:
    """A number for people: three digits that count, thousands apart, millions and billions by name."""
    size = abs(value)
    for limit, name in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if size >= limit:
            return f"{_plain(value / limit, 3)} {name}"
    return f"{value:,.0f}" if size >= 100 or value == round(value) else _plain(value, 3)


@lru_cache(maxsize=1024)
def _read(in_words: tuple[tuple[str, str], ...]) -> tuple[tuple[_Case, ...], str]:
    cases = (_case(key, text) for key, text in in_words if key != MISSING)
    return tuple(case for case in cases if case is not None), dict(in_words).get(MISSING, "")


def _case(key: str, text: str) -> _Case | None:
    interval = _INTERVAL.match(key)
    try:
        if interval is None:
            return _Case(float(key), float(key), True, True, text)
        return _Case(float(interval[2]), float(interval[3]), interval[1] == "[", interval[4] == "]", text)
    except ValueError:
        return None


def _filled(text: str, value: float) -> str:
    shown = ""

    def form(found: re.Match[str]) -> str:
        nonlocal shown
        if "|" in found[1]:
            singular, plural = found[1].split("|", 1)
            return singular if shown in ("1", "one") else plural
        shown = _FORMS[found[1]](value)
        return shown

    return _sentence(_FORM.sub(form, text))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _plain(value: float, digits: int) -> str:
    """`digits` significant digits without an exponent or zeros at the end."""
    if value == 0:
        return "0"
    places = max(digits - 1 - math.floor(math.log10(abs(value))), 0)
    text = f"{value:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _percent(percent: float) -> str:
    """Whole percent, and more digits where those would say nothing or all of what is less."""
    size = abs(percent)
    if 99.5 <= size < 100:
        # as many digits as the rest to 100 needs
        places = 1 - math.floor(math.log10(100 - size))
        text = f"{percent:.{places}f}".rstrip("0").rstrip(".")
    else:
        text = f"{percent:,.0f}" if size >= 10 else _plain(percent, 2)
    return f"{text}%"


def _share(value: float) -> str:
    for (part, whole), name in _PARTS.items():
        if abs(value - part / whole) <= _SINGLE_PRECISION:
            return name
    return _percent(100 * value)


def _count(value: float) -> str:
    return _SMALL[int(value)] if value in range(len(_SMALL)) else number(value)


def _occasions(value: float) -> str:
    return {1.0: "once", 2.0: "twice"}.get(value, f"{_count(value)} times")


_FORMS: dict[str, Callable[[float], str]] = {
    "number": number,
    "size": lambda value: number(abs(value)),
    "percent": lambda value: _percent(100 * abs(value)),
    "points": lambda value: number(100 * abs(value)),
    "below_one": lambda value: _percent(100 * (1 - value)),
    "above_one": lambda value: _percent(100 * (value - 1)),
    "plus_one": lambda value: number(1 + value),
    "as_percent": _percent,
    "share": _share,
    "count": _count,
    "occasions": _occasions,
}
"""Each way to say a value: as it is, its size, as percent of one, how far from one, as a part or a count in words."""
