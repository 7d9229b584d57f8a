"""A program on a real terminal of 80 columns and 24 lines, read back as a person would see it."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyte

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

COLUMNS, LINES = 80, 24
CTRL_C, CTRL_D = "\x03", "\x04"

_PATIENCE_S = 20
# The program itself must be the one the terminal sends Ctrl-C to.
_BECOME_FOREGROUND = (
    "import fcntl, os, sys, termios\n"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    "os.execv(sys.argv[1], sys.argv[1:])\n"
)


class PseudoTerminal:
    """What is shown, and a keyboard."""

    def __init__(self, descriptor: int, process: subprocess.Popen[bytes]) -> None:
        self.received = b""
        self._descriptor = descriptor
        self._process = process
        self._screen = pyte.HistoryScreen(COLUMNS, LINES, history=1000)
        self._stream = pyte.ByteStream(self._screen)

    @property
    def shown(self) -> str:
        """The lines on the screen, without blanks at their ends and empty lines below."""
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    def is_dim(self, text: str) -> bool:
        """Whether ``text`` came in the style for what is not the answer, which pyte does not keep."""
        return f"\x1b[2m{text}".encode() in self.received

    def type(self, keys: str) -> None:
        os.write(self._descriptor, keys.encode())

    def wait_for(self, text: str) -> str:
        """Return what is shown once it holds ``text``."""
        until_s = time.monotonic() + _PATIENCE_S
        while text not in self.shown:
            assert time.monotonic() < until_s, f"no {text!r} in:\n{self.shown}"
            assert self._read(), f"ended without {text!r}:\n{self.shown}"
        return self.shown

    def wait_for_exit(self) -> int:
        while self._read():
            pass
        return self._process.wait(timeout=_PATIENCE_S)

    def _read(self) -> bool:
        """Take what comes within a moment; return whether the terminal is still in use."""
        if not select.select([self._descriptor], [], [], 0.1)[0]:
            return True
        try:
            content = os.read(self._descriptor, 65_536)
        except OSError:  # Linux's way to say that nobody has the terminal open any more
            return False
        self.received += content
        self._stream.feed(content)
        return bool(content)


@contextmanager
def on_terminal(
    command: Sequence[str], *, environment: Mapping[str, str], folder: Path
) -> Iterator[PseudoTerminal]:
    ours, theirs = pty.openpty()
    environment = {"TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": str(LINES), **environment}
    process = subprocess.Popen(
        [sys.executable, "-c", _BECOME_FOREGROUND, *command],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        cwd=folder,
        start_new_session=True,
    )
    os.close(theirs)
    with process:
        try:
            yield PseudoTerminal(ours, process)
        finally:
            process.kill()
            os.close(ours)
