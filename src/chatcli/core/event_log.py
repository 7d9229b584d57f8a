"""The log of a run: events with a name and a few facts, never a word of a conversation.

Levels are those of ``logging``. The port is a class, so that a run that writes nothing imports nothing: what writes is
opened with the first event.
"""

from __future__ import annotations

from contextvars import ContextVar
from threading import Lock
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DEBUG: Final = 10
INFO: Final = 20
WARNING: Final = 30
ERROR: Final = 40
OFF: Final = 100

LEVELS: Final[Mapping[str, int]] = MappingProxyType(
    {"debug": DEBUG, "info": INFO, "warning": WARNING, "error": ERROR, "off": OFF}
)

EVENTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "context": "what of the conversation is sent: tokens, turns left out and summarized",
        "findings": "texts that seem to give the model orders, or links that carry data out: how many",
        "cache": "the cache of answers was asked: hit or miss; or an answer was stored in it",
        "call_began": "a call: the model, where, what for, and which call it follows: one that failed, was cut or did not fit",
        "limit_wait": "it has waited for the rate limits, before it was sent",
        "attempt": "a request of it leaves, with so many bytes",
        "headers": "the headers of the response are here: status, the provider's request id",
        "first_token": "the first delta of the answer",
        "notice": "something the person was told, by its code: a parameter left out, a refusal",
        "retry": "an attempt has failed, by its code and status; the next one follows after a wait",
        "call_ended": "how the call ended: outcome, times, tokens, cost",
        "alert": "an alert fires, or is over",
        "alert_action": "a command or a webhook of an alert failed, and why",
        "results_moved": "somebody deleted or moved the file a script's batch writes: where the results are now",
        "bug": "the program failed: the kind of error and where, without its words",
        "http_request": "--debug-http: method, URL and headers of a request",
        "http_response": "--debug-http: status and headers of a response",
        "http_body": "--debug-http: a piece of a body",
        "lines_lost": "so many lines could not be written before this one",
    }
)
"""Every event, and what it means."""

current_call: ContextVar[str] = ContextVar("current_call", default="")
"""The id of the call whose request is being sent: nothing else leads from what goes over the wire to it."""


class EventSink(Protocol):
    """Writes events. It neither blocks nor raises."""

    def write(self, level: int, event: str, facts: Mapping[str, Any]) -> None: ...

    def close(self) -> None:
        """Write what is left, or give up after a moment."""
        ...


class EventLog:
    """Takes events of ``least`` level and above to a sink, which is opened with the first.

    ``place`` names it; empty for none, ``None`` before that is settled. Any thread may note events.
    """

    def __init__(self) -> None:
        self.least = OFF
        self.place: str | None = None
        self._open_sink: Callable[[], EventSink] | None = None
        self._sink: EventSink | None = None
        self._opening = Lock()

    def write_to(self, place: str, open_sink: Callable[[], EventSink], *, least: int) -> None:
        """Write events of ``least`` level and above to what ``open_sink`` returns, from now on."""
        if place != self.place:
            self.close()
        self.place, self.least, self._open_sink = place, least, open_sink

    def turn_off(self) -> None:
        """Write nothing from now on."""
        self.close()
        self.place, self.least, self._open_sink = "", OFF, None

    def note(self, level: int, event: str, call: str = "", **facts: Any) -> None:
        """Note ``event``, one of ``EVENTS``, with facts that are JSON values; those that are ``None`` are left out.

        ``call`` is the id of the call it belongs to.
        """
        open_sink = self._open_sink
        if level < self.least or open_sink is None:
            return
        with self._opening:
            sink = self._sink = self._sink or open_sink()
        sink.write(level, event, {"call": call or None, **facts})

    def close(self) -> None:
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.close()


NO_LOG: Final = EventLog()
"""The log of whoever has none."""
