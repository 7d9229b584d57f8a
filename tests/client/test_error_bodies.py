from __future__ import annotations

import json

import pytest
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


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        ({"message": "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens."}, 8192),
        ({"message": "This model's maximum context length is 128,000 tokens"}, 128_000),
        ({"error": {"message": "request exceeds the context size", "n_prompt_tokens": 5507, "n_ctx": 4096}}, 4096),
        ({"message": "request (5507 tokens) exceeds the available context size (2048 tokens), try increasing it"}, 2048),
        ({"message": "prompt is too long: 210000 tokens > 200000 maximum"}, 200_000),
        ({"message": "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."}, 1_048_576),
        ({"message": "Prompt contains 40000 tokens, too large for model with 32768 maximum context length"}, 32_768),
        ({"message": "Request too large for gpt-4o: Limit 6000, Requested 9000"}, None),
        ({"message": "the context window is too small"}, None),
        ({"message": "context length 3"}, None),
        ({"message": "context length " + "9" * 5000}, None),
        ({"message": "x", "n_ctx": True}, None),
        ({"message": "x", "n_ctx": "4096"}, None),
    ],
)  # fmt: skip
def test_the_size_of_a_window_is_taken_from_where_servers_tell_it(body, tokens):
    assert error_details(body).window_tokens == tokens
