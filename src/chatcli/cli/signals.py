"""Ending the process cleanly on a signal."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager
from threading import Timer
from typing import TYPE_CHECKING, Any, Final

from chatcli.cli.standard_streams import ClosedPipe
from chatcli.core.errors import ChatcliError, ExitCode

if TYPE_CHECKING:
    import socket
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Coroutine, Iterable, Iterator
    from types import FrameType

EXIT_CODES: Final = {
    getattr(signal, name): code
    for name, code in (
        ("SIGINT", ExitCode.INTERRUPTED),
        ("SIGTERM", ExitCode.TERMINATED),
        ("SIGHUP", ExitCode.HANG_UP),
        ("SIGBREAK", ExitCode.TERMINATED),
    )
    if hasattr(signal, name)
}

PATIENCE_S: Final = 0.3
"""How long the program may take after a second signal. Closing a terminal sends two."""


class Signalled(BaseException):
    """A signal asked the process to end; a ``BaseException``, so that no handler of errors swallows it.

    ``number`` is that of the signal. ``chatcli.__main__`` reads it where Python drops the exception.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number
        self.code = EXIT_CODES[number]


@contextmanager
def raising_signals() -> Iterator[None]:
    """Raise ``Signalled`` on a terminating signal, as Python raises ``KeyboardInterrupt``.

    An exception lets blocks clean up: a prompt for a key turns the terminal's echo on again.
    """

    def end(number: int, _frame: FrameType | None) -> None:
        raise Signalled(number)

    with _Answering(end, [number for number in EXIT_CODES if number != signal.SIGINT]):
        yield


@contextmanager
def raising_interrupts() -> Iterator[None]:
    """Raise ``KeyboardInterrupt`` and ``Signalled`` also inside a loop, for work that blocks the loop."""
    with raising_signals(), _Answering(signal.default_int_handler, [signal.SIGINT]):
        yield


async def until_signalled(
    work: Coroutine[Any, Any, ExitCode],
    *,
    interrupt: Callable[[], None] | None = None,
    on_signal: Callable[[], object] = lambda: None,
    abandon: Callable[[], object] = lambda: None,
) -> ExitCode:
    """Run ``work`` and return its exit code, or that of the signal which cancelled it.

    With ``interrupt``, SIGINT calls that and ends nothing. The first signal calls ``on_signal`` at once, in
    the middle of whatever is running; after a second one the process ends within ``PATIENCE_S``, and only
    ``abandon`` is still called.
    """
    import asyncio  # noqa: PLC0415 - --version needs no loop
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work)
    codes: list[ExitCode] = []
    timers: list[Timer] = []

    def end(number: int, _frame: FrameType | None) -> None:
        code = EXIT_CODES[number]
        # A handler runs between two instructions of the main thread; a sleeping loop would not notice.
        if code is ExitCode.INTERRUPTED and interrupt is not None:
            loop.call_soon_threadsafe(interrupt)
            return
        codes.append(code)
        on_signal()
        loop.call_soon_threadsafe(task.cancel)
        if len(codes) > 1 and not timers:
            timers.append(_end_soon(codes[0], abandon))

    with _Waking(loop), _Answering(end, EXIT_CODES):
        try:
            code = await task
        except (asyncio.CancelledError, ChatcliError, ClosedPipe):
            # Closing a terminal sends a signal and breaks its streams as well: the signal is the cause.
            if not codes:
                raise
            code = codes[0]
        finally:
            for timer in timers:
                timer.cancel()
    if codes:
        # Closing the loop waits for its threads, and one of them may be waiting for a name server.
        loop.set_default_executor(ThreadPoolExecutor())
    return codes[0] if codes else code


class _Waking:
    """A context manager that wakes the loop at every signal.

    A signal just before the loop goes to sleep would otherwise wait until something else wakes it. The loop
    of Windows handles that itself.
    """

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self._before = -1
        self._ends: tuple[socket.socket, ...] = ()

    def __enter__(self) -> None:
        if sys.platform == "win32":
            return
        import socket  # noqa: PLC0415 - as above

        ours, systems = self._ends = socket.socketpair()
        for end in self._ends:
            end.setblocking(False)
        self._loop.add_reader(ours, ours.recv, 4096)
        self._before = signal.set_wakeup_fd(systems.fileno(), warn_on_full_buffer=False)

    def __exit__(self, *_: object) -> None:
        if not self._ends:
            return
        # A descriptor that was set meanwhile is closed by now, or belongs to no loop.
        signal.set_wakeup_fd(self._before)
        self._loop.remove_reader(self._ends[0])
        for end in self._ends:
            end.close()


def _end_soon(code: ExitCode, abandon: Callable[[], object]) -> Timer:
    def end() -> None:
        abandon()
        os._exit(code)

    timer = Timer(PATIENCE_S, end)
    timer.daemon = True
    timer.start()
    return timer


class _Answering:
    """A context manager that handles signals. One that is ignored on purpose, as by nohup, stays ignored."""

    def __init__(self, answer: Callable[[int, FrameType | None], None], numbers: Iterable[int]) -> None:
        self._answer = answer
        self._numbers = numbers
        self._before: dict[int, Any] = {}

    def __enter__(self) -> None:
        self._before = {
            number: signal.signal(number, self._answer)
            for number in self._numbers
            if signal.getsignal(number) is not signal.SIG_IGN
        }

    def __exit__(self, *_: object) -> None:
        for number, previous in self._before.items():
            signal.signal(number, previous)
