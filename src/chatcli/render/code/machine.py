"""A Pygments `RegexLexer` whose state is carried from line to line.

Such a lexer is a state machine: at each position it tries the rules of the state on top of a stack. Here the
machine stops at the end of each line. Two measures give the tokens of the whole text:

* A rule may match across lines (`/* ... */`). Closing marks are appended to each line, so that the rule
  matches at once.
* The last match of a line is retried with the next line appended, for as long as it reaches the end. Of a
  match of many lines, only the first few and the last are kept; those between decide nothing.

Only results that depend on lookahead may differ.
"""

from __future__ import annotations

import copy
import re
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from pygments.lexer import RegexLexer  # type: ignore[import-untyped]
from pygments.token import Error, Text, _TokenType  # type: ignore[import-untyped]

from chatcli.render.code.closers import closers
from chatcli.render.code.languages import lexer_for

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

Token: TypeAlias = tuple[int, Any, str]
"""Its start in the line (negative if in an earlier one), its kind, its text."""

Stack: TypeAlias = tuple[str, ...]
Rules: TypeAlias = "list[tuple[Callable[..., re.Match[str] | None], Any, Any]]"

_EVERYTHING: Final = re.compile(r"[\s\S]+").match
_FIRST_LINE: Final = re.compile(r"\s*[^\n]*\n")

_KEPT_LENGTH: Final = 400
"""The characters kept of a match of many lines for the retry."""
_LONGEST_STANDSTILL: Final = 1_000
"""The rules in a row that may match without consuming text; more of them mean an endless loop."""

_EMBEDDED: Final = object()
"""The action for embedded code, which a separate `RegexLines` lexes."""

_EMBEDDINGS: Final = {"script-content": ("script", "javascript"), "style-content": ("style", "css")}
"""HTML states with embedded code: the tag and the language."""


class LexerStuck(Exception):
    """A lexer changes its state for ever without consuming text."""


@dataclass
class RegexLines:
    """Code for a `RegexLexer`; each line is lexed once."""

    lexer: Any
    stack: Stack = ("root",)
    context: Any = None
    """Additional state of an `ExtendedRegexLexer`."""
    retried: str = ""
    """The last match, to be retried, and the character before it."""
    retried_start: int = 0
    embedded: RegexLines | None = None

    def __post_init__(self) -> None:
        self.rules = _rules_by_line(self.lexer)

    @staticmethod
    def can_run(lexer: Any) -> bool:
        """Whether ``lexer`` runs on its table of rules, even if it changes the tokens afterwards."""
        ran: list[str] = []

        def run(text: str, _context: Any) -> Iterator[Token]:
            ran.append(text)
            yield 0, Text, text

        if isinstance(lexer, RegexLexer):
            list(_tokens(lexer, "\n", run))
        return ran == ["\n"]

    def copy(self) -> RegexLines:
        return replace(self, embedded=self.embedded and self.embedded.copy())

    def tokens(self, line: str) -> list[Token]:
        """Return the tokens of the next line. Any exception of the lexer is raised."""
        start = len(self.retried)
        text = f"{self.retried}{line}\n"
        end = len(text)
        text += closers(text)
        run = partial(self._run, end)
        return [(index - start, kind, value) for index, kind, value in _tokens(self.lexer, text, run)]

    def _run(self, end: int, text: str, context: Any) -> Iterator[Token]:
        """Lex ``text`` up to ``end``, as `RegexLexer.get_tokens_unprocessed` does."""
        if context is not None:
            context = _copied(self.context or context)
            context.text, context.end = text, len(text)
        position = self.retried_start
        stack = self.stack
        mark, standstill = -1, 0
        while position < end:
            if position != mark:
                mark, mark_stack, mark_context = position, stack, context and _copied(context)
                standstill = 0
            elif (standstill := standstill + 1) > _LONGEST_STANDSTILL:
                raise LexerStuck(self.lexer.name)
            found, action, transition = _first_match(self.rules[stack[-1]], text, position)
            if found is None:
                stack = ("root",) if text[position] == "\n" else stack
                yield position, Error, text[position]
                position += 1
                continue
            if type(action) is _TokenType:
                yield position, action, found.group()
                position = found.end()
            else:
                position, stack = yield from self._act(action, found, stack, context)
            if transition is not None:
                stack = _after(stack, transition)
        self.stack, self.context = mark_stack, mark_context
        self.retried_start = min(1, mark)
        self.retried = _shortened(text[mark - self.retried_start : end], self.retried_start)
        if stack[-1] not in _EMBEDDINGS:
            self.embedded = None

    def _act(
        self, action: Any, found: re.Match[str], stack: Stack, context: Any
    ) -> Generator[Token, None, tuple[int, Stack]]:
        """Yield the tokens of a callback for a match; return the position and the stack to continue with."""
        if action is _EMBEDDED:
            yield from self._embed(found, *_EMBEDDINGS[stack[-1]])
        elif action is not None and context is not None:
            context.pos, context.stack = found.start(), list(stack)
            yield from action(self.lexer, found, context)
            return context.pos, tuple(context.stack)
        elif action is not None:
            yield from action(self.lexer, found)
        return found.end(), stack

    def _embed(self, found: re.Match[str], _tag: str, language: str) -> Iterator[Token]:
        if self.embedded is None:
            self.embedded = RegexLines(lexer_for(language))
        for index, kind, value in self.embedded.tokens(found.group()):
            yield found.start() + index, kind, value


def _tokens(lexer: Any, text: str, run: Callable[[str, Any], Iterator[Token]]) -> Iterator[Token]:
    """Return the tokens that ``lexer`` makes of those of ``run``.

    Many lexers modify the tokens of their rules, such as names of the standard library. They read them from
    the base class, which here finds a single rule; its callback does all the work.
    """
    if type(lexer).get_tokens_unprocessed is RegexLexer.get_tokens_unprocessed:
        return run(text, None)

    def act(_lexer: Any, found: re.Match[str], context: Any = None) -> Iterator[Token]:
        yield from run(found.string, context)
        if context is not None:
            context.pos = context.end

    front = copy.copy(lexer)
    front._tokens = defaultdict(lambda: [(_EVERYTHING, act, None)])  # noqa: SLF001 - see _rules_by_line
    return front.get_tokens_unprocessed(text)  # type: ignore[no-any-return]


def _first_match(rules: Rules, text: str, position: int) -> tuple[re.Match[str] | None, Any, Any]:
    for match, action, transition in rules:
        found = match(text, position)
        if found:
            return found, action, transition
    return None, None, None


def _after(stack: Stack, transition: Any) -> Stack:
    """Return ``stack`` after a rule's transition: a number of states to pop, or states to push."""
    if isinstance(transition, int):
        return stack[:transition] or stack[:1]
    for state in (transition,) if isinstance(transition, str) else transition:
        match state:
            case "#pop":
                stack = stack[:-1] or stack
            case "#push":
                stack = (*stack, stack[-1])
            case _:
                stack = (*stack, state)
    return stack


def _copied(context: Any) -> Any:
    """Return an independent copy of a context; its lists hold only values."""
    twin = copy.copy(context)
    for name, value in vars(context).items():
        if isinstance(value, list):
            setattr(twin, name, value[:])
    return twin


def _shortened(code: str, start: int) -> str:
    """Shorten the text to retry from ``start``: keep its first lines and its last."""
    if len(code) <= _KEPT_LENGTH:
        return code
    half = _KEPT_LENGTH // 2
    opened = _FIRST_LINE.match(code, start)
    head = code[: max(opened.end() if opened else 0, code.rfind("\n", 0, half) + 1)]
    last = code[max(len(head), code.rfind("\n", 0, -1) + 1) :]
    return (head if len(head) <= half else f"{head[:half]}\n") + last[-half:]


def _rules_by_line(lexer: Any) -> dict[str, Rules]:
    """Return the rules of a lexer, changed to take HTML's embedded code line by line.

    Pygments has no public name for them, but lexers of third parties rely on this one as well.
    """
    rules: dict[str, Rules] = lexer._tokens  # noqa: SLF001
    embedding = {
        state: _embedding(rules[state][0], tag) for state, (tag, _) in _EMBEDDINGS.items() if state in rules
    }
    return {**rules, **embedding} if embedding else rules


def _embedding(closing: Any, tag: str) -> Rules:
    code = re.compile(rf"(?:[^<\n]|<(?!\s*/\s*{tag}\s*>))+", re.IGNORECASE)
    return [closing, (re.compile(r"\n").match, Text, None), (code.match, _EMBEDDED, None)]
