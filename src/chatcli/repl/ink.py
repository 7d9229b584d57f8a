"""The few styles of what the REPL says itself, as ANSI, or as nothing where there is no colour."""

from __future__ import annotations

from dataclasses import dataclass

from wcwidth import wrap


@dataclass(frozen=True, slots=True)
class Ink:
    """Styles one line at a time, so that no style runs on into what follows."""

    colored: bool

    def dim(self, text: str) -> str:
        return self._styled(text, "2", "22")

    def bold(self, text: str) -> str:
        return self._styled(text, "1", "22")

    def red(self, text: str) -> str:
        return self._styled(text, "31", "39")

    def _styled(self, text: str, on: str, off: str) -> str:
        if not self.colored:
            return text
        return "\n".join(f"\x1b[{on}m{line}\x1b[{off}m" if line else "" for line in text.split("\n"))


def wrapped(text: str, columns: int) -> str:
    """Break the lines of ``text`` between words, or within them where one is wider than ``columns``.

    What follows the first row of an indented line keeps its indent.
    """
    rows: list[str] = []
    for line in text.split("\n"):
        words = line.lstrip(" ")
        # Where it would leave no room for a wide character, there is no indent.
        indent = min(len(line) - len(words), max(0, columns - 2)) * " "
        rows += wrap(
            words, max(1, columns), initial_indent=indent, subsequent_indent=indent, replace_whitespace=False
        ) or [""]
    return "\n".join(rows)
