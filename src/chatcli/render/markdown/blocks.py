"""The blocks of a Markdown text, as a flat sequence of what begins, is, and ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from chatcli.render.markdown.syntax import Alignment


@dataclass(slots=True, eq=False)
class ListKind:
    """What the items of one list have in common. Whether it is loose is only known after a while."""

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
    """A paragraph or, of a very long one, a part: ``goes_on`` when another part follows.

    ``line_before`` is what an earlier part has of the line of source that ``text`` begins in, ``word_after`` the word
    that the next part begins with.
    """

    text: str
    goes_on: bool = False
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
    """The first line of code; ``info`` is what stands behind the fence, ``None`` for code that is indented."""

    info: str | None


@dataclass(frozen=True, slots=True)
class HtmlStart:
    pass


@dataclass(frozen=True, slots=True)
class FormulaStart:
    """The first line of a formula that stands by itself; its lines, marks included, follow as ``CodeText``."""


@dataclass(frozen=True, slots=True)
class CodeText:
    """Code, HTML or a formula. Without ``is_whole_line`` more of the same line follows."""

    text: str
    is_whole_line: bool = True


@dataclass(frozen=True, slots=True)
class CodeEnd:
    pass


@dataclass(frozen=True, slots=True)
class Table:
    """The beginning of a table: ``header`` and ``rows`` have a cell for each of the columns."""

    alignments: tuple[Alignment, ...]
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row that came after the beginning was told."""

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
    """Return what in ``block`` has marks of its own."""
    match block:
        case Paragraph(text=text) | Heading(text=text):
            return (text,)
        case Table(header=header, rows=rows):
            return (*header, *(cell for row in rows for cell in row))
        case TableRow(cells=cells):
            return cells
        case _:
            return ()
