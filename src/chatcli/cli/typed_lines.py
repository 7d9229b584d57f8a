"""Lines typed by the person: on their own, or in answer to a question."""

from __future__ import annotations

from getpass import getpass
from typing import TYPE_CHECKING, Final

from chatcli.attachments.encodings import EncodingHints, decode
from chatcli.core.errors import UsageError
from chatcli.text.sanitizer import sanitize_line
from chatcli.text.wording import YES_OR_NO, is_yes

if TYPE_CHECKING:
    from chatcli.cli.standard_streams import Terminal

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
    terminal.stderr.write(label)
    answer = terminal.stdin.readline(_LONGEST_ANSWER_BYTES) if terminal.stdin else b""
    if not answer.endswith(b"\n"):
        terminal.warn("")
    return answer.decode("utf-8", "replace") if answer else None
