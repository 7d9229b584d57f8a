"""Expected questions: reading them, and asking them into the cache."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.app.cache_warming import ExpectedQuestion, Warming, read_questions
from chatcli.conversation.history import History
from chatcli.core import messages
from chatcli.core.errors import KeyRefused, RequestRefused, UsageError
from chatcli.core.events import Notice, TurnFailed, TurnFinished, TurnResult, Usage
from chatcli.core.messages import Message, TextPart

DONE = TurnResult("Paris.", "small", "stop", Usage(9, 1), 0.25)


class Asked:
    """Ends each turn as ``results`` say, by question; counts turns at the same time."""

    def __init__(self, **results):
        self.results = results
        self.running = self.most_at_once = 0
        self.asked = []
        self.histories = []
        self.before = History()
        self.before.instructions, self.before.system = messages.system("Always."), messages.system("Brief.")

    def beside(self, history):
        self.histories.append(history)
        return self

    @property
    def manager(self):
        return SimpleNamespace(history=self.before)

    async def send(self, question, *, is_cacheable):
        assert is_cacheable
        self.asked.append(question.text)
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        try:
            for _ in range(3):
                await asyncio.sleep(0)
            result = self.results.get(question.text, DONE)
            yield Notice("about", question.text)
            yield TurnFinished(result) if result.error is None else TurnFailed(result)
        finally:
            self.running -= 1


def questions(*texts):
    return [ExpectedQuestion(number, messages.question(text)) for number, text in enumerate(texts, start=1)]


async def warmed(turns, *texts, concurrency=2):
    warming, reports = Warming(questions(*texts)), []
    await warming.run(
        turns, concurrency=concurrency, report=lambda: reports.append(warming.done), notify=lambda _: None
    )
    return warming, reports


def test_a_text_has_a_question_a_line():
    assert read_questions("One?\n\n  Two? \r\n") == [
        ExpectedQuestion(1, messages.question("One?")),
        ExpectedQuestion(3, messages.question("Two?")),
    ]
    assert read_questions("\n \n") == []


def test_only_the_end_of_a_line_ends_a_question():
    (row,) = read_questions(json.dumps({"prompt": "a\u2028b\x85c"}, ensure_ascii=False))
    assert row.question.text == "a\u2028b\x85c"
    assert [each.question.text for each in read_questions("a\u2028b\x0cc\rd\r\ne")] == [
        "a\u2028b\x0cc",
        "d",
        "e",
    ]


def test_a_row_may_hold_the_messages_before_the_question():
    rows = (
        '{"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "One?"}, '
        '{"role": "assistant", "content": "1."}, {"role": "user", "content": "Two?"}]}'
    )
    (expected,) = read_questions(rows)
    assert expected.question == messages.question("Two?")
    assert expected.earlier == (
        messages.system("Be brief."),
        messages.question("One?"),
        Message("assistant", (TextPart("1.", "model"),)),
    )


@given(st.text())
def test_any_text_is_read_or_refused_in_words(text):
    try:
        found = read_questions(text)
    except UsageError as error:
        assert error.message.startswith("line ")  # noqa: PT017 - most texts are read
    else:
        assert all(expected.question.text.strip() for expected in found)


async def test_no_more_than_wanted_are_asked_at_a_time_and_each_once():
    turns = Asked()
    warming, reports = await warmed(turns, *"abcdefg", concurrency=3)
    assert turns.most_at_once == 3
    assert sorted(turns.asked) == list("abcdefg")
    assert (warming.asked, warming.done, len(reports)) == (7, 7, 7)
    assert (warming.input_tokens, warming.output_tokens, warming.cost_usd) == (63, 7, 1.75)


async def test_what_became_of_each_question_is_counted():
    turns = Asked(
        hit=TurnResult("Paris.", "small", "stop", Usage(0, 0), 0.0, cached=True),
        cut=TurnResult("Par", "small", "length", cost_usd=None),
        refused=TurnResult("", "small", error=RequestRefused("not that")),
    )
    warming, _ = await warmed(turns, "new", "hit", "cut", "refused")
    assert (warming.asked, warming.cached, warming.unstored) == (1, 1, 1)
    assert [(failed.line, failed.error.message) for failed in warming.failed] == [(4, "not that")]
    assert warming.stopped_by is None
    assert warming.cost_usd is None  # one is unknown


async def test_an_error_that_all_would_meet_stops_the_rest():
    refused = KeyRefused("invalid key")
    turns = Asked(b=TurnResult("", "small", error=refused))
    warming, _ = await warmed(turns, *"abcdef", concurrency=1)
    assert warming.stopped_by is refused
    assert turns.asked == ["a", "b"]


async def test_a_cancelled_run_closes_every_turn_and_keeps_its_counts():
    turns = Asked()

    @asynccontextmanager
    async def running():
        warming = Warming(questions(*"abcdef"))
        task = asyncio.create_task(
            warming.run(turns, concurrency=2, report=lambda: None, notify=lambda _: None)
        )
        yield warming, task
        task.cancel()
        await asyncio.wait({task})

    async with running() as (warming, task):
        while not warming.done:  # noqa: ASYNC110 - a turn at a time
            await asyncio.sleep(0)
    assert task.cancelled()
    assert turns.running == 0
    assert 0 < warming.done < 6


@pytest.mark.parametrize("rows", ['{"prompt": ""}', '{"prompt": " "}'])
def test_an_empty_prompt_is_refused(rows):
    with pytest.raises(UsageError, match="line 1 has no text"):
        read_questions(rows)


async def test_each_question_follows_its_own_messages_after_what_is_always_sent():
    turns = Asked()
    rows = [
        ExpectedQuestion(1, messages.question("a"), (messages.system("Long."), messages.question("before"))),
        ExpectedQuestion(2, messages.question("b")),
    ]
    warming = Warming(rows)
    await warming.run(turns, concurrency=1, report=lambda: None, notify=lambda _: None)
    first, second = turns.histories
    assert first.instructions == second.instructions == messages.system("Always.")
    assert (first.system, second.system) == (messages.system("Long."), messages.system("Brief."))
    assert [turn.messages for turn in first.turns] == [(messages.question("before"),)]
    assert second.turns == []
