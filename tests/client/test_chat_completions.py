"""Encoded bodies are what the openai package would have sent, whatever was sent before."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai._utils._json import openapi_dumps

from chatcli.client.chat_completions import ChatCompletions
from chatcli.client.endpoint import Endpoint
from chatcli.client.responses import Responses
from chatcli.client.wire_messages import DEVELOPER_ROLE, SYSTEM_ROLE
from chatcli.core.errors import UsageError
from chatcli.core.messages import (
    ImagePart,
    Message,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    answer,
    question,
    system,
)
from chatcli.core.request import Parameters, Request, Tool

HERE, ELSEWHERE = Endpoint("https://models.example/v1"), Endpoint("https://other.example/v1")
TEXTS = st.text(max_size=20)
MESSAGES = st.one_of(
    st.builds(question, TEXTS),
    st.builds(answer, TEXTS),
    st.builds(system, TEXTS),
    st.builds(
        lambda text, origin: Message("assistant", (TextPart(text),), {"endpoint": origin, "mark": text}),
        TEXTS,
        st.sampled_from([HERE.host, ELSEWHERE.host]),
    ),
    st.builds(lambda text: Message("assistant", (ToolCallPart("1", "look", text),)), TEXTS),
    st.builds(lambda text: Message("tool", (ToolResultPart("1", (TextPart(text, "tool"),)),)), TEXTS),
    st.just(Message("tool", ())),
)
PARAMETERS = st.builds(
    Parameters,
    temperature=st.none() | st.floats(0, 2),
    max_tokens=st.none() | st.integers(1, 9),
    extra=st.dictionaries(st.sampled_from(["messages", "model", "top_k", "ü"]), st.none() | TEXTS),
)
ASKED = st.lists(
    st.tuples(
        st.lists(st.integers(0, 9), max_size=8),
        st.sampled_from(["m", "n"]),
        st.sampled_from([frozenset(), frozenset({SYSTEM_ROLE}), frozenset({SYSTEM_ROLE, DEVELOPER_ROLE})]),
        PARAMETERS,
        st.sampled_from([HERE, ELSEWHERE]),
        st.booleans(),
    ),
    max_size=5,
)


@given(st.lists(MESSAGES, min_size=10, max_size=10), ASKED, st.sampled_from([ChatCompletions, Responses]))
def test_a_body_has_the_bytes_the_package_makes_of_it_after_any_other(messages, asked, dialect):
    used = dialect()
    for places, model, without, parameters, endpoint, streamed in asked:
        sent = tuple(messages[place] for place in places)
        request = Request(
            model, sent, parameters, tools=(Tool("look", "Look.", {"type": "object"}),), without=without
        )
        fresh = dialect().body(request, streamed=streamed, endpoint=endpoint)
        assert used.encoded_body(request, streamed=streamed, endpoint=endpoint) == openapi_dumps(fresh)


def test_a_message_that_was_sent_before_is_not_looked_at_again():
    dialect, told = ChatCompletions(), answer("Paris.")
    request = Request("m", (question("Where?"), told))
    dialect.encoded_body(request, streamed=True, endpoint=HERE)
    object.__setattr__(told, "parts", ())  # nobody does that: it shows who looks
    longer = replace(request, messages=(*request.messages, question("Sure?")))
    assert b"Paris." in dialect.encoded_body(longer, streamed=True, endpoint=HERE)


def test_messages_are_encoded_ahead():
    dialect, told = ChatCompletions(), answer("Paris.")
    request = Request("m", (question("Where?"), told))
    dialect.encode_messages(request, endpoint=HERE)
    object.__setattr__(told, "parts", ())
    assert b"Paris." in dialect.encoded_body(request, streamed=True, endpoint=HERE)


def test_a_small_request_between_two_questions_does_not_replace_the_conversation():
    dialect, told = ChatCompletions(), [answer(f"answer {number}") for number in range(9)]
    conversation = Request("m", tuple(told))
    for request in (conversation, Request("m", (question("a title?"),))):
        dialect.encoded_body(request, streamed=True, endpoint=HERE)
    object.__setattr__(told[0], "parts", ())
    assert b"answer 0" in dialect.encoded_body(conversation, streamed=True, endpoint=HERE)


def test_what_cannot_be_sent_is_refused_every_time():
    dialect = ChatCompletions()
    picture = Message("user", (ImagePart("0" * 64, "image/png", "a.png"),))
    for _ in range(2):
        with pytest.raises(UsageError):
            dialect.encoded_body(Request("m", (picture,)), streamed=True, endpoint=HERE)


def test_a_time_in_a_parameter_is_written_as_the_package_writes_it():
    at = datetime(2026, 1, 2, tzinfo=UTC)
    request = Request("m", (question("Hi"),), Parameters(extra={"until": at}))
    body = ChatCompletions().body(request, streamed=True, endpoint=HERE)
    encoded = ChatCompletions().encoded_body(request, streamed=True, endpoint=HERE)
    assert encoded == openapi_dumps(body)
