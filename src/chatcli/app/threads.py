"""Work in threads that never delay the exit."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from threading import Semaphore, Thread
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

_T = TypeVar("_T")

_READ_AHEAD: Final = 100


async def in_thread(work: Callable[[], _T]) -> _T:
    """Return the result of ``work``.

    Unlike with ``asyncio.to_thread``, exiting does not wait for it: a download, or a keyring that asks the
    person, may take minutes. It also works once the main thread has ended.
    """
    return await started_in_thread(work)


async def in_thread_to_its_end(work: Callable[[], _T]) -> _T:
    """Return the result of ``work``; whoever is cancelled meanwhile waits for its end, as nobody may go on beside it."""
    working = started_in_thread(work)
    cancelled: asyncio.CancelledError | None = None
    while not working.done():
        try:
            await asyncio.wait({working})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        working.exception()
        raise cancelled
    return working.result()


def started_in_thread(work: Callable[[], _T]) -> asyncio.Future[_T]:
    """Start ``work`` and return the future of its result."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[_T] = loop.create_future()

    def settle(error: BaseException | None, result: _T | None) -> None:
        if done.cancelled():
            return
        if error is None:
            done.set_result(result)  # type: ignore[arg-type]  # without an error it is a _T
        else:
            done.set_exception(error)

    def run() -> None:
        error: BaseException | None = None
        result: _T | None = None
        try:
            result = work()
        except BaseException as raised:  # noqa: BLE001 - passed to the waiting task
            error = raised
        # The loop may have ended meanwhile, with nobody waiting.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, error, result)

    try:
        Thread(target=run, daemon=True).start()
    except RuntimeError:  # Python 3.12 and later start no thread once they shut down
        run()
    return done


async def iterated_in_thread(items: Iterator[_T]) -> AsyncIterator[_T]:
    """Yield ``items``, whose next one may be long in coming, as from a pipe; some are taken ahead.

    The thread is left alone when nobody takes more: it ends with its next item, or with the process.
    """
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[tuple[_T] | BaseException | None] = asyncio.Queue()
    room, is_left = Semaphore(_READ_AHEAD), False

    def put(item: tuple[_T] | BaseException | None) -> None:
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(arrived.put_nowait, item)

    def take() -> None:
        try:
            for item in items:
                put((item,))
                room.acquire()
                if is_left:
                    return
            put(None)
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            put(error)

    Thread(target=take, daemon=True).start()
    try:
        while (item := await arrived.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            room.release()
            yield item[0]
    finally:
        is_left = True
        room.release()
