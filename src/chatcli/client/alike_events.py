"""Fast reading of streamed events: most differ from the one before only in their text, so only the text is parsed."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from jiter import from_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chatcli.client.dialect import AnswerReader
    from chatcli.core.events import TextDelta

_CONTENT: Final = re.compile(rb'"content"\s*:\s*"((?:[^"\\]|\\.)*+)"')
_MOST_MISSES: Final = 8
"""Some servers put a number or a random word into every event. After so many misses no likeness is looked for."""


class AlikeEvents:
    """Takes what it can of a stream, and leaves the rest to ``reader``.

    An event that starts and ends with the same bytes as the one before, with one JSON string between them where that had
    its text, means the same with another text. Whatever else comes is read as a whole, and then is the one to be alike.
    """

    def __init__(self, reader: AnswerReader) -> None:
        self._reader = reader
        self._before = self._after = b""
        self._misses = 0

    def delta(self, data: bytes) -> TextDelta | None:
        """Take an event that is like the last one, and has text; return ``None`` for any other."""
        before, after = self._before, self._after
        if not (before and data.startswith(before) and data.endswith(after)):
            return None
        try:
            # With its quotes. Where both ends overlap, less is left than a string. Half a character is none for jiter.
            text = from_json(data[len(before) - 1 : len(data) - len(after) + 1])
        except ValueError:
            return None
        if not text:
            return None
        self._misses = 0
        return self._reader.take_text(text)

    def was_read(self, data: bytes, event: Mapping[str, Any]) -> None:
        """Note what was not taken here: ``data``, which was parsed as ``event`` and read."""
        self._before = self._after = b""
        if self._misses == _MOST_MISSES or not self._reader.lone_text(event):
            return
        self._misses += 1
        if (found := _CONTENT.search(data)) is None:
            return
        before, after = data[: found.start(1)], data[found.end(1) :]
        with suppress(ValueError):  # it is JSON only for a more tolerant parser
            # It is where the text stands if there is none without it, not a field of the same name elsewhere.
            if self._reader.lone_text(from_json(before + after)) == "":
                self._before, self._after = before, after
