"""An asynchronous context, such as a server, in a thread beside a synchronous test."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractAsyncContextManager

T = TypeVar("T")


@contextmanager
def in_a_thread(context: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """Enter ``context`` on a loop in a new thread, yield its value, and exit it at the end."""
    started: Future[T] = Future()
    loop = asyncio.new_event_loop()
    over = asyncio.Event()

    async def hold() -> None:
        try:
            async with context as entered:
                started.set_result(entered)
                await over.wait()
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(hold())

    thread = threading.Thread(target=run, name="beside the test")
    thread.start()
    try:
        yield started.result(timeout=10)
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
