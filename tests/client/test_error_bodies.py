from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from chatcli.client.error_bodies import ErrorDetails, error_details

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "code", "type", "detail", "param", "response", "status"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(JSON_VALUES)
def test_no_body_breaks_the_reading_of_an_error(body):
    details = error_details(body)
    assert isinstance(details.parameter, str)
    assert all(isinstance(value, str) for value in (details.message, details.code, details.type))


def test_the_parameter_an_error_names_is_kept():
    body = {"error": {"message": "No.", "code": "unsupported_parameter", "param": "temperature"}}
    assert error_details(body) == ErrorDetails("No.", "unsupported_parameter", "", "temperature")


def test_a_code_that_only_repeats_the_status_gives_way_to_a_word():
    assert error_details([{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}]).is_rate_limit
    assert error_details({"error": {"code": 503, "message": "busy"}}).is_overload


def test_an_error_inside_a_response_event_is_found():
    event = {"type": "response.failed", "response": {"error": {"code": "server_error", "message": "Oops"}}}
    assert error_details(event) == ErrorDetails("Oops", "server_error")


def test_a_quota_is_no_rate_limit_that_passes():
    assert error_details({"error": {"type": "insufficient_quota", "message": "No."}}).is_quota
    assert not error_details({"error": {"code": "rate_limit_exceeded", "message": "No."}}).is_quota


def test_a_single_request_above_the_tokens_a_minute_is_an_overflow():
    said = "Request too large for gpt-x on tokens per min (TPM): Limit 30000, Requested 50000."
    assert error_details({"error": {"message": said, "code": "rate_limit_exceeded"}}).is_overflow


def test_what_is_nested_as_deep_as_can_be_read_breaks_nothing():
    for depth in range(900, 1000):
        try:
            value = json.loads('{"message": ' + "[" * depth + "]" * depth + "}")
        except RecursionError:
            break
        assert isinstance(error_details({"error": value}).message, str)


def test_bytes_that_are_no_text_are_no_words():
    assert error_details("\x1f\x8b\x08\0\0\0").message == ""


def test_a_word_that_serves_as_a_key_stays_in_a_message():
    assert error_details({"error": "ollama is loading"}, key="ollama").message == "ollama is loading"
