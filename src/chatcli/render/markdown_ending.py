"""Closing the end of a Markdown text, so that other Markdown can follow it."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markdown_it import MarkdownIt

# Without any of these at the start of a line, nothing can stay open.
_OPENER: Final = re.compile(r"^[ \t>*+\-.)0-9]*(?:```|~~~|<)", re.MULTILINE)
# HTML blocks that a blank line does not end (CommonMark 0.31 §4.6): some tags, and those with an end mark.
_RAW_TAGS: Final = ("script", "pre", "style", "textarea")
_HTML_ENDS: Final = ("-->", "?>", "]]>", ">")
_PROBE: Final = "chatcli"


def ended(text: str) -> str:
    """Return ``text`` with its open fence, comment or HTML block closed.

    A heading below it is then a heading. A text with nothing open is returned unchanged.
    """
    if _OPENER.search(text) is None:
        return text
    return next((closed for closed in _candidates(text) if _lets_follow(closed)), text)


def _candidates(text: str) -> Iterator[str]:
    yield text
    # Only the last fence can be open.
    for fence in [token.markup for token in _parser().parse(text) if token.type == "fence"][-1:]:
        yield f"{text}\n{fence}"
    opened = [tag for tag in _RAW_TAGS if f"<{tag}" in text.lower()]
    for end in (*(f"</{tag}>" for tag in opened), *_HTML_ENDS):
        yield f"{text}\n{end}"


def _lets_follow(text: str) -> bool:
    tokens = _parser().parse(f"{text}\n\n## {_PROBE}\n")
    last = tokens[-3:]
    return [token.type for token in last] == ["heading_open", "inline", "heading_close"] and (
        last[0].level == 0 and last[1].content == _PROBE
    )


@cache
def _parser() -> MarkdownIt:
    # Imported late: Markdown is seldom written to a file.
    from markdown_it import MarkdownIt  # noqa: PLC0415

    return MarkdownIt("commonmark").disable("inline")
