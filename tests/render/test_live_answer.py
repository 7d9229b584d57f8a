"""An answer on a canvas: its printed rows, its redrawn tail, and its timing."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.core.events import (
    AnswerContinued,
    Notice,
    ReasoningDelta,
    TextDelta,
    TextReclassified,
    TurnCancelled,
    TurnFailed,
    TurnFinished,
    TurnResult,
)
from chatcli.render.live_answer import LiveAnswer
from chatcli.render.reasoning import Reasoning
from conversation.fakes import ManualClock
from render.markdown.drawn import PLAIN, rendered, written

END = TurnFinished(TurnResult("", "m"))


class Paper:
    """A ``Canvas``."""

    def __init__(self):
        self.printed = []
        self.tails = []
        self.ready = True
        self.broken = False

    def columns(self):
        return 40

    def rows(self):
        return 5

    def is_ready(self):
        return self.ready

    def draw(self, printed, tail):
        if self.broken:
            raise OSError("nobody there")
        self.printed.append(written(printed))
        self.tails.append([written(row) for row in tail])

    @property
    def text(self):
        return "".join(self.printed)


def start(*, shows_reasoning=False, **options):
    clock, paper = ManualClock(), Paper()
    reasoning = Reasoning(PLAIN)
    return LiveAnswer(
        paper, PLAIN, reasoning=reasoning, shows_reasoning=shows_reasoning, clock=clock, **options
    ), paper, clock  # fmt: skip


async def test_the_first_text_and_the_last_are_shown_at_once_and_the_rest_in_frames():
    answer, paper, clock = start()
    await answer(TextDelta("One "))
    assert paper.tails == [["One"]]
    await answer(TextDelta("two "))
    assert len(paper.tails) == 1
    clock.now_s += 1
    await answer(TextDelta("three"))
    assert paper.tails[-1] == ["One two three"]
    await answer(TextDelta("!"))
    await answer(END)
    assert paper.printed[-1] == "One two three!\n"
    assert paper.tails[-1] == []


async def test_text_between_two_frames_is_drawn_without_another_event():
    answer, paper, _ = start()
    await answer(TextDelta("One "))
    await answer(TextDelta("two"))
    await asyncio.sleep(0.1)
    assert paper.tails[-1] == ["One two"]


@given(
    st.lists(st.sampled_from(["# A\n\n", "word ", "\n\n", "- item\n", "```\ncode\n", "```\n", "中文 "])),
    st.integers(1, 9),
)
async def test_the_whole_text_is_printed_however_it_was_cut(chunks, length):
    text = "".join(chunks)
    answer, paper, clock = start()
    for at in range(0, len(text), length):
        clock.now_s += 1
        await answer(TextDelta(text[at : at + length]))
    await answer(END)
    assert paper.text == rendered(text, PLAIN, 40)


@pytest.mark.parametrize("end", [TurnFinished, TurnFailed, TurnCancelled])
async def test_all_received_text_is_printed_however_the_turn_ends(end):
    answer, paper, _ = start()
    await answer(TextDelta("Hel"))
    await answer(TextDelta("lo"))
    await answer(end(TurnResult("", "m")))
    assert paper.text == "Hello\n"


async def test_a_line_about_something_else_finds_no_tail_in_its_way():
    answer, paper, _ = start()
    await answer(TextDelta("Hel"))
    await answer(Notice("x", "something else"))
    assert paper.tails[-1] == []
    await answer(TextDelta("lo"))
    await answer(END)
    assert paper.text == "Hello\n"


async def test_a_line_about_something_else_stands_below_the_blocks_that_are_complete():
    answer, paper, _ = start()
    await answer(TextDelta("```json\n{\n"))
    await answer(TextDelta("}\n```\n\n"))
    await answer(Notice("schema_repair", "asking once more"))
    assert "}" in paper.text


async def test_nothing_is_drawn_while_the_canvas_is_not_ready():
    answer, paper, _ = start()
    paper.ready = False
    await answer(TextDelta("One"))
    await asyncio.sleep(0.06)
    assert paper.tails == []
    paper.ready = True
    await asyncio.sleep(0.1)
    assert paper.tails == [["One"]]


async def test_a_canvas_failure_between_events_is_raised_by_the_next():
    answer, paper, _ = start()
    await answer(TextDelta("One "))
    await answer(TextDelta("two"))
    paper.broken = True
    await asyncio.sleep(0.1)
    with pytest.raises(OSError, match="nobody there"):
        await answer(TextDelta("three"))


class TestReasoning:
    async def test_is_one_line_where_it_is_hidden(self):
        answer, paper, clock = start()
        await answer(ReasoningDelta("Let me "))
        clock.now_s += 12
        await answer(ReasoningDelta("think."))
        assert paper.text == ""
        await answer(TextDelta("Hi"))
        await answer(END)
        assert paper.text == "thought for 12 s (3 words)\n\nHi\n"

    async def test_is_shown_while_it_streams_if_requested(self):
        answer, paper, clock = start(shows_reasoning=True)
        await answer(ReasoningDelta("Let me\nthink."))
        assert paper.text == "┊ Let me\n"
        assert paper.tails[-1] == ["┊ think."]
        clock.now_s += 1
        await answer(TextDelta("Hi"))
        await answer(END)
        assert paper.text == "┊ Let me\n┊ think.\n\nHi\n"

    @pytest.mark.parametrize("shows_reasoning", [True, False])
    async def test_without_an_answer_is_not_lost(self, shows_reasoning):
        answer, paper, _ = start(shows_reasoning=shows_reasoning)
        await answer(ReasoningDelta("hm"))
        await answer(END)
        assert ("hm" in paper.text) == shows_reasoning
        assert ("thought briefly (1 word)" in paper.text) != shows_reasoning

    async def test_that_was_shown_as_the_answer_is_closed_off(self):
        answer, paper, clock = start()
        await answer(TextDelta("hm, *hm*\n```\n"))
        clock.now_s += 1
        await answer(TextDelta("x = 1"))
        await answer(TextReclassified("hm, *hm*\n```\nx = 1"))
        await answer(TextDelta("*Paris*"))
        await answer(END)
        shown, closed, after = paper.text.partition("\nthe text above was reasoning\n\n")
        assert shown == rendered("hm, *hm*\n```\nx = 1", PLAIN, 40)
        assert closed
        assert after == rendered("*Paris*", PLAIN, 40)

    async def test_that_was_shown_as_the_rest_of_code_leaves_the_rest_code(self):
        answer, paper, _ = start()
        await answer(AnswerContinued("```python\nx = 1\n"))
        await answer(TextDelta("hm"))
        await answer(TextReclassified("hm"))
        await answer(TextDelta("y = *2*\n```\n"))
        await answer(END)
        assert "y = *2*" in paper.text


class TestWhereNothingElseTellsWhatIsGoingOn:
    async def test_a_row_says_that_the_model_thinks(self):
        answer, paper, clock = start(shows_activity=True)
        await answer(ReasoningDelta("hm"))
        clock.now_s += 4
        await answer(ReasoningDelta("hm"))
        assert paper.tails[-1] == ["thinking 4 s · Ctrl-C stops"]
        await answer(TextDelta("Hi"))
        await answer(END)
        assert paper.text == "thought for 4 s (1 word)\n\nHi\n"

    async def test_a_row_shows_that_nothing_new_arrives(self):
        answer, paper, clock = start(shows_activity=True, silence_after_s=0.05)
        await answer(TextDelta("Hi"))
        clock.now_s += 5
        await asyncio.sleep(0.1)
        assert paper.tails[-1] == ["Hi", "nothing new for 5 s · Ctrl-C stops"]
        await answer(TextDelta(" there"))
        clock.now_s += 5
        await answer(END)
        assert paper.text == "Hi there\n"
        frames = len(paper.tails)
        await asyncio.sleep(0.1)
        assert len(paper.tails) == frames
