"""The moments that people type after `--as-of`. What is done with them belongs to the commands."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import typer


def moment_of(text: str) -> datetime:
    """A date means its end (UTC): what was known on that day. A time without a zone is UTC.

    Raises:
        typer.BadParameter: the text is neither.
    """
    try:
        if len(text) == len("2020-10-01"):
            return datetime.combine(date.fromisoformat(text), time.max, UTC)
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no date or time: write 2020-10-01 or 2020-10-01T12:00:00Z.") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
