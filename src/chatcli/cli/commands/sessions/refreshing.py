"""Bringing the library up to date before it is asked, and telling of it when that takes long."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from chatcli.cli.standard_streams import ClosedPipe
from chatcli.core.errors import LocalIOError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from chatcli.cli.standard_streams import Terminal
    from chatcli.sessions.library import Library

_SILENT_S: Final = 1.0
_REDRAW_AFTER_S: Final = 0.1


def refresh(
    library: Library,
    options: Namespace,
    terminal: Terminal,
    *,
    monotonic_s: Callable[[], float] = time.monotonic,
) -> None:
    """Refresh the library; after a second, a line on a terminal counts what is read."""
    is_shown = terminal.stderr.is_terminal and not terminal.is_dumb and not options.quiet
    counter = _Counter(terminal, monotonic_s, is_shown=is_shown)
    try:
        library.refresh(counter.count)
    finally:
        counter.erase()


class _Counter:
    def __init__(self, terminal: Terminal, monotonic_s: Callable[[], float], *, is_shown: bool) -> None:
        self._terminal = terminal
        self._monotonic_s = monotonic_s
        self._is_shown = is_shown
        self._due_s = monotonic_s() + _SILENT_S
        self._columns = 0

    def count(self, done: int, total: int) -> None:
        if self._is_shown and self._monotonic_s() >= self._due_s:
            self._due_s = self._monotonic_s() + _REDRAW_AFTER_S
            line = f"reading conversations: {done:,} of {total:,}"[: self._terminal.columns() - 1]
            self._write(f"\r{line:<{self._columns}}")
            self._columns = len(line)

    def erase(self) -> None:
        if self._columns:
            self._write(f"\r{'':<{self._columns}}\r")

    def _write(self, text: str) -> None:
        # Nobody loses the list for what only says that it is coming.
        with suppress(ClosedPipe, LocalIOError):
            self._terminal.stderr.write(text)
