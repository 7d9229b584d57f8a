"""Messages as the APIs want them, and what goes back to the provider it came from."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chatcli.client.chat_completions import ChatCompletions
from chatcli.client.endpoint import Endpoint
from chatcli.client.endpoint_facts import Facts
from chatcli.client.responses import Responses
from chatcli.client.unsupported_parameters import UnsupportedParametersModel
from chatcli.client.wire_messages import ANSWER_ALONE, chat_messages, response_items
from chatcli.core.errors import RequestRefused, UsageError
from chatcli.core.events import Completion, Notice, TextDelta
from chatcli.core.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    Message,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    answer,
    question,
)
from chatcli.core.request import Request, ResponseFormat, Tool
from client.scripted_model import ScriptedModel
from client.wire import delta, end, event, events_of

URL = "https://models.example/v1"
ENDPOINT = Endpoint(URL)
ELSEWHERE = Endpoint("https://other.example/v1")
OWN = {"endpoint": "models.example", "model": "m"}
PARIS = [TextDelta("Paris"), Completion("stop")]
CALL = ToolCallPart("1", "weather", '{"city": "Köln"}')
RETURNED = Message("tool", (ToolResultPart("1", (TextPart("Rain.", "tool"),)),))


def request(*messages, **fields):
    return Request("m", (question("Weather?"), *messages), **fields)


def reply(*parts):
    return Message("assistant", parts)


def test_a_call_and_its_result_are_sent_as_chat_completions_want_them():
    _, called, returned = chat_messages(request(reply(CALL), RETURNED), ENDPOINT)
    function = {"name": "weather", "arguments": '{"city": "Köln"}'}
    assert called == {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "1", "type": "function", "function": function}],
    }
    assert returned == {"role": "tool", "tool_call_id": "1", "content": "Rain."}


def test_a_call_and_its_result_are_sent_as_responses_want_them():
    _, said, called, returned = response_items(
        request(reply(TextPart("Wait.", "model"), CALL), RETURNED), ENDPOINT
    )
    assert said == {"role": "assistant", "content": "Wait."}
    assert called == {
        "type": "function_call",
        "call_id": "1",
        "name": "weather",
        "arguments": '{"city": "Köln"}',
    }
    assert returned == {"type": "function_call_output", "call_id": "1", "output": "Rain."}


def test_reasoning_goes_back_with_the_calls_it_led_to_in_the_field_it_came_in():
    blocks = [{"type": "reasoning.text", "text": "hm", "signature": "x"}]
    reasoning = ReasoningPart("hm", {**OWN, "field": "reasoning", "reasoning_details": blocks})
    said = request(reply(reasoning, CALL), RETURNED)
    called = chat_messages(said, ENDPOINT)[1]
    assert (called["reasoning"], called["reasoning_details"], called["content"]) == ("hm", blocks, "")
    assert chat_messages(said, ELSEWHERE)[1].keys() == {"role", "content", "tool_calls"}
    assert chat_messages(replace(said, model="n"), ENDPOINT)[1].keys() == {"role", "content", "tool_calls"}


def test_reasoning_stays_here_where_nobody_asked_for_it():
    said = request(reply(ReasoningPart("hm"), TextPart("Rain.", "model")), question("And?"))
    assert chat_messages(said, ENDPOINT)[1] == {"role": "assistant", "content": "Rain."}
    assert response_items(said, ENDPOINT)[1] == {"role": "assistant", "content": "Rain."}


def test_a_thought_signature_goes_back_with_its_call():
    data = {**OWN, "extra_content": {"google": {"thought_signature": "x"}}}
    said = request(reply(replace(CALL, provider_data=data)), RETURNED)
    (call,) = chat_messages(said, ENDPOINT)[1]["tool_calls"]
    assert call["extra_content"] == {"google": {"thought_signature": "x"}}
    (elsewhere,) = chat_messages(said, ELSEWHERE)[1]["tool_calls"]
    assert elsewhere.keys() == {"id", "type", "function"}


def test_encrypted_reasoning_goes_back_to_responses_before_its_answer():
    item = {"type": "reasoning", "id": "rs_1", "encrypted_content": "x", "summary": []}
    said = request(reply(ReasoningPart("", {**OWN, "item": item}), TextPart("Rain.", "model")))
    assert response_items(said, ENDPOINT)[1:] == [item, {"role": "assistant", "content": "Rain."}]
    assert response_items(said, ELSEWHERE)[1:] == [{"role": "assistant", "content": "Rain."}]


@pytest.mark.parametrize(
    ("part", "kind"), [(ImagePart, "a picture"), (AudioPart, "a sound"), (FilePart, "a file")]
)
@pytest.mark.parametrize("dialect", [ChatCompletions(), Responses()])
def test_what_cannot_be_sent_is_refused_and_never_left_out(part, kind, dialect):
    attached = part("00" * 32, "any/type", "cat.bin")
    for message in (Message("user", (TextPart("Look"), attached)), tool_returning(attached)):
        with pytest.raises(UsageError) as refused:
            dialect.body(request(message), streamed=True, endpoint=ENDPOINT)
        assert refused.value.code == "cannot_be_sent"
        assert (
            refused.value.message == f"the conversation contains {kind} (cat.bin), which cannot be sent yet"
        )
        assert "/drop" in refused.value.hint


def tool_returning(part):
    return Message("tool", (ToolResultPart("1", (part,)),))


WEATHER = Tool("weather", "Tell the weather.", {"type": "object", "properties": {}})
SCHEMA = ResponseFormat("person", {"type": "object"})


def test_tools_and_a_response_format_are_sent_as_each_api_wants_them():
    asked = request(tools=(WEATHER,), response_format=SCHEMA)
    function = {"name": "weather", "description": "Tell the weather.", "parameters": WEATHER.parameters}
    schema = {"name": "person", "schema": {"type": "object"}, "strict": True}
    chat = ChatCompletions().body(asked, streamed=False, endpoint=ENDPOINT)
    assert chat["tools"] == [{"type": "function", "function": function}]
    assert chat["response_format"] == {"type": "json_schema", "json_schema": schema}
    responses = Responses().body(asked, streamed=False, endpoint=ENDPOINT)
    assert responses["tools"] == [{"type": "function", **function}]
    assert responses["text"] == {"format": {"type": "json_schema", **schema}}
    plain = ChatCompletions().body(request(), streamed=False, endpoint=ENDPOINT)
    assert not {"tools", "response_format"} & plain.keys()


SAID = request(reply(ReasoningPart("hm"), TextPart("Rain.", "model")), question("And tomorrow?"))


@pytest.mark.parametrize(
    "words",
    [
        "The `reasoning_content` in the thinking mode must be passed back to the API.",
        "The `content[].thinking` in the thinking mode must be passed back to the API.",
        "thinking is enabled but reasoning_content is missing in assistant tool call message at index 1",
        "Missing `reasoning_content` field in the assistant message at message index 1",
    ],
)
async def test_who_wants_reasoning_back_gets_it_which_is_said_once_and_remembered(tmp_path, words):
    path = tmp_path / "parameters.json"
    inner = ScriptedModel([RequestRefused(words, status=400)], PARIS, PARIS)
    model = UnsupportedParametersModel(inner, Facts(URL, path))
    wanted = Notice("reasoning_sent_back", "m wants the reasoning of earlier answers back; sending it")
    assert await events_of(model, SAID) == [wanted, *PARIS]
    assert await events_of(model, SAID) == PARIS
    sent = [chat_messages(asked, ENDPOINT)[1].get("reasoning_content") for asked in inner.requests]
    assert sent == [None, "hm", "hm"]
    another_run = ScriptedModel(PARIS)
    await events_of(UnsupportedParametersModel(another_run, Facts(URL, path)), SAID)
    assert another_run.requests[0].without == {ANSWER_ALONE}


async def test_an_answer_whose_reasoning_nobody_kept_is_sent_with_a_blank():
    said = request(answer("Rain."), question("And?"), without=frozenset({ANSWER_ALONE}))
    assert chat_messages(said, ENDPOINT)[1]["reasoning_content"] == " "


@pytest.mark.parametrize(
    "error",
    [
        RequestRefused("reasoning_effort is missing", status=404),
        RequestRefused("The question must be passed back", status=400),
    ],
)
async def test_another_refusal_is_not_about_reasoning(error):
    inner = ScriptedModel([error])
    with pytest.raises(RequestRefused):
        await events_of(UnsupportedParametersModel(inner, Facts()), SAID)


async def test_a_first_question_has_no_answer_to_send_reasoning_with():
    inner = ScriptedModel([RequestRefused("Missing `reasoning_content` field", status=400)])
    with pytest.raises(RequestRefused):
        await events_of(UnsupportedParametersModel(inner, Facts()), request())


async def test_the_completion_has_the_whole_reply(chat, streams):
    streams(delta(reasoning_content="h"), delta(reasoning_content="m"), delta("Pa"), delta("ris"), end())
    assert (await events_of(chat))[-1].message == reply(ReasoningPart("hm"), TextPart("Paris", "model"))


async def test_the_reasoning_of_a_reply_with_calls_is_kept_as_its_provider_wants_it_back(chat, streams):
    function = {"index": 0, "id": "1", "function": {"name": "f", "arguments": "{}"}}
    signature = {"google": {"thought_signature": "x"}}
    block = {"type": "reasoning.text", "index": 0, "format": "v1"}
    streams(
        delta(reasoning="h", reasoning_details=[{**block, "text": "h"}]),
        delta(reasoning="m", reasoning_details=[{**block, "text": "m", "signature": None}]),
        delta(reasoning_details=[{**block, "text": "", "signature": "s"}, {"type": "other", "index": 1}, 7]),
        delta(tool_calls=[{**function, "extra_content": signature}]),
        end("tool_calls"),
    )
    origin = {"endpoint": "models.example", "model": "small"}
    reasoning, call = (await events_of(chat))[-1].message.parts
    assert reasoning.text == "hm"
    assert reasoning.provider_data == {
        **origin,
        "field": "reasoning",
        "reasoning_details": [{**block, "text": "hm", "signature": "s"}, {"type": "other", "index": 1}],
    }
    assert call == ToolCallPart("1", "f", "{}", {**origin, "extra_content": signature})


async def test_empty_reasoning_before_a_call_goes_back_empty(chat, streams):
    function = {"index": 0, "id": "1", "function": {"name": "f", "arguments": "{}"}}
    streams(delta(reasoning_content=""), delta(tool_calls=[function]), end("tool_calls"))
    message = (await events_of(chat))[-1].message
    asked = Request("small", (question("?"), message, RETURNED))
    assert chat_messages(asked, Endpoint("https://models.example/v1"))[1]["reasoning_content"] == ""


async def test_odd_blocks_of_reasoning_are_passed_over(chat, streams):
    streams(event({"choices": [{"delta": {"content": "Paris", "reasoning_details": "?"}}]}), end())
    assert (await events_of(chat))[-1].message == answer("Paris")
