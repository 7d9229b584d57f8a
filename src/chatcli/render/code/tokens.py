"""Tokens of code, line by line, for every kind of Pygments lexer."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from pygments.token import Punctuation, String  # type: ignore[import-untyped]

from chatcli.render.code.closers import closers
from chatcli.render.code.languages import lexer_for
from chatcli.render.code.machine import RegexLines

if TYPE_CHECKING:
    from chatcli.render.code.machine import Token

_FENCE: Final = re.compile(r"\s*```\s*([\w-]*)[^`]*$")
_CLOSING_FENCE: Final = re.compile(r"\s*```$")
_LONGEST_WINDOW: Final = 40
"""The lines of a window, and so the number of times a line is lexed at most."""
_LARGEST_WINDOW: Final = 4_000
"""The characters of a window."""
_WITHOUT_MEMORY: Final = {"JSON", "JSON-LD"}


class Lines(Protocol):
    """Code given line by line."""

    def tokens(self, line: str) -> list[Token]:
        """Return the tokens of the next line in order.

        They may leave gaps, and may reach beyond the line.
        """
        ...

    def copy(self) -> Lines: ...


def lines_of(info: str) -> Lines | None:
    """Return a line lexer for the language that a fence's ``info`` names, ``None`` if there is none."""
    lexer = lexer_for(info)
    if lexer is None:
        return None
    if not RegexLines.can_run(lexer):
        return WindowLines(lexer)
    if "php" in lexer.aliases:
        return PhpLines(lexer)
    return FencedLines(RegexLines(lexer)) if "markdown" in lexer.aliases else RegexLines(lexer)


@dataclass
class FencedLines:
    """Prose with fenced code: one lexer for the prose, and one for the code of each fence."""

    prose: Lines
    code: Lines | None = None
    is_code: bool = False

    def copy(self) -> FencedLines:
        return replace(self, prose=self.prose.copy(), code=self.code and self.code.copy())

    def tokens(self, line: str) -> list[Token]:
        fence = (_CLOSING_FENCE if self.is_code else _FENCE).match(line)
        if fence:
            self.is_code = not self.is_code
            self.code = lines_of(fence[1]) if self.is_code else None
        elif not self.is_code:
            return self.prose.tokens(line)
        elif self.code is not None:
            return self.code.tokens(line)
        return [(0, String.Backtick, line)]


@dataclass
class PhpLines:
    """PHP, which needs a leading ``<?php`` that fenced code often omits."""

    lexer: Any
    lines: RegexLines | None = None

    def copy(self) -> PhpLines:
        return replace(self, lines=self.lines and self.lines.copy())

    def tokens(self, line: str) -> list[Token]:
        if self.lines is None and line.strip():
            stack = ("root",) if line.lstrip().startswith("<") else ("root", "php")
            self.lines = RegexLines(self.lexer, stack)
        return self.lines.tokens(line) if self.lines else []


@dataclass
class WindowLines:
    """Code for a lexer that needs whole texts: it gets a window of the last lines.

    A line is lexed several times, but no more often in longer code. Colours may be wrong if the text that
    decides them has left the window.
    """

    lexer: Any
    window: tuple[str, ...] = ()

    def copy(self) -> WindowLines:
        return replace(self)

    def tokens(self, line: str) -> list[Token]:
        before = "".join(f"{earlier}\n" for earlier in self.window)
        text = f"{before}{line}\n"
        found = [
            (index - len(before), kind, value)
            for index, kind, value in self.lexer.get_tokens_unprocessed(text + closers(text))
        ]
        self.window = () if self._starts_anew(line, found) else _narrowed((*self.window, line))
        return found

    def _starts_anew(self, line: str, found: list[Token]) -> bool:
        """Whether the next line is independent of all before it, as after JSON's punctuation."""
        if self.lexer.name not in _WITHOUT_MEMORY:
            return False
        shown = [kind for start, kind, text in found if 0 <= start < len(line) and not text.isspace()]
        return not shown or shown[-1] is Punctuation


def _narrowed(window: tuple[str, ...]) -> tuple[str, ...]:
    """Return ``window``, or its later part if it is full, preferably from a blank line on."""
    if len(window) <= _LONGEST_WINDOW and sum(map(len, window)) <= _LARGEST_WINDOW:
        return window
    half = len(window) // 2
    blank = next((at for at in range(half, len(window)) if not window[at].strip()), half)
    return window[blank:] if sum(map(len, window[blank:])) <= _LARGEST_WINDOW else ()
