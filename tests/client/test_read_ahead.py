from __future__ import annotations

import asyncio

import pytest

from chatcli.client.read_ahead import ReadAhead


class Source:
    """Gives chunks, waits where it is told to, and remembers how far it came."""

    def __init__(self, *steps: bytes | asyncio.Event | Exception) -> None:
        self.given = 0
        self.is_closed = False
        self._steps = steps

    async def chunks(self):
        try:
            for step in self._steps:
                if isinstance(step, asyncio.Event):
                    await step.wait()
                elif isinstance(step, Exception):
                    raise step
                else:
                    self.given += 1
                    yield step
        finally:
            self.is_closed = True


async def rest(reading: ReadAhead) -> list[bytes]:
    pieces = []
    while (piece := await reading.next()) is not None:
        pieces.append(piece)
    return pieces


async def test_what_is_there_at_once_comes_in_one_piece_and_what_follows_a_wait_in_another():
    wait = asyncio.Event()
    async with ReadAhead(Source(b"a", b"", b"b", wait, b"c", b"d").chunks()) as reading:
        assert await reading.next() == b"ab"
        wait.set()
        assert await reading.next() == b"cd"
        assert await reading.next() is None


async def test_nothing_comes_of_nothing():
    async with ReadAhead(Source(b"", b"").chunks()) as reading:
        assert await reading.next() is None


async def test_it_reads_while_its_reader_does_something_else():
    wait = asyncio.Event()
    async with ReadAhead(Source(b"a", wait, b"b").chunks()) as reading:
        assert await reading.next() == b"a"
        wait.set()
        await asyncio.sleep(0.01)
        assert await rest(reading) == [b"b"]


async def test_a_reader_that_takes_its_time_keeps_the_source_waiting():
    piece = bytes(48 * 1024)
    source = Source(*[piece] * 9)
    async with ReadAhead(source.chunks()) as reading:
        await asyncio.sleep(0.01)
        assert source.given == 2
        assert await reading.next() == piece * 2
        await asyncio.sleep(0.01)
        assert source.given == 4
        assert b"".join(await rest(reading)) == piece * 7


async def test_what_came_before_a_failure_is_told_before_it():
    async with ReadAhead(Source(b"a", b"b", OSError("gone")).chunks()) as reading:
        assert await reading.next() == b"ab"
        with pytest.raises(OSError, match="gone"):
            await reading.next()


@pytest.mark.parametrize("steps", [(b"a", asyncio.Event()), (b"a", OSError("gone")), (b"a",)])
async def test_leaving_closes_the_source_and_leaves_no_task(steps):
    before = asyncio.all_tasks()
    source = Source(*steps)
    async with ReadAhead(source.chunks()) as reading:
        await reading.next()
    assert source.is_closed
    assert asyncio.all_tasks() == before


async def test_a_reader_that_is_cancelled_while_it_waits_closes_the_source():
    source = Source(asyncio.Event())

    async def read() -> None:
        async with ReadAhead(source.chunks()) as reading:
            await reading.next()

    task = asyncio.create_task(read())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert source.is_closed


async def test_after_a_wait_what_comes_within_a_moment_is_read_at_once():
    wait, later = asyncio.Event(), asyncio.Event()
    source = Source(b"a", wait, b"b", later, b"c", b"d")
    async with ReadAhead(source.chunks()) as reading:
        assert await reading.next() == b"a"
        await asyncio.sleep(0.01)
        wait.set()
        assert await reading.next() == b"b"
        later.set()
        await asyncio.sleep(0)
        assert source.given == 2
        assert await reading.next() == b"cd"
