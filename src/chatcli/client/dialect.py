"""What one API of model servers consists of: its request bodies, and how its answers are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from chatcli.client.endpoint import Endpoint
    from chatcli.core.events import Completion, ModelEvent, ReasoningDelta, TextDelta
    from chatcli.core.request import Request


class AnswerReader(Protocol):
    """Turns the JSON of one answer into events, and remembers the data for its completion.

    ``chunks`` counts the chunks of the answer, hidden ones included, but not those that only keep the
    connection alive. ``held`` is the number of characters emitted only at the end or merely counted: pictures
    and audio. ``is_complete``: the end was reported; ``is_over``: no further data can matter.
    """

    chunks: int

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
        """Read a whole answer."""
        ...

    def lone_text(self, event: Mapping[str, Any]) -> str | None:
        """Return the text of an event that was read, if another one with nothing but another text needs only ``take_text``."""
        ...

    def take_text(self, text: str) -> TextDelta | None:
        """Take the text of such an event; return what of it can be shown."""
        ...

    def end_of_stream(self) -> bool:
        """Note the server's end-of-stream mark; return whether it is the only sign of the answer's end."""
        ...

    def rest(self) -> Iterator[ModelEvent]:
        """Yield the events that can only be emitted at the end."""
        ...

    def completion(self) -> Completion | None:
        """Return the completion, ``None`` while the server has not reported one."""
        ...


class Dialect(Protocol):
    """One API: its path, its request bodies and its answers."""

    @property
    def path(self) -> str:
        """The path below the endpoint's base URL."""
        ...

    def body(self, request: Request, *, streamed: bool, endpoint: Endpoint) -> dict[str, Any]:
        """Return the complete JSON body of ``request``."""
        ...

    def encoded_body(self, request: Request, *, streamed: bool, endpoint: Endpoint) -> bytes:
        """Return ``body`` as JSON."""
        ...

    def encode_messages(self, request: Request, *, endpoint: Endpoint) -> None:
        """Encode the messages of ``request`` ahead, if ``encoded_body`` keeps what it encodes."""
        ...

    def reader(self, request: Request) -> AnswerReader:
        """Return a reader for the answer to ``request``."""
        ...

    def error_in(self, event: object) -> object | None:
        """Return the error in an event, ``None`` if there is none."""
        ...
