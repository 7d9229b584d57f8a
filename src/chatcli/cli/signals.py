"""Ending a running task when the process is asked to leave."""

from __future__ import annotations

import asyncio
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from chatcli.core.exit_codes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from types import FrameType

EXIT_CODES = {
    name: code
    for name, code in (
        ("SIGINT", ExitCode.INTERRUPTED),
        ("SIGTERM", ExitCode.TERMINATED),
        ("SIGHUP", ExitCode.HANG_UP),
        ("SIGBREAK", ExitCode.TERMINATED),
    )
    if hasattr(signal, name)
}


async def until_signalled(
    work: Coroutine[Any, Any, ExitCode], *, interrupt: Callable[[], None] | None = None
) -> ExitCode:
    """Run ``work`` and return its exit code, or that of the signal which ended it by cancelling it.

    With ``interrupt``, SIGINT calls that and ends nothing.
    """
    task = asyncio.ensure_future(work)
    caught: list[ExitCode] = []

    def end(code: ExitCode) -> None:
        if code is ExitCode.INTERRUPTED and interrupt is not None:
            interrupt()
            return
        caught.append(code)
        task.cancel()

    with _told_of_signals(end):
        try:
            return await task
        except asyncio.CancelledError:
            if not caught:
                raise
            return caught[0]


@contextmanager
def _told_of_signals(tell: Callable[[ExitCode], None]) -> Iterator[None]:
    """Call ``tell`` on the loop when a signal asks this process to end, with the exit code that means."""
    loop = asyncio.get_running_loop()

    def handler(code: ExitCode) -> Callable[[int, FrameType | None], None]:
        def wake_the_loop(_number: int, _frame: FrameType | None) -> None:
            # A handler runs between two instructions of the main thread; a sleeping loop would not notice.
            loop.call_soon_threadsafe(tell, code)

        return wake_the_loop

    before = {}
    for name, code in EXIT_CODES.items():
        number = getattr(signal, name)
        # A signal that is ignored on purpose, as nohup does with SIGHUP, stays ignored.
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, handler(code))
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
