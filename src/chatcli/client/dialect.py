"""What the APIs of OpenAI have in common, as far as a model needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractAsyncContextManager

    from openai import AsyncOpenAI

    from chatcli.client.endpoint import Endpoint
    from chatcli.core.events import Completion, ModelEvent, ReasoningDelta, TextDelta
    from chatcli.core.request import Request


class AnswerReader(Protocol):
    """Turns the JSON of one answer into events and remembers what it said about its end.

    ``pieces`` grows with every piece of the answer, hidden ones too: what does not count is what only keeps the
    connection alive. ``held`` is how many characters of it wait for the end,
    or were only counted: pictures and sounds. ``is_complete`` says that the end was told,
    ``is_over`` that nothing of use can follow.
    """

    pieces: int

    @property
    def held(self) -> int: ...

    @property
    def is_complete(self) -> bool: ...

    @property
    def is_over(self) -> bool: ...

    def read_event(self, event: Mapping[str, Any]) -> Iterator[TextDelta | ReasoningDelta]:
        """Read one event of a stream."""
        ...

    def read_whole(self, answer: Mapping[str, Any]) -> Iterator[ModelEvent]:
        """Read an answer that came in one piece."""
        ...

    def end_of_stream(self) -> bool:
        """Take the server's word that its stream is at its end; return whether that is all it says of the answer's end."""
        ...

    def rest(self) -> Iterator[ModelEvent]:
        """Yield what could only be told at the end."""
        ...

    def completion(self) -> Completion | None:
        """Return the end of the answer, ``None`` while the server has not told of one."""
        ...


class Dialect(Protocol):
    """One API: how it is asked, and how its answers read."""

    def body(self, request: Request, *, streamed: bool, endpoint: Endpoint) -> dict[str, Any]:
        """Return the JSON that ``request`` is sent as, all of it."""
        ...

    def send(self, client: AsyncOpenAI, body: Mapping[str, Any]) -> AbstractAsyncContextManager[Any]:
        """Send ``body`` as it is; see ``with_streaming_response`` of the openai package."""
        ...

    def reader(self, request: Request) -> AnswerReader:
        """Return what reads the answer to ``request``."""
        ...

    def error_in(self, event: object) -> object | None:
        """Return what an event says about an error, ``None`` where it is no error."""
        ...
