from __future__ import annotations

import pytest

from chatcli.client.answer_forms import (
    BASIC_SCHEMA,
    JSON_MODE,
    SCHEMA,
    TOOL,
    WORDS,
    chat_fields,
    form_in_force,
    forms_not_taken,
    ignored_forms,
    refused_forms,
    response_fields,
    with_words,
)
from chatcli.client.chat_completions import CompletionReader
from chatcli.client.endpoint import Endpoint
from chatcli.client.web_search import PLUGIN
from chatcli.core.errors import RequestRefused
from chatcli.core.events import TextDelta
from chatcli.core.messages import question
from chatcli.core.request import Parameters, Request, ResponseFormat

OBJECT = {"type": "object"}
WANTED = ResponseFormat(
    "person", OBJECT, strict={**OBJECT, "strict": 1}, basic={**OBJECT, "basic": 1}, words="JSON!"
)
LOCAL = Endpoint("http://127.0.0.1:11434/v1", runs_models=True)
OTHER = Endpoint("https://models.example/v1")


def request(*without, **fields):
    return Request("small", (question("Who?"),), without=frozenset(without), response_format=WANTED, **fields)


def test_the_first_form_that_is_not_refused_is_sent():
    assert form_in_force(request()) == SCHEMA
    assert form_in_force(request(SCHEMA)) == BASIC_SCHEMA
    assert form_in_force(request(SCHEMA, BASIC_SCHEMA)) == TOOL
    assert form_in_force(request(SCHEMA, BASIC_SCHEMA, TOOL)) == JSON_MODE
    assert form_in_force(request(SCHEMA, BASIC_SCHEMA, TOOL, JSON_MODE)) == WORDS


@pytest.mark.parametrize(
    ("chosen", "refused", "expected"),
    [
        ("auto", (), TOOL),
        ("plugin", (), TOOL),
        ("auto", (PLUGIN,), JSON_MODE),
        ("tool", (), JSON_MODE),
        ("options", (), JSON_MODE),
    ],
)
def test_no_tool_is_forced_on_a_model_that_may_search_first(chosen, refused, expected):
    searching = request(SCHEMA, BASIC_SCHEMA, *refused, parameters=Parameters(web_search=chosen))
    assert form_in_force(searching) == expected


def test_the_rest_of_a_cut_answer_is_asked_for_without_a_form():
    assert form_in_force(request(is_continuation=True)) is None
    assert chat_fields(request(is_continuation=True)) == response_fields(request(is_continuation=True)) == {}


def test_a_schema_that_strict_mode_cannot_express_is_sent_as_it_is():
    loose = WANTED._replace(strict=None)
    sent = chat_fields(Request("small", (), response_format=loose))["response_format"]["json_schema"]
    assert sent == {"name": "person", "schema": OBJECT}


@pytest.mark.parametrize(
    ("host", "model", "expected"),
    [
        ("api.anthropic.com", "claude-opus-4", TOOL),
        ("generativelanguage.googleapis.com", "gemini-3-pro", BASIC_SCHEMA),
        ("api.deepseek.com", "deepseek-chat", JSON_MODE),
        ("gateway.example", "anthropic/claude-sonnet-4", TOOL),
        ("api.openai.com", "gpt-5-mini", SCHEMA),
    ],
)
def test_what_is_known_of_an_endpoint_decides_the_first_form(host, model, expected):
    known = forms_not_taken(Endpoint(f"https://{host}/v1"), "chat", model, None)
    assert form_in_force(request(*known)) == expected


def test_a_model_without_structured_outputs_in_the_table_gets_a_tool_and_one_without_tools_json_mode():
    assert form_in_force(request(*forms_not_taken(OTHER, "chat", "m", frozenset({"tools"})))) == TOOL
    assert form_in_force(request(*forms_not_taken(OTHER, "chat", "m", frozenset()))) == JSON_MODE
    assert form_in_force(request(*forms_not_taken(LOCAL, "chat", "m", frozenset()))) == SCHEMA


def test_the_words_are_sent_where_the_endpoint_does_not_show_the_model_the_schema():
    assert with_words(request(), OTHER).messages[-1].text == "Who?"
    assert with_words(request(SCHEMA, BASIC_SCHEMA, TOOL), OTHER).messages[-1].text == "Who?\n\nJSON!"
    assert with_words(request(), LOCAL).messages[-1].text == "Who?\n\nJSON!"


@pytest.mark.parametrize(
    ("words", "without", "refused"),
    [
        (
            "'response_format' of type 'json_schema' is not supported with this model",
            (),
            {SCHEMA, BASIC_SCHEMA},
        ),
        ("Invalid schema for response_format 'person': 'minLength' is not permitted", (), {SCHEMA}),
        ("The provided JSON schema contains features not supported by xgrammar.", (), {SCHEMA}),
        ("json_schema is not supported", (SCHEMA,), {SCHEMA, BASIC_SCHEMA}),
        ("json_object is not supported", (SCHEMA, BASIC_SCHEMA, TOOL), {JSON_MODE}),
        ("registry.ollama.ai/library/gemma does not support tools", (SCHEMA, BASIC_SCHEMA), {TOOL}),
        ("you have run out of credits", (), set()),
        ("model not found", (SCHEMA, BASIC_SCHEMA), set()),
    ],
)
def test_a_refusal_is_of_the_form_only_if_it_says_so(words, without, refused):
    error = RequestRefused(words, status=400, provider_message=words)
    assert refused_forms(error, request(), frozenset(without)) == refused


def test_an_answer_in_words_shows_that_the_form_was_ignored():
    assert ignored_forms(SCHEMA, "S") == {SCHEMA, BASIC_SCHEMA}
    assert ignored_forms(TOOL, "S") == {TOOL}
    assert ignored_forms(SCHEMA, "{") == ignored_forms(SCHEMA, "<") == ignored_forms(WORDS, "S") == set()


def read(asked, *messages):
    reader = CompletionReader(asked)
    texts = []
    for message in messages:
        choice = {"index": 0, "delta": message, "finish_reason": None}
        texts += [event.text for event in reader.read_event({"choices": [choice]})]
    list(reader.read_event({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}))
    texts += [event.text for event in reader.rest() if isinstance(event, TextDelta)]
    return "".join(texts), reader.completion()


def call(arguments, **function):
    return {"tool_calls": [{"index": 0, "id": "1", "function": {"arguments": arguments, **function}}]}


@pytest.mark.parametrize("without", [(), (SCHEMA, BASIC_SCHEMA)])
def test_the_arguments_of_the_tool_are_the_answer_whichever_form_was_sent(without):
    text, end = read(request(*without), call('{"a":', name="person"), call(" 1}"))
    assert (text, end.finish_reason, end.message.tool_calls) == ('{"a": 1}', "stop", ())


def test_text_beside_a_forced_tool_is_no_part_of_the_answer():
    text, _ = read(
        request(SCHEMA, BASIC_SCHEMA), {"content": "So: "}, call("{}", name="person"), {"content": "!"}
    )
    assert text == "{}"
    text, _ = read(request(SCHEMA, BASIC_SCHEMA), {"content": "I will "}, {"content": "not."})
    assert text == "I will not."


def calls(*made):
    return {
        "tool_calls": [
            {**beside, "function": {"name": "person", "arguments": arguments}} for arguments, beside in made
        ]
    }


@pytest.mark.parametrize(
    "deltas",
    [
        [calls(("{}", {"index": 0, "id": "1"}), ("[]", {"index": 1, "id": "2"}))],
        [
            calls(("{", {"index": 0}), ("[", {"index": 1})),
            call("}"),
            {"tool_calls": [{"index": 1, "function": {"arguments": "]"}}]},
        ],
        [calls(("{}", {"index": 0, "id": "1"})), calls(("[]", {"index": 0, "id": "2"}))],
        [calls(("{}", {"id": "1"}), ("[]", {"id": "2"}))],
    ],
    ids=["two places", "in turns", "one place", "no place"],
)
def test_of_several_calls_of_the_tool_the_first_is_the_answer(deltas):
    reader = CompletionReader(request(SCHEMA, BASIC_SCHEMA))
    choices = [{"index": 0, "delta": each, "finish_reason": None} for each in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": "tool_calls"})
    events = [event for each in choices for event in reader.read_event({"choices": [each]})]
    assert "".join(event.text for event in events) == "{}"
    assert [event.code for event in reader.rest()] == ["answers_left_out"]
    assert (reader.completion().finish_reason, reader.completion().message.tool_calls) == ("stop", ())


def test_a_new_id_within_the_arguments_begins_no_call():
    text, end = read(
        request(SCHEMA, BASIC_SCHEMA),
        calls(('{"a":', {"index": 0, "id": "1"})),
        calls((" 1}", {"index": 0, "id": "2"})),
    )
    assert (text, end.finish_reason) == ('{"a": 1}', "stop")


def test_a_call_of_another_tool_stays_a_call():
    text, end = read(request(SCHEMA, BASIC_SCHEMA), call("{}", name="weather"))
    assert (text, end.finish_reason, [each.name for each in end.message.tool_calls]) == (
        "",
        "tool_calls",
        ["weather"],
    )
