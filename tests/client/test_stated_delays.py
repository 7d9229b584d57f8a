from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chatcli.client.stated_delays import retry_after_s, should_retry, span_in, span_s, stated_s, until_s

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1),
        ("6m0s", 360),
        ("120ms", 0.12),
        ("1h2m3.5s", 3723.5),
        ("1.5", 1.5),
        ("2026-11-24T12:00:30Z", 30),
        ("2026-11-24T11:00:00Z", 0),
        ("soon", None),
        ("", None),
        ("nan", None),
        ("inf", None),
        ("2026-11-24T12:00:30", None),
    ],
)
def test_a_span_is_read_in_every_known_spelling(text, seconds):
    assert span_s(text, NOW) == seconds


def test_a_date_without_the_servers_clock_is_read_against_ours():
    assert retry_after_s({"retry-after": "Mon, 01 Jan 2001 00:00:00 GMT"}) == 0.0
    far = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 1_000_000))
    assert retry_after_s({"retry-after": far}) > 900_000


@given(
    st.dictionaries(
        st.sampled_from(["retry-after", "retry-after-ms", "date"]),
        st.text(max_size=30)
        | st.floats().map(str)
        | st.from_regex(
            r"Mon, [0-9]{1,3} (Nov|Foo) [0-9]{1,5} [0-9]{2}:[0-9]{2}:[0-9]{2} (GMT|[+-][0-9]{4})"
        ),
    )
)
@example({"retry-after": "inf"})
@example({"retry-after-ms": "nan"})
@example({"retry-after": "Mon, 01 Nov 99999999999 00:00:00 GMT"})
@example({"retry-after": "Mon, 01 Nov 2026 00:00:00 +99999999999999"})
@example({"retry-after": "3", "date": "Mon, 01 Nov 99999999999 00:00:00 GMT"})
@example({"retry-after": "Mon, 01 Jan 0001 00:00:00 +2300", "date": "Fri, 31 Dec 9999 23:59:59 -2300"})
def test_no_header_breaks_the_reading_and_no_wait_is_negative_or_endless(headers):
    asked_s = retry_after_s(headers)
    assert asked_s is None or 0 <= asked_s < float("inf")


@pytest.mark.parametrize(
    ("wording", "asked_s"),
    [
        ("Rate limit reached. Please try again in 20s. Visit https://example.com", 20),
        ("Please try again in 6m0s.", 360),
        ("Please try again in 120ms.", 0.12),
        ("Try again in 20 s", 20),
        ("Please retry in 34.5s.", 34.5),
        ("Please retry after 20 seconds.", 20),
        ("Wait 1 hour and 2 minutes", 3720),
        ("try again in 1h2m3s", 3723),
        ("try again in 1m2.5s", 62.5),
        ("Please wait 20 seconds before you ask again", 20),
        ("Please wait another 20 seconds", 20),
        ("Please try again in about 2 minutes", 120),
        ("Your quota will reset after 51s.", 51),
    ],
)
def test_a_wait_is_understood_in_the_words_of_each_provider(wording, asked_s):
    assert stated_s(wording) == asked_s


@pytest.mark.parametrize(
    "wording", ["", "try again later", "retry after 5", "in 20 s", "try again in 20 snails"]
)
def test_words_without_a_span_of_time_ask_for_no_wait(wording):
    assert stated_s(wording) is None


@pytest.mark.parametrize(
    ("text", "asked_s"),
    [
        ("34s", 34),
        ("34.074824224s", 34.074824224),
        ("1m2.5s", 62.5),
        ("20", 20),
        ("soon", None),
        ("34s or so", None),
    ],
)
def test_a_span_of_time_is_read_where_a_text_is_nothing_else(text, asked_s):
    assert span_in(text) == asked_s


def test_a_moment_is_read_against_the_servers_clock():
    assert until_s(1_000_060, {"date": "Mon, 12 Jan 1970 13:46:40 GMT"}) == 60
    assert until_s(999_999, {"date": "Mon, 12 Jan 1970 13:46:40 GMT"}) == 0
    assert until_s(time.time() + 1_000_000, {}) > 900_000


@given(
    st.text()
    | st.from_regex(
        r"(try again in|retry after|wait) ([0-9]{1,20}\.?[0-9]{0,20} ?(ms|s|m|hours?|d)[ ,]*){1,9}"
    )
)
def test_no_words_break_the_reading(wording):
    asked_s = stated_s(wording)
    assert asked_s is None or 0 <= asked_s < float("inf")


@pytest.mark.parametrize(("value", "asked"), [("true", True), ("False", False), ("maybe", None), ("", None)])
def test_a_server_may_say_whether_to_try_again(value, asked):
    assert should_retry({"x-should-retry": value}) is asked
    assert should_retry({}) is None
