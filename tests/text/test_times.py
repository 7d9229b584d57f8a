from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.text.times import (
    LONGEST_AGE_COLUMNS,
    age,
    calendar_day,
    in_hours,
    in_milliseconds,
    in_minutes,
    in_seconds,
    local_now,
    timestamp,
)

NOW = datetime(2026, 11, 26, 15, 0, tzinfo=UTC)
TOKYO = timezone(timedelta(hours=9))


def test_times_are_utc_with_milliseconds():
    moment = datetime(2026, 11, 23, 23, 5, 7, 123_999, timezone(timedelta(hours=2)))
    assert timestamp(moment) == "2026-11-23T21:05:07.123Z"
    assert timestamp(datetime(2026, 1, 2, tzinfo=UTC)) == "2026-01-02T00:00:00.000Z"


@given(st.datetimes(min_value=datetime(1971, 1, 1), timezones=st.just(TOKYO)))  # noqa: DTZ001 - the zone is beside it
def test_timestamps_sort_like_the_times_they_are_of(moment):
    later = moment + timedelta(milliseconds=1) if moment.year < 9_999 else moment
    assert timestamp(moment) <= timestamp(later)
    assert datetime.fromisoformat(timestamp(moment)) <= moment


def test_the_time_of_now_has_the_zone_of_the_person():
    assert local_now().utcoffset() == datetime.now().astimezone().utcoffset()


@pytest.mark.parametrize(
    ("time_s", "shown"), [(0.0042, "4 ms"), (0.9994, "999 ms"), (1, "1.0 s"), (12.34, "12.3 s")]
)
def test_a_measured_time_is_in_milliseconds_below_a_second(time_s, shown):
    assert in_milliseconds(time_s) == shown


@pytest.mark.parametrize(("time_s", "shown"), [(0, "0 s"), (1.24, "1.2 s"), (2.04, "2 s"), (61, "61 s")])
def test_seconds_have_a_decimal_unless_it_is_zero(time_s, shown):
    assert in_seconds(time_s) == shown


@pytest.mark.parametrize(("time_s", "shown"), [(20.4, "20 s"), (60, "1 min 0 s"), (200, "3 min 20 s")])
def test_from_a_minute_on_minutes_are_counted(time_s, shown):
    assert in_minutes(time_s) == shown


@pytest.mark.parametrize(
    ("time_s", "words"),
    [
        (0.2, "1 s"),
        (20, "20 s"),
        (59.5, "1 min"),
        (61, "2 min"),
        (3600, "1 h"),
        (3900, "1 h 5 min"),
        (86_400, "24 h"),
    ],
)
def test_a_wait_is_rounded_up_to_seconds_or_minutes(time_s, words):
    assert in_hours(time_s) == words


@pytest.mark.parametrize(
    ("then", "shown"),
    [
        (NOW + timedelta(minutes=3), "just now"),
        (NOW - timedelta(seconds=59), "just now"),
        (NOW - timedelta(seconds=60), "1 min ago"),
        (NOW - timedelta(minutes=59), "59 min ago"),
        (NOW - timedelta(hours=2), "2 h ago"),
        (NOW - timedelta(hours=14), "14 h ago"),
        (NOW - timedelta(hours=16), "yesterday"),
        (NOW - timedelta(days=6), "6 days ago"),
        (NOW - timedelta(days=7), "19 Nov"),
        (datetime(2025, 9, 30, tzinfo=UTC), "30 Sep 2025"),
    ],
)
def test_an_age_is_short_and_in_words(then, shown):
    assert age(then, NOW) == shown
    assert len(shown) <= LONGEST_AGE_COLUMNS


def test_days_are_those_of_the_person():
    midnight = datetime(2026, 11, 26, 0, 10, tzinfo=TOKYO)
    assert age(midnight - timedelta(hours=1), midnight) == "1 h ago"
    assert age(midnight - timedelta(hours=7), midnight) == "yesterday"


def test_a_day_has_its_year_unless_it_is_the_one_of_now():
    day = datetime(2026, 11, 3, tzinfo=UTC)
    assert calendar_day(day) == "3 Nov 2026"
    assert calendar_day(day, day) == "3 Nov"
    assert calendar_day(day, day + timedelta(days=300)) == "3 Nov 2026"
