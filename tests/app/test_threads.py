from __future__ import annotations

import asyncio
import threading
from contextlib import aclosing

import pytest

from chatcli.app.threads import in_thread, in_thread_to_its_end, iterated_in_thread


async def test_the_result_of_a_thread_is_returned_and_the_loop_runs_meanwhile():
    began, may_end = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def work():
        loop.call_soon_threadsafe(began.set)
        assert may_end.wait(20)
        return threading.current_thread().daemon

    waiting = asyncio.ensure_future(in_thread(work))
    await asyncio.wait_for(began.wait(), 20)
    may_end.set()
    assert await waiting is True


async def test_an_error_in_the_thread_is_raised_here():
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 / 0)


async def test_who_is_cancelled_waits_for_work_that_nobody_may_go_on_beside():
    began, may_end, steps = asyncio.Event(), threading.Event(), []
    loop = asyncio.get_running_loop()

    def work():
        loop.call_soon_threadsafe(began.set)
        assert may_end.wait(20)
        steps.append("worked")

    async def ask():
        try:
            await in_thread_to_its_end(work)
        finally:
            steps.append("closed")

    asking = asyncio.ensure_future(ask())
    await asyncio.wait_for(began.wait(), 20)
    for _ in range(2):
        asking.cancel()
        await asyncio.sleep(0)
    assert not asking.done()
    may_end.set()
    await asyncio.wait({asking}, timeout=20)
    assert asking.cancelled()
    assert steps == ["worked", "closed"]


async def test_an_error_of_work_that_nobody_goes_on_beside_is_raised_here():
    with pytest.raises(ZeroDivisionError):
        await in_thread_to_its_end(lambda: 1 / 0)


def test_exiting_does_not_wait_for_a_thread():
    may_end, ended = threading.Event(), threading.Event()

    def work():
        may_end.wait(20)
        ended.set()

    async def give_up():
        waiting = asyncio.ensure_future(in_thread(work))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(give_up())
    assert not ended.is_set()
    may_end.set()
    assert ended.wait(20)


async def test_items_of_a_thread_come_in_order_and_only_some_ahead():
    taken = []

    def endless():
        number = 0
        while True:
            taken.append(number)
            yield number
            number += 1

    async with aclosing(iterated_in_thread(endless())) as items:
        assert [await anext(items) for _ in range(5)] == [0, 1, 2, 3, 4]
        await asyncio.sleep(0.05)
        assert len(taken) <= 110


async def test_an_error_of_the_items_is_raised_where_they_are_waited_for():
    def broken():
        yield 1
        raise KeyError("broken")

    async with aclosing(iterated_in_thread(broken())) as items:
        assert await anext(items) == 1
        with pytest.raises(KeyError):
            await anext(items)


async def test_items_that_end_end():
    async with aclosing(iterated_in_thread(iter(range(300)))) as items:
        assert [item async for item in items] == list(range(300))
