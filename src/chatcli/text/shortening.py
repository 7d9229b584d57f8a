"""Shortening of text to a number of terminal columns."""

from __future__ import annotations

from typing import Final

from wcwidth import clip, width

ELLIPSIS: Final = "…"


def shortened(text: str, columns: int, *, mark: str = ELLIPSIS) -> str:
    """Return the line ``text`` if it fits into ``columns``, else its beginning and ``mark``, one column wide."""
    if width(text) <= columns:
        return text
    return clip(text, 0, columns - 1).rstrip() + mark if columns > 0 else ""


def shortened_before(text: str, columns: int, *, mark: str = ELLIPSIS) -> str:
    """Return the line ``text`` if it fits into ``columns``, else ``mark`` and its end."""
    taken = width(text)
    if taken <= columns:
        return text
    return mark + clip(text, taken - columns + 1, taken).lstrip() if columns > 0 else ""
