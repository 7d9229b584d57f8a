"""The inline content of a paragraph, a heading or a cell: text with roles and link targets."""

from __future__ import annotations

import re
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

from chatcli.render.markdown.open_ends import with_emphasis_closed
from chatcli.render.markdown.syntax import FORMULA_IN_TEXT
from chatcli.render.markdown.widths import columns_of, words_of
from chatcli.text.sanitizer import sanitize, sanitize_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

    from chatcli.render.markdown.blocks import Paragraph
    from chatcli.render.markdown.references import References
    from chatcli.render.themes import Role

# Text without any of these has no marks.
_MARKS: Final = re.compile(r"[\\`*_~\[\]<&$]|  \n")
_LINE_END: Final = re.compile(r" *\n[ \t]*")
_LINE_BREAK: Final = re.compile(r"<br\s*/?>", re.IGNORECASE)
_WEB: Final = re.compile(r"https?://[^\s/]", re.IGNORECASE)
_FOOTNOTE: Final = re.compile(r"\[\^([^\s\[\]^]+)\]")
_FOOTNOTE_LINE: Final = re.compile(r"\n(?=\[\^[^\s\[\]^]+\]:)")
_ROLES: Final = {"strong_open": "strong", "em_open": "emphasis", "s_open": "strike"}
_ENDS: Final = {"strong_close", "em_close", "s_close"}
_DEEPEST: Final = 100
_LONGEST_READ: Final = 10_000  # only headings and cells get longer; parsing them may take seconds


class Run(NamedTuple):
    """Text with the same look, or ``LINE_BREAK``. ``link`` is its http or https target."""

    text: str
    roles: tuple[Role, ...] = ()
    link: str = ""


LINE_BREAK: Final = Run("\n")

LineBreaks: TypeAlias = Literal["auto", "keep", "join"]
"""How line breaks in a paragraph are shown: ``keep``, ``join`` with a blank (CommonMark), or ``auto``.

``auto`` joins lines that look wrapped by hand: the next line's first word would not have fitted into
``WRAPPED_BY_HAND`` columns. So verses and addresses stay lines.
"""

WRAPPED_BY_HAND: Final = 60


class Inline:
    """Parses inline content, with the ``references`` defined so far.

    ``shows_marks`` keeps the marks of code and of struck text, for output that cannot style them.
    """

    def __init__(
        self, references: References, *, shows_marks: bool, line_breaks: LineBreaks = "auto"
    ) -> None:
        self._references = references
        self._line_breaks = line_breaks
        self._shows_marks = shows_marks

    def paragraph(self, paragraph: Paragraph, *roles: Role) -> list[Run]:
        """Return the text of ``paragraph`` as ``runs`` does, keeping line breaks by ``LineBreaks``."""
        return self._runs(paragraph.text, roles, self._environment(paragraph))

    def paragraph_tokens(self, paragraph: Paragraph) -> list[Token]:
        """Return ``paragraph`` as ``tokens`` does, with a ``hardbreak`` for each kept line break."""
        return self._parsed(paragraph.text, self._environment(paragraph))

    def tokens(self, text: str) -> list[Token]:
        """Return ``text`` as markdown-it tokens, extended by ``formula`` and ``footnote``."""
        return self._parsed(text, {})

    def runs(self, text: str, *roles: Role) -> list[Run]:
        """Return sanitized ``text`` as runs that all have at least ``roles``.

        Text the parser decodes (``&#x202E;``, ``%1B`` in an address) is sanitized again. HTML, and any text
        the parser fails on, is shown as written.
        """
        return self._runs(text, roles, {})

    def _runs(self, text: str, roles: tuple[Role, ...], environment: dict[str, Any]) -> list[Run]:
        is_plain = not environment and _MARKS.search(text) is None
        if is_plain or len(text) > _LONGEST_READ:
            return [Run(_LINE_END.sub(" ", text), roles)] if text else []
        return _Reader(roles, shows_marks=self._shows_marks).read(self._parsed(text, environment))

    def _environment(self, paragraph: Paragraph) -> dict[str, Any]:
        if self._line_breaks == "join" or "\n" not in paragraph.text:
            return {}
        before, after = paragraph.line_before, paragraph.word_after
        keeps = partial(_keeps_break, before=before, after=after) if self._line_breaks == "auto" else _always
        return {"keeps_break": keeps}

    def _parsed(self, text: str, environment: dict[str, Any]) -> list[Token]:
        from markdown_it.token import Token  # noqa: PLC0415 - as below

        tokens: list[Token] = []
        parser = _parser()
        if len(text) <= _LONGEST_READ:
            marked = _FOOTNOTE_LINE.sub("\\\\\n", text)  # each footnote on its own line
            try:
                parser.inline.parse(marked, parser, {"references": self._references, **environment}, tokens)
            except Exception:  # noqa: BLE001 - whatever the parser raises, the answer is shown
                tokens.clear()
        return tokens or [Token("text", "", 0, content=_LINE_END.sub(" ", text))]


def words_alone(text: str) -> str:
    """Return ``text``, possibly cut out of a longer one, without its marks; a link becomes its text."""
    runs = Inline({}, shows_marks=False, line_breaks="join").runs(with_emphasis_closed(text))
    return "".join(run.text for run in runs if "address" not in run.roles)


class _Reader:
    def __init__(self, roles: tuple[Role, ...], *, shows_marks: bool) -> None:
        self._roles = roles
        self._code_mark, self._strike_mark = ("`", "~~") if shows_marks else ("", "")
        self._runs: list[Run] = []
        self._link = ""
        self._links: list[tuple[str, int]] = []

    def read(self, tokens: Sequence[Token]) -> list[Run]:
        for token in tokens:
            self._read(token)
        return self._runs

    def _read(self, token: Token) -> None:
        if role := _ROLES.get(token.type):
            self._roles = (*self._roles, role)
            self._add_strike_mark(token)
        elif token.type in _ENDS:
            self._add_strike_mark(token)
            self._roles = self._roles[:-1]
        else:
            _READERS.get(token.type, _Reader.read_text)(self, token)

    def _add_strike_mark(self, token: Token) -> None:
        # Without it the text would say the opposite; bold and italics only stress it.
        if token.tag == "s":
            self._add(self._strike_mark)

    def read_text(self, token: Token) -> None:
        self._add(sanitize(token.content))

    def read_code(self, token: Token) -> None:
        self._add(f"{self._code_mark}{sanitize(token.content)}{self._code_mark}", "code")

    def read_line_end(self, _: Token) -> None:
        self._add(" ")

    def read_line_break(self, _: Token) -> None:
        self._runs.append(LINE_BREAK)

    def read_html(self, token: Token) -> None:
        if _LINE_BREAK.fullmatch(token.content):
            self._runs.append(LINE_BREAK)
        else:
            self._add(sanitize(token.content), "html")

    def read_image(self, token: Token) -> None:
        self._add(_shown_image(token), "image")

    def read_formula(self, token: Token) -> None:
        self._add(sanitize(token.content), "math")

    def read_footnote(self, token: Token) -> None:
        self._add(sanitize(token.content), "marker")

    def open_link(self, token: Token) -> None:
        address = sanitize_line(str(token.attrs.get("href", "")))
        self._links.append((address, len(self._runs)))
        self._link = address if _WEB.match(address) else ""
        self._roles = (*self._roles, "link")

    def close_link(self, _: Token) -> None:
        """Show the address after the link text, unless they are equal, so that no target is hidden."""
        address, first = self._links.pop()
        self._roles = self._roles[:-1]
        text = "".join(run.text for run in self._runs[first:])
        if address and address.removeprefix("mailto:") not in {text, text.replace(" ", "%20")}:
            self._add(f" ({address})", "address")
        self._link = ""

    def _add(self, text: str, *roles: Role) -> None:
        if text:
            self._runs.append(Run(text, (*self._roles, *roles), self._link))


_READERS: Final = {
    "code_inline": _Reader.read_code,
    "softbreak": _Reader.read_line_end,
    "hardbreak": _Reader.read_line_break,
    "html_inline": _Reader.read_html,
    "image": _Reader.read_image,
    "formula": _Reader.read_formula,
    "footnote": _Reader.read_footnote,
    "link_open": _Reader.open_link,
    "link_close": _Reader.close_link,
}


def _keeps_break(text: str, at: int, *, before: str, after: str) -> bool:
    """Whether the line that ends at ``at`` is so short that the next word would have fitted into it."""
    start = text.rfind("\n", 0, at) + 1
    line = (text[start:at] if start else before + text[:at]).strip(" \t")
    rest = text[at + 1 :].lstrip(" \t")
    words = words_of(rest.partition("\n")[0] or after)
    return columns_of(line) + 1 + columns_of(words[0] if words else "") < WRAPPED_BY_HAND


def _always(_text: str, _at: int) -> bool:
    return True


def _newline(state: StateInline, silent: bool) -> bool:
    """Parse a line end as markdown-it does, and make a kept one a hard break."""
    from markdown_it.rules_inline import newline  # noqa: PLC0415 - as below

    at, count = state.pos, len(state.tokens)
    if not newline(state, silent):
        return False
    keeps = state.env.get("keeps_break")
    if not silent and keeps is not None and keeps(state.src, at):
        for token in state.tokens[count:]:
            if token.type == "softbreak":
                token.type = "hardbreak"
    return True


def _shown_image(token: Token) -> str:
    address = sanitize_line(str(token.attrs.get("src", "")))
    alternative = sanitize_line("".join(_texts(token.children or ())))
    return f"{alternative} ({address})".strip() if address else alternative


def _texts(tokens: Iterable[Token]) -> Iterator[str]:
    for token in tokens:
        if token.children:
            yield from _texts(token.children)
        else:
            yield " " if token.type in {"softbreak", "hardbreak"} else token.content


def _formula(state: StateInline, silent: bool) -> bool:
    """Keep a formula as written: Markdown's marks mean something else in it."""
    if state.src[state.pos] not in "$\\":
        return False
    match = FORMULA_IN_TEXT.match(state.src, state.pos, state.posMax)
    if match is None:
        return False
    if not silent:
        state.push("formula", "", 0).content = match[0]
    state.pos = match.end()
    return True


def _footnote(state: StateInline, silent: bool) -> bool:
    """Show a footnote mark ``[^1]`` as text; it is neither a link nor a definition."""
    if not state.src.startswith("[^", state.pos):
        return False
    match = _FOOTNOTE.match(state.src, state.pos, state.posMax)
    if match is None:
        return False
    if not silent:
        state.push("footnote", "", 0).content = f"[{match[1]}]"
    state.pos = match.end()
    return True


@cache
def _parser() -> MarkdownIt:
    # Imported late: only rendering Markdown needs the parser.
    from markdown_it import MarkdownIt  # noqa: PLC0415

    from chatcli.render.markdown.emphasis import with_cjk_emphasis  # noqa: PLC0415

    parser = with_cjk_emphasis(MarkdownIt("commonmark", {"maxNesting": _DEEPEST}))
    parser.enable("strikethrough")
    parser.inline.ruler.at("newline", _newline)
    parser.inline.ruler.before("escape", "formula", _formula)
    parser.inline.ruler.before("link", "footnote", _footnote)
    return parser
