"""The blocks that are open between two lines: containers, and the leaf within them.

Each can be copied, so that a copy of the parser can be finished for a preview.
"""

from __future__ import annotations

from dataclasses import field, replace
from typing import TYPE_CHECKING, Self, TypeAlias

from chatcli.core.frozen import frozen, mutable
from chatcli.render.markdown.syntax import CODE_INDENT, FENCE, holds_markdown, is_closing_fence

if TYPE_CHECKING:
    import re

    from chatcli.render.markdown.blocks import ListKind
    from chatcli.render.markdown.syntax import Alignment


@frozen
class Quote:
    def copy(self, _: dict[ListKind, ListKind]) -> Self:
        return self


@frozen
class ItemList:
    kind: ListKind

    def copy(self, kinds: dict[ListKind, ListKind]) -> ItemList:
        """Return a list with its own copy of ``kind``, which is added to ``kinds``."""
        kinds[self.kind] = replace(self.kind)
        return ItemList(kinds[self.kind])


@frozen
class Item:
    content_indent: int
    is_empty: bool = True

    def copy(self, _: dict[ListKind, ListKind]) -> Self:
        return self


@mutable
class ParagraphLines:
    lines: list[str]
    is_cut: bool = False  # a first part has been emitted
    line_before: str = ""  # the start of the first line, emitted in the previous part
    last_is_lazy: bool = False

    def copy(self) -> Self:
        return replace(self, lines=list(self.lines))


@mutable
class Fenced:
    """A fenced code block. If it holds Markdown, ``inner`` are the fences open within it."""

    fence: str
    indent: int
    info: str
    inner: list[str] = field(default_factory=list)

    def copy(self) -> Self:
        return replace(self, inner=list(self.inner))

    def is_closed_by(self, text: str, indent: int) -> bool:
        """Read a line with ``indent`` columns of indent; return whether it closes this block.

        In Markdown, a fence with an info string opens an inner block, which the next bare fence closes.
        """
        closes = indent < CODE_INDENT and is_closing_fence(text, self.fence)
        if not holds_markdown(self.info):
            return closes
        if self.inner and is_closing_fence(text, self.inner[-1]):
            # A fence too long for the inner block closes the outer one.
            if closes and len(self.fence) > len(self.inner[-1]):
                return True
            self.inner.pop()
            return False
        if not self.inner and closes:
            return True
        if (opening := FENCE.match(text)) and opening["info"].strip(" \t"):
            self.inner.append(opening["fence"])
        return False


@mutable
class Indented:
    blank_lines: list[str] = field(default_factory=list)  # part of the block if more code follows

    def copy(self) -> Indented:
        return Indented(list(self.blank_lines))


@frozen
class Html:
    end: re.Pattern[str]

    def copy(self) -> Self:
        return self


@frozen
class Formula:
    end: re.Pattern[str]

    def copy(self) -> Self:
        return self


@mutable
class Rows:
    """A table. ``rows`` are held back until its start is emitted."""

    alignments: tuple[Alignment, ...]
    header: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    is_emitted: bool = False

    def copy(self) -> Self:
        return replace(self, rows=list(self.rows))


Container: TypeAlias = Quote | ItemList | Item
Leaf: TypeAlias = ParagraphLines | Fenced | Indented | Html | Formula | Rows
