"""A buffer for text that arrives in small chunks."""

from __future__ import annotations

from typing import Final

_PIECES: Final = 256


class TextBuffer:
    """A text built from chunks, in little more memory than the text itself.

    A chunk of four letters takes thirteen times its size as an object, so chunks are joined regularly.
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
        """Remove the last ``characters``."""
        text = self.text
        self._parts = [text[: max(0, len(text) - characters)]]
        self._pieces.clear()

    @property
    def text(self) -> str:
        if self._pieces or len(self._parts) > 1:
            self._parts = ["".join([*self._parts, *self._pieces])]
            self._pieces.clear()
        return self._parts[0] if self._parts else ""
