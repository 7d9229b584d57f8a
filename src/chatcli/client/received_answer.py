"""An answer while it is received: the response it comes in, and the part that was shown."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import field
from typing import TYPE_CHECKING, Final

from chatcli.client.openai_errors import content_type
from chatcli.core.errors import IncompleteAnswer
from chatcli.core.events import ReasoningDelta, TextDelta
from chatcli.core.frozen import mutable
from chatcli.text.text_buffer import TextBuffer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from chatcli.client.answer_bytes import IdleTimeout
    from chatcli.client.openai_errors import ResponseHead
    from chatcli.core.errors import EndpointError
    from chatcli.core.events import ModelEvent

CONTINUE_HINT: Final = "/continue gets the rest"


@mutable
class ReceivedResponse:
    """A response whose body has begun to arrive, with its ``start``; ``is_over`` once the stream announced its end.

    ``closing`` closes it. ``wordless_bytes`` is the size of the events that belong to the answer but have no text.
    """

    response: ResponseHead
    start: bytes
    chunks: AsyncGenerator[bytes]
    idle: IdleTimeout
    closing: AsyncExitStack = field(default_factory=AsyncExitStack)
    is_over: bool = False
    wordless_bytes: int = 0

    @property
    def content_type(self) -> str:
        return content_type(self.response)


class ShownAnswer:
    """The part of the answer the person may have seen, and how much more is accepted."""

    def __init__(self, limit_bytes: int) -> None:
        self.answer = TextBuffer()
        self.reasoning = TextBuffer()
        self.characters = 0
        self._left_bytes = limit_bytes

    @property
    def is_full(self) -> bool:
        return self._left_bytes < 0

    def taken(self, event: ModelEvent) -> ModelEvent:
        """Return ``event``, cut at the limit."""
        if not isinstance(event, (TextDelta, ReasoningDelta)):
            return event
        text, left_bytes = event.text, self._left_bytes
        self._left_bytes -= len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
        if self.is_full:
            text = text.encode("utf-8", "surrogatepass")[: max(0, left_bytes)].decode("utf-8", "ignore")
            event = type(event)(text)
        if isinstance(event, TextDelta):
            self.characters += len(text)
            self.answer.append(text)
        else:
            self.reasoning.append(text)
        return event

    def broken_off(self, error: EndpointError) -> IncompleteAnswer:
        """Return the failure in the middle of a visible answer, with its cause."""
        return IncompleteAnswer(
            f"{error.clause}; the answer was cut after {self.characters:,} characters",
            hint=CONTINUE_HINT,
            status=error.status,
            request_id=error.request_id,
            provider_code=error.provider_code,
        )
