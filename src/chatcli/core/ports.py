"""What one room needs of another, as small as it can be. ``app`` puts the pieces together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
    from typing import TypeAlias

    from chatcli.core.events import Event, ModelEvent, TurnResult
    from chatcli.core.messages import Message
    from chatcli.core.request import Request

    Observer: TypeAlias = Callable[[Event], Awaitable[None]]
    """Watches a turn. It is given every event in order and decides nothing."""


class ChatModel(Protocol):
    """A model, or a layer around one."""

    def stream(self, request: Request) -> AsyncGenerator[ModelEvent]:
        """Yield progress and, last, one ``Completion``; raise an ``EndpointError`` when there is none.

        Consumers wrap the generator in ``aclosing``: leaving it closes the connection.
        """
        ...


class TokenCounter(Protocol):
    """Counts as the model's tokenizer would."""

    @property
    def loaded(self) -> bool:
        """Whether counting answers at once, without loading a vocabulary first."""
        ...

    def count(self, text: str) -> int:
        """Return how many tokens ``text`` has, special tokens taken as plain text."""
        ...


class Embedder(Protocol):
    """Turns texts into vectors that lie the nearer to each other the more alike the texts are in meaning."""

    async def embed(self, texts: Sequence[str]) -> list[Sequence[float]]:
        """Return a vector for each text, in their order and all of one length; raise an ``EndpointError``.

        A long text may be read from its beginning only.
        """
        ...


class Journal(Protocol):
    """Where a conversation is kept. Every method returns when the record is with the operating system.

    Ids are opaque. A ``parent`` is the id of the message that came before, ``None`` for the first.
    """

    @property
    def name(self) -> str | None:
        """What ``-s`` takes to resume this conversation; ``None`` when nothing is kept."""
        ...

    def message(self, message: Message, *, parent: str | None) -> str:
        """Keep a message of the person or the system and return its id."""
        ...

    def begin_reply(self, *, parent: str | None) -> Reply:
        """Open the reply to message ``parent``."""
        ...

    def refused(self, message_id: str, reason: str) -> None:
        """Keep that the endpoint refused a question for what it is; without an answer it is not sent again."""
        ...


class Reply(Protocol):
    """A reply while it arrives."""

    @property
    def id(self) -> str: ...

    def extend(self, text: str) -> None:
        """Take the new text of the reply; it is kept at the latest a second after it came."""
        ...

    def begin_again(self, text: str) -> None:
        """Let ``text`` be all there is of the reply so far."""
        ...

    def finish(self, message: Message, result: TurnResult) -> None:
        """Keep the whole reply in place of its parts."""
        ...
