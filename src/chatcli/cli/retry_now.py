"""Retry at once when Enter is pressed during the wait before another attempt."""

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
    import select
    import termios

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatcli.core.events import Event

_LOOK_EVERY_S: Final = 0.1
_LONGEST_LINE: Final = 4_096
"""The longest line a terminal holds."""


class RetryNow:
    """An observer that calls ``cut_short`` when Enter alone is pressed while a retry is pending.

    Whole lines go to ``keep`` if it is given: left in the terminal, Ctrl-C would discard them, and an Enter
    behind them would not be noticed. Without ``keep`` they stay in the terminal for the next reader.
    ``stdin`` is the terminal.
    """

    def __init__(
        self, stdin: BinaryIO, cut_short: Callable[[], object], keep: Callable[[bytes], object] | None = None
    ) -> None:
        self._stdin = stdin
        self._cut_short = cut_short
        self._keep = keep
        self._looking: asyncio.Task[None] | None = None

    async def __call__(self, event: Event) -> None:
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        if isinstance(event, Retrying):
            self._looking = asyncio.ensure_future(self._look())

    async def _look(self) -> None:
        # Polled: asyncio cannot wait for a terminal on every system, and people type slowly.
        while not _enter_was_pressed(self._stdin.fileno(), self._keep):  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_EVERY_S)
        self._cut_short()


if sys.platform == "win32":

    def _enter_was_pressed(_: int, _keep: Callable[[bytes], object] | None) -> bool:
        return msvcrt.kbhit() and msvcrt.getwch() in "\r\n"

else:

    def _enter_was_pressed(descriptor: int, keep: Callable[[bytes], object] | None) -> bool:
        with suppress(OSError):
            # A background process may poll the terminal, but reading the line would stop it.
            if os.tcgetpgrp(descriptor) != os.getpgrp():
                return False
            # A terminal delivers whole lines: a single byte is an Enter and nothing else.
            waiting = array.array("i", [0])
            fcntl.ioctl(descriptor, termios.FIONREAD, waiting)
            if waiting[0] == 1:
                return os.read(descriptor, 1) == b"\n"
            while keep is not None and select.select([descriptor], [], [], 0)[0]:
                line = os.read(descriptor, _LONGEST_LINE)
                if line in {b"", b"\n"}:
                    return bool(line)
                keep(line)
        return False
