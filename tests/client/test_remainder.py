"""What comes beside the text of an answer, in the chunks that providers' documents show."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.client.remainder import MOST_CALLS, Remainder
from chatcli.core.events import Completion, Notice, TextDelta
from chatcli.core.messages import Message, ToolCallPart, answer, question
from chatcli.core.request import Parameters, Request
from client.wire import QUESTION, asked, completion, delta, end, event, events_of

WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}
NOT_OFFERED = Notice("tool_calls", "the model tried to call a tool that was not offered: get_weather")


def call(index, *, identity=None, name=None, arguments=""):
    function = {"name": name, "arguments": arguments} if name else {"arguments": arguments}
    begun = {"id": identity, "type": "function"} if identity else {}
    return {"index": index, **begun, "function": function}


async def test_a_refusal_is_no_answer_but_said_and_in_the_completion(chat, streams):
    # https://platform.openai.com/docs/guides/structured-outputs#refusals-with-structured-outputs
    streams(
        delta(role="assistant", refusal=None),
        delta(refusal="I'm sorry, "),
        delta(refusal="I cannot help with that."),
        end(),
    )
    refusal = "I'm sorry, I cannot help with that."
    events = await events_of(chat)
    assert events == [
        Notice("refusal", f"the model refused to answer: {refusal}"),
        Completion("stop", "small-1"),
    ]
    assert events[-1].message == answer("", refusal)


@pytest.mark.parametrize("content", [None, "", [{"type": "refusal", "refusal": "No."}]])
async def test_a_refusal_in_one_piece_reads_the_same(unstreamed, completions, content):
    whole = completion("")
    refusal = {} if content else {"refusal": "No."}
    whole["choices"][0]["message"] = {"role": "assistant", "content": content, **refusal}
    completions.respond(json=whole)
    events = await events_of(unstreamed)
    assert events[0] == Notice("refusal", "the model refused to answer: No.")
    assert events[-1].message == answer("", "No.")


async def test_what_came_before_a_refusal_is_the_answer_as_far_as_it_came(chat, streams):
    streams(delta("Well, "), delta(refusal="no."), end())
    events = await events_of(chat)
    assert events[0] == TextDelta("Well, ")
    assert events[-1].message == answer("Well, ", "no.")


async def test_the_deltas_of_calls_are_joined_by_their_index(chat, streams):
    # https://platform.openai.com/docs/guides/function-calling#streaming
    streams(
        delta(role="assistant", tool_calls=[call(0, identity="call_1", name="get_weather")]),
        delta(tool_calls=[call(0, arguments='{"city"')]),
        delta(tool_calls=[call(1, identity="call_2", name="get_weather", arguments='{"city":')]),
        delta(tool_calls=[call(0, arguments=':"Paris"}'), call(1, arguments='"Rome"}')]),
        end("tool_calls"),
    )
    calls = (
        ToolCallPart("call_1", "get_weather", '{"city":"Paris"}'),
        ToolCallPart("call_2", "get_weather", '{"city":"Rome"}'),
    )
    events = await events_of(chat)
    assert events == [NOT_OFFERED, Completion("tool_calls", "small-1")]
    assert events[-1].message == Message("assistant", calls)


@pytest.mark.parametrize("place", [{"index": 0}, {}])
async def test_calls_that_share_a_place_are_told_apart_by_their_ids(chat, streams, place):
    # Gemini's compatible API: https://ai.google.dev/gemini-api/docs/openai#function-calling
    def whole(identity, city):
        return {
            **place,
            "id": identity,
            "type": "function",
            "function": {"name": "get_weather", "arguments": city},
        }

    streams(delta(tool_calls=[whole("a", "{}")]), delta(tool_calls=[whole("b", "[]")]), end("tool_calls"))
    assert (await events_of(chat))[-1].message.tool_calls == (
        ToolCallPart("a", "get_weather", "{}"),
        ToolCallPart("b", "get_weather", "[]"),
    )


async def test_the_older_function_call_is_one_as_well(chat, streams):
    streams(
        delta(function_call={"name": "get_weather", "arguments": ""}),
        delta(function_call={"arguments": '{"city":'}),
        delta(function_call={"arguments": '"Paris"}'}),
        end("function_call"),
    )
    events = await events_of(chat)
    assert events == [NOT_OFFERED, Completion("function_call", "small-1")]
    assert events[-1].message.tool_calls == (ToolCallPart("", "get_weather", '{"city":"Paris"}'),)


async def test_arguments_that_are_an_object_become_its_json(unstreamed, completions):
    whole = completion("")
    function = {"name": "get_weather", "arguments": {"city": "Köln"}}
    whole["choices"][0]["message"]["tool_calls"] = [{"id": "1", "type": "function", "function": function}]
    completions.respond(json=whole)
    (called,) = (await events_of(unstreamed))[-1].message.tool_calls
    assert called == ToolCallPart("1", "get_weather", '{"city": "Köln"}')


@pytest.mark.parametrize("tools", [{"tools": [WEATHER]}, {"functions": [WEATHER["function"]]}])
async def test_a_call_of_a_tool_that_was_offered_is_said_to_be_that(chat, streams, tools):
    streams(delta(tool_calls=[call(0, identity="1", name="get_weather")]), end("tool_calls"))
    assert (await events_of(chat, asked(extra=tools)))[0] == Notice(
        "tool_calls", "the model called a tool, which chatcli does not run: get_weather"
    )
    other = {"tools": [{"type": "function", "function": {"name": "other"}}]}
    assert (await events_of(chat, asked(extra=other)))[0] == NOT_OFFERED


async def test_calls_are_told_in_a_line_however_many_and_long(chat, streams):
    again = [{"function": {"name": "search"}}] * 2000
    others = [{"index": number, "function": {"name": f"{number}" * 9000}} for number in range(2000)]
    streams(delta(tool_calls=again), delta(tool_calls=others), end("tool_calls"))
    notice, completion = await events_of(chat)
    assert notice.message.count("search") == 1
    assert len(notice.message) < 1000
    assert len(completion.message.tool_calls) == MOST_CALLS
    assert all(len(called.name) <= 1000 for called in completion.message.tool_calls)


async def test_a_tool_without_a_name_is_told_too(chat, streams):
    streams(delta(tool_calls=[None, {"function": "?"}, {"function": {"arguments": "{}"}}]), end("tool_calls"))
    notice, completion = await events_of(chat)
    assert notice == Notice("tool_calls", "the model tried to call a tool that was not offered")
    assert completion.message.tool_calls == (ToolCallPart("", "", "{}"),)


@given(st.lists(st.tuples(st.integers(0, 3), st.text(max_size=5)), max_size=20))
def test_however_the_arguments_of_calls_are_mixed_each_call_gets_its_own(deltas):
    remainder, expected = Remainder(QUESTION), {}
    for index, arguments in deltas:
        remainder.call(index, identity=f"call_{index}", name="f", arguments=arguments)
        expected[index] = expected.get(index, "") + arguments
    assert remainder.completing(Completion("stop")).message.tool_calls == tuple(
        ToolCallPart(f"call_{index}", "f", arguments) for index, arguments in expected.items()
    )


async def test_half_a_character_in_a_refusal_or_in_arguments_can_be_written(chat, streams):
    def escaped(**fields):
        return b"data: " + json.dumps({"choices": [{"index": 0, "delta": fields}]}).encode() + b"\n\n"

    streams(
        escaped(refusal="No \ud83d"),
        escaped(refusal="\ude00."),
        escaped(tool_calls=[call(0, name="f", arguments="\ud83d")]),
        end(),
    )
    completion = (await events_of(chat))[-1]
    assert completion.message.refusal == "No \N{GRINNING FACE}."
    assert completion.message.tool_calls == (ToolCallPart("", "f", "\N{REPLACEMENT CHARACTER}"),)


@pytest.mark.parametrize("odd", [None, 3, "?", {}, [None], [3], {"data": 3, "transcript": 4}])
async def test_fields_of_an_unexpected_shape_are_passed_over(chat, streams, odd):
    fields = ("refusal", "tool_calls", "function_call", "images", "audio", "annotations", "citations")
    beside = {name: odd for name in fields if (name, odd) != ("refusal", "?")}
    streams(event({"citations": odd, "search_results": odd}), delta("Paris", **beside), end())
    events = await events_of(chat)
    assert events[0] == TextDelta("Paris")
    assert events[-1].message.refusal is None
    assert events[-1].sources == ()


def test_what_was_offered_may_have_any_shape():
    for odd in (None, 3, [None, 3, {"function": None}, {"function": {"name": 4}}]):
        request = Request("small", (question("Hi"),), Parameters(extra={"tools": odd, "functions": odd}))
        remainder = Remainder(request)
        remainder.call(0, name="f")
        assert [notice.code for notice in remainder.told()] == ["tool_calls"]
