"""The streams and the environment of one run, as an argument; and what Python itself writes to stderr."""

from __future__ import annotations

import codecs
import errno
import io
import locale
import os
import select
import shutil
import stat
import sys
from contextlib import contextmanager
from dataclasses import field
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from chatcli.core.errors import LocalIOError
from chatcli.core.event_log import EventLog
from chatcli.core.frozen import mutable
from chatcli.text.lazy_pattern import lazy_pattern
from chatcli.text.own_command import with_own_command
from chatcli.text.redaction import Redactor
from chatcli.text.sanitizer import sanitize, takes_commands

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from chatcli.render.themes import ColorSystem

_NARROWEST_COLUMNS: Final = 10
_WIDEST_COLUMNS: Final = 2000  # a made-up width must not exhaust memory
_LOOK_AGAIN_S: Final = 0.1
# The largest write that a pipe with room accepts at once (POSIX; PIPE_BUF on Linux), so that no write blocks.
_CHUNK_BYTES: Final = 4096
_LAST_STANDARD_DESCRIPTOR: Final = 2
_TERMS_THAT_CANNOT_REDRAW: Final = frozenset({"", "dumb", "unknown"})

# https://force-color.org, with the levels of chalk. Any other non-empty value: as many as the terminal shows.
_FORCED_COLORS: Final[Mapping[str, ColorSystem | None]] = {
    "0": None,
    "false": None,
    "1": "standard",
    "2": "256",
    "3": "truecolor",
}

_COLORTERMS: Final = frozenset({"truecolor", "24bit"})
# ssh passes on only TERM, so terminals with a name of their own are recognized by it.
_TRUECOLOR_TERMS: Final = (
    "xterm-kitty",
    "xterm-ghostty",
    "alacritty",
    "wezterm",
    "foot",
    "contour",
    "iterm2",
    "rio",
)
_COLORS_OF_PROGRAMS: Final[Mapping[str, ColorSystem]] = {
    "iTerm.app": "truecolor",
    "WezTerm": "truecolor",
    "ghostty": "truecolor",
    "vscode": "truecolor",
    "Hyper": "truecolor",
    "Apple_Terminal": "256",
}
_TRUECOLOR_VARIABLES: Final = ("WT_SESSION", "KITTY_WINDOW_ID")
"""Set by programs such as Windows Terminal, which support all colours but do not set COLORTERM."""

_WITHOUT_COLORS: Final = lazy_pattern(r"vt\d+|.*-mono\Z|.*-m\Z")
"""Monochrome terminals, by their terminfo names."""


class ClosedPipe(Exception):
    """The reader of the output is gone, so nothing more can be shown."""


@mutable
class Stream:
    """Unbuffered UTF-8 text to a file. Lone surrogates have no UTF-8 and become ``?``.

    A slow reader is waited for until ``gives_up`` is set; from then on, output without room is dropped.
    """

    file: BinaryIO
    is_terminal: bool
    gives_up: bool = False

    def write(self, text: str) -> None:
        content = memoryview(text.encode("utf-8", "replace"))
        try:
            while content and self._finds_room():
                content = content[self._written(content[:_CHUNK_BYTES]) :]
        except BrokenPipeError as error:
            raise ClosedPipe from error
        except (OSError, ValueError) as error:
            raise LocalIOError(
                f"the output cannot be written: {getattr(error, 'strerror', None) or error}",
                hint="check the disk and where the output goes",
            ) from error

    @property
    def has_room(self) -> bool:
        """Whether a small write would not block, or waiting was given up."""
        return self.gives_up or _has_room(self.file, within_s=0)

    def _finds_room(self) -> bool:
        # A blocking write would keep blocking after a signal: Python repeats it (PEP 475).
        while not _has_room(self.file, within_s=0 if self.gives_up else _LOOK_AGAIN_S):
            if self.gives_up:
                return False
        return True

    def _written(self, content: memoryview) -> int:
        """Return the number of bytes written: 0 if a non-blocking file is full after all."""
        written = self.file.write(content)
        if not written and not _has_descriptor(self.file):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return written or 0


@mutable
class Terminal:
    """The streams of a run and what its terminal can do. ``stdin`` is ``None`` when it is closed.

    ``warn`` removes keys known to ``redactor``, those in ``environment`` among them. ``log`` takes the events of the run. ``locale_encoding`` is the encoding of the person's system
    for texts that are not UTF-8, if known.

    Constant properties are computed once. A terminal ``is_dumb`` if it cannot redraw, and ``is_attended`` if
    a person sees a question on stderr and can answer it on stdin. ``stdout_colors`` and ``stderr_colors`` are
    the colours to use there, ``None`` for none.
    """

    stdin: BinaryIO | None
    stdin_is_terminal: bool
    stdout: Stream
    stderr: Stream
    environment: Mapping[str, str]
    locale_encoding: str = "utf-8"
    redactor: Redactor = field(default_factory=Redactor, compare=False)
    log: EventLog = field(default_factory=EventLog, compare=False)
    is_dumb: bool = field(init=False)
    is_attended: bool = field(init=False)
    stdout_colors: ColorSystem | None = field(init=False)
    stderr_colors: ColorSystem | None = field(init=False)

    def __post_init__(self) -> None:
        # A Windows terminal can redraw without TERM.
        usual = "windows" if sys.platform == "win32" else ""
        self.is_dumb = self.environment.get("TERM", usual) in _TERMS_THAT_CANNOT_REDRAW
        self.redactor.add_environment(self.environment)
        self.is_attended = self.stdin_is_terminal and self.stderr.is_terminal
        self.stdout_colors = self._colors(self.stdout)
        self.stderr_colors = self._colors(self.stderr)

    @classmethod
    def of_this_process(cls) -> Terminal:
        _fill_closed_descriptors()
        obey_escapes()
        for stream in (sys.stdin, sys.stdout):
            _use_utf_8(stream)
        return cls(
            stdin=None if sys.stdin is None else sys.stdin.buffer,
            stdin_is_terminal=sys.stdin is not None and sys.stdin.isatty(),
            stdout=_stream(sys.stdout),
            stderr=_stream(sys.stderr),
            environment=os.environ,
            locale_encoding=locale.getencoding(),
        )

    @property
    def stdin_is_file(self) -> bool:
        """Whether stdin is a regular file, as with ``<`` and in a loop that reads one."""
        try:
            return self.stdin is not None and stat.S_ISREG(os.fstat(self.stdin.fileno()).st_mode)
        except (OSError, ValueError):
            return False

    @property
    def takes_commands(self) -> bool:
        """Whether it parses operating system commands (OSC), if only to ignore them."""
        return takes_commands(self.environment.get("TERM", ""))

    @property
    def is_remote(self) -> bool:
        """Whether it is at the other end of an SSH connection."""
        return bool(self.environment.get("SSH_CONNECTION") or self.environment.get("SSH_TTY"))

    def columns(self) -> int:
        return _within_bounds(self.size().columns)

    def stderr_columns(self) -> int:
        """Return the width for lines on stderr: that of its own terminal, where stdout is none."""
        if self.stdout.is_terminal or not self.stderr.is_terminal:
            return self.columns()
        try:
            own = os.get_terminal_size(self.stderr.file.fileno())
        except (OSError, ValueError):
            return self.columns()
        # COLUMNS of the environment wins.
        return _within_bounds(shutil.get_terminal_size(fallback=own).columns)

    def listing_columns(self) -> int:
        """Return the width of listings: unlimited for a pipe, so that programs get whole lines."""
        return self.columns() if self.stdout.is_terminal else sys.maxsize

    def size(self) -> os.terminal_size:
        return shutil.get_terminal_size()

    def give_up_on_readers(self, gives_up: bool = True) -> None:
        """Stop waiting for readers that do not read."""
        self.stdout.gives_up = self.stderr.gives_up = gives_up

    def _colors(self, stream: Stream) -> ColorSystem | None:
        """Return which colours to use on ``stream``.

        The person's choice wins (https://no-color.org, https://force-color.org), then what the terminal can
        show.
        """
        if self.environment.get("NO_COLOR"):
            return None
        forced = self.environment.get("FORCE_COLOR", "").strip().lower()
        if forced in _FORCED_COLORS:
            return _FORCED_COLORS[forced]
        if forced:
            return shown_colors(self.environment) or "standard"
        if stream.is_terminal and not self.is_dumb:
            return shown_colors(self.environment)
        return None

    def warn(self, text: str, *, whole: bool = False, styled: bool = False) -> None:
        """Write a line to stderr, sanitized, without keys and with commands as they are typed. A failure here must not lose the answer.

        On a terminal it is wrapped between words, unless it is to stay ``whole``. A ``styled`` line contains
        escape sequences; its caller has sanitized the words between them.
        """
        shown = with_own_command(self.redactor.redact(text if styled else sanitize(text)), self.environment)
        if self.stderr.is_terminal and not whole:
            shown = _wrapped(shown, self.stderr_columns())
        self._write_beside(f"{shown}\n")

    def prompt(self, text: str) -> None:
        """Write the beginning of a line to stderr, as ``warn`` writes a whole one."""
        self._write_beside(self.redactor.redact(text))

    def _write_beside(self, text: str) -> None:
        try:
            self.stderr.write(text)
        except (ClosedPipe, LocalIOError):
            return


class StrayReports(io.TextIOBase):
    """A stream in place of ``sys.stderr`` that removes keys and control sequences, line by line.

    ``threading.excepthook``, ``sys.unraisablehook``, ``warnings`` and the last handler of ``logging``, which asyncio
    reports errors of forgotten tasks to, look ``sys.stderr`` up when they write.
    """

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._begun = ""

    @property
    def encoding(self) -> str:  # type: ignore[override]  # the base class has a field
        return "utf-8"

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._terminal.stderr.is_terminal

    def fileno(self) -> int:
        return self._terminal.stderr.file.fileno()

    def write(self, text: str) -> int:
        *whole, self._begun = (self._begun + text).split("\n")
        for line in whole:
            self._terminal.warn(sanitize(line), whole=True)
        return len(text)

    def flush(self) -> None:
        """Write a line that was begun, such as a prompt: it cannot wait for its end."""
        if self._begun:
            text, self._begun = self._begun, ""
            self._terminal.prompt(sanitize(text))


@contextmanager
def redacted_reports(terminal: Terminal) -> Iterator[None]:
    """Let everything written to ``sys.stderr`` meanwhile pass through ``StrayReports``."""
    before, ours = sys.stderr, StrayReports(terminal)
    sys.stderr = ours
    try:
        yield
    finally:
        ours.flush()
        if sys.stderr is ours:
            sys.stderr = before


def shown_colors(environment: Mapping[str, str]) -> ColorSystem | None:
    """Return the colours of the terminal: the usual sixteen or more, ``None`` for none.

    No single source knows: terminfo knows only ``TERM``, which often says less than the terminal can.
    """
    term = environment.get("TERM", "")
    if _WITHOUT_COLORS.match(term) and not environment.get("COLORTERM"):
        return None
    named = _named_colors(term, environment)
    # GNU screen passes on COLORTERM of the terminal around it and misreads that terminal's sequences.
    if named == "truecolor" and term.startswith("screen") and not environment.get("TMUX"):
        return "256"
    return named


def _named_colors(term: str, environment: Mapping[str, str]) -> ColorSystem:
    if environment.get("COLORTERM", "").lower() in _COLORTERMS:
        return "truecolor"
    if term.endswith("-direct") or term.startswith(_TRUECOLOR_TERMS):
        return "truecolor"
    if any(environment.get(variable) for variable in _TRUECOLOR_VARIABLES):
        return "truecolor"
    by_term: ColorSystem = "256" if "256" in term else "standard"
    return _COLORS_OF_PROGRAMS.get(environment.get("TERM_PROGRAM", ""), by_term)


def _within_bounds(columns: int) -> int:
    return min(_WIDEST_COLUMNS, max(_NARROWEST_COLUMNS, columns))


def _wrapped(text: str, columns: int) -> str:
    if text.isascii() and len(text) <= columns:
        return text
    from chatcli.render.word_wrap import wrapped  # noqa: PLC0415 - most lines fit

    return wrapped(text, columns)


class _Closed(io.RawIOBase):
    """A standard stream that was closed before the start."""

    def write(self, _content: object) -> int:
        raise OSError(errno.EBADF, "it is closed")


def _stream(stream: io.TextIOBase | object | None) -> Stream:
    if stream is None:
        return Stream(cast("BinaryIO", _Closed()), is_terminal=False)
    buffer = getattr(stream, "buffer", None)
    if buffer is None:
        return Stream(io.BytesIO(), is_terminal=False)
    # Python would write a failed stream's buffer once more at exit, and complain.
    file = getattr(buffer, "raw", buffer)
    return Stream(file, is_terminal=bool(getattr(stream, "isatty", bool)()))


def _has_descriptor(file: BinaryIO) -> bool:
    try:
        file.fileno()
    except (OSError, ValueError, AttributeError):
        return False
    return True


def _has_room(file: BinaryIO, *, within_s: float) -> bool:
    """Whether ``file`` accepts a write now, or has an error that writing will raise."""
    # Windows can only wait for sockets.
    if sys.platform == "win32" or not _has_descriptor(file):
        return True
    return bool(select.select([], [file], [], within_s)[1])


def _fill_closed_descriptors() -> None:
    """Open the null device for each closed standard stream.

    The next opened file would otherwise take its number, and output of libraries would land in a session.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _LAST_STANDARD_DESCRIPTOR:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def _use_utf_8(stream: object) -> None:
    """Use UTF-8 on a terminal whose locale is ASCII only: nearly every terminal is UTF-8."""
    if isinstance(stream, io.TextIOWrapper) and codecs.lookup(stream.encoding).name == "ascii":
        stream.reconfigure(encoding="utf-8", errors="replace")


if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    _STANDARD_OUTPUT, _STANDARD_ERROR = -11, -12
    # https://learn.microsoft.com/windows/console/setconsolemode
    _ENABLE_VIRTUAL_TERMINAL_PROCESSING = 0x0004

    def obey_escapes() -> None:
        """Have the console interpret escape sequences, which it otherwise shows as text."""
        kernel = ctypes.windll.kernel32
        for number in (_STANDARD_OUTPUT, _STANDARD_ERROR):
            handle, mode = kernel.GetStdHandle(number), wintypes.DWORD()
            if kernel.GetConsoleMode(handle, ctypes.byref(mode)):
                kernel.SetConsoleMode(handle, mode.value | _ENABLE_VIRTUAL_TERMINAL_PROCESSING)

else:

    def obey_escapes() -> None:
        """Do nothing: elsewhere every terminal interprets them."""
