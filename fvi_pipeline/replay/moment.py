"""The moment of a replay: its name, and up to when its rows must be the stored ones. Input is read elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

_SMALLEST = timedelta(microseconds=1)


@dataclass(frozen=True)
class Moment:
    """What was known at `at`; with `as_received`, of what had come to this warehouse by then."""

    at: datetime
    as_received: bool = False

    @property
    def is_whole_day(self) -> bool:
        """Whether it is the end of a day."""
        return self.at.astimezone(UTC).time() == time.max

    @property
    def name(self) -> str:
        """How its schemas end: `as_of_20151001`, or `as_of_20151001t120000z` within a day."""
        utc = self.at.astimezone(UTC)
        form = "%Y%m%d" if self.is_whole_day else "%Y%m%dt%H%M%S%fz" if utc.microsecond else "%Y%m%dt%H%M%Sz"
        return f"{'as_received' if self.as_received else 'as_of'}_{utc:{form}}"

    def __str__(self) -> str:
        """In words, to follow what was known."""
        utc = self.at.astimezone(UTC)
        when = f"on {utc:%Y-%m-%d}" if self.is_whole_day else f"at {utc.isoformat()}"
        return f"{when} and had come by then" if self.as_received else when

    @property
    def settled_until(self) -> datetime:
        """Releases of one day make one vintage, at the last of them: within a day its vintages are not final yet."""
        if self.is_whole_day:
            return self.at
        return datetime.combine(self.at.astimezone(UTC).date(), time.min, UTC) - _SMALLEST
