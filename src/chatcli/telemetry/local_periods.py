"""Days and hours by the clocks of a time zone, in microseconds since the epoch."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.telemetry.call_store import Period

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import tzinfo

_SECOND_US: Final = 10**6
_HOUR_S: Final = 3600


class Piece(NamedTuple):
    """A part of a period: at most the day that begins at ``day_us``, and the hour if it has a time of its own."""

    period: Period
    day_us: int
    hour_us: int


def local(at_us: int, zone: tzinfo | None) -> datetime:
    """Return a time by the clocks of ``zone``, those of this machine if it is ``None``."""
    # Whole seconds are exact as floats, microseconds are not.
    seconds, rest_us = divmod(at_us, _SECOND_US)
    there = datetime.fromtimestamp(seconds, zone) if zone else datetime.fromtimestamp(seconds).astimezone()
    return there.replace(microsecond=rest_us)


def pieces(
    since_us: int,
    until_us: int,
    zone: tzinfo | None,
    *,
    closed_before_us: int,
    is_hourly: bool,
    is_empty: Callable[[Period], bool] = lambda _day: False,
) -> Iterator[Piece]:
    """Yield the parts of a period in order: whole days where they are closed, else hours; with ``is_hourly`` all hours.

    A day that ``is_empty`` is not divided.
    """
    for day in _days(since_us, until_us, zone):
        if is_empty(day):
            yield Piece(
                Period(max(day.start_us, since_us), min(day.end_us, until_us)), day.start_us, day.start_us
            )
            continue
        is_whole = since_us <= day.start_us and day.end_us <= min(until_us, closed_before_us)
        if is_whole and not is_hourly:
            yield Piece(day._replace(is_closed=True), day.start_us, day.start_us)
            continue
        for hour in _hours(day, zone):
            start_us, end_us = max(hour.start_us, since_us), min(hour.end_us, until_us)
            if start_us >= end_us:
                continue
            is_whole = hour.end_us - hour.start_us == end_us - start_us
            is_closed = is_whole and end_us <= closed_before_us
            if is_closed or is_hourly or end_us <= closed_before_us:
                yield Piece(Period(start_us, end_us, is_closed), day.start_us, hour.start_us)
                continue
            yield Piece(Period(start_us, min(day.end_us, until_us)), day.start_us, hour.start_us)
            break


def _days(since_us: int, until_us: int, zone: tzinfo | None) -> Iterator[Period]:
    """Yield the days that have a part in a period."""
    day = local(since_us, zone).date() - timedelta(days=1)
    start_us = _midnight_us(day, zone)
    while start_us < until_us:
        day += timedelta(days=1)
        end_us = _midnight_us(day, zone)
        # A day that a zone has left out has no length; clocks that are set back over midnight do not lead back.
        if end_us > max(start_us, since_us):
            yield Period(start_us, end_us)
        start_us = max(start_us, end_us)


def _hours(day: Period, zone: tzinfo | None) -> Iterator[Period]:
    start_us = day.start_us
    while start_us < day.end_us:
        there = local(start_us, zone)
        passed_s = there.minute * 60 + there.second
        end_us = min(day.end_us, start_us + (_HOUR_S - passed_s) * _SECOND_US)
        yield Period(start_us, end_us)
        start_us = end_us


def _midnight_us(day: date, zone: tzinfo | None) -> int:
    """Return when a day begins; where clocks are set forward at midnight, that is the moment they are."""
    midnight = datetime.combine(day, time.min)
    return round((midnight.replace(tzinfo=zone) if zone else midnight).timestamp() * _SECOND_US)
