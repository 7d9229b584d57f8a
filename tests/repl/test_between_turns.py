from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from chat.conversations import EMBEDDED, ask, opened, replies, target
from chatcli.core.errors import NetworkError
from chatcli.repl.between_turns import BetweenTurns
from chatcli.sessions.store import SessionStore
from conversation.fakes import ScriptedModel


class GettingReady:
    """The preparation of a ``Conversation``: ``work`` is awaited, and ``happened`` records how it ended."""

    resolved = None

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


class Reading:
    """An embedded model that reads a conversation ahead until ``is_read``; ``happened`` records how that ended."""

    def __init__(self):
        self.happened = []
        self.is_read = asyncio.Event()

    async def open_connection(self):
        self.happened.append("opened")

    async def prefill(self, request):
        try:
            await self.is_read.wait()
            self.happened.append(request.messages[-2].text)
        except asyncio.CancelledError:
            self.happened.append("given up")
            raise


@pytest.fixture
async def chat_and_reading(tmp_path):
    chat, reading = opened(SessionStore(tmp_path)), Reading()
    model = ScriptedModel(replies("Paris."), replies("Madrid."))
    chat.turns.connect(replace(target(model=model, endpoint=EMBEDDED), early=reading))
    await ask(chat, "Capital of France?")
    yield chat, reading
    chat.close()


async def test_after_a_turn_the_embedded_model_reads_ahead(chat_and_reading):
    chat, reading = chat_and_reading
    between = BetweenTurns(print)
    reading.is_read.set()
    between.begin(chat)
    async with asyncio.timeout(20):
        while not reading.happened:  # noqa: ASYNC110 - there is nothing else to wait for
            await asyncio.sleep(0)
    assert reading.happened == ["Paris."]
    await between.stop()


async def test_a_question_stops_reading_ahead_at_once(chat_and_reading):
    chat, reading = chat_and_reading
    between = BetweenTurns(print, patience_s=60)
    between.prefill(chat)
    await asyncio.sleep(0)
    async with asyncio.timeout(20):
        await between.settle()
    assert reading.happened == ["given up"]


async def test_each_state_of_a_conversation_is_read_ahead_once_unless_it_was_given_up(chat_and_reading):
    chat, reading = chat_and_reading
    between = BetweenTurns(print)
    between.prefill(chat)
    await asyncio.sleep(0)
    await between.settle()
    reading.is_read.set()
    for _ in range(3):
        between.prefill(chat)
        await asyncio.sleep(0.01)
    assert reading.happened == ["given up", "Paris."]
    await ask(chat, "And of Spain?")
    between.prefill(chat)
    await asyncio.sleep(0.01)
    assert reading.happened == ["given up", "Paris.", "Madrid."]
    await between.stop()
