"""Dates that a text names, in the forms that English documents write. No clock, no guess: 03/04/2021 is left out."""

import re
from datetime import date

FIRST_YEAR, LAST_YEAR = 1800, 2100
_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_MONTH = "|".join(f"{name[:3]}(?:{name[3:]})?" if name != "september" else "sept?(?:ember)?" for name in _MONTHS)
_DATE = re.compile(
    rf"""(?<![\w./-])(?:
        (?P<iso>\d{{4}}-\d{{2}}-\d{{2}})
      | (?P<day>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<month>{_MONTH})\.?,?\s+(?P<year>\d{{4}})
      | (?P<month2>{_MONTH})\.?\s+(?P<day2>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<year2>\d{{4}})
      | (?P<month3>{_MONTH})\.?,?\s+(?P<year3>\d{{4}})
      | (?P<year4>(?:19|20)\d{{2}})
    )(?![\w/-]|[.,]\d)""",
    re.IGNORECASE | re.VERBOSE,
)
_COUNTED = re.compile(
    r"\s*(?:short\s+|metric\s+)?(?:tons?|tonnes?|mt|kt|miners?|workers?|employees?|people|feet|ft|m|metres?|acres?|ha|%|per\s?cent)\b",
    re.IGNORECASE,
)
_DATE_LINE = re.compile(
    r"^\W*(?:date|dated|published|updated|as of)\b\W{0,4}(?P<rest>.{4,40})$", re.IGNORECASE | re.MULTILINE
)
_HEAD_CHARACTERS = 1_500


def dates_in(text: str) -> list[date]:
    """Return the dates that a text names, each once and in order of time; a month or a year is its first day.

    A bare number from 1900 to 2099 is a year, unless a unit follows it ("2000 tonnes").
    """
    return sorted(set(_found(text)))


def stated_date(text: str) -> date | None:
    """Return the date that a document gives itself near its start ("Date: 12 May 2021"), or None."""
    for line in _DATE_LINE.finditer(text[:_HEAD_CHARACTERS]):
        found = _found(line.group("rest"))
        if found:
            return found[0]
    return None


def _found(text: str) -> list[date]:
    dates = []
    for match in _DATE.finditer(text):
        part = match.groupdict()
        try:
            if part["iso"]:
                found = date.fromisoformat(part["iso"])
            elif part["year4"]:
                if _COUNTED.match(text, match.end()):
                    continue
                found = date(int(part["year4"]), 1, 1)
            else:
                year = part["year"] or part["year2"] or part["year3"]
                month = part["month"] or part["month2"] or part["month3"]
                found = date(int(year), _month_number(month), int(part["day"] or part["day2"] or 1))
        except ValueError:
            continue  # 31 February
        if FIRST_YEAR <= found.year <= LAST_YEAR:
            dates.append(found)
    return dates


def _month_number(name: str) -> int:
    return next(number for number, month in enumerate(_MONTHS, start=1) if month.startswith(name[:3].lower()))
