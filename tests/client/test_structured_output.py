from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.client.endpoint import Endpoint
from chatcli.client.structured_output import StructuredOutputModel
from chatcli.core.errors import BudgetReached, SchemaMismatch, ServerFailed
from chatcli.core.events import (
    CitedSource,
    Completion,
    Notice,
    PartialData,
    Retrying,
    TextDelta,
    TextReclassified,
    Usage,
)
from chatcli.core.messages import Message, RefusalPart, question
from chatcli.core.request import CheckedAnswer, Parameters, Request, ResponseFormat
from chatcli.schemas.schema_source import NamedSchema
from chatcli.schemas.wire_forms import response_format
from client.scripted_model import ScriptedModel
from client.wire import events_of, failure_of
from json_schemas import SCHEMAS, VALUES


def check(text):
    return CheckedAnswer(text) if text == "good" else CheckedAnswer(problem=f"{text} is bad")


ASKED = Request(
    "small", (question("Who?"),), response_format=ResponseFormat("it", {}, words="JSON!", check=check)
)
DONE = Completion("stop", usage=Usage(10, 2), cost_usd=0.5)


def structured(*scripts):
    inner = ScriptedModel(*scripts)
    model = StructuredOutputModel(
        inner,
        Endpoint("https://models.example/v1"),
        api="chat",
        abilities=lambda _: None,
        shows_partial=False,
    )
    return model, inner


def shown(events):
    text = ""
    for event in events:
        if isinstance(event, TextDelta):
            text += event.text
        elif isinstance(event, TextReclassified):
            assert text.endswith(event.text)
            text = text.removesuffix(event.text)
    return text


async def test_a_request_without_a_form_passes_through():
    model, _ = structured([TextDelta("bad"), DONE])
    assert await events_of(model, replace(ASKED, response_format=None)) == [TextDelta("bad"), DONE]


async def test_an_answer_that_fits_passes_through():
    model, inner = structured([TextDelta("go"), TextDelta("od"), DONE])
    assert await events_of(model, ASKED) == [TextDelta("go"), TextDelta("od"), DONE]
    assert len(inner.requests) == 1


async def test_the_second_answer_has_the_sources_of_the_first_and_is_asked_for_without_a_search():
    sources = (CitedSource(1, "A", "https://a.example"),)
    model, inner = structured([TextDelta("no"), replace(DONE, sources=sources)], [TextDelta("good"), DONE])
    events = await events_of(model, replace(ASKED, parameters=Parameters(web_search="tool")))
    assert events[-1].sources == sources
    assert [each.parameters.web_search for each in inner.requests] == ["tool", ""]


async def test_both_answers_are_counted_and_the_second_takes_the_place_of_the_first():
    model, inner = structured([TextDelta("no"), DONE], [Retrying(2, 0.1, "busy"), TextDelta("good"), DONE])
    events = await events_of(model, ASKED)
    assert shown(events) == "good"
    assert TextReclassified("no", is_reasoning=False) in events
    end = events[-1]
    assert (end.usage, end.cost_usd, end.answers) == (Usage(20, 4), 1.0, 2)
    assert [message.role for message in inner.requests[1].messages] == ["user", "assistant", "user"]
    assert "no is bad" in inner.requests[1].messages[-1].text
    assert any(isinstance(event, Notice) and event.code == "schema_repair" for event in events)


async def test_an_answer_that_fits_neither_time_is_an_error_after_its_completion():
    model, inner = structured([TextDelta("no"), DONE], [TextDelta("nor this"), DONE])
    events, error = await failure_of(model, ASKED)
    assert isinstance(error, SchemaMismatch)
    assert (shown(events), events[-1].answers, len(inner.requests)) == ("nor this", 2, 2)


async def test_a_first_answer_stays_where_no_second_begins():
    model, _ = structured([TextDelta("no"), DONE], [BudgetReached("no money left")])
    events, error = await failure_of(model, ASKED)
    assert isinstance(error, SchemaMismatch)
    assert "no money left" in error.message
    assert shown(events) == "no"
    assert events[-1] == DONE


async def test_a_second_answer_that_is_refused_was_an_attempt():
    model, _ = structured([TextDelta("no"), DONE], [ServerFailed("busy")])
    events, _ = await failure_of(model, ASKED)
    assert events[-1] == replace(DONE, answers=2)


@pytest.mark.parametrize(
    "end",
    [
        Completion("length"),
        Completion("content_filter"),
        Completion("stop", message=Message("assistant", (RefusalPart("I will not."),))),
    ],
)
async def test_what_is_no_whole_answer_is_left_to_others(end):
    model, inner = structured([TextDelta("no"), end])
    assert (await events_of(model, ASKED))[-1] == end
    assert len(inner.requests) == 1


async def test_the_rest_of_an_answer_is_checked_with_its_beginning_and_never_asked_for_again():
    model, _ = structured([TextDelta("od"), DONE])
    assert shown(await events_of(model, replace(ASKED, partial_answer="go"))) == "od"
    model, inner = structured([TextDelta("od"), DONE])
    _, error = await failure_of(model, replace(ASKED, partial_answer="no"))
    assert isinstance(error, SchemaMismatch)
    assert len(inner.requests) == 1


def streaming(text, size):
    return [TextDelta(text[at : at + size]) for at in range(0, len(text), size)]


async def test_partial_values_grow_and_take_no_more_than_some_answers():
    value = {"items": [{"name": f"number {n}", "n": n} for n in range(2_000)]}
    text = json.dumps(value)
    inner = ScriptedModel([*streaming(text, 7), DONE])
    model = StructuredOutputModel(
        inner, Endpoint("https://models.example/v1"), api="chat", abilities=lambda _: None
    )
    asked = replace(ASKED, response_format=ResponseFormat("it", {}, check=CheckedAnswer))
    partial = [event.data for event in await events_of(model, asked) if isinstance(event, PartialData)]
    counts = [len(each.get("items", ())) for each in partial]
    assert counts == sorted(counts)
    assert sum(len(json.dumps(each)) for each in partial) < 10 * len(text)
    assert len(partial) > 30


async def test_a_number_that_may_go_on_is_no_value_yet():
    inner = ScriptedModel([TextDelta('{"a": 1'), TextDelta("2, "), TextDelta('"b": true}'), DONE])
    model = StructuredOutputModel(
        inner, Endpoint("https://models.example/v1"), api="chat", abilities=lambda _: None
    )
    asked = replace(ASKED, response_format=ResponseFormat("it", {}, check=CheckedAnswer))
    partial = [event.data for event in await events_of(model, asked) if isinstance(event, PartialData)]
    assert partial == [{}, {"a": 12}, {"a": 12, "b": True}]


async def test_a_number_that_no_reader_of_json_knows_is_in_no_partial_value():
    inner = ScriptedModel([TextDelta('{"a": 1'), TextDelta("e400, "), TextDelta('"b": true}'), DONE])
    model = StructuredOutputModel(
        inner, Endpoint("https://models.example/v1"), api="chat", abilities=lambda _: None
    )
    asked = replace(ASKED, response_format=ResponseFormat("it", {}, check=CheckedAnswer))
    partial = [event.data for event in await events_of(model, asked) if isinstance(event, PartialData)]
    assert partial == [{}]


async def test_a_partial_value_is_taken_out_of_what_is_put_around_it_for_the_endpoint():
    inner = ScriptedModel(
        [TextDelta("As in [1]: "), TextDelta('{"val'), TextDelta('ue": ["a'), TextDelta('"]}'), DONE]
    )
    model = StructuredOutputModel(
        inner, Endpoint("https://models.example/v1"), api="chat", abilities=lambda _: None
    )
    wanted = response_format(NamedSchema("it", {"type": "array"}))
    events = await events_of(model, replace(ASKED, response_format=wanted))
    assert [event.data for event in events if isinstance(event, PartialData)] == [["a"]]


ANSWERS = VALUES.map(json.dumps) | st.text(max_size=40)


@given(SCHEMAS, ANSWERS, ANSWERS)
async def test_whatever_the_model_answers_the_text_fits_or_there_is_an_error(schema, first, second):
    wanted = response_format(NamedSchema("it", schema))
    inner = ScriptedModel(*([TextDelta(text), DONE] if text else [DONE] for text in (first, second)))
    model = StructuredOutputModel(
        inner, Endpoint("https://models.example/v1"), api="chat", abilities=lambda _: None
    )
    events = []
    try:
        async for event in model.stream(replace(ASKED, response_format=wanted)):
            events.append(event)  # noqa: PERF401 - what came before a failure is wanted
    except SchemaMismatch:
        assert len(inner.requests) == 2
        assert wanted.check(shown(events)).problem
    else:
        assert not wanted.check(shown(events)).problem
    assert isinstance(events[-1], Completion)
