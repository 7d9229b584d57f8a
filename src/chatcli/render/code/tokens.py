"""Code to tokens, line by line, whatever kind of lexer Pygments has for the language."""

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
"""Lines of a window: so often is a line lexed at most."""
_LARGEST_WINDOW: Final = 4_000
"""Characters of a window."""
_WITHOUT_MEMORY: Final = {"JSON", "JSON-LD"}


class Lines(Protocol):
    """Code that comes line by line."""

    def tokens(self, line: str) -> list[Token]:
        """Return the tokens of the next line in order. There may be gaps; what is outside the line is no part of it."""
        ...

    def copy(self) -> Lines: ...


def lines_of(info: str) -> Lines | None:
    """Return what lexes code in the language that a fence's ``info`` names, or None if there is no lexer for it."""
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
    """Prose with fenced code in it: a lexer for the prose, and one of its own for the code of each fence."""

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
    """PHP, which is only read as such after ``<?php``; in a fence that is often left out."""

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
    """Code for a lexer that wants whole texts: it gets a window of the last lines.

    So a line is lexed many times, but not more often the more lines there are; and colours may be wrong if what
    decides about them left the window.
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
        """Whether nothing before the next line matters to it, as after the comma or brace that ends a line of JSON."""
        if self.lexer.name not in _WITHOUT_MEMORY:
            return False
        shown = [kind for start, kind, text in found if 0 <= start < len(line) and not text.isspace()]
        return not shown or shown[-1] is Punctuation


def _narrowed(window: tuple[str, ...]) -> tuple[str, ...]:
    """Return ``window``, or its later part when it is full, from a blank line on if there is one."""
    if len(window) <= _LONGEST_WINDOW and sum(map(len, window)) <= _LARGEST_WINDOW:
        return window
    half = len(window) // 2
    blank = next((at for at in range(half, len(window)) if not window[at].strip()), half)
    return window[blank:] if sum(map(len, window[blank:])) <= _LARGEST_WINDOW else ()
