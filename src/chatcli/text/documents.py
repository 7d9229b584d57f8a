r"""Frames around attached text, so that the model can distinguish it from the person's own words.

A document is ``<document name="NAME">``, a line end, its text, ``</document>``. Names and texts
cannot break out of the frame: characters that could end a name are escaped as in HTML (``&quot;``), and such a tag
inside a text gets a backslash (``<\/document>``), or one more if it has some. All other text is unchanged. The mapping
is one to one: a frame gives back exactly its name and text.
"""

from __future__ import annotations

import re
from typing import Final

from chatcli.text.lazy_pattern import lazy_pattern

_WEB_SCHEMES: Final = ("http://", "https://")
_LONGEST_HEADING: Final = 200
_FRAME: Final = lazy_pattern(r'<document name="([^"]*)">\n(.*)</document>', re.DOTALL)
_HEADER: Final = lazy_pattern(r'<document name="([^"]*)">\n')
# Models, like browsers, tolerate blanks and capitals in a tag.
_TAG: Final = lazy_pattern(r"<(\\*)(?=\s*(?:/\s*)?document\b)", re.IGNORECASE)
_ESCAPED_TAG: Final = lazy_pattern(r"<\\(\\*)(?=\s*(?:/\s*)?document\b)", re.IGNORECASE)
_UNSAFE_IN_NAMES: Final = lazy_pattern(
    '["<>\x00-\x1f\x7f-\x9f\u2028\u2029]|&(?=(?:amp|quot|lt|gt|#[0-9]{1,4});)',
)
_ESCAPES: Final = {'"': "&quot;", "<": "&lt;", ">": "&gt;", "&": "&amp;"}
_ESCAPED_IN_NAMES: Final = lazy_pattern(r"&(?:amp|quot|lt|gt|#[0-9]{1,4});")
_CHARACTERS: Final = {escape: character for character, escape in _ESCAPES.items()}


def document(name: str, text: str) -> str:
    """Return ``text`` in a frame that names it."""
    shown = _UNSAFE_IN_NAMES.sub(lambda match: _escaped(match[0]), name)
    kept = _TAG.sub(r"<\\\1", text)
    return f'<document name="{shown}">\n{kept}</document>'


def read_document(framed: str) -> tuple[str, str] | None:
    """Return the name and text of a frame made by ``document``, ``None`` for any other text."""
    frame = _FRAME.fullmatch(framed)
    return (_read_name(frame[1]), _ESCAPED_TAG.sub(r"<\1", frame[2])) if frame else None


def name_of(framed: str) -> str | None:
    """Return the name of a framed text, ``None`` if it has no frame."""
    header = _HEADER.match(framed)
    return _read_name(header[1]) if header else None


def label_of(framed: str) -> str | None:
    """Return the name of a framed text, for a web page after its title; ``None`` if it has no frame."""
    name = name_of(framed)
    if name is None or not name.lower().startswith(_WEB_SCHEMES):
        return name
    title = heading_of(framed.partition("\n")[2].removesuffix("</document>"))
    return f"“{title}” {name}" if title else name


def heading_of(text: str) -> str | None:
    """Return the Markdown heading a text begins with, without its mark."""
    line = text[:_LONGEST_HEADING].partition("\n")[0]
    return line.removeprefix("# ").strip() or None if line.startswith("# ") else None


def _read_name(shown: str) -> str:
    return _ESCAPED_IN_NAMES.sub(lambda match: _CHARACTERS.get(match[0]) or chr(int(match[0][2:-1])), shown)


def _escaped(character: str) -> str:
    return _ESCAPES.get(character) or f"&#{ord(character)};"
