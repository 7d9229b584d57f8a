"""One piece of Markdown to text for a terminal, through rich.

rich alone would lose or garble parts of an answer, so this keeps to its parser and styles and changes:

* HTML, images and link addresses are shown instead of dropped; ``<br>`` breaks the line;
* what the parser decodes (``&#x202E;``, ``%1B`` in an autolink) is sanitized like any other text;
* code has no background, no padding and, at the top level, no wrapping: copied, it is the code;
* long words in table cells are wrapped instead of cut;
* lines do not end in blanks.
"""

from __future__ import annotations

import re
from io import StringIO
from typing import TYPE_CHECKING, ClassVar, Final, Literal, TypeAlias

from markdown_it import MarkdownIt
from rich.console import Console
from rich.markdown import CodeBlock, Markdown, MarkdownElement, TableElement
from rich.segment import Segment, Segments
from rich.syntax import Syntax
from rich.table import Table

from chatcli.safety.terminal import sanitize, sanitize_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from markdown_it.token import Token
    from rich.console import ConsoleOptions, RenderResult
    from rich.text import Text

ColorSystem: TypeAlias = Literal["standard", "256", "truecolor"]

_THEME: Final = "ansi_dark"  # the terminal's own sixteen colours, so that it suits light and dark alike
_NARROWEST: Final = 10
_TAB_WIDTH: Final = 4
_DEEPEST: Final = 1_000  # the parser leaves out what is nested deeper
_HIGHLIGHTED_LENGTH: Final = 200_000  # longer code is shown plain: a lexer may take seconds for it
_LINE_BREAK: Final = re.compile(r"<br\s*/?>", re.IGNORECASE)
_CELL_BORDER: Final = re.compile(r"(?<!\\)\|")
_NO_LETTERS: Final = re.compile(r"[\W_]+")


def rendered(markdown: str, *, width: int, color_system: ColorSystem | None) -> str:
    """Return ``markdown``, sanitized before, for a terminal ``width`` columns wide.

    One blank line stands between top-level blocks and none around them; the last line ends in a newline.
    ``color_system=None`` uses no escape sequence. Raises ``RecursionError`` for absurdly nested source.
    """
    parser = MarkdownIt("commonmark", {"maxNesting": _DEEPEST})
    parser.enable(["strikethrough", "table"]).disable("reference")
    source = markdown.split("\n")
    console = _console(max(_NARROWEST, width), color_system)
    pieces = [_piece(tokens, source, console) for tokens in _blocks(parser.parse(markdown))]
    return "\n".join(piece for piece in pieces if piece)


def _blocks(tokens: list[Token]) -> Iterator[list[Token]]:
    """Cut a token stream into its top-level blocks."""
    block: list[Token] = []
    for token in tokens:
        block.append(_tamed(token))
        if token.level == 0 and token.nesting <= 0:
            yield block
            block = []


def _piece(tokens: list[Token], source: list[str], console: Console) -> str:
    first, last = tokens[0].map or (0, 0)
    lines = _code_lines(tokens[0], console) if _is_code(tokens[0]) else _lines(tokens, console)
    shown = (segment.text for line in lines for segment in line)
    if _has_surplus_cells(tokens, source[first:last]) or _letters(shown) < _letters(_contents(tokens)):
        # A table too wide, lists too deep: rich leaves out what has no room, the parser what has no column.
        return "\n".join(source[first:last]).strip("\n") + "\n"
    ended = [segment for line in lines for segment in (*line, Segment.line())]
    with console.capture() as capture:
        console.print(Segments(ended), soft_wrap=True, end="")
    return capture.get()


def _code_lines(token: Token, console: Console) -> list[list[Segment]]:
    """Return code line by line, neither wrapped nor cropped, with its tabs."""
    code = _highlighted(token.content.removesuffix("\n"), token.info)
    return [list(line.render(console)) for line in code.split("\n", allow_blank=True)]


def _lines(tokens: list[Token], console: Console) -> list[list[Segment]]:
    lines = [_without_ending_blanks(line) for line in console.render_lines(_Markdown(tokens), pad=False)]
    while lines and not lines[0]:
        del lines[0]
    while lines and not lines[-1]:
        del lines[-1]
    return lines


def _without_ending_blanks(line: list[Segment]) -> list[Segment]:
    while line and not line[-1].text.rstrip(" "):
        line = line[:-1]
    return [*line[:-1], Segment(line[-1].text.rstrip(" "), line[-1].style)] if line else []


def _contents(tokens: list[Token]) -> Iterator[str]:
    for token in tokens:
        yield from _contents(token.children) if token.children else [token.content]


def _has_surplus_cells(tokens: list[Token], rows: list[str]) -> bool:
    """Whether a table has a row with more cells than there are columns, as an unescaped ``|`` in code makes."""
    if tokens[0].type != "table_open":
        return False
    columns = sum(token.type == "th_open" for token in tokens)
    inner = (re.sub(r"^\||(?<!\\)\|$", "", row.strip()) for row in rows)
    return any(len(_CELL_BORDER.findall(row)) >= columns for row in inner)


def _letters(texts: Iterable[str]) -> int:
    return sum(len(_NO_LETTERS.sub("", text)) for text in texts)


def _is_code(token: Token) -> bool:
    return token.type in {"fence", "code_block"}


def _tamed(token: Token) -> Token:
    """Return ``token`` with everything in it shown, and safe to show."""
    if token.type == "html_block":
        return token.copy(type="code_block", tag="code", content=sanitize(token.content))
    if token.children is None:
        return token.copy(content=sanitize(token.content))
    return token.copy(children=_tamed_inline(token.children))


def _tamed_inline(tokens: list[Token]) -> list[Token]:
    tamed = [_tamed_leaf(token) for token in tokens]
    return [token for at, token in enumerate(tamed) if not _is_told_by_its_text(tamed, at)]


def _tamed_leaf(token: Token) -> Token:
    match token.type:
        case "html_inline" if _LINE_BREAK.fullmatch(token.content):
            return token.copy(type="hardbreak", tag="br", content="")
        case "html_inline":
            return token.copy(type="text", content=sanitize(token.content))
        case "image":
            shown = sanitize_line(f"{token.content} ({token.attrs.get('src', '')})").strip()
            return token.copy(type="text", tag="", content=shown, children=None)
        case "link_open":
            return token.copy(attrs={"href": sanitize_line(str(token.attrs.get("href", "")))})
        case _:
            return token.copy(content=sanitize(token.content))


def _is_told_by_its_text(tokens: list[Token], at: int) -> bool:
    """Whether ``tokens[at]`` opens or closes a link whose text is its address."""
    if tokens[at].type == "link_close":
        at -= 2
    if at < 0 or [token.type for token in tokens[at : at + 3]] != ["link_open", "text", "link_close"]:
        return False
    return str(tokens[at].attrs["href"]).removeprefix("mailto:") == tokens[at + 1].content


def _console(width: int, color_system: ColorSystem | None) -> Console:
    return Console(
        file=StringIO(),
        width=width,
        height=25,  # never used, but otherwise asked of the real terminal
        color_system=color_system,
        force_terminal=True,
        force_jupyter=False,
        force_interactive=False,
        legacy_windows=False,
        no_color=False,
        markup=False,
        emoji=False,
        highlight=False,
        _environ={},
    )


def _highlighted(code: str, info: str) -> Text:
    language = info.split(maxsplit=1)[0] if info.strip() and len(code) <= _HIGHLIGHTED_LENGTH else "text"
    syntax = Syntax("", language, theme=_THEME, word_wrap=True, tab_size=0)
    text = syntax.highlight(code)
    text.remove_suffix("\n")
    text.tab_size = _TAB_WIDTH  # the lexer above, told nothing of tabs, has kept them
    return text


class _CodeBlock(CodeBlock):
    """Code inside a list or a quote: wrapped there, since what holds it has only so much room."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield _highlighted(str(self.text).rstrip("\n"), self.lexer_name)


class _Table(TableElement):
    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for table in super().__rich_console__(console, options):
            if isinstance(table, Table):
                for column in table.columns:
                    column.overflow = "fold"
            yield table


class _Markdown(Markdown):
    """Renders tokens that are parsed already."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "fence": _CodeBlock,
        "code_block": _CodeBlock,
        "table_open": _Table,
    }

    def __init__(self, tokens: list[Token]) -> None:
        super().__init__("", code_theme=_THEME, hyperlinks=False)
        self.parsed = tokens
