"""Answers that arrive at the same time, shown one after another."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from chatcli.core.events import TextDelta, TurnFinished, TurnResult, TurnStarted, Waiting
from chatcli.render.answers_in_order import AnswersInOrder, Headed

NAMES = "abcd"


class Seen:
    """Observers of turns that keep the texts in the order shown; showing takes a moment."""

    def __init__(self):
        self.texts = []
        self.kinds = []

    def begin(self, at):
        async def see(event):
            await asyncio.sleep(0)
            self.kinds.append((at, type(event)))
            if isinstance(event, TextDelta):
                self.texts.append(event.text)

        return (see,)


def turn(name, texts):
    return [TurnStarted(name), *map(TextDelta, texts), TurnFinished(TurnResult("", name))]


@given(st.lists(st.lists(st.text("xyz", min_size=1), max_size=4), min_size=1, max_size=4), st.randoms())
async def test_each_is_shown_whole_in_the_order_of_the_models_however_they_arrive(texts, random):
    seen = Seen()
    in_order = AnswersInOrder(len(texts), seen.begin)

    async def play(at):
        for event in turn(NAMES[at], texts[at]):
            for _ in range(random.randrange(4)):
                await asyncio.sleep(0)
            await in_order.turn(at)(event)

    await asyncio.gather(*map(play, range(len(texts))))
    assert "".join(seen.texts) == "".join("".join(each) for each in texts)
    assert [at for at, kind in seen.kinds if kind is TurnFinished] == list(range(len(texts)))
    assert [at for at, _ in seen.kinds] == sorted(at for at, _ in seen.kinds)


async def test_the_first_is_shown_as_it_arrives_and_what_the_others_waited_for_never():
    seen = Seen()
    in_order = AnswersInOrder(2, seen.begin)
    await in_order.turn(1)(Waiting(5.0, "first answer"))
    await in_order.turn(1)(TextDelta("later"))
    await in_order.turn(0)(TextDelta("now"))
    assert seen.texts == ["now"]
    await in_order.turn(0)(TurnFinished(TurnResult("", "a")))
    assert seen.texts == ["now", "later"]
    assert (1, Waiting) not in seen.kinds


async def test_a_heading_precedes_an_answer_even_without_any_text():
    written = []

    async def render(event):
        written.append(event)

    headed = Headed(render, "# a\n\n", lambda: written.append("gap"))
    end = TurnFinished(TurnResult("", "a"))
    await headed(end)
    assert written == ["gap", TextDelta("# a\n\n"), end]
