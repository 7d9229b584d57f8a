"""The blocks of a Markdown text, as a flat sequence of starts, contents and ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from chatcli.render.markdown.syntax import Alignment


@dataclass(slots=True, eq=False)
class ListKind:
    """The common properties of the items of one list. ``is_loose`` is final once ``is_decided``."""

    marker: str
    start: int | None
    is_loose: bool = False
    is_decided: bool = field(default=False, repr=False)


@dataclass(frozen=True, slots=True)
class QuoteStart:
    pass


@dataclass(frozen=True, slots=True)
class ListStart:
    kind: ListKind


@dataclass(frozen=True, slots=True)
class ItemStart:
    number: int | None


@dataclass(frozen=True, slots=True)
class End:
    """The end of the innermost quote, list or item."""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph, or one part of a very long one: ``continues`` if another part follows.

    ``line_before`` is what an earlier part holds of the source line in which ``text`` begins, ``word_after``
    the first word of the next part.
    """

    text: str
    continues: bool = False
    line_before: str = ""
    word_after: str = ""


@dataclass(frozen=True, slots=True)
class Heading:
    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Rule:
    pass


@dataclass(frozen=True, slots=True)
class CodeStart:
    """The start of a code block. ``info`` is the fence's info string, ``None`` for indented code."""

    info: str | None


@dataclass(frozen=True, slots=True)
class HtmlStart:
    pass


@dataclass(frozen=True, slots=True)
class FormulaStart:
    """The start of a display formula; its lines, marks included, follow as ``CodeText``."""


@dataclass(frozen=True, slots=True)
class CodeText:
    """A line of code, HTML or a formula, without its end."""

    text: str


@dataclass(frozen=True, slots=True)
class CodeEnd:
    pass


@dataclass(frozen=True, slots=True)
class Table:
    """The start of a table. ``header`` and each of ``rows`` have one cell per column."""

    alignments: tuple[Alignment, ...]
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row that follows the emitted start of a table."""

    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TableEnd:
    pass


Block: TypeAlias = (
    QuoteStart
    | ListStart
    | ItemStart
    | End
    | Paragraph
    | Heading
    | Rule
    | CodeStart
    | HtmlStart
    | FormulaStart
    | CodeText
    | CodeEnd
    | Table
    | TableRow
    | TableEnd
)


def texts_of(block: Block) -> tuple[str, ...]:
    """Return the texts of ``block`` that hold inline Markdown."""
    match block:
        case Paragraph(text=text) | Heading(text=text):
            return (text,)
        case Table(header=header, rows=rows):
            return (*header, *(cell for row in rows for cell in row))
        case TableRow(cells=cells):
            return cells
        case _:
            return ()
