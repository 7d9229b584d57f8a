"""What a person types, a line at a time."""

from __future__ import annotations

from getpass import getpass
from typing import TYPE_CHECKING

from chatcli.attachments.encodings import decode
from chatcli.core.errors import UsageError
from chatcli.text.sanitizer import sanitize_line

if TYPE_CHECKING:
    from chatcli.cli.standard_streams import Terminal


class TypedLines:
    """The lines of stdin. Each call waits for one, and is left by the exception of a signal."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._kept: list[bytes] = []

    def keep(self, line: bytes) -> None:
        """Keep a line that was typed while something else went on for ``next``."""
        self._kept.append(line)

    def next(self, prompt: str) -> str | None:
        """Return the first line that was kept, shown behind ``prompt``, else what ``read`` does."""
        if not self._kept:
            return self.read(prompt)
        line = self._decoded(self._kept.pop(0)).rstrip("\r\n")
        self._terminal.stdout.write(f"{prompt}{sanitize_line(line)}\n")
        return line

    def read(self, prompt: str) -> str | None:
        """Return the next line without its end, ``None`` when there is none any more."""
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
        """Return the next line as ``read`` does; a terminal does not show it."""
        if not self._terminal.stdin_is_terminal:
            return self.read(prompt)
        try:
            return getpass(prompt)
        except (EOFError, OSError):
            return None

    def _decoded(self, content: bytes) -> str:
        try:
            return decode(content, "the line", self._terminal.encoding_hints()).text
        except UsageError:
            return content.decode("utf-8", "replace")
