from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.core.events import (
    ReasoningDelta,
    TextDelta,
    TextReclassified,
    TurnCancelled,
    TurnFailed,
    TurnFinished,
    TurnResult,
)
from chatcli.render.plain import PlainRenderer, WholeLines
from render.turns import show

END = TurnFinished(TurnResult("", "m"))


async def written(*texts, sanitize=True, end=END):
    chunks = []
    await show(PlainRenderer(chunks.append, sanitize=sanitize), [*map(TextDelta, texts), end])
    return chunks


@pytest.mark.parametrize(
    ("texts", "shown"),
    [
        (["Paris"], "Paris\n"),
        (["Paris", ".\n"], "Paris.\n"),
        (["Paris.\n\n"], "Paris.\n\n"),
        (["\n"], "\n"),
        ([], ""),
        ([""], ""),
        (["Paris\r"], "Paris␍\n"),
        (["Paris\r", "\n"], "Paris\n"),
    ],
)
async def test_the_answer_ends_in_exactly_the_newline_it_lacks(texts, shown):
    assert "".join(await written(*texts)) == shown


async def test_each_chunk_is_written_as_it_arrives():
    assert await written("Par", "is") == ["Par", "is", "\n"]


@pytest.mark.parametrize("end", [TurnFinished, TurnFailed, TurnCancelled])
async def test_a_partial_answer_is_complete_as_far_as_it_goes(end):
    assert "".join(await written("👩", "\u200d", end=end(TurnResult("", "m")))) == "👩<U+200D>\n"


async def test_raw_keeps_every_character():
    assert "".join(await written("\x1b[31m\r", "\u202e\r\n", sanitize=False)) == "\x1b[31m\r\u202e\r\n"


async def test_an_escape_cut_in_two_does_not_get_through():
    assert "".join(await written("\x1b", "[31mred")) == "␛[31mred\n"


async def test_reasoning_is_not_the_answer():
    chunks = []
    await show(PlainRenderer(chunks.append, sanitize=True), [ReasoningDelta("hm"), END])
    assert chunks == []


async def test_the_next_turn_starts_anew():
    chunks = []
    await show(PlainRenderer(chunks.append, sanitize=True), [TextDelta("a"), END, END, TextDelta("b"), END])
    assert "".join(chunks) == "a\nb\n"


@pytest.mark.parametrize("text", ["hm", "hm\n"])
async def test_text_that_was_reasoning_is_closed_off_and_reported(text):
    chunks, reports = [], []
    renderer = PlainRenderer(chunks.append, sanitize=True, say=reports.append)
    await show(renderer, [TextDelta(text), TextReclassified(text), TextDelta("Paris."), END])
    assert "".join(chunks) == "hm\n</think>\n\nParis.\n"
    assert reports == ["the text before </think> is reasoning, not the answer"]


def whole_lines(*texts, **named):
    chunks = []
    write = WholeLines(chunks.append, **named)
    for text in texts:
        write(text)
    return chunks


def test_half_a_line_is_held_back():
    assert whole_lines("Par", "is.\nMad", "rid.\n", "Rome") == ["Paris.\n", "Madrid.\n"]


@given(st.lists(st.text(alphabet="ab \n")))
def test_every_whole_line_is_passed_on_as_it_is(texts):
    chunks = whole_lines(*texts)
    whole = "".join(texts)
    assert "".join(chunks) == whole[: whole.rfind("\n") + 1]
    assert all(chunk.endswith("\n") for chunk in chunks)


@pytest.mark.parametrize(
    ("texts", "shown"),
    [
        (["Paris.\nYes.\n", "Really.\n"], "Assistant: Paris.\nYes.\nReally.\n"),
        (["\n", "\nParis.\n"], "\n\nAssistant: Paris.\n"),
        (["\n"], "\n"),
        ([], ""),
    ],
)
def test_the_speaker_is_named_once(texts, shown):
    assert "".join(whole_lines(*texts, speaker="Assistant: ")) == shown
