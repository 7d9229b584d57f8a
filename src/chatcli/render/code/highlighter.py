"""Syntax highlighting of streamed code: each complete line once, with its final colours."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Final

from chatcli.render.code.roles import PLAIN, Roles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatcli.render.code.machine import Token
    from chatcli.render.code.tokens import Lines

_LONGEST_LINE: Final = 1_000  # some regular expressions take quadratic time
_ROLES: Final = Roles()


class CodeHighlighter:
    """Highlights code line by line.

    The colours of a line depend on it and the lines before it. Its cost does not depend on their number.
    """

    def __init__(self, language: str) -> None:
        """Take the info string of a fence; code in an unknown language is plain."""
        self._lines = _lines_of(language) if language.strip() else None

    def copy(self) -> CodeHighlighter:
        """Return an independent copy that continues from here."""
        twin = copy.copy(self)
        twin._lines = self._lines and self._lines.copy()  # noqa: SLF001 - one of its own kind
        return twin

    def line(self, text: str) -> list[tuple[str, str]]:
        """Return the next line, given without its line end, as runs of ``(role, text)``."""
        if self._lines is None or len(text) > _LONGEST_LINE:
            return [(PLAIN, text)] if text else []
        try:
            tokens = self._lines.tokens(text)
        except Exception:  # noqa: BLE001 - whatever is wrong with a lexer, the code is shown
            self._lines = None
            tokens = []
        return _runs(text, tokens)


def _lines_of(language: str) -> Lines | None:
    from chatcli.render.code.tokens import lines_of  # noqa: PLC0415 - only code needs Pygments

    return lines_of(language)


def _runs(line: str, tokens: list[Token]) -> list[tuple[str, str]]:
    """Cut ``line`` where the role changes; text outside all tokens is plain."""
    runs: list[tuple[str, str]] = []
    for role, text in _parts(line, tokens):
        if runs and runs[-1][0] == role:
            runs[-1] = (role, runs[-1][1] + text)
        else:
            runs.append((role, text))
    return runs


def _parts(line: str, tokens: list[Token]) -> Iterator[tuple[str, str]]:
    at = 0
    for start, kind, text in tokens:
        end = min(start + len(text), len(line))
        if end <= at:
            continue
        if start > at:
            yield PLAIN, line[at:start]
        if start < end:
            yield _ROLES[kind], line[max(at, start) : end]
        at = end
    if at < len(line):
        yield PLAIN, line[at:]
