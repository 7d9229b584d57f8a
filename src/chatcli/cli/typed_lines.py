"""Lines typed by the person: on their own, in answer to a question, or Enter alone, which ends a wait."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from getpass import getpass
from typing import TYPE_CHECKING, BinaryIO, Final

from chatcli.attachments.encodings import EncodingHints, decode
from chatcli.core.errors import UsageError
from chatcli.core.events import Retrying
from chatcli.text.sanitizer import sanitize, sanitize_line
from chatcli.text.wording import YES_OR_NO, is_yes

if sys.platform == "win32":
    import msvcrt
else:
    import array
    import fcntl
    import select
    import termios

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatcli.cli.standard_streams import Terminal
    from chatcli.core.events import Event

_LONGEST_ANSWER_BYTES: Final = 1_000


class TypedLines:
    """The lines of stdin. Each call blocks until a line is there or a signal raises its exception."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._kept: list[bytes] = []

    def keep(self, line: bytes) -> None:
        """Keep a line for ``next`` that was typed during other work."""
        self._kept.append(line)

    def next(self, prompt: str) -> str | None:
        """Return the first kept line, shown after ``prompt``, else call ``read``."""
        if not self._kept:
            return self.read(prompt)
        line = self._decoded(self._kept.pop(0)).rstrip("\r\n")
        self._terminal.stdout.write(f"{prompt}{sanitize_line(line)}\n")
        return line

    def read(self, prompt: str) -> str | None:
        """Return the next line without its end, ``None`` at the end of input."""
        terminal = self._terminal
        terminal.stdout.write(prompt)
        try:
            content = terminal.stdin.readline() if terminal.stdin else b""
        except OSError:  # the terminal is gone
            return None
        if not content:
            terminal.stdout.write("\n")
            return None
        return self._decoded(content).rstrip("\r\n")

    def read_secret(self, prompt: str) -> str | None:
        """Return the next line as ``read`` does, without echo on a terminal."""
        if not self._terminal.stdin_is_terminal:
            return self.read(prompt)
        try:
            return getpass(prompt)
        except (EOFError, OSError):
            return None

    def _decoded(self, content: bytes) -> str:
        hints = EncodingHints(None, self._terminal.environment, self._terminal.locale_encoding)
        try:
            return decode(content, "the line", hints).text
        except UsageError:
            return content.decode("utf-8", "replace")


def agrees(question: str, terminal: Terminal) -> bool:
    """Ask, and return whether the answer is yes; no answer means no."""
    return is_yes(answered(f"{question} {YES_OR_NO} ", terminal))


def answered(label: str, terminal: Terminal) -> str | None:
    """Ask, and return the person's answer, ``None`` if there is none."""
    terminal.stderr.write(sanitize(label))
    answer = terminal.stdin.readline(_LONGEST_ANSWER_BYTES) if terminal.stdin else b""
    if not answer.endswith(b"\n"):
        terminal.warn("")
    return answer.decode("utf-8", "replace") if answer else None


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
