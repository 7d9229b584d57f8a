"""What of an answer can only be told at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.client.wire_text import SurrogateJoiner
from chatcli.core.events import Notice, TextDelta

if TYPE_CHECKING:
    from collections.abc import Iterator


class Remainder:
    """Half a character whose other half never came, a refusal, calls of tools nobody offered.

    ``tools`` are their names.
    """

    def __init__(self) -> None:
        self.joiner = SurrogateJoiner()
        self.is_refusal = False
        self.tools: list[str] = []

    def told(self) -> Iterator[TextDelta | Notice]:
        if text := self.joiner.rest():
            yield TextDelta(text)
        if self.is_refusal:
            yield Notice("refusal", "the model refused to answer")
        if self.tools:
            names = ", ".join(self.tools)
            yield Notice("tool_calls", f"the model asked for tools nobody offered it: {names}")
