"""Markdown blocks parsed from a text that arrives in chunks.

The kind of a block may depend on the text after it: a list on a blank line, a link on its definition, a
paragraph on an underline. Such a block waits for a fixed amount of source, the look-ahead, and is decided by
then. So the emitted blocks depend on the text alone, not on how it was cut.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from chatcli.core.frozen import frozen
from chatcli.render.markdown.blocks import Block, ListKind, ListStart, texts_of
from chatcli.render.markdown.cutting import cut_at
from chatcli.render.markdown.open_ends import is_beginning, table_lines, with_end_closed
from chatcli.render.markdown.parser import BlockParser
from chatcli.render.markdown.references import waits_for_definition

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from chatcli.render.markdown.references import References

LOOK_AHEAD_CHARACTERS: Final = 800
LOOK_AHEAD_LINES: Final = 12
"""A block waits until this many characters or lines of source have followed it, whichever comes first."""

_LONGEST_DRAWN: Final = 4 * LOOK_AHEAD_CHARACTERS


@frozen
class _Waiting:
    block: Block
    characters: int
    lines: int


class BlockStream:
    """Parses a text given in chunks and emits each block as soon as no later text can change it.

    ``references`` is filled with the definitions of links.
    """

    def __init__(self, references: References) -> None:
        self._references = references
        self._parser = BlockParser(references)
        self._waiting: deque[_Waiting] = deque()
        self._characters = 0
        self._lines = 0
        self._line: list[str] = []
        self._line_length = 0
        # A line longer than the look-ahead is parsed before its end is known, if it is text.
        self._is_begun = False

    def feed(self, text: str) -> Iterator[Block]:
        """Yield the blocks that are certain now, each before the text after it is parsed.

        A caller that draws each block as it is yielded therefore knows the same definitions however the text
        was cut. Nothing is parsed beyond the last block taken.
        """
        for at, part in enumerate(text.split("\n")):
            if at:
                self._end_line()
                yield from self._certain()
            if self._add(part):
                yield from self._certain()

    def finish(self) -> list[Block]:
        """End the text and return the remaining blocks."""
        if self._line_length and not self._is_begun:
            self._wait(self._parser.line("".join(self._line)))
        self._wait(self._parser.finish())
        emitted = [waiting.block for waiting in self._waiting]
        self._waiting.clear()
        return emitted

    def preview(self) -> list[Block]:
        """Return the blocks ``finish`` would return now if the text ended with all its marks closed."""
        kinds: dict[ListKind, ListKind] = {}
        parser = self._parser.copy(kinds)
        blocks = [_with_own_kind(waiting.block, kinds) for waiting in self._waiting]
        line = "" if self._is_begun else "".join(self._line)[:_LONGEST_DRAWN]
        if parser.may_begin(line):
            last = parser.paragraph.rpartition("\n")[2] if parser.paragraph and not self._is_begun else None
            begun = table_lines(last, line, parser.continuation)
            lines = begun or ((line,) if line and not is_beginning(line) else ())
        else:
            lines = (line,) if line else ()
        coming = [block for coming_line in lines for block in parser.line(coming_line)]
        rest = parser.finish()
        ending = rest if any(map(texts_of, rest)) else coming if line else []
        for at in range(len(ending) - 1, -1, -1):
            if texts_of(ending[at]):
                ending[at] = with_end_closed(ending[at])
                break
        return blocks + coming + rest

    @property
    def open_fence(self) -> str | None:
        """The opening line of the code block that is still open."""
        return self._parser.open_fence

    def _add(self, part: str) -> bool:
        """Append to the current line; return whether that may have emitted a block."""
        has_emitted = False
        while part:
            if not self._is_begun and self._line_length < LOOK_AHEAD_CHARACTERS:
                room = LOOK_AHEAD_CHARACTERS - self._line_length
                self._line.append(part[:room])
                self._line_length += len(self._line[-1])
                part = part[room:]
                if self._line_length == LOOK_AHEAD_CHARACTERS:
                    self._begin_line()
                    has_emitted = True
            elif self._is_begun:
                room = LOOK_AHEAD_CHARACTERS - len(self._parser.paragraph or "")
                self._parser.extend_paragraph(part[:room])
                self._characters += min(room, len(part))
                part = part[room:]
                self._cut_paragraph()
                has_emitted = True
            else:
                self._line.append(part)
                self._line_length += len(part)
                part = ""
        return has_emitted

    def _begin_line(self) -> None:
        """Start parsing a long line as text, if its beginning shows that it is text."""
        line = "".join(self._line)
        trial = self._parser.copy({})
        trial.line(line)
        if trial.paragraph is not None:
            self._wait(self._parser.line(line))
            self._characters += len(line)
            self._is_begun = True
            self._cut_paragraph()

    def _end_line(self) -> None:
        if not self._is_begun:
            line = "".join(self._line)
            self._characters += len(line)
            self._wait(self._parser.line(line))
        self._characters += 1
        self._lines += 1
        self._line.clear()
        self._line_length = 0
        self._is_begun = False
        self._cut_paragraph()

    def _cut_paragraph(self) -> None:
        while (text := self._parser.paragraph) is not None and len(text) >= LOOK_AHEAD_CHARACTERS:
            self._wait(self._parser.cut_paragraph(cut_at(text)))

    def _wait(self, blocks: Iterable[Block]) -> None:
        self._waiting.extend(_Waiting(block, self._characters, self._lines) for block in blocks)

    def _certain(self) -> Iterator[Block]:
        while self._waiting and self._is_decided(self._waiting[0]):
            yield self._waiting.popleft().block

    def _is_decided(self, waiting: _Waiting) -> bool:
        is_past = (
            self._characters - waiting.characters >= LOOK_AHEAD_CHARACTERS
            or self._lines - waiting.lines >= LOOK_AHEAD_LINES
        )
        block = waiting.block
        if isinstance(block, ListStart):
            block.kind.is_decided |= is_past or block.kind.is_loose
            return block.kind.is_decided
        return is_past or not any(waits_for_definition(text, self._references) for text in texts_of(block))


def blocks_of(text: str) -> Iterator[Block]:
    """Yield the blocks of a complete text."""
    stream = BlockStream({})
    yield from stream.feed(text)
    yield from stream.finish()


def _with_own_kind(block: Block, kinds: dict[ListKind, ListKind]) -> Block:
    if isinstance(block, ListStart) and block.kind in kinds:
        return ListStart(kinds[block.kind])
    return block
