"""From the values of a row to the request it asks for."""

from __future__ import annotations

import pytest

from chatcli.batching.input_rows import Record
from chatcli.batching.row_requests import RequestDefaults, RowReader, read_row_template
from chatcli.core.errors import UsageError
from chatcli.core.messages import Message, TextPart, ToolCallPart, ToolResultPart, system
from chatcli.core.request import Parameters

DEFAULTS = RequestDefaults("small", Parameters(temperature=0.5), (system("Be brief."),))


def row_of(fields, *, template=None, defaults=DEFAULTS):
    return RowReader(defaults, template).row(Record(0, 1, fields, 7))


def error_of(fields, **options):
    error = row_of(fields, **options).error
    assert error is not None
    return error.message


def test_a_prompt_is_asked_below_the_system_prompt():
    request = row_of({"prompt": "Hi"}).request
    assert [message.text for message in request.messages] == ["Be brief.", "Hi"]
    assert (request.model, request.parameters) == ("small", Parameters(temperature=0.5))


def test_messages_of_all_roles_are_read():
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    request = row_of(
        {
            "messages": [
                {"role": "developer", "content": "Rules"},
                {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "c1", "content": "42"},
            ]
        }
    ).request
    assert request.messages == (
        system("Rules"),
        Message("user", (TextPart("a"), TextPart("b"))),
        Message("assistant", (ToolCallPart("c1", "f", "{}"),)),
        Message("tool", (ToolResultPart("c1", (TextPart("42", "tool"),)),)),
    )


def test_fields_of_a_table_are_numbers_where_numbers_belong():
    request = row_of(
        {"prompt": "Hi", "temperature": "0.1", "max_tokens": "9", "seed": "", "model": ""}
    ).request
    assert request.parameters == Parameters(temperature=0.1, max_tokens=9)
    assert request.model == "small"


def test_a_body_keeps_the_fields_nobody_here_knows():
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": "a"}],
        "max_completion_tokens": 5,
        "reasoning_effort": "low",
        "tools": [],
        "stream": True,
    }
    row = row_of({"custom_id": "x", "method": "POST", "url": "/v1/chat/completions", "body": body})
    assert row.id == "x"
    assert row.request.parameters == Parameters(0.5, None, 5, None, "low", extra={"tools": []})


def test_a_body_for_responses_has_input_and_instructions():
    defaults = RequestDefaults("small", Parameters(), api="responses")
    body = {"input": "Hi", "instructions": "Be kind."}
    row = row_of({"custom_id": "x", "url": "/v1/responses", "body": body}, defaults=defaults)
    assert [message.text for message in row.request.messages] == ["Be kind.", "Hi"]
    assert "--api responses" in str(
        row_of({"custom_id": "x", "url": "/v1/responses", "body": body}).error.hint
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "has neither prompt nor messages"),
        ({"prompt": ""}, "has an empty prompt"),
        ({"prompt": " "}, "has an empty prompt"),
        ({"prompt": 5}, "has a prompt that is no text"),
        ({"prompt": "a", "messages": []}, "has both"),
        ({"messages": []}, "no list of messages"),
        ({"messages": [{"role": "boss", "content": "a"}]}, "no known role in messages[0]"),
        ({"messages": [{"role": "user"}]}, "no content in messages[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "cannot be sent: image_url"),
        ({"messages": [{"role": "user", "content": [{"type": ["text"]}]}]}, "cannot be sent: it has no type"),
        ({"messages": [{"role": "tool", "content": "a"}]}, "no tool_call_id"),
        (
            {"messages": [{"role": "assistant", "tool_calls": 5}]},
            "tool_calls that are no list in messages[0]",
        ),
        ({"messages": [{"role": "assistant", "tool_calls": [1]}]}, "tool call without"),
        ({"prompt": "a", "max_tokens": 0}, "max_tokens below 1"),
        ({"prompt": "a", "seed": 1.5}, "seed that is no whole number"),
        ({"prompt": "a", "temperature": True}, "temperature that is no number"),
        ({"prompt": "a", "model": 3}, "model that is no name"),
        ({"prompt": "a", "options": []}, "options that are no object"),
        ({"prompt": "a", "id": 1.5}, "an id that is neither"),
        ({"prompt": "a", "id": 10**5000}, "an id of too many digits"),
        ({"messages": [{"role": 10**5000, "content": "a"}]}, "no known role in messages[0]"),
        ({"custom_id": "a", "url": 10**5000, "body": {}}, "is for a url that is no text"),
        ({"custom_id": "a", "body": []}, "a body that is no object"),
    ],
)
def test_a_row_that_cannot_be_asked_says_why(fields, message):
    assert message in error_of(fields)
    assert error_of(fields).startswith("line 1 ")


def test_an_id_that_occurs_twice_is_an_error_of_the_second_row():
    reader = RowReader(DEFAULTS)
    rows = [
        reader.row(Record(number, number + 1, {"prompt": "a", "id": identity}, 7))
        for number, identity in enumerate([*range(5000), "1", None, None, 4321])
    ]
    assert [row.index for row in rows if row.error is not None] == [5003]
    assert rows[-1].error.code == "duplicate_id"
    assert "4321" in rows[-1].error.message


def test_a_template_keeps_its_own_words_apart_from_the_values():
    template = read_row_template("Say {word} in {language name}, as {{word}}.", ["word", "language name"])
    row = row_of({"word": "cat", "language name": "French"}, template=template)
    assert row.request.messages[-1].parts == (
        TextPart("Say"),
        TextPart("cat", "document"),
        TextPart("in"),
        TextPart("French", "document"),
        TextPart(", as {word}."),
    )


def test_a_value_is_never_read_as_a_template():
    row = row_of({"a": "{b}", "b": "secret"}, template=read_row_template("{a}", None))
    assert row.request.messages[-1].text == "{b}"


def test_a_row_without_a_value_of_the_prompt_is_an_error():
    template = read_row_template("Say {word}", None)
    assert "has no 'word'" in error_of({"other": 1}, template=template)
    assert "nothing to put" in error_of({"word": " "}, template=template)
    assert row_of({"word": 5}, template=template).request.messages[-1].text == "Say\n\n5"


def test_braces_that_name_no_column_are_text():
    template = read_row_template('As {"a": 1}: {text}', ["text"])
    assert template.segments[0] == 'As {"a": 1}: '
    with pytest.raises(UsageError, match="no such column"):
        read_row_template("{txet}", ["text"])


def test_lines_follow_a_prompt_that_does_not_name_them():
    assert read_row_template("Translate:", ["text"]).columns == ("text",)
    with pytest.raises(UsageError, match="names no value"):
        read_row_template("Translate:", ["a", "b"])


def test_a_row_may_name_its_model_by_an_alias():
    defaults = RequestDefaults("small", Parameters(), aliases={"fast": "gpt-5-mini"})
    named = {"prompt": "Hi", "model": "fast"}
    of_batch = {
        "custom_id": "a",
        "body": {"model": "fast", "messages": [{"role": "user", "content": "Hi"}]},
    }
    for fields in (named, of_batch):
        row = RowReader(defaults).row(Record(0, 1, fields, 0))
        assert row.request is not None
        assert row.request.model == "gpt-5-mini"
