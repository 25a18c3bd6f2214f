"""What may be asked of a search: its modes, kinds of sources, limits, dates. Light: the service reads it at its start.

How a search is made belongs in `retrieval`.
"""

from datetime import UTC, date, datetime, time
from typing import Literal, get_args

Mode = Literal["hybrid", "text", "vector"]
MODES: tuple[Mode, ...] = get_args(Mode)
Kind = Literal["file", "note", "wiki", "fact_sheet", "system"]
KINDS: tuple[Kind, ...] = get_args(Kind)
MAXIMUM_PASSAGES = 50
MAXIMUM_QUERY_CHARACTERS = 2_000
_FIRST_YEAR, _LAST_YEAR = 1900, 2200


class InvalidQueryError(ValueError):
    """The query is empty or too long, k is out of range, or there is no such mode, kind or date."""


def end_of(as_of: str) -> datetime:
    """Return the end of a day (UTC), or the moment that an ISO 8601 text names (UTC unless it says otherwise).

    Raises InvalidQueryError.
    """
    try:
        if len(as_of) == len("2024-04-30"):
            moment = datetime.combine(date.fromisoformat(as_of), time.max, UTC)
        else:
            moment = datetime.fromisoformat(as_of)
    except ValueError as error:
        raise InvalidQueryError(
            "as_of is a day such as 2024-04-30 or a moment such as 2024-04-30T12:00:00Z."
        ) from error
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise InvalidQueryError(f"as_of lies between {_FIRST_YEAR} and {_LAST_YEAR}.")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
