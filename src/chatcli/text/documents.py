r"""How attached text is framed, so that the model can tell it from what the person says.

A document is ``<document name="NAME">``, a line end, its text, ``</document>``. Neither can leave its place: in a name,
what could end it is written as in HTML (``&quot;``), and a text that holds such a tag itself gets a backslash in it
(``<\/document>``), or one more where it has some. All other text stays as it is. Equal documents have equal frames,
different ones different frames, and a frame gives back exactly what was put in.
"""

from __future__ import annotations

import re
from typing import Final

_FRAME: Final = re.compile(r'<document name="([^"]*)">\n(.*)</document>', re.DOTALL)
_HEADER: Final = re.compile(r'<document name="([^"]*)">\n')
# Models forgive a tag its blanks and its capitals, as browsers do.
_TAG: Final = re.compile(r"<(\\*)(?=\s*(?:/\s*)?document\b)", re.IGNORECASE)
_ESCAPED_TAG: Final = re.compile(r"<\\(\\*)(?=\s*(?:/\s*)?document\b)", re.IGNORECASE)
_UNSAFE_IN_NAMES: Final = re.compile(
    '["<>\x00-\x1f\x7f-\x9f\u2028\u2029]|&(?=(?:amp|quot|lt|gt|#[0-9]{1,4});)',
)
_ESCAPES: Final = {'"': "&quot;", "<": "&lt;", ">": "&gt;", "&": "&amp;"}
_ESCAPED_IN_NAMES: Final = re.compile(r"&(?:amp|quot|lt|gt|#[0-9]{1,4});")
_CHARACTERS: Final = {escape: character for character, escape in _ESCAPES.items()}


def document(name: str, text: str) -> str:
    """Return ``text`` in a frame that says what it is called."""
    shown = _UNSAFE_IN_NAMES.sub(lambda match: _escaped(match[0]), name)
    kept = _TAG.sub(r"<\\\1", text)
    return f'<document name="{shown}">\n{kept}</document>'


def read_document(framed: str) -> tuple[str, str] | None:
    """Return name and text of what ``document`` has framed, ``None`` for anything else."""
    frame = _FRAME.fullmatch(framed)
    return (_read_name(frame[1]), _ESCAPED_TAG.sub(r"<\1", frame[2])) if frame else None


def name_of(framed: str) -> str | None:
    """Return what a framed text is called, ``None`` for one without a frame."""
    header = _HEADER.match(framed)
    return _read_name(header[1]) if header else None


def _read_name(shown: str) -> str:
    return _ESCAPED_IN_NAMES.sub(lambda match: _CHARACTERS.get(match[0]) or chr(int(match[0][2:-1])), shown)


def _escaped(character: str) -> str:
    return _ESCAPES.get(character) or f"&#{ord(character)};"
