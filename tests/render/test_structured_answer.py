from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.conversation.play import play
from chatcli.core.events import (
    AnswerContinued,
    Notice,
    TextDelta,
    TextReclassified,
    TurnFailed,
    TurnFinished,
    TurnResult,
)
from chatcli.render.structured_answer import JsonLayout, held, laid_out, laid_out_text
from json_schemas import VALUES

NOTICE = Notice("schema_repair", "asking once more")


async def through(display, *events):
    async def turn():
        for event in events:
            yield event

    return [event async for event in display(turn())]


def shown(events):
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def laid_out_chunks(*chunks):
    layout = JsonLayout()
    return "".join([*map(layout.feed, chunks), layout.end()])


async def test_a_held_answer_is_shown_whole_at_the_end():
    end = TurnFinished(TurnResult(text='{"a": 2}', model="small"))
    events = await through(
        held,
        TextDelta('{"a"'),
        TextDelta(": 1}"),
        NOTICE,
        TextReclassified('{"a": 1}', is_reasoning=False),
        TextDelta('{"a": 2}'),
        end,
    )
    assert events == [NOTICE, TextDelta('{"a": 2}'), end]


@pytest.mark.parametrize(
    ("text", "data", "expected"),
    [
        ('{"a":  1.50}', {"a": 1.5}, '{"a":  1.50}'),
        ('Sure!\n```json\n{"a": 1}\n```\nBye.', {"a": 1}, '{"a": 1}'),
        ('\ufeff{"a": 1}', {"a": 1}, '{"a": 1}'),
        ('{"a": 1, "b": null}', {"a": 1}, '{"a": 1}'),
        ('{"value": [1, true]}', [1, True], "[1, true]"),
        ('{"a": true}', {"a": 1}, '{"a": 1}'),
        ("So: " + '{"a": "\\ud800\\u009b"}', {"a": "\ud800\x9b"}, '{"a": "\\ud800\\u009b"}'),
        ("no JSON", None, "no JSON"),
    ],
)
async def test_of_a_held_answer_that_fits_the_value_alone_is_shown(text, data, expected):
    end = TurnFinished(TurnResult(text=text, model="small", data=data))
    assert shown(await through(held, TextDelta(text), end)) == expected


async def test_a_held_answer_that_continues_one_shows_only_the_rest():
    end = TurnFailed(TurnResult(text='{"a": 2', model="small"))
    events = await through(held, AnswerContinued('{"a'), TextDelta('": 2'), end)
    assert shown(events) == '": 2'


async def test_of_a_held_answer_that_is_stopped_what_came_is_shown():
    events, waits = [], asyncio.Event()

    async def turn():
        yield TextDelta('{"a": 1}')
        yield TextReclassified('{"a": 1}', is_reasoning=False)
        yield TextDelta('{"a"')
        waits.set()
        await asyncio.Event().wait()

    async def observe(event):
        events.append(event)

    playing = asyncio.create_task(play(held(turn()), observe))
    await waits.wait()
    playing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await playing
    assert shown(events) == '{"a"'
    assert events[-1].result.text == '{"a"'


def test_a_line_break_in_a_string_cannot_end_the_code_block():
    assert laid_out_chunks('{"a": "b\n``', '`\r\n# c"}') == '```json\n{\n  "a": "b\\n```\\r\\n# c"\n}\n```\n'


async def test_an_answer_that_is_replaced_stays_and_the_next_begins_below():
    events = await through(
        laid_out,
        TextDelta('{"a": 1'),
        NOTICE,
        TextReclassified('{"a": 1', is_reasoning=False),
        TextDelta("[]"),
    )
    assert shown(events) == '```json\n{\n  "a": 1\n```\n\n```json\n[]\n```\n'
    assert shown(events[: events.index(NOTICE)]) == '```json\n{\n  "a": 1\n```\n\n', (
        "the notice is below the answer"
    )
    again = TextReclassified("Words.", is_reasoning=False)
    assert shown(await through(laid_out, TextDelta("Words."), again, TextDelta("[]"))).startswith(
        "Words.\n\n```json"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '{"a":[1,{"b":null}],"c":{}}',
            '{\n  "a": [\n    1,\n    {\n      "b": null\n    }\n  ],\n  "c": {}\n}',
        ),
        ('{"a": "x, {y}: \\"z\\""}', '{\n  "a": "x, {y}: \\"z\\""\n}'),
    ],
)
def test_json_is_laid_out_with_a_line_for_each_value(text, expected):
    assert laid_out_text(text) == f"```json\n{expected}\n```\n"


def test_words_around_the_json_stay_words_and_fences_are_dropped():
    assert laid_out_chunks("Here:\n```json\n", "{}", "\n```\nBye.") == "Here:\n\n```json\n{}\n```\n\nBye.\n"
    assert laid_out_chunks("I can", "not.") == "I cannot."


@given(VALUES, st.integers(1, 7))
def test_what_is_laid_out_is_the_same_value_however_it_arrives(value, size):
    text = json.dumps({"it": value})
    chunks = [text[at : at + size] for at in range(0, len(text), size)]
    inside = laid_out_chunks(*chunks).removeprefix("```json\n").removesuffix("\n```\n")
    assert json.loads(inside) == {"it": value}
    assert inside == laid_out_text(text).removeprefix("```json\n").removesuffix("\n```\n")
