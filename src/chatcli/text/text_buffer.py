"""A buffer for text that arrives in small chunks."""

from __future__ import annotations

from typing import Final

_CHUNKS_JOINED: Final = 256


class TextBuffer:
    """A text built from chunks, in little more memory than the text itself.

    A chunk of four letters takes thirteen times its size as an object, so chunks are joined regularly.
    """

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._chunks: list[str] = []

    def __bool__(self) -> bool:
        return bool(self._parts or self._chunks)

    def append(self, chunk: str) -> None:
        self._chunks.append(chunk)
        if len(self._chunks) == _CHUNKS_JOINED:
            self._parts.append("".join(self._chunks))
            self._chunks.clear()

    def drop_last(self, characters: int) -> None:
        """Remove the last ``characters``."""
        text = self.text
        self._parts = [text[: max(0, len(text) - characters)]]
        self._chunks.clear()

    @property
    def text(self) -> str:
        if self._chunks or len(self._parts) > 1:
            self._parts = ["".join([*self._parts, *self._chunks])]
            self._chunks.clear()
        return self._parts[0] if self._parts else ""
