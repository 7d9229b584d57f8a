from __future__ import annotations

import asyncio

import pytest

from chatcli.core.errors import NetworkError
from chatcli.repl.between_turns import BetweenTurns


class GettingReady:
    """The preparation of a ``Conversation``: ``work`` is awaited, and ``happened`` records how it ended."""

    def __init__(self, work):
        self.happened = []
        self._work = work

    async def get_ready(self):
        try:
            await self._work()
            self.happened.append("done")
        except asyncio.CancelledError:
            self.happened.append("given up")
            raise


async def fail():
    raise NetworkError("gone")


async def test_a_question_waits_for_what_is_about_to_end():
    chat, between = GettingReady(lambda: asyncio.sleep(0)), BetweenTurns(print)
    between.begin(chat)
    await between.settle()
    assert chat.happened == ["done"]


async def test_but_not_for_long():
    chat, between = GettingReady(asyncio.Event().wait), BetweenTurns(print, patience_s=0.01)
    between.begin(chat)
    await between.settle()
    assert chat.happened == ["given up"]


async def test_whoever_stops_waiting_stops_it_too():
    chat, between = GettingReady(asyncio.Event().wait), BetweenTurns(print, patience_s=60)
    between.begin(chat)
    waiting = asyncio.create_task(between.settle())
    await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert chat.happened == ["given up"]


async def test_a_failure_is_reported_once():
    reported = []
    between = BetweenTurns(reported.append)
    for _ in range(3):
        between.begin(GettingReady(fail))
        await between.settle()
    assert reported == ["older turns could not be summarized and are left out: gone"]


async def test_where_nothing_was_begun_there_is_nothing_to_wait_for():
    between = BetweenTurns(print)
    await between.settle()
    await between.stop()


async def test_it_knows_when_it_is_what_asks():
    between = BetweenTurns(print)
    seen = []

    async def look():
        seen.append(between.is_asking)

    between.begin(GettingReady(look))
    assert not between.is_asking
    await between.settle()
    assert seen == [True]
