"""The frame of every exported page: one file that runs and fetches nothing."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from chatcli.text.sanitizer import sanitize_line
from chatcli.text.shortening import shortened

if TYPE_CHECKING:
    from collections.abc import Iterable

# Should anything ever get past the escaping, the browser still runs and fetches nothing. A policy in a file
# cannot forbid framing, which does no harm here.
_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
)


def html_page(title: str, style: str, body: Iterable[str], *, language: str) -> str:
    """Return the document with the plain text ``title``, a style sheet and the lines of its body."""
    return "\n".join(
        (
            "<!DOCTYPE html>",
            f'<html lang="{language}">',
            "<head>",
            # Before the title: the browser decodes the following text by it.
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="referrer" content="no-referrer">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{shown_line(title)}</title>",
            f"<style>\n{style}</style>",
            "</head>",
            "<body>",
            *body,
            "</body>",
            "</html>",
            "",
        )
    )


def shown_line(text: str, columns: int | None = None) -> str:
    """Return ``text`` of anybody as HTML on one line, with invisible and direction characters made visible.

    With ``columns`` it is shortened to so many of a terminal.
    """
    line = sanitize_line(text)
    return escape(line if columns is None else shortened(line, columns))
