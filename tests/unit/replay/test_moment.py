"""The moment of a replay: what it is called, and until when its rows must be the stored ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
import typer

from fvi_pipeline.cli.moment import moment_of
from fvi_pipeline.replay.moment import Moment


def test_a_date_is_its_end() -> None:
    moment = Moment(moment_of("2015-10-01"))
    assert moment.at == datetime(2015, 10, 1, 23, 59, 59, 999999, UTC)
    assert moment.is_whole_day
    assert moment.name == "as_of_20151001"
    assert moment.settled_until == moment.at
    assert str(moment) == "on 2015-10-01"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("2015-10-01T12:00:00Z", "as_of_20151001t120000z"),
        ("2015-10-01T12:00:00", "as_of_20151001t120000z"),
        ("2015-10-01T01:00:00+02:00", "as_of_20150930t230000z"),
        ("2015-10-01T12:00:00.000250Z", "as_of_20151001t120000000250z"),
    ],
)
def test_a_time_within_a_day_settles_the_days_before(text: str, name: str) -> None:
    moment = Moment(moment_of(text))
    assert moment.name == name
    assert not moment.is_whole_day
    day = moment.at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    assert moment.settled_until == day - timedelta(microseconds=1)


def test_the_end_of_a_day_is_utcs() -> None:
    local = datetime(2015, 10, 1, 23, 59, 59, 999999, timezone(timedelta(hours=2)))
    assert not Moment(local).is_whole_day


def test_what_had_come_has_a_name_of_its_own() -> None:
    moment = Moment(moment_of("2015-10-01"), as_received=True)
    assert moment.name == "as_received_20151001"
    assert str(moment) == "on 2015-10-01 and had come by then"


@pytest.mark.parametrize("text", ["", "yesterday", "2015-13-01", "2015-1-1", "20151001T99"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is no date or time"):
        moment_of(text)
