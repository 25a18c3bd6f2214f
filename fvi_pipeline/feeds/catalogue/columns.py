"""Short ways to describe a column. What a description is made of belongs to `description`."""

from __future__ import annotations

from fvi_pipeline.feeds.description import Column, Kind

_FIRST_YEAR, _LAST_YEAR = 1900, 2100

WORDS = r".*\p{L}.*"
"""Pattern of a name or a remark: there is at least one letter in it. A number is none."""
LABEL = r"[^0-9]*\p{L}[^0-9]*"
"""Pattern of a word from a short list that may grow: letters, and no digit."""
NAME = r"(?s)([^:]|:[^/])*\p{L}([^:]|:[^/])*"
"""Pattern of a name: letters, and no web address."""
WEB_ADDRESS = r"(?s)\s*https?://.*"
"""Pattern of a cell with one web address or several."""


def text(
    name: str, *headers: str, about: str = "", required: bool = False, pattern: str | None = None, one_of: str = ""
) -> Column:
    """A text as the publisher spells it; `one_of` lists the only possible ones, separated by bars."""
    allowed = frozenset(one_of.split("|")) if one_of else None
    return Column(name, Kind.TEXT, headers, required=required, pattern=pattern, allowed=allowed, description=about)


def number(
    name: str,
    *headers: str,
    about: str = "",
    unit: str | None = None,
    printed_unit: str | None = None,
    minimum: float | None = 0,
    maximum: float | None = None,
) -> Column:
    """A measurement in `unit`; `printed_unit` is what must stand below its header."""
    return Column(
        name,
        Kind.NUMBER,
        headers,
        minimum=minimum,
        maximum=maximum,
        printed_unit=printed_unit,
        unit=unit,
        description=about,
    )


def count(
    name: str, *headers: str, about: str = "", unit: str | None = None, maximum: float, required: bool = False
) -> Column:
    """A whole number of `unit`, from zero."""
    return Column(
        name, Kind.INTEGER, headers, required=required, minimum=0, maximum=maximum, unit=unit, description=about
    )


def year(name: str, *headers: str, about: str = "", required: bool = False, minimum: int = _FIRST_YEAR) -> Column:
    """A calendar year."""
    return Column(name, Kind.YEAR, headers, required=required, minimum=minimum, maximum=_LAST_YEAR, description=about)


def msha_id(*headers: str) -> Column:
    """The mine's ID at the U.S. Mine Safety and Health Administration, in a column of that name."""
    about = "ID of the mine at the U.S. Mine Safety and Health Administration, with its leading zeros (seven digits)"
    return Column("msha_id", Kind.MSHA_ID, headers, description=about)
