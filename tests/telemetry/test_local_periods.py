"""Days and hours by local clocks: together they are the whole period, whatever a zone has done to its clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.telemetry.local_periods import local, pieces

DAY_US = 86_400 * 10**6
HOUR_US = 3_600 * 10**6
OFTEN_SET = (
    "Africa/Cairo", "Africa/Casablanca", "America/Caracas", "America/Havana", "America/Sao_Paulo", "America/St_Johns",
    "Antarctica/Troll", "Asia/Gaza", "Asia/Kathmandu", "Asia/Pyongyang", "Asia/Tehran", "Australia/Lord_Howe", "Europe/Dublin",
    "Europe/Istanbul", "Pacific/Apia", "Pacific/Chatham", "Pacific/Kwajalein",
)  # fmt: skip
"""Half hours, midnights that are left out or come twice, days that are left out, and laws at short notice."""

ZONES = st.sampled_from([UTC, None, *map(ZoneInfo, OFTEN_SET)]) | st.integers(-86_399, 86_399).map(
    lambda offset_s: timezone(timedelta(seconds=offset_s))
)
TIMES_US = st.integers(5 * DAY_US, 40_000 * DAY_US) | st.integers(5 * 24, 40_000 * 24).map(
    lambda hours: hours * HOUR_US
)


@given(TIMES_US, st.integers(1, 12 * DAY_US), ZONES, st.integers(-DAY_US, 15 * DAY_US), st.booleans())
def test_the_pieces_are_the_period_without_gaps_and_overlaps(since_us, length_us, zone, closed_us, is_hourly):
    until_us = since_us + length_us
    found = list(pieces(since_us, until_us, zone, closed_before_us=since_us + closed_us, is_hourly=is_hourly))
    assert found[0].period.start_us == since_us
    assert found[-1].period.end_us == until_us
    for one, next_one in pairwise(found):
        assert one.period.end_us == next_one.period.start_us
        assert one.day_us <= next_one.day_us
        assert one.hour_us < next_one.hour_us
    for period, day_us, hour_us in found:
        assert period.start_us < period.end_us
        assert day_us <= hour_us <= period.start_us
        assert period.end_us - day_us <= 2 * DAY_US
        assert not is_hourly or period.end_us - hour_us <= HOUR_US
        if period.is_closed:
            assert period.end_us <= since_us + closed_us
            assert period.start_us == hour_us


def test_a_closed_day_is_one_piece_and_an_open_one_is_its_closed_hours_and_the_rest():
    since = datetime(2026, 11, 25, 22, 30, tzinfo=UTC)
    until = datetime(2026, 11, 27, 3, 40, tzinfo=UTC)
    found = pieces(us(since), us(until), UTC, closed_before_us=us(until) - 15 * 60 * 10**6, is_hourly=False)
    assert [(shown(period.start_us), shown(period.end_us), period.is_closed) for period, _, _ in found] == [
        ("25 22:30", "25 23:00", False),
        ("25 23:00", "26 00:00", True),
        ("26 00:00", "27 00:00", True),
        ("27 00:00", "27 01:00", True),
        ("27 01:00", "27 02:00", True),
        ("27 02:00", "27 03:00", True),
        ("27 03:00", "27 03:40", False),
    ]


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", (2026, 3, 29), 23),
        ("Europe/Berlin", (2026, 10, 25), 25),
        ("Australia/Lord_Howe", (2026, 4, 5), 24.5),
        ("Australia/Lord_Howe", (2026, 10, 4), 23.5),
        ("America/Havana", (2026, 11, 1), 25),
        ("America/Sao_Paulo", (2018, 11, 4), 23),
        ("Asia/Pyongyang", (2015, 8, 14), 24.5),
        ("Pacific/Kwajalein", (1993, 8, 20), 24),
    ],
)
def test_a_day_has_the_hours_its_zone_gives_it(zone, day, hours):
    noon_us = us(datetime(*day, 12, tzinfo=ZoneInfo(zone)))
    found = pieces(
        noon_us - 3 * DAY_US, noon_us + 3 * DAY_US, ZoneInfo(zone), closed_before_us=10**18, is_hourly=False
    )
    lengths = {
        local(day_us, ZoneInfo(zone)).date().timetuple()[:3]: period.end_us - period.start_us
        for period, day_us, _ in found
    }
    assert lengths[day] / HOUR_US == hours


def test_microseconds_are_kept():
    assert local(1_795_608_000_123_457, UTC).microsecond == 123_457
    assert local(1_795_608_000_123_457, None).utcoffset() is not None


def us(moment):
    return round(moment.timestamp()) * 10**6


def shown(at_us):
    return f"{local(at_us, UTC):%d %H:%M}"
