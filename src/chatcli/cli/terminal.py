"""The streams and the environment of one run, as an argument."""

from __future__ import annotations

import errno
import io
import os
import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from chatcli.core.errors import LocalIOError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chatcli.render.rich_markdown import ColorSystem

_NARROWEST_COLUMNS = 10


class ClosedPipe(Exception):
    """Who read the output has gone; there is nobody left to tell."""


@dataclass(frozen=True, slots=True)
class Stream:
    """Text to a file without a buffer as UTF-8. Lone surrogates have no UTF-8 and become ``?``."""

    file: BinaryIO
    is_terminal: bool

    def write(self, text: str) -> None:
        content = memoryview(text.encode("utf-8", "replace"))
        try:
            while content:
                content = content[self._written(content) :]
        except BrokenPipeError as error:
            raise ClosedPipe from error
        except (OSError, ValueError) as error:
            raise LocalIOError(
                f"the output cannot be written: {getattr(error, 'strerror', None) or error}",
                hint="check the disk and where the output goes",
            ) from error

    def _written(self, content: memoryview) -> int:
        """Return how many bytes were taken; a file that does not block may take none."""
        written = self.file.write(content)
        if not written:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return written


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where a run reads and writes. ``stdin`` is ``None`` when it is closed."""

    stdin: BinaryIO | None
    stdin_is_terminal: bool
    stdout: Stream
    stderr: Stream
    environment: Mapping[str, str]

    @classmethod
    def of_this_process(cls) -> Terminal:
        return cls(
            stdin=None if sys.stdin is None else sys.stdin.buffer,
            stdin_is_terminal=sys.stdin is not None and sys.stdin.isatty(),
            stdout=_stream(sys.stdout),
            stderr=_stream(sys.stderr),
            environment=os.environ,
        )

    @property
    def is_dumb(self) -> bool:
        return self.environment.get("TERM") == "dumb"

    def columns(self) -> int:
        return max(_NARROWEST_COLUMNS, shutil.get_terminal_size().columns)

    def colors_on(self, stream: Stream) -> bool:
        """Whether to colour ``stream``: https://no-color.org and https://force-color.org, else on a terminal."""
        if self.environment.get("NO_COLOR"):
            return False
        if self.environment.get("FORCE_COLOR"):
            return True
        return stream.is_terminal and not self.is_dumb

    def color_system(self, stream: Stream) -> ColorSystem | None:
        """Return which colours ``stream`` can show, ``None`` for none at all."""
        if not self.colors_on(stream):
            return None
        if self.environment.get("COLORTERM") in {"truecolor", "24bit"}:
            return "truecolor"
        return "256" if "256" in self.environment.get("TERM", "") else "standard"

    def warn(self, text: str) -> None:
        """Write a line to stderr. Losing it must not lose the answer."""
        try:
            self.stderr.write(f"{text}\n")
        except (ClosedPipe, LocalIOError):
            return


def _stream(stream: io.TextIOBase | object | None) -> Stream:
    buffer = getattr(stream, "buffer", None)
    if buffer is None:
        return Stream(io.BytesIO(), is_terminal=False)
    # What a buffer still holds after a failure Python would try to write once more at its end, and complain.
    file = getattr(buffer, "raw", buffer)
    return Stream(file, is_terminal=bool(getattr(stream, "isatty", bool)()))
