"""When a release became known, and what period it covers: one rule per publisher. Facts' own times
belong to bronze.
"""

from __future__ import annotations

import calendar
import re
from datetime import UTC, date, datetime

from fvi_pipeline.feeds.description import Release, ReleaseContext
from fvi_pipeline.feeds.errors import UnreadableFileError

_MONTHS = {name: number for number, name in enumerate(calendar.month_name) if name}
_SHORT_MONTHS = {name[:3]: number for name, number in _MONTHS.items()}


def eia_release(context: ReleaseContext) -> Release:
    """A year's file, known on 1 October of the next year.

    Raises:
        UnreadableFileError: the file's name says another year than its rows.
    """
    year = int(context.frames[""]["as_of_year"][0])
    named = re.search(r"(?<![0-9])(19|20)[0-9]{2}(?![0-9])", context.name.rsplit("/", 1)[-1])
    if named is not None and int(named.group()) != year:
        raise UnreadableFileError(
            f"The file's name says {named.group()}, but its rows are of {year}. Rename it or fetch it again."
        )
    return Release(str(year), _first_of_october(year + 1))


def gem_tracker_release(context: ReleaseContext) -> Release:
    """A tracker release such as "April 2024", known by the end of that month.

    A file with one of the two sheets (as a CSV file has to be) covers that sheet of the release: the file with the
    other one does not restate it.
    """
    pattern = re.compile(rf"\b({'|'.join(_MONTHS)})[ -]+((?:19|20)[0-9]{{2}})\b")
    # what the workbook says of itself counts before the file's name, which people change
    titles = (text for text in context.texts if "Coal Mine Tracker" in text)
    for text in (*titles, re.sub(r"[_-]+", " ", context.name)):
        found = pattern.search(text)
        if found is not None:
            year, month = int(found.group(2)), _MONTHS[found.group(1)]
            last_day = calendar.monthrange(year, month)[1]
            period = f"{year}-{month:02}"
            if len(context.frames) == 1:
                period = f"{period} {next(iter(context.frames))}"
            return Release(period, datetime(year, month, last_day, tzinfo=UTC))
    return Release(None, None)


def gem_features_release(context: ReleaseContext) -> Release:
    """A build of the boundaries file: "built on May 12 2026 …"."""
    return _stated_day(context, r"built on ([A-Z][a-z]{2})[a-z]* ([0-9]{1,2}),? ([0-9]{4})")


def world_bank_release(context: ReleaseContext) -> Release:
    """A monthly release: "Updated on May 02, 2025"."""
    return _stated_day(context, r"Updated on ([A-Z][a-z]{2})[a-z]* ([0-9]{1,2}), ?([0-9]{4})")


def owid_release(context: ReleaseContext) -> Release:
    """A file up to some last year, known on 1 October of the year after it."""
    last = context.frames[""]["as_of_year"].max()
    if not isinstance(last, int):
        return Release(None, None)
    return Release(str(last), _first_of_october(last + 1))


def _first_of_october(year: int) -> datetime:
    return datetime(year, 10, 1, tzinfo=UTC)


def _stated_day(context: ReleaseContext, pattern: str) -> Release:
    for text in context.texts:
        found = re.search(pattern, text)
        if found is None or found.group(1) not in _SHORT_MONTHS:
            continue
        try:
            day = date(int(found.group(3)), _SHORT_MONTHS[found.group(1)], int(found.group(2)))
        except ValueError:
            continue  # such a day does not exist: the text says nothing about the release
        return Release(day.isoformat(), datetime(day.year, day.month, day.day, tzinfo=UTC))
    return Release(None, None)
