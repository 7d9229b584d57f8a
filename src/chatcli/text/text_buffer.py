"""A buffer for text that arrives in small chunks."""

from __future__ import annotations

from io import StringIO


class TextBuffer(StringIO):
    """A text built from chunks, in little more memory than the text itself.

    A chunk of four letters takes thirteen times its size as an object; ``StringIO`` keeps no chunks.
    """

    def __bool__(self) -> bool:
        return self.tell() > 0

    def append(self, chunk: str) -> None:
        self.write(chunk)

    def drop_last(self, characters: int) -> None:
        """Remove the last ``characters``."""
        self.seek(self.truncate(max(0, self.tell() - characters)))

    @property
    def text(self) -> str:
        return self.getvalue()
