"""What of an answer can only be told at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.client.wire_text import SurrogateJoiner
from chatcli.core.events import Notice, TextDelta

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_TOOLS: Final = 8
_LONGEST_NAME: Final = 64
"""As long as OpenAI allows."""


class Remainder:
    """Half a character whose other half never came, a refusal, calls of tools nobody offered."""

    def __init__(self) -> None:
        self.joiner = SurrogateJoiner()
        self.is_refusal = False
        self._has_called = False
        self._tools: dict[str, None] = {}  # a set that keeps its order

    def note_tool(self, name: str) -> None:
        """Remember that a tool was called; the pieces of a call may lack its name, or repeat it."""
        self._has_called = True
        if name and len(self._tools) < _MOST_TOOLS:
            self._tools[name[:_LONGEST_NAME]] = None

    def told(self) -> Iterator[TextDelta | Notice]:
        if text := self.joiner.rest():
            yield TextDelta(text)
        if self.is_refusal:
            yield Notice("refusal", "the model refused to answer")
        if self._has_called:
            names = ", ".join(self._tools)
            yield Notice(
                "tool_calls", "the model asked for tools nobody offered it" + (f": {names}" if names else "")
            )
