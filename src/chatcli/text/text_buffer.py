"""A text that comes in many small pieces."""

from __future__ import annotations

from typing import Final

_PIECES: Final = 256


class TextBuffer:
    """Holds the pieces of a text in little more room than the text itself.

    A piece of four letters takes thirteen times as much by itself, so every so often they are joined.
    """

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._pieces: list[str] = []

    def __bool__(self) -> bool:
        return bool(self._parts or self._pieces)

    def append(self, piece: str) -> None:
        self._pieces.append(piece)
        if len(self._pieces) == _PIECES:
            self._parts.append("".join(self._pieces))
            self._pieces.clear()

    def drop_last(self, characters: int) -> None:
        """Take the last ``characters`` away."""
        text = self.text
        self._parts = [text[: max(0, len(text) - characters)]]
        self._pieces.clear()

    @property
    def text(self) -> str:
        if self._pieces or len(self._parts) > 1:
            self._parts = ["".join([*self._parts, *self._pieces])]
            self._pieces.clear()
        return self._parts[0] if self._parts else ""
