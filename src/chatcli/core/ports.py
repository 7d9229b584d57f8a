"""Protocols between rooms, each as small as possible. ``app`` connects the implementations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path
    from typing import TypeAlias

    from chatcli.core.events import Event, ModelEvent, Notice, TurnResult
    from chatcli.core.messages import Message
    from chatcli.core.request import Request

    EmbeddingCharge: TypeAlias = Callable[
        [Sequence[str]], AbstractAsyncContextManager[Callable[[int | None], None]]
    ]
    """Charges a request for the embeddings of some texts.

    It raises ``BudgetReached`` if the request must not be sent, and yields a function that takes the tokens
    the endpoint reports.
    """

    Observer: TypeAlias = Callable[[Event], Awaitable[None]]
    """Watches a turn. It is given every event in order and decides nothing."""


class ChatModel(Protocol):
    """A model, or a pipeline layer around one."""

    def stream(self, request: Request) -> AsyncGenerator[ModelEvent]:
        """Yield progress and finally one ``Completion``; raise an ``EndpointError`` if there is none.

        Consumers wrap the generator in ``aclosing``: closing it closes the connection.
        """
        ...


class TokenCounter(Protocol):
    """A counter of tokens, as the model's tokenizer counts them."""

    @property
    def loaded(self) -> bool:
        """Whether ``count`` returns immediately, without loading a vocabulary first."""
        ...

    def count(self, text: str) -> int:
        """Return the number of tokens of ``text``; special tokens count as plain text."""
        ...


class MessageScreen(Protocol):
    """A scan of what is sent to a model, and of what it answers."""

    async def check(self, messages: Iterable[Message]) -> Sequence[Notice]:
        """Return what the person should know about texts of others; raise ``UsageError`` if one must not be sent."""
        ...

    async def scan(self, messages: Iterable[Message]) -> None:
        """Scan texts of others ahead, so that ``check`` is quick; nobody is told."""
        ...

    async def links(self, answer: str, messages: Iterable[Message]) -> Sequence[Notice]:
        """Return what the person should know about links in the answer to ``messages``."""
        ...


class LimitLeft(NamedTuple):
    """What is left of a rate limit that a server reported: ``remaining`` of ``limit`` (``None`` if that is unknown) until it is reset."""

    kind: str
    remaining: float
    limit: float | None
    resets_in_s: float


class EarlyEndpoint(Protocol):
    """What can be done at an endpoint before there is a request. Errors are left to the request."""

    async def open_connection(self) -> None:
        """Open a connection for the next request; nothing of it is sent."""
        ...

    @property
    def encode(self) -> Callable[[Request], object]:
        """Encodes the messages of a request, with which the next one begins; nothing is sent."""
        ...

    async def prefill(self, request: Request) -> None:
        """Have the embedded model read the messages of ``request`` ahead; other endpoints are sent nothing."""
        ...

    def spare_share(self, model: str, tokens: int) -> float:
        """Return the share that a request of about ``tokens`` would leave of the rate limits that the server reported, 1 without any."""
        ...

    def limits_left(self, model: str) -> Sequence[LimitLeft]:
        """Return what is left of the rate limits of ``model`` that the server reported."""
        ...


class Embedder(Protocol):
    """A model that maps texts to vectors; the closer two vectors, the more similar the meaning."""

    async def embed(self, texts: Sequence[str]) -> list[Sequence[float]]:
        """Return one vector per text, in order and of equal length; raise an ``EndpointError``.

        Of a long text, only the beginning may be read. ``BudgetReached`` is raised if the budget does not leave
        enough.
        """
        ...


class Journal(Protocol):
    """Storage of a conversation.

    Every method returns once the operating system has the record. Ids are opaque; ``parent`` is the id of the
    preceding message, ``None`` for the first.
    """

    @property
    def name(self) -> str | None:
        """The name to pass to ``-s`` to resume this conversation; ``None`` if it is not saved."""
        ...

    def message(self, message: Message, *, parent: str | None) -> str:
        """Store a message of the person or the system and return its id."""
        ...

    def begin_reply(self, *, parent: str | None) -> Reply:
        """Open the reply to message ``parent``."""
        ...

    def refused(self, message_id: str, reason: str) -> None:
        """Record that the endpoint refused a question itself; without an answer it is not sent again."""
        ...


class Reply(Protocol):
    """A reply that is being received."""

    @property
    def id(self) -> str: ...

    def extend(self, text: str) -> None:
        """Add text to the reply; it is stored within a second."""
        ...

    def begin_again(self, text: str) -> None:
        """Replace the text of the reply so far by ``text``."""
        ...

    def finish(self, message: Message, result: TurnResult) -> None:
        """Store the complete reply in place of its parts."""
        ...


class ProviderBatchState(NamedTuple):
    """The state of a batch at its provider: ``completed`` and ``failed`` of ``total`` requests.

    The ``status`` is the provider's word (https://platform.openai.com/docs/api-reference/batch/object).

    ``files`` hold results and errors once it ``is_over``, ``problem`` says why the whole batch failed.
    """

    status: str
    total: int = 0
    completed: int = 0
    failed: int = 0
    files: tuple[str, ...] = ()
    problem: str | None = None

    @property
    def is_over(self) -> bool:
        return self.status in ("completed", "failed", "expired", "cancelled")

    @property
    def is_known(self) -> bool:
        return self.is_over or self.status in ("validating", "in_progress", "finalizing", "cancelling")


class ProviderBatches(Protocol):
    """The batch API of a provider. Methods raise an ``EndpointError``."""

    def line(self, custom_id: str, request: Request) -> bytes:
        """Return the line of an input file for one request, with its line feed. Raise ``RequestRefused`` if JSON cannot hold it."""
        ...

    async def upload(self, path: Path) -> str:
        """Upload an input file; return its id."""
        ...

    async def create(self, input_file: str) -> str:
        """Start a batch of an uploaded file; return its id."""
        ...

    async def find(self, input_file: str) -> str | None:
        """Return the id of a batch of that file, ``None`` if the provider lists none."""
        ...

    async def state(self, batch: str) -> ProviderBatchState: ...

    def lines(self, file: str) -> AsyncGenerator[bytes]:
        """Yield the lines of a file of results."""
        ...

    def answer(self, request: Request, response: Mapping[str, Any]) -> AsyncGenerator[ModelEvent]:
        """Yield the events of an answer that stands in the results, as ``ChatModel.stream`` does."""
        ...
