from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.app.written_periods import period
from chatcli.core.errors import UsageError

NOW = datetime(2026, 11, 30, 14, 5, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("written", "ago", "words"),
    [
        (None, timedelta(days=7), "in the last 7 days"),
        ("15m", timedelta(minutes=15), "in the last 15 minutes"),
        ("90s", timedelta(seconds=90), "in the last 90 seconds"),
        ("1h", timedelta(hours=1), "in the last hour"),
        ("1.5h", timedelta(hours=1.5), "in the last 1.5 hours"),
        (" 24h ", timedelta(days=1), "in the last 24 hours"),
        ("2w", timedelta(weeks=2), "in the last 2 weeks"),
    ],
)
def test_a_length_of_time_reaches_back_from_now(written, ago, words):
    assert period(written, None, NOW, zone=UTC) == (NOW - ago, NOW, words)


@pytest.mark.parametrize(
    ("written", "begin", "words"),
    [
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=BERLIN), "since 20 Nov"),
        ("2025-11-20", datetime(2025, 11, 20, tzinfo=BERLIN), "since 20 Nov 2025"),
        ("2026-11-20 14:00", datetime(2026, 11, 20, 14, tzinfo=BERLIN), "since 20 Nov 14:00"),
        ("2026-11-20T14:00:30", datetime(2026, 11, 20, 14, 0, 30, tzinfo=BERLIN), "since 20 Nov 14:00"),
        ("today", datetime(2026, 11, 30, tzinfo=BERLIN), "today"),
        ("Yesterday", datetime(2026, 11, 29, tzinfo=BERLIN), "since 29 Nov"),
    ],
)
def test_a_date_and_a_time_are_those_of_the_persons_zone(written, begin, words):
    assert period(written, None, NOW, zone=BERLIN) == (begin, NOW, words)


def test_a_time_may_name_its_own_zone():
    assert period("2026-11-20T14:00+08:00", None, NOW, zone=BERLIN).since == datetime(
        2026, 11, 20, 6, tzinfo=UTC
    )


def test_without_a_zone_a_date_is_that_of_the_system():
    assert period("2026-11-20", None, NOW).since == datetime.fromisoformat("2026-11-20").astimezone()


@pytest.mark.parametrize(
    ("since", "until", "begin", "end", "words"),
    [
        ("2026-11-20", "2026-11-22", (20,), (23,), "from 20 Nov to 22 Nov"),
        ("2026-11-20", "2026-11-20", (20,), (21,), "on 20 Nov"),
        ("2026-11-20", "2026-11-22 18:00", (20,), (22, 18), "from 20 Nov to 22 Nov 18:00"),
        ("2026-11-20 06:00", "2026-11-22", (20, 6), (23,), "from 20 Nov 06:00 to 23 Nov 00:00"),
        (None, "2026-11-15", (9,), (16,), "from 9 Nov to 15 Nov"),
        ("2d", "24h", (28, 14, 5), (29, 14, 5), "from 28 Nov 14:05 to 29 Nov 14:05"),
    ],
)
def test_a_date_as_the_end_is_a_whole_day(since, until, begin, end, words):
    assert period(since, until, NOW, zone=UTC) == (
        datetime(2026, 11, *begin, tzinfo=UTC),
        datetime(2026, 11, *end, tzinfo=UTC),
        words,
    )


def test_an_end_in_the_future_is_now():
    assert period("2026-11-29", "today", NOW, zone=UTC).until == NOW
    assert period("2026-11-29", "today", NOW, zone=UTC).words == "from 29 Nov to 30 Nov"


def test_a_day_on_which_clocks_change_is_as_long_as_it_is():
    found = period("2026-10-25", "2026-10-25", NOW, zone=BERLIN)
    assert found.until.timestamp() - found.since.timestamp() == 25 * 3600
    assert found.words == "on 25 Oct"


@pytest.mark.parametrize(
    "written",
    [
        "",
        " ",
        "7",
        "d",
        "0d",
        "-1d",
        "1y",
        "nand",
        "999999999d",
        "2026-13-01",
        "2026-11",
        "soon",
        "7d\x1b[31m",
        "9" * 500,
    ],
)
@pytest.mark.parametrize("option", ["since", "until"])
def test_what_is_no_time_is_refused_with_what_is_one(option, written):
    with pytest.raises(UsageError, match="is not a time") as caught:
        period(**{"since": None, "until": None, option: written}, now=NOW, zone=UTC)
    assert "7d" in (caught.value.hint or "")
    assert "\x1b" not in caught.value.message


@pytest.mark.parametrize(
    ("since", "until"),
    [("2026-12-01", None), ("2026-11-20", "2026-11-19"), ("1h", "2h"), ("9999-12-31", "9999-12-31")],
)
def test_a_period_that_ends_before_it_begins_is_refused(since, until):
    with pytest.raises(UsageError, match=r"is not (before|a time)"):
        period(since, until, NOW, zone=UTC)


@given(st.text(max_size=20), st.none() | st.text(max_size=20))
def test_any_text_is_a_period_or_refused(since, until):
    try:
        found = period(since, until, NOW, zone=UTC)
    except UsageError:
        return
    assert found.since < found.until <= NOW
