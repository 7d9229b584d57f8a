"""How attached text is framed, so that the model can tell it from what the person says."""

from __future__ import annotations

import re
from typing import Final

_FRAME: Final = re.compile(r'<document name="([^"]*)">\n')


def document(name: str, text: str) -> str:
    """Return ``text`` in a frame that says what it is called."""
    shown = name.replace('"', "'")
    end = "" if text.endswith("\n") else "\n"
    return f'<document name="{shown}">\n{text}{end}</document>'


def name_of(document: str) -> str | None:
    """Return what a framed text is called, ``None`` for one without a frame."""
    frame = _FRAME.match(document)
    return frame[1] if frame else None
