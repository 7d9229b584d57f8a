"""A structured answer: its JSON alone, once it is whole, or for people, laid out as a code block while it arrives.

An answer that does not fit its schema is followed by another one. What was written to a pipe cannot be taken back, so a
text waits for its end there.
"""

from __future__ import annotations

import re
from asyncio import CancelledError
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from chatcli.core.events import (
    AnswerContinued,
    Notice,
    TextDelta,
    TextReclassified,
    TurnCancelled,
    TurnFailed,
    TurnFinished,
)
from chatcli.core.strict_json import STRICT_JSON
from chatcli.text.sanitizer import json_line
from chatcli.text.text_buffer import TextBuffer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from chatcli.core.events import Event, TurnResult

_INDENT: Final = "  "
_DEEPEST: Final = 20
"""Deeper levels are indented no further."""
_FENCES: Final = re.compile(r"```[a-zA-Z]*[ \t]*\n?")
_BREAKS: Final = {"\n": "\\n", "\r": "\\r"}
_OPENS: Final = "```json\n"
_CLOSES: Final = "\n```\n"


async def held(events: AsyncGenerator[Event]) -> AsyncGenerator[Event]:
    """Yield the events of a turn with the text of its answer in one, before the end; what came of it, if it is cancelled.

    Of an answer that fits its schema, this is the value alone.
    """
    before, received = 0, TextBuffer()
    try:
        async with aclosing(events):
            async for event in events:
                match event:
                    case TextDelta(text):
                        received.append(text)
                        continue
                    case TextReclassified(text, is_reasoning=False):
                        received.drop_last(len(text))
                        continue
                    case TextReclassified(text):
                        received.drop_last(len(text))
                    case AnswerContinued(text):
                        before = len(text)
                    case TurnFinished(result) | TurnFailed(result) if result.text:
                        yield TextDelta(result.text[before:] if before else _value_alone(result))
                    case _:
                        pass
                yield event
    except CancelledError:
        if received.text:
            yield TextDelta(received.text)
        raise


def _value_alone(result: TurnResult) -> str:
    """Return the answer as received if it is its value and nothing else, otherwise the value.

    Models write words and fences around it, or ``null`` for a field that may be missing, and endpoints that take only objects
    have other values wrapped in one.
    """
    if result.data is None:
        return result.text
    value = json_line(result.data)
    try:
        return result.text if json_line(STRICT_JSON.decode(result.text)) == value else value
    except (ValueError, RecursionError):
        return value


async def laid_out(events: AsyncGenerator[Event]) -> AsyncGenerator[Event]:
    """Yield the events of a turn with the JSON of its answer laid out in a code block, and shown as it arrives."""
    layout = JsonLayout()
    async with aclosing(events):
        async for event in events:
            match event:
                case TextDelta(text):
                    if shown := layout.feed(text):
                        yield TextDelta(shown)
                    continue
                case Notice("schema_repair") | TextReclassified(is_reasoning=False):
                    # The notice belongs below the whole answer, not between its lines.
                    if shown := layout.end():
                        yield TextDelta(shown.removesuffix("\n") + "\n\n")
                    layout = JsonLayout()
                    if isinstance(event, TextReclassified):
                        continue
                case TextReclassified():
                    layout = JsonLayout()
                case TurnFinished() | TurnFailed() | TurnCancelled():
                    if shown := layout.end():
                        yield TextDelta(shown)
                case _:
                    pass
            yield event


def laid_out_text(answer: str) -> str:
    """Return an earlier answer as ``laid_out`` showed it."""
    layout = JsonLayout()
    return layout.feed(answer) + layout.end()


class JsonLayout:
    """Lays JSON out in a code block of Markdown while it arrives. Words around it stay words; fences of its own are dropped."""

    def __init__(self) -> None:
        self._before = ""
        self._has_begun = False
        self._is_over = False
        self._after = ""
        self._depth = 0
        self._in_string = False
        self._is_escaped = False
        self._is_opened = False
        """A bracket has just been opened: the line breaks unless it is closed at once."""

    def feed(self, text: str) -> str:
        """Return what is to be shown of ``text``."""
        if self._is_over:
            self._after += text
            return ""
        if self._has_begun:
            return self._inside(text)
        self._before += text
        places = [place for mark in "{[" if (place := self._before.find(mark)) >= 0]
        if not places:
            return ""
        begins = min(places)
        words, rest = _FENCES.sub("", self._before[:begins]).strip(), self._before[begins:]
        self._has_begun, self._before = True, ""
        return f"{words}\n\n{_OPENS}{self._inside(rest)}" if words else _OPENS + self._inside(rest)

    def end(self) -> str:
        """Return the rest of what is to be shown."""
        if not self._has_begun:
            return self._before
        if not self._is_over:
            return _CLOSES
        words = _FENCES.sub("", self._after).strip()
        return f"\n{words}\n" if words else ""

    def _inside(self, text: str) -> str:
        out: list[str] = []
        for place, character in enumerate(text):
            if self._in_string:
                # Models write line breaks into strings: a fence after one would end the code block.
                out.append(_BREAKS.get(character, character))
                self._take_in_string(character)
                continue
            if character.isspace():
                continue
            self._take(character, out)
            if not self._depth:
                self._is_over, self._after = True, text[place + 1 :]
                out.append(_CLOSES)
                break
        return "".join(out)

    def _take_in_string(self, character: str) -> None:
        if self._is_escaped:
            self._is_escaped = False
        elif character == "\\":
            self._is_escaped = True
        elif character == '"':
            self._in_string = False

    def _take(self, character: str, out: list[str]) -> None:
        is_opened, self._is_opened = self._is_opened, False
        if character in "}]":
            self._depth -= 1
            out += [character] if is_opened else [self._line_break, character]
            return
        if is_opened:
            out.append(self._line_break)
        out.append(": " if character == ":" else character)
        if character in "{[":
            self._depth += 1
            self._is_opened = True
        elif character == ",":
            out.append(self._line_break)
        elif character == '"':
            self._in_string = True

    @property
    def _line_break(self) -> str:
        return "\n" + _INDENT * min(self._depth, _DEEPEST)
