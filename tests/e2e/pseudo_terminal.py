"""A program on a real terminal of 80 columns and 24 lines, read back as a person would see it.

With ``CHATCLI_TERMINAL_PIECE_BYTES=1``, as in ``scripts/test --slow``, output arrives byte by byte: a test that looks at
more than it has waited for fails then, and not only on a busy machine.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyte

from e2e.fork_server import can_be_forked, fork_server
from e2e.program import command

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from e2e.program import Process

COLUMNS, LINES = 80, 24
CTRL_C, CTRL_D = "\x03", "\x04"

_PATIENCE_S = 60  # of a busy machine; only what fails takes as long
_PIECE_BYTES = int(os.environ.get("CHATCLI_TERMINAL_PIECE_BYTES", "0"))
_FRAME_BEGIN, _FRAME_END = b"\x1b[?2026h", b"\x1b[?2026l"
_FRAME_PATIENCE_READS = 10  # a terminal shows at last what nobody ends
# The terminal sends Ctrl-C to the program itself.
_BECOME_FOREGROUND = (
    "import fcntl, os, sys, termios\n"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    "os.execv(sys.argv[1], sys.argv[1:])\n"
)

# As in a shell: a job of its own in the terminal's foreground, which stops and continues as a whole.
_START_JOB = (
    "import fcntl, os, signal, sys, termios\n"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    "child = os.fork()\n"
    "if child == 0:\n"
    "    os.setpgid(0, 0)\n"
    "    signal.signal(signal.SIGTTOU, signal.SIG_IGN)\n"
    "    os.tcsetpgrp(0, os.getpid())\n"
    "    signal.signal(signal.SIGTTOU, signal.SIG_DFL)\n"
    "    os.execv(sys.argv[1], sys.argv[1:])\n"
    "sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
)


class PseudoTerminal:
    """The screen and a keyboard."""

    def __init__(
        self,
        descriptor: int,
        process: Process,
        columns: int,
        lines: int = LINES,
        *,
        attributes_before: list[object],
        is_job: bool,
    ) -> None:
        self._received = bytearray()
        self.attributes_before = attributes_before
        self._descriptor = descriptor
        self._process = process
        self._is_job = is_job
        self._screen = pyte.HistoryScreen(columns, lines, history=20_000, ratio=0.01)
        self._stream = pyte.ByteStream(self._screen)
        self._shown: str | None = None
        self._unread = b""  # of what came, where it is taken in pieces
        self._frame = b""  # what is not shown before it is whole
        self._idle_reads = 0

    @property
    def received(self) -> bytes:
        """All output so far, also what is not yet shown."""
        return bytes(self._received)

    @property
    def attributes(self) -> list[object]:
        """The mode of the terminal."""
        return termios.tcgetattr(self._descriptor)

    @property
    def process_id(self) -> int:
        """The program's own process id."""
        if not self._is_job:
            return self._process.pid
        command = ["pgrep", "-P", str(self._process.pid)]
        return int(subprocess.run(command, capture_output=True, check=True).stdout)

    def send_signal(self, number: int) -> None:
        os.kill(self.process_id, number)

    def wait_until_stopped(self) -> None:
        until_s = time.monotonic() + _PATIENCE_S
        command = ["ps", "-o", "stat=", "-p", str(self.process_id)]
        while not subprocess.run(command, capture_output=True, check=True).stdout.startswith(b"T"):
            assert time.monotonic() < until_s, "not stopped"
            self._read()

    def forget(self) -> None:
        """Clear the emulated screen, to see what is drawn from here on."""
        self._show(len(self._frame))
        self._screen.reset()
        self._shown = None

    @property
    def shown(self) -> str:
        """The lines on the screen, without trailing blanks and empty lines below."""
        if self._shown is None:
            self._shown = "\n".join(
                _row(self._screen, number) for number in range(self._screen.lines)
            ).rstrip()
        return self._shown

    @property
    def everything(self) -> list[str]:
        """All lines, including scrolled ones, without trailing blanks."""
        columns = range(self._screen.columns)
        above = ["".join(line[at].data for at in columns) for line in self._screen.history.top]
        shown = [_row(self._screen, number) for number in range(self._screen.lines)]
        return [*(line.rstrip() for line in above), *shown]

    def is_dim(self, text: str) -> bool:
        """Whether ``text`` was written dimmed, which pyte does not record."""
        return f"\x1b[2m{text}".encode() in self.received

    def type(self, keys: str) -> None:
        until_s = time.monotonic() + _PATIENCE_S
        remaining = keys.encode()
        while remaining:
            assert time.monotonic() < until_s, f"nobody reads what is typed:\n{self.shown}"
            if select.select([], [self._descriptor], [], 0.1)[1]:
                remaining = remaining[os.write(self._descriptor, remaining) :]
            else:  # the program may wait for a reader of its own
                self._read()

    def settle(self) -> None:
        """Let the typed keys and their effects arrive."""
        for _ in range(2):
            self._read()
            while self._unread:
                self._read()

    def wait_for(self, text: str) -> str:
        """Return the screen once it contains ``text``."""
        until_s = time.monotonic() + _PATIENCE_S
        while text not in self.shown:
            assert time.monotonic() < until_s, f"no {text!r} in:\n{self.shown}"
            assert self._read(), f"ended without {text!r}:\n{self.shown}"
        return self.shown

    def press_until(self, key: str, text: str) -> None:
        """Press ``key`` repeatedly until ``text`` is shown."""
        until_s = time.monotonic() + _PATIENCE_S
        while text not in self.shown:
            assert time.monotonic() < until_s, f"no {text!r} in:\n{self.shown}"
            self.type(key)
            assert all(self._read() for _ in range(3)), f"ended without {text!r}:\n{self.shown}"

    def wait_until_received(self, text: str, times: int = 1) -> None:
        """Return once ``text`` was written so many ``times``, wherever it is shown."""
        until_s = time.monotonic() + _PATIENCE_S
        while self._received.count(text.encode()) < times:
            assert time.monotonic() < until_s, f"no {text!r} in:\n{self.shown}"
            assert self._read(), f"ended without {text!r}:\n{self.shown}"

    def wait_for_exit(self) -> int:
        until_s = time.monotonic() + _PATIENCE_S
        while self._read():
            assert time.monotonic() < until_s, f"not ended:\n{self.shown}"
        return self._process.wait(timeout=_PATIENCE_S)

    def _read(self) -> bool:
        """Read available output briefly; return whether the terminal is still in use."""
        content = self._piece()
        if content is None:
            self._idle_reads += 1
            if self._idle_reads == _FRAME_PATIENCE_READS:
                self._show(len(self._frame))
            return True
        self._idle_reads = 0
        self._received += content
        self._frame += content
        self._show(_whole_frames(self._frame) if content else len(self._frame))
        return bool(content)

    def _piece(self) -> bytes | None:
        """Return the next output, empty at its end and None if there is none yet."""
        if not self._unread:
            if not select.select([self._descriptor], [], [], 0.1)[0]:
                return None
            try:
                self._unread = os.read(self._descriptor, 65_536)
            except OSError:  # Linux: the terminal is no longer open anywhere
                return b""
        length = _PIECE_BYTES or len(self._unread)
        content, self._unread = self._unread[:length], self._unread[length:]
        return content

    def _show(self, length: int) -> None:
        content, self._frame = self._frame[:length], self._frame[length:]
        if content:
            self._stream.feed(content)
            self._shown = None


def _whole_frames(output: bytes) -> int:
    """Return the bytes of ``output`` before a frame that has begun and not ended.

    As terminals do which know synchronized updates, the screen never shows half a frame.
    """
    begin = output.rfind(_FRAME_BEGIN)
    if begin > output.rfind(_FRAME_END):
        return begin
    escape = output.rfind(b"\x1b")
    return escape if escape >= 0 and _FRAME_BEGIN.startswith(output[escape:]) else len(output)


def _row(screen: pyte.Screen, number: int) -> str:
    """Return a line without trailing blanks; behind a wide character stands an empty cell."""
    cells = [" "] * screen.columns
    for column, character in screen.buffer[number].items():
        if column < screen.columns:
            cells[column] = character.data
    return "".join(cells).rstrip()


@contextmanager
def on_terminal(
    line: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    columns: int = COLUMNS,
    lines: int = LINES,
    job: bool = False,
    is_forked: bool = True,
) -> Iterator[PseudoTerminal]:
    """Run the command ``line`` on a terminal; a ``job`` can be stopped and continued, as under a shell.

    Where the test is about the start itself, it must not be ``is_forked``.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    attributes_before: list[object] = termios.tcgetattr(ours)
    environment = {"TERM": "xterm-256color", **environment}
    can_fork = is_forked and list(line)[: len(command())] == command() and can_be_forked(environment)
    start = _forked if can_fork else _started
    process = start(theirs, list(line), environment, folder, job=job)
    os.close(theirs)
    os.set_blocking(ours, False)  # or typing to a program that has stopped reading would block the test
    with process:
        try:
            yield PseudoTerminal(
                ours, process, columns, lines, attributes_before=attributes_before, is_job=job
            )
        finally:
            process.kill()
            os.close(ours)


def _forked(
    terminal: int, line: list[str], environment: Mapping[str, str], folder: Path, *, job: bool
) -> Process:
    arguments, files = line[len(command()) :], (terminal, terminal, terminal)
    return fork_server().start(arguments, environment, folder, files, "job" if job else "terminal")


def _started(
    terminal: int, line: list[str], environment: Mapping[str, str], folder: Path, *, job: bool
) -> Process:
    return subprocess.Popen(
        [sys.executable, "-c", _START_JOB if job else _BECOME_FOREGROUND, *line],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=environment,
        cwd=folder,
        start_new_session=True,
    )
