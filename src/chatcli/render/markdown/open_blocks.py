"""What of a Markdown text is open between two lines: containers, and the leaf within them.

Each can be copied, so that a parser can be asked what would come if the text ended here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self, TypeAlias

if TYPE_CHECKING:
    import re

    from chatcli.render.markdown.blocks import ListKind
    from chatcli.render.markdown.syntax import Alignment


@dataclass(frozen=True, slots=True)
class Quote:
    def copy(self, _: dict[ListKind, ListKind]) -> Self:
        return self


@dataclass(frozen=True, slots=True)
class ItemList:
    kind: ListKind

    def copy(self, kinds: dict[ListKind, ListKind]) -> ItemList:
        """Return a list of a kind of its own, which ``kinds`` takes up."""
        kinds[self.kind] = replace(self.kind)
        return ItemList(kinds[self.kind])


@dataclass(frozen=True, slots=True)
class Item:
    content_indent: int
    is_empty: bool = True

    def copy(self, _: dict[ListKind, ListKind]) -> Self:
        return self


@dataclass(slots=True)
class ParagraphLines:
    lines: list[str]
    is_cut: bool = False  # a part of it is told already
    last_is_lazy: bool = False

    def copy(self) -> Self:
        return replace(self, lines=list(self.lines))


@dataclass(frozen=True, slots=True)
class Fenced:
    fence: str
    indent: int
    info: str

    def copy(self) -> Self:
        return self


@dataclass(slots=True)
class Indented:
    blank_lines: list[str] = field(default_factory=list)  # part of it if more code follows

    def copy(self) -> Indented:
        return Indented(list(self.blank_lines))


@dataclass(frozen=True, slots=True)
class Html:
    end: re.Pattern[str]

    def copy(self) -> Self:
        return self


@dataclass(slots=True)
class Rows:
    """A table; ``rows`` are those that came before its beginning was told."""

    alignments: tuple[Alignment, ...]
    header: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    is_told: bool = False

    def copy(self) -> Self:
        return replace(self, rows=list(self.rows))


Container: TypeAlias = Quote | ItemList | Item
Leaf: TypeAlias = ParagraphLines | Fenced | Indented | Html | Rows
