"""The blocks of a Markdown text, as a flat sequence of starts, contents and ends."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, TypeAlias

from chatcli.core.frozen import frozen, mutable

if TYPE_CHECKING:
    from chatcli.render.markdown.syntax import Alignment


@mutable
class ListKind:
    """The common properties of the items of one list. ``is_loose`` is final once ``is_decided``."""

    marker: str
    start: int | None
    is_loose: bool = False
    is_decided: bool = field(default=False, repr=False)


@frozen
class QuoteStart:
    pass


@frozen
class ListStart:
    kind: ListKind


@frozen
class ItemStart:
    number: int | None


@frozen
class End:
    """The end of the innermost quote, list or item."""


@frozen
class Paragraph:
    """A paragraph, or one part of a very long one: ``continues`` if another part follows.

    ``line_before`` is what an earlier part holds of the source line in which ``text`` begins, ``word_after``
    the first word of the next part.
    """

    text: str
    continues: bool = False
    line_before: str = ""
    word_after: str = ""


@frozen
class Heading:
    level: int
    text: str


@frozen
class Rule:
    pass


@frozen
class CodeStart:
    """The start of a code block. ``info`` is the fence's info string, ``None`` for indented code."""

    info: str | None


@frozen
class HtmlStart:
    pass


@frozen
class FormulaStart:
    """The start of a display formula; its lines, marks included, follow as ``CodeText``."""


@frozen
class CodeText:
    """A line of code, HTML or a formula, without its end."""

    text: str


@frozen
class CodeEnd:
    pass


@frozen
class Table:
    """The start of a table. ``header`` and each of ``rows`` have one cell per column."""

    alignments: tuple[Alignment, ...]
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@frozen
class TableRow:
    """A row that follows the emitted start of a table."""

    cells: tuple[str, ...]


@frozen
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
