"""Marks where Claude's provider caches the beginning of a prompt."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.client.chat_completions import ChatCompletions
from chatcli.client.endpoint import Endpoint
from chatcli.client.endpoint_facts import Facts, UnsupportedParametersModel
from chatcli.client.prompt_caching import (
    CACHE_CONTROL,
    CONVERSATION,
    MOST_MARKS,
    ONE_REQUEST,
    PromptCachingModel,
)
from chatcli.client.responses import Responses
from chatcli.core.errors import RequestRefused
from chatcli.core.events import Completion, Notice, TextDelta
from chatcli.core.messages import Message, ToolCallPart, answer, question, system
from chatcli.core.request import Parameters, Request
from client.scripted_model import ScriptedModel
from client.wire import events_of, failure_of

GATEWAY = Endpoint("https://gateway.example/v1")
CLAUDE = "anthropic/claude-sonnet-4.5"
LONG, BOOK = "Be brief. " * 300, "It was a dark night. " * 500
PARIS = [TextDelta("Paris"), Completion("stop")]

TEXTS = st.sampled_from(["", "Hi", LONG, BOOK])
MESSAGES = st.lists(
    st.one_of(
        st.builds(question, TEXTS),
        st.builds(answer, TEXTS),
        st.builds(system, TEXTS),
        st.builds(lambda text: Message("assistant", (ToolCallPart("1", "look", text),)), TEXTS),
    ),
    max_size=9,
)


async def sent_by(request, endpoint=GATEWAY, *, api="chat", what=CONVERSATION):
    """Return the body of ``request`` after the layer."""
    inner = ScriptedModel(PARIS)
    await events_of(PromptCachingModel(inner, endpoint, api=api, what=what), request)
    dialect = Responses() if api == "responses" else ChatCompletions()
    return dialect.body(inner.requests[0], streamed=True, endpoint=endpoint)


def marked(body):
    """Return the positions of the marked messages."""
    return [
        place
        for place, message in enumerate(body["messages"])
        if isinstance(message["content"], list) and CACHE_CONTROL in message["content"][-1]
    ]


def claude(*messages, **fields):
    return Request(CLAUDE, messages, **fields)


async def test_the_ends_of_what_is_sent_again_are_marked():
    turns = [
        system(LONG),
        question("Read this.", BOOK),
        answer("Read."),
        question("Who?"),
        answer("Ann."),
        question("Why?"),
    ]
    body = await sent_by(claude(*turns))
    assert marked(body) == [0, 1, 4, 5]
    assert body["messages"][0]["content"] == [
        {"type": "text", "text": LONG, "cache_control": {"type": "ephemeral"}}
    ]
    assert body["messages"][2]["content"] == "Read."


@pytest.mark.parametrize(
    ("messages", "places"),
    [
        ((system("Be brief."), question("Hi")), []),
        ((system(LONG), question("Hi")), [0]),
        ((question(BOOK),), [0]),
        ((question(LONG),), []),
        ((question("Hi"), answer(LONG), question("And?")), [1, 2]),
        ((system("Be brief."), question("Hi", LONG), answer("Hi"), question("And?")), [2, 3]),
        ((), []),
    ],
)
async def test_what_is_too_short_or_may_not_be_sent_again_is_not_marked(messages, places):
    assert marked(await sent_by(claude(*messages))) == places


async def test_rows_of_a_batch_share_only_their_system_prompt():
    body = await sent_by(claude(system(LONG), question(BOOK)), what=ONE_REQUEST)
    assert marked(body) == [0]


@given(MESSAGES, st.sampled_from([ONE_REQUEST, CONVERSATION]))
def test_there_are_never_more_marks_than_taken_and_nothing_else_changes(messages, what):
    plain = claude(*messages)
    request = replace(plain, prompt_cache=what)
    body = ChatCompletions().body(request, streamed=True, endpoint=GATEWAY)
    assert len(marked(body)) <= MOST_MARKS
    for message in body["messages"]:
        if isinstance(message["content"], list):
            (part,) = message["content"]
            assert part["text"]
            message["content"] = part["text"]
    assert body == ChatCompletions().body(plain, streamed=True, endpoint=GATEWAY)


@given(MESSAGES, st.integers(0, 9))
def test_a_conversation_encoded_before_has_its_marks_where_they_are_now(messages, length):
    dialect = ChatCompletions()
    for part in (messages[:length], messages):
        request = claude(*part, prompt_cache=CONVERSATION)
        written = dialect.encoded_body(request, streamed=True, endpoint=GATEWAY)
        assert json.loads(written) == ChatCompletions().body(request, streamed=True, endpoint=GATEWAY)


@pytest.mark.parametrize(
    ("url", "model", "api"),
    [
        ("https://openrouter.ai/api/v1", "openai/gpt-5", "chat"),
        ("https://gateway.example/v1", "claudette", "chat"),
        ("https://gateway.example/v1", CLAUDE, "responses"),
        ("https://api.anthropic.com/v1", "claude-sonnet-4-5", "chat"),
        ("https://api.openai.com/v1", "ft:claude", "chat"),
    ],
)
async def test_elsewhere_bodies_keep_every_byte(url, model, api):
    endpoint = Endpoint(url)
    request = Request(model, (system(LONG), question(BOOK), answer("Hi"), question("And?")))
    dialect = Responses() if api == "responses" else ChatCompletions()
    assert await sent_by(request, endpoint, api=api) == dialect.body(
        request, streamed=True, endpoint=endpoint
    )


async def test_a_server_that_runs_models_itself_caches_by_itself():
    endpoint = Endpoint("http://127.0.0.1:11434/v1", runs_models=True)
    assert marked(await sent_by(claude(system(LONG), question("Hi")), endpoint)) == []


async def test_who_says_what_to_cache_is_left_to_it():
    own = Parameters(extra={"cache_control": {"type": "ephemeral"}})
    assert marked(await sent_by(claude(system(LONG), question("Hi"), parameters=own))) == []


REFUSALS = [
    "messages.0.content.0.cache_control: Extra inputs are not permitted",
    "A maximum of 4 blocks with cache_control may be provided. Found 5.",
    "You do not have access to explicit prompt caching",
    "messages[0].content: expected a string",
    "Invalid type for 'messages[0].content': expected a string, but got an array instead.",
    '[{"type": "string_type", "loc": ["body", "messages", 0, "content"], "msg": "Input should be a valid string"}]',
]


@pytest.mark.parametrize("wording", REFUSALS)
async def test_a_refusal_is_learned(wording):
    request = claude(system(LONG), question("Hi"), prompt_cache=CONVERSATION)
    refused = RequestRefused(wording, status=400)
    inner = ScriptedModel([refused], PARIS, PARIS)
    model = UnsupportedParametersModel(inner, Facts())
    (notice, *seen) = await events_of(model, request)
    assert isinstance(notice, Notice)
    assert notice.message.endswith("does not take marks for its prompt cache; retried without")
    assert seen == PARIS
    assert await events_of(model, request) == PARIS
    assert [CACHE_CONTROL in each.without for each in inner.requests] == [False, True, True]


async def test_a_refusal_of_a_schema_with_a_content_is_none_of_the_marks():
    wording = "Invalid schema: In context=('properties', 'content'), array schema missing items."
    refused = RequestRefused(wording, status=400)
    request = claude(system(LONG), question("Hi"), prompt_cache=CONVERSATION)
    _, error = await failure_of(UnsupportedParametersModel(ScriptedModel([refused]), Facts()), request)
    assert error is refused


@pytest.mark.parametrize("wording", [*REFUSALS, "No."])
async def test_a_request_without_marks_is_not_sent_again(wording):
    refused = RequestRefused(wording, status=400)
    for request in (claude(question("Hi"), prompt_cache=CONVERSATION), claude(system(LONG))):
        inner = ScriptedModel([refused], PARIS)
        _, error = await failure_of(UnsupportedParametersModel(inner, Facts()), request)
        assert error is refused
