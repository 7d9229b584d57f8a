"""The JSON formats."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.core.errors import NetworkError, NothingToExtract, SchemaMismatch, ServerFailed
from chatcli.core.events import CitedSource, Notice, TextDelta, TurnFinished, TurnResult
from chatcli.core.messages import ToolCallPart
from chatcli.render.json_output import JsonLinesRenderer, JsonRenderer, json_line, result_object
from render.turns import FAILED, TURNS, show

GOLDEN = Path(__file__).parent / "golden"


async def written(renderer_type, events):
    chunks = []
    await show(renderer_type(chunks.append), events)
    return "".join(chunks)


@pytest.mark.parametrize("turn", TURNS)
async def test_the_json_object_is_as_scripts_know_it(turn):
    assert await written(JsonRenderer, TURNS[turn]) == (GOLDEN / f"{turn}.json").read_text("utf-8")


@pytest.mark.parametrize("turn", TURNS)
async def test_the_json_lines_are_as_scripts_know_them(turn):
    assert await written(JsonLinesRenderer, TURNS[turn]) == (GOLDEN / f"{turn}.jsonl").read_text("utf-8")


@pytest.mark.parametrize("turn", TURNS)
async def test_the_last_line_carries_the_keys_of_the_object(turn):
    lines = (await written(JsonLinesRenderer, TURNS[turn])).splitlines()
    last = json.loads(lines[-1])
    assert last.pop("type") == f"turn_{turn}"
    assert list(last.items()) == list(json.loads(await written(JsonRenderer, TURNS[turn])).items())


async def test_notices_from_before_the_turn_come_first_and_hold_no_keys():
    chunks = []
    before = [Notice("model", "using sk-secret")]
    turn = [Notice("injection", "a.txt, line 1"), TurnFinished(TurnResult("Hi", "m"))]
    await show(JsonRenderer(chunks.append, lambda text: text.replace("sk-secret", "[key]"), before), turn)
    assert json.loads(chunks[-1])["notices"] == [
        {"code": "model", "message": "using [key]"},
        {"code": "injection", "message": "a.txt, line 1"},
    ]


def test_an_error_that_is_not_the_endpoints_has_the_same_keys():
    error = result_object(TurnResult("", "m", error=NothingToExtract("no code")))["error"]
    assert error == {
        "code": "nothing_to_extract",
        "message": "no code",
        "hint": None,
        "status": None,
        "request_id": None,
        "call_id": None,
    }


@pytest.mark.parametrize(
    ("result", "call_id"),
    [
        (TurnResult("", "m", error=ServerFailed("down").of_call("c-1", "req_1")), "c-1"),
        (TurnResult("{", "m", error=SchemaMismatch("no JSON"), call_id="c-2"), "c-2"),
        (TurnResult("", "m", error=NetworkError("no route")), None),
    ],
)
def test_an_error_names_the_call_in_the_logs_where_there_was_one(result, call_id):
    assert result_object(result)["error"]["call_id"] == call_id


def test_parts_beside_the_text_have_the_keys_of_the_format():
    result = TurnResult(
        "",
        "m",
        refusal="No.",
        tool_calls=(ToolCallPart("call_1", "search", '{"q": "a"}'),),
        sources=(CitedSource(1, "Paris", "https://example.com"), CitedSource(2, "deep.pdf", path="deep.pdf")),
    )
    shown = result_object(result)
    assert list(shown)[-6:] == ["error", "refusal", "tool_calls", "sources", "notices", "data"]
    assert shown["refusal"] == "No."
    assert shown["tool_calls"] == [{"id": "call_1", "name": "search", "arguments": '{"q": "a"}'}]
    assert shown["sources"] == [
        {"n": 1, "title": "Paris", "url": "https://example.com"},
        {"n": 2, "title": "deep.pdf", "path": "deep.pdf"},
    ]


async def test_an_event_of_a_later_version_is_passed_over():
    assert (
        await written(JsonLinesRenderer, [object(), TextDelta("a")])
        == '{"type": "text_delta", "text": "a"}\n'
    )
    assert await written(JsonRenderer, [object()]) == ""


async def test_nothing_is_written_before_the_turn_ends():
    assert await written(JsonRenderer, FAILED[:-1]) == ""


@given(st.text(st.characters(codec=None, exclude_categories=())))
def test_every_character_survives_and_none_acts_on_a_terminal(text):
    line = json_line({"text": text})
    assert json.loads(line.encode("utf-8")) == {"text": json.loads(json.dumps(text))}
    assert not [
        each for each in line if not each.isprintable() and ord(each) in {*range(32), *range(127, 160)}
    ]
