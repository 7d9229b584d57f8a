"""Enter, pressed while another attempt is waited for: ask again at once."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, Final

from chatcli.core.events import Retrying

if sys.platform == "win32":
    import msvcrt
else:
    import array
    import fcntl
    import termios

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatcli.core.events import Event

_LOOK_EVERY_S: Final = 0.1


class RetryNow:
    """An observer that calls ``cut_short`` when Enter alone is pressed during the wait for another attempt.

    Whatever else is typed stays with the terminal, for who reads it next. ``stdin`` is the terminal.
    """

    def __init__(self, stdin: BinaryIO, cut_short: Callable[[], object]) -> None:
        self._stdin = stdin
        self._cut_short = cut_short
        self._looking: asyncio.Task[None] | None = None

    async def __call__(self, event: Event) -> None:
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        if isinstance(event, Retrying):
            self._looking = asyncio.ensure_future(self._look())

    async def _look(self) -> None:
        # Polled: asyncio cannot wait for a terminal on every system, and a key is pressed by hand.
        while not _enter_was_pressed(self._stdin.fileno()):  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_EVERY_S)
        self._cut_short()


if sys.platform == "win32":

    def _enter_was_pressed(_: int) -> bool:
        return msvcrt.kbhit() and msvcrt.getwch() in "\r\n"

else:

    def _enter_was_pressed(descriptor: int) -> bool:
        with suppress(OSError):
            # In the background a look would be harmless, but taking the line would stop this process.
            if os.tcgetpgrp(descriptor) != os.getpgrp():
                return False
            # A terminal hands out whole lines: a single byte is an Enter and nothing else.
            waiting = array.array("i", [0])
            fcntl.ioctl(descriptor, termios.FIONREAD, waiting)
            return waiting[0] == 1 and os.read(descriptor, 1) == b"\n"
        return False
