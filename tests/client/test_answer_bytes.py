from __future__ import annotations

import asyncio
import selectors
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from chatcli.client.answer_bytes import IdleTimeout, are_events, beginning, whole
from chatcli.client.endpoint import Endpoint
from chatcli.core.errors import TimedOut

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine

HERE = Endpoint("https://models.example/v1", timeout_s=30.0, idle_timeout_s=20.0)
BEFORE_THE_ANSWER = "models.example: no answer within {} s"
WITHIN_IT = "models.example: nothing received for {} s"


class _Clock(selectors.SelectSelector):
    """Where a loop would wait, time goes by at once."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        self.now_s += 0.0 if ready else timeout or 0.0
        return ready


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.clock = _Clock()
        super().__init__(self.clock)

    def time(self) -> float:
        return self.clock.now_s


def after_s(work: Coroutine[Any, Any, object]) -> tuple[float, str]:
    """Run ``work`` until the silence is too long, and return when that was and what was said of it."""
    loop = _Loop()
    try:
        with pytest.raises(TimedOut) as raised:
            loop.run_until_complete(work)
        return round(loop.time(), 6), raised.value.message
    finally:
        loop.close()


async def say_nothing_more(idle: IdleTimeout) -> None:
    async with idle.bounded():
        await asyncio.sleep(10_000)


def test_an_answer_may_take_the_whole_time_to_begin():
    assert after_s(say_nothing_more(IdleTimeout(HERE))) == (30, BEFORE_THE_ANSWER.format(30))


@pytest.mark.parametrize(
    ("timeout_s", "idle_timeout_s", "limit_s"), [(30, 20, 20), (20, 20, 20), (20, 30, 20), (7, 120, 7)]
)
def test_within_an_answer_the_silence_is_bounded_by_the_shorter_of_both_limits(
    timeout_s, idle_timeout_s, limit_s
):
    idle = IdleTimeout(replace(HERE, timeout_s=float(timeout_s), idle_timeout_s=float(idle_timeout_s)))
    idle.broken()
    assert after_s(say_nothing_more(idle)) == (limit_s, WITHIN_IT.format(limit_s))


def test_all_waits_until_a_piece_of_the_answer_comes_are_one_silence():
    async def wait_in_parts(idle: IdleTimeout) -> None:
        for _ in range(10):
            async with idle.bounded():
                await asyncio.sleep(8)

    assert after_s(wait_in_parts(IdleTimeout(HERE))) == (30, BEFORE_THE_ANSWER.format(30))


def test_a_piece_of_the_answer_begins_a_new_silence():
    async def wait_for_pieces(idle: IdleTimeout) -> None:
        for _ in range(10):
            async with idle.bounded():
                await asyncio.sleep(19)
            idle.broken()
        await say_nothing_more(idle)

    assert after_s(wait_for_pieces(IdleTimeout(HERE))) == (210, WITHIN_IT.format(20))


def test_the_time_a_reader_takes_is_no_silence_of_the_server():
    async def read_slowly(idle: IdleTimeout) -> None:
        async with idle.bounded():
            await asyncio.sleep(10)
        await asyncio.sleep(1000)
        await say_nothing_more(idle)

    assert after_s(read_slowly(IdleTimeout(HERE))) == (1030, BEFORE_THE_ANSWER.format(30))


@pytest.mark.parametrize(("idle_timeout_s", "limit_s"), [(20, 5), (5, 5), (2, 2)])
def test_after_the_end_of_the_answer_whatever_comes_only_a_little_more_is_waited_for(idle_timeout_s, limit_s):
    async def go_on(idle: IdleTimeout) -> None:
        idle.broken()
        idle.answer_is_complete()
        for _ in range(10):
            async with idle.bounded():
                await asyncio.sleep(1)
            idle.broken()
            idle.answer_is_complete()

    ended_s, said = after_s(go_on(IdleTimeout(replace(HERE, idle_timeout_s=float(idle_timeout_s)))))
    assert (ended_s, said) == (limit_s, WITHIN_IT.format(limit_s))


@pytest.mark.parametrize(
    ("start", "content_type", "are"),
    [
        (b"data: {}", "application/json", True),
        (b"da", "application/json", True),
        (b"event: error", "", True),
        (b": ping", "text/plain", True),
        (b"id: 7", "", True),
        (b"retry: 9", "", True),
        (b"Busy", "text/event-stream; charset=utf-8", True),
        (b"Busy", "text/plain", False),
        (b"{", "text/event-stream", False),
        (b"[", "text/event-stream", False),
        (b"<html>", "text/event-stream", False),
        (b"", "text/event-stream", False),
        (b"\xef\xbb\xbf\r\n data: {}", "", True),
    ],
)
def test_how_a_body_begins_says_whether_it_is_a_stream_of_events(start, content_type, are):
    assert are_events(start, content_type) is are


async def chunks_of(*chunks: bytes) -> AsyncGenerator[bytes]:
    for chunk in chunks:
        yield chunk


async def test_blanks_before_a_body_are_passed_over():
    async with aclosing(chunks_of(b"\r\n ", b"\xef\xbb\xbf", b"\t{", b"}")) as chunks:
        assert await beginning(chunks) == b"{"
        assert await whole(chunks, IdleTimeout(HERE), HERE) == b"}"
