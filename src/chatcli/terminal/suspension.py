"""Ctrl-Z and ``fg``: returning the terminal to the shell and taking it back."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatcli.terminal.live_application import LiveApplication
    from chatcli.terminal.window_title import WindowTitle


# Bracketed paste off, the cursor shown, lines wrapped, no style.
_AS_SHELLS_EXPECT: Final = b"\x1b[?2004l\x1b[?25h\x1b[?7h\x1b[0m\r\n"


class Suspension:
    """Stops and continues the program with its terminal in order; on Windows it does nothing."""

    def __init__(self, application: LiveApplication, title: WindowTitle) -> None:
        self._application = application
        self._title = title
        self._stopped_by_us = False
        self._is_lent = False
        self._shell_mode = None if sys.platform == "win32" else _mode_of(application.input.fileno())

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Handle SIGTSTP and SIGCONT while entered, also those of ``kill -TSTP`` and ``kill -CONT``."""
        if sys.platform == "win32":
            yield
            return
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTSTP, self.suspend)
        loop.add_signal_handler(signal.SIGCONT, self._continued)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGTSTP)
            loop.remove_signal_handler(signal.SIGCONT)

    @property
    def is_lent(self) -> bool:
        """Whether another program has the terminal."""
        return self._is_lent

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Give the terminal to another program, in its original mode; output is deferred until it returns."""
        self._title.give_back()
        self._is_lent = True
        try:
            with self._application.lent(), self._as_the_shell_left_it():
                yield
        finally:
            self._is_lent = False
            self._title.refresh()

    def suspend(self) -> None:
        if sys.platform == "win32":
            return
        if self._is_lent:
            # Stopped together with the program that has the terminal, which also redraws it.
            os.kill(os.getpid(), signal.SIGSTOP)
            return
        loop = asyncio.get_running_loop()
        self._application.renderer.erase()
        self._title.give_back()
        with self._as_the_shell_left_it():
            loop.remove_signal_handler(signal.SIGTSTP)
            # Stop the whole process group, as the terminal would: a shell waits for all of it.
            os.killpg(os.getpgrp(), signal.SIGTSTP)
            loop.add_signal_handler(signal.SIGTSTP, self.suspend)
        self._stopped_by_us = True
        self._application.draw_afresh()
        self._title.refresh()

    def abandon(self) -> None:
        """Give the terminal back for good, from any thread, however little of the program still works."""
        if sys.platform == "win32" or self._shell_mode is None:
            return
        import termios  # noqa: PLC0415 - unknown on Windows

        with suppress(OSError, termios.error):
            termios.tcsetattr(self._application.input.fileno(), termios.TCSANOW, self._shell_mode)
            if select.select([], [self._application.output.fileno()], [], 0)[1]:
                os.write(
                    self._application.output.fileno(),
                    self._title.restoring_sequence.encode() + _AS_SHELLS_EXPECT,
                )

    def _continued(self) -> None:
        if self._is_lent:
            return
        if self._stopped_by_us:
            self._stopped_by_us = False
            return
        # Stopped by SIGSTOP: meanwhile the shell has set the terminal's mode. The original mode, which the
        # application restores at exit, stays as it was.
        self._application.input.raw_mode().__enter__()
        self._application.draw_afresh()
        self._title.renew()

    @contextmanager
    def _as_the_shell_left_it(self) -> Iterator[None]:
        if sys.platform == "win32":
            with self._application.input.cooked_mode():
                yield
            return
        # prompt_toolkit's cooked_mode leaves flow control as the composer needs it.
        import termios  # noqa: PLC0415 - unknown on Windows

        terminal = self._application.input.fileno()
        ours = termios.tcgetattr(terminal)
        if self._shell_mode is not None:
            termios.tcsetattr(terminal, termios.TCSADRAIN, self._shell_mode)
        try:
            yield
        finally:
            termios.tcsetattr(terminal, termios.TCSADRAIN, ours)


def _mode_of(terminal: int) -> list[Any] | None:
    """Return the mode of a terminal, ``None`` for anything else."""
    if not os.isatty(terminal):
        return None
    import termios  # noqa: PLC0415 - unknown on Windows

    return termios.tcgetattr(terminal)
