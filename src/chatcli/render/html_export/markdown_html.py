"""Markdown of whoever wrote it, as HTML that is safe to open."""

from __future__ import annotations

import re
from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any, Final

from chatcli.render.code.highlighter import CodeHighlighter
from chatcli.render.html_export.stylesheet import class_of
from chatcli.safety.terminal import sanitize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_SAFE_LINK: Final = re.compile(r"(?:https?://|mailto:)[^\s]", re.IGNORECASE)
_DEEPEST: Final = 100
_LONGEST_HIGHLIGHTED: Final = 200_000
"""Characters of a block of code: a longer one is data, and its colours would be most of the file."""


def markdown_to_html(text: str) -> str:
    """Return Markdown, sanitized before, as HTML elements.

    HTML in it is shown as text. An image becomes a link to it, as nothing may be fetched. Headings begin at the
    third level, below those of the document. What the parser fails at is shown as it is written.
    """
    parser = _parser()
    try:
        html: str = parser.render(text)
    except Exception:  # noqa: BLE001 - whatever a library does with odd input, the text is shown
        return f"<pre>\n{escape(text)}</pre>\n"
    return html


@cache
def _parser() -> MarkdownIt:
    # Slow to load, and only here for those who export.
    from markdown_it import MarkdownIt  # noqa: PLC0415

    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": _DEEPEST})
    parser.enable(["table", "strikethrough"])
    parser.validateLink = _is_safe  # type: ignore[method-assign]
    for rule in (_image, _link_open, _heading_open, _heading_close, _fence, _code_block, _text, _code_inline):
        parser.add_render_rule(rule.__name__.removeprefix("_"), rule)
    return parser


def _is_safe(url: str) -> bool:
    # A relative address would lead into the folder where the file happens to lie.
    return _SAFE_LINK.match(url) is not None


def _link_open(_renderer: Any, tokens: Sequence[Token], at: int, _options: Any, _env: Any) -> str:
    return _opening(tokens[at].attrGet("href"), tokens[at].attrGet("title"))


def _image(_renderer: Any, tokens: Sequence[Token], at: int, _options: Any, _env: Any) -> str:
    source = tokens[at].attrGet("src")
    words = _without_marks(tokens[at].children or ()) or str(source)
    return f"{_opening(source, tokens[at].attrGet('title'))}Image: {_shown(words)}</a>"


def _opening(address: object, title: object) -> str:
    # Sanitized once more: a percent escape or an entity can hold what the text did not.
    told = f' title="{_shown(str(title))}"' if title else ""
    return f'<a href="{_shown(str(address))}"{told} rel="noopener noreferrer nofollow">'


def _without_marks(tokens: Sequence[Token]) -> str:
    return "".join(
        token.content if token.type != "image" else _without_marks(token.children or ()) for token in tokens
    )


def _heading_open(_renderer: Any, tokens: Sequence[Token], at: int, _options: Any, _env: Any) -> str:
    return f"<{_lowered(tokens[at].tag)}>"


def _heading_close(_renderer: Any, tokens: Sequence[Token], at: int, _options: Any, _env: Any) -> str:
    return f"</{_lowered(tokens[at].tag)}>\n"


def _lowered(tag: str) -> str:
    return f"h{min(6, int(tag[1]) + 2)}"


def _text(_renderer: Any, tokens: Sequence[Token], at: int, _options: Any, _env: Any) -> str:
    return _shown(tokens[at].content)


def _code_inline(_renderer: Any, tokens: Sequence[Token], at: int, _options: Any, _env: Any) -> str:
    return f"<code>{_shown(tokens[at].content)}</code>"


def _code_block(_renderer: Any, tokens: Sequence[Token], at: int, _options: Any, _env: Any) -> str:
    return f"<pre><code>{escape(tokens[at].content)}</code></pre>\n"


def _fence(_renderer: Any, tokens: Sequence[Token], at: int, _options: Any, _env: Any) -> str:
    return f'<pre class="code"><code>{_highlighted(tokens[at].content, tokens[at].info)}</code></pre>\n'


def _highlighted(code: str, language: str) -> str:
    if len(code) > _LONGEST_HIGHLIGHTED:
        return escape(code)
    highlighter = CodeHighlighter(language)
    return "\n".join(
        "".join(_run(role, text) for role, text in highlighter.line(line)) for line in code.split("\n")
    )


def _run(role: str, text: str) -> str:
    return f'<span class="{class_of(role)}">{escape(text)}</span>' if role else escape(text)


def _shown(text: str) -> str:
    return escape(sanitize(text))
