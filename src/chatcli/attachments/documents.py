"""How attached text is framed, so that the model can tell it from what the person says."""

from __future__ import annotations


def document(name: str, text: str) -> str:
    """Return ``text`` in a frame that says what it is called."""
    shown = name.replace('"', "'")
    end = "" if text.endswith("\n") else "\n"
    return f'<document name="{shown}">\n{text}{end}</document>'
