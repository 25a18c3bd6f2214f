"""Short ways to describe a column. What a description is made of belongs to `description`."""

from __future__ import annotations

from fvi_pipeline.feeds.description import Column, Kind

_FIRST_YEAR, _LAST_YEAR = 1900, 2100


def text(name: str, *headers: str, required: bool = False) -> Column:
    """A text as the publisher spells it."""
    return Column(name, Kind.TEXT, headers, required=required)


def number(
    name: str, *headers: str, minimum: float | None = 0, maximum: float | None = None, unit: str | None = None
) -> Column:
    """A measurement; `unit` is what must stand below its header."""
    return Column(name, Kind.NUMBER, headers, minimum=minimum, maximum=maximum, printed_unit=unit)


def year(name: str, *headers: str, required: bool = False, minimum: int = _FIRST_YEAR) -> Column:
    """A calendar year."""
    return Column(name, Kind.YEAR, headers, required=required, minimum=minimum, maximum=_LAST_YEAR)
