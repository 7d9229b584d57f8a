"""What is measured of one call: a request to a model with all its attempts, never its text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeAlias

from chatcli.core.event_log import NO_LOG
from chatcli.core.frozen import frozen, mutable

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatcli.core.event_log import EventLog
    from chatcli.core.messages import Message

OK: Final = "ok"
ANSWER: Final = "answer"
"""The operation of an answer in a conversation."""
CANCELLED: Final = "cancelled"
"""The person stopped it, so that it says nothing about the endpoint."""


@frozen
class CallRecord:
    """One call.

    ``at_s`` is when it began, in seconds since the epoch. ``endpoint`` is its host, ``model`` the one that answered,
    else the one asked. ``operation`` is one of ``OPERATIONS``. ``outcome`` is ``OK``, ``CANCELLED`` or the code of the error.
    ``attempts`` counts requests, ``retry_wait_s`` and ``limit_wait_s`` are the time spent waiting for the next one and for
    the rate limits. ``ttft_s`` runs to the first delta, ``None`` if the answer came all at once, and ``latency_s`` to the end, both
    from ``at_s``; ``None`` where there was none. Tokens and costs are ``None`` where they are unknown. ``findings`` counts texts in the request that seemed to
    give orders. A ``is_cache_hit`` reached no endpoint. Bytes are those of bodies.

    ``id`` is that of the call in the logs. It, ``finish_reason``, ``request_id``, the provider's id of the last attempt, and
    ``requested_model``, which ``model`` may be a version of, are not kept; statistics have ``asked_model``.
    """

    at_s: float
    endpoint: str
    model: str
    operation: str = ANSWER
    outcome: str = OK
    profile: str = ""
    attempts: int = 1
    retry_wait_s: float = 0.0
    limit_wait_s: float = 0.0
    ttft_s: float | None = None
    latency_s: float | None = None
    input_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    is_cache_hit: bool = False
    sent_bytes: int = 0
    received_bytes: int = 0
    findings: int = 0
    id: str = ""
    finish_reason: str | None = None
    request_id: str | None = None
    requested_model: str = ""

    @property
    def asked_model(self) -> str:
        """The model that the call counts for: a failure names no version, so a success must not count for one."""
        return self.requested_model or self.model


OPERATIONS: Final = (ANSWER, "summary", "part", "suggestions", "ahead", "batch", "embeddings")


class CallContent(NamedTuple):
    """What was said in a call, which only those are given who asked for it. The reply is ``None`` if there is none."""

    messages: tuple[Message, ...]
    reply: Message | None = None


class CallRecorder(Protocol):
    """Takes the records of finished calls, with what was said if there is a use for that. It neither blocks nor raises."""

    def record(self, call: CallRecord, content: CallContent | None = None) -> None: ...


OpenRecorder: TypeAlias = "Callable[[], CallRecorder | None]"
"""Returns the recorder, ``None`` if nothing is to be recorded; called when a call has ended."""


@mutable
class CallTrace:
    """What the layers of the client note about a call while it runs; its request carries it from one to the other.

    ``is_streamed``: its last attempt asked for a stream. ``log`` takes its events.
    """

    id: str
    attempts: int = 0
    is_streamed: bool = True
    limit_wait_s: float = 0.0
    retry_wait_s: float = 0.0
    sent_bytes: int = 0
    received_bytes: int = 0
    request_id: str | None = None
    log: EventLog = NO_LOG

    def note(self, level: int, event: str, **facts: Any) -> None:
        """Note an event of the call in the log, as ``EventLog`` does."""
        self.log.note(level, event, self.id, **facts)
