"""The streams and the environment of one run, as an argument."""

from __future__ import annotations

import codecs
import errno
import io
import locale
import os
import re
import select
import shutil
import stat
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from chatcli.core.errors import LocalIOError
from chatcli.text.redaction import Redactor
from chatcli.text.sanitizer import takes_commands

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chatcli.render.themes import ColorSystem

_NARROWEST_COLUMNS: Final = 10
_WIDEST_COLUMNS: Final = 2000  # what is padded to a width somebody made up must still fit the memory
_LOOK_AGAIN_S: Final = 0.1
# What a pipe that has room at all takes at once (POSIX, PIPE_BUF on Linux), so that no write waits in the middle.
_PIECE_BYTES: Final = 4096
_LAST_STANDARD_DESCRIPTOR: Final = 2
_TERMS_THAT_CANNOT_REDRAW: Final = frozenset({"", "dumb", "unknown"})

# https://force-color.org, with the levels of chalk. Any other value that is not empty: as many as the terminal shows.
_FORCED_COLORS: Final[Mapping[str, ColorSystem | None]] = {
    "0": None,
    "false": None,
    "1": "standard",
    "2": "256",
    "3": "truecolor",
}

_COLORTERMS: Final = frozenset({"truecolor", "24bit"})
# Over ssh only TERM arrives, so terminals with a name of their own are known by it.
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
"""Set by programs, as Windows Terminal, that show them all and say so nowhere else."""

_WITHOUT_COLORS: Final = re.compile(r"vt\d+|.*-mono\Z|.*-m\Z")
"""Terminals of one colour, as terminfo names them."""


class ClosedPipe(Exception):
    """Who read the output has gone; there is nobody left to tell."""


@dataclass(slots=True)
class Stream:
    """Text to a file without a buffer as UTF-8. Lone surrogates have no UTF-8 and become ``?``.

    A reader who does not read is waited for, but not any more once ``is_hurried``: what finds no room then is let go.
    """

    file: BinaryIO
    is_terminal: bool
    is_hurried: bool = False

    def write(self, text: str) -> None:
        content = memoryview(text.encode("utf-8", "replace"))
        try:
            while content and self._finds_room():
                content = content[self._written(content[:_PIECE_BYTES]) :]
        except BrokenPipeError as error:
            raise ClosedPipe from error
        except (OSError, ValueError) as error:
            raise LocalIOError(
                f"the output cannot be written: {getattr(error, 'strerror', None) or error}",
                hint="check the disk and where the output goes",
            ) from error

    @property
    def has_room(self) -> bool:
        """Whether a little can be written without waiting, or nobody is waited for any more."""
        return self.is_hurried or _has_room(self.file, within_s=0)

    def _finds_room(self) -> bool:
        # A write that waits would go on waiting after a signal: Python repeats it (PEP 475).
        while not _has_room(self.file, within_s=0 if self.is_hurried else _LOOK_AGAIN_S):
            if self.is_hurried:
                return False
        return True

    def _written(self, content: memoryview) -> int:
        """Return how many bytes were taken: none where a file does not block and is full after all."""
        written = self.file.write(content)
        if not written and not _has_descriptor(self.file):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return written or 0


@dataclass(slots=True)
class Terminal:
    """Where a run reads and writes. ``stdin`` is ``None`` when it is closed.

    ``redactor`` takes the keys it knows out of what ``warn`` writes. ``locale_encoding`` is how a text is encoded that is not in UTF-8, as far as the person's system knows.

    What does not change is worked out once. A terminal ``is_dumb`` where nothing can be redrawn, and ``is_attended``
    where somebody sees a question on stderr and can answer it on stdin. ``stdout_colors`` and ``stderr_colors`` are the
    colours to use there, ``None`` for none at all.
    """

    stdin: BinaryIO | None
    stdin_is_terminal: bool
    stdout: Stream
    stderr: Stream
    environment: Mapping[str, str]
    locale_encoding: str = "utf-8"
    redactor: Redactor = field(default_factory=Redactor, compare=False)
    is_dumb: bool = field(init=False)
    is_attended: bool = field(init=False)
    stdout_colors: ColorSystem | None = field(init=False)
    stderr_colors: ColorSystem | None = field(init=False)

    def __post_init__(self) -> None:
        # A terminal of Windows needs no TERM to be able to redraw.
        usual = "windows" if sys.platform == "win32" else ""
        self.is_dumb = self.environment.get("TERM", usual) in _TERMS_THAT_CANNOT_REDRAW
        self.is_attended = self.stdin_is_terminal and self.stderr.is_terminal
        self.stdout_colors = self._colors(self.stdout)
        self.stderr_colors = self._colors(self.stderr)

    @classmethod
    def of_this_process(cls) -> Terminal:
        _fill_closed_descriptors()
        obey_escapes()
        for stream in (sys.stdin, sys.stdout):
            _speak_utf_8(stream)
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
        """Whether stdin is a regular file, as it is behind ``<`` and in a loop that reads one."""
        try:
            return self.stdin is not None and stat.S_ISREG(os.fstat(self.stdin.fileno()).st_mode)
        except (OSError, ValueError):
            return False

    @property
    def takes_commands(self) -> bool:
        """Whether it reads operating system commands (OSC), if only to ignore them."""
        return takes_commands(self.environment.get("TERM", ""))

    @property
    def is_remote(self) -> bool:
        """Whether it is at the other end of an SSH connection."""
        return bool(self.environment.get("SSH_CONNECTION") or self.environment.get("SSH_TTY"))

    def columns(self) -> int:
        return min(_WIDEST_COLUMNS, max(_NARROWEST_COLUMNS, self.size().columns))

    def listing_columns(self) -> int:
        """Return where the lines of a listing are cut: a program that reads them gets them whole."""
        return self.columns() if self.stdout.is_terminal else sys.maxsize

    def size(self) -> os.terminal_size:
        return shutil.get_terminal_size()

    def hurry(self, is_hurried: bool = True) -> None:
        """Wait no longer for readers who do not read."""
        self.stdout.is_hurried = self.stderr.is_hurried = is_hurried

    def _colors(self, stream: Stream) -> ColorSystem | None:
        """Return which colours to use on ``stream``.

        The person's choice comes first (https://no-color.org, https://force-color.org), then what the terminal can show.
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

    def warn(self, text: str, *, whole: bool = False) -> None:
        """Write a line to stderr, without any key. Losing it must not lose the answer.

        On a terminal it is wrapped between words, unless it is to stay ``whole``.
        """
        shown = self.redactor.redact(text)
        if self.stderr.is_terminal and not whole:
            shown = _wrapped(shown, self.columns())
        try:
            self.stderr.write(f"{shown}\n")
        except (ClosedPipe, LocalIOError):
            return


def shown_colors(environment: Mapping[str, str]) -> ColorSystem | None:
    """Return what the terminal shows: the sixteen colours nearly every one has, or more, or ``None`` for none.

    There is no one place to ask: terminfo knows no more than ``TERM`` does, and that often says less than the terminal can.
    """
    term = environment.get("TERM", "")
    if _WITHOUT_COLORS.match(term) and not environment.get("COLORTERM"):
        return None
    named = _named_colors(term, environment)
    # GNU screen hands COLORTERM on from the terminal around it and misreads what that would understand.
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
    # What a buffer still holds after a failure Python would try to write once more at its end, and complain.
    file = getattr(buffer, "raw", buffer)
    return Stream(file, is_terminal=bool(getattr(stream, "isatty", bool)()))


def _has_descriptor(file: BinaryIO) -> bool:
    try:
        file.fileno()
    except (OSError, ValueError, AttributeError):
        return False
    return True


def _has_room(file: BinaryIO, *, within_s: float) -> bool:
    """Whether ``file`` takes something now, or an error that writing will tell."""
    # Windows can wait for sockets only.
    if sys.platform == "win32" or not _has_descriptor(file):
        return True
    return bool(select.select([], [file], [], within_s)[1])


def _fill_closed_descriptors() -> None:
    """Put something harmless where a standard stream was closed.

    The next file that is opened would take its number, and what a library prints would land in a session.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _LAST_STANDARD_DESCRIPTOR:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def _speak_utf_8(stream: object) -> None:
    """Take a terminal whose locale knows only ASCII for what nearly every one is."""
    if isinstance(stream, io.TextIOWrapper) and codecs.lookup(stream.encoding).name == "ascii":
        stream.reconfigure(encoding="utf-8", errors="replace")


if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    _STANDARD_OUTPUT, _STANDARD_ERROR = -11, -12
    # https://learn.microsoft.com/windows/console/setconsolemode
    _ENABLE_VIRTUAL_TERMINAL_PROCESSING = 0x0004

    def obey_escapes() -> None:
        """Have the console obey escape sequences, which it shows as text until it is told otherwise."""
        kernel = ctypes.windll.kernel32
        for number in (_STANDARD_OUTPUT, _STANDARD_ERROR):
            handle, mode = kernel.GetStdHandle(number), wintypes.DWORD()
            if kernel.GetConsoleMode(handle, ctypes.byref(mode)):
                kernel.SetConsoleMode(handle, mode.value | _ENABLE_VIRTUAL_TERMINAL_PROCESSING)

else:

    def obey_escapes() -> None:
        """Do nothing: elsewhere every terminal obeys them."""
