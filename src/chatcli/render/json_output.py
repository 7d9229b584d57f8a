r"""A turn for programs: one JSON object (``-o json``), or one per line (``-o jsonl``).

Every character of the answer is kept. Those that a terminal would act on or hide are written as ``\uXXXX``,
which JSON readers decode; so are lone surrogates, which UTF-8 cannot hold.
"""

from __future__ import annotations

from dataclasses import fields
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from chatcli.core.codec import source_fields, tool_call_fields, usage_fields
from chatcli.core.errors import EndpointError
from chatcli.core.events import (
    AnswerContinued,
    ContextFitted,
    LongProgress,
    Notice,
    PartialData,
    ReasoningDelta,
    Retrying,
    TextDelta,
    TextReclassified,
    TurnCancelled,
    TurnFailed,
    TurnFinished,
    TurnResult,
    TurnStarted,
    Waiting,
)
from chatcli.text.sanitizer import json_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from chatcli.core.errors import ChatcliError
    from chatcli.core.events import Event
    from chatcli.core.ports import Observer

_PROGRESS: Final[dict[type, str]] = {
    TurnStarted: "turn_started",
    AnswerContinued: "answer_continued",
    ContextFitted: "context_fitted",
    LongProgress: "long_progress",
    Waiting: "waiting",
    Retrying: "retrying",
    Notice: "notice",
    ReasoningDelta: "reasoning_delta",
    TextDelta: "text_delta",
    TextReclassified: "text_reclassified",
    PartialData: "partial_data",
}
_BESIDE_THE_ANSWER: Final = {"model", "message", "reason"}
_ENDS: Final[dict[type, str]] = {
    TurnFinished: "turn_finished",
    TurnFailed: "turn_failed",
    TurnCancelled: "turn_cancelled",
}
_FIELDS: Final = {kind: tuple(field.name for field in fields(kind)) for kind in _PROGRESS}


class JsonRenderer:
    """Writes one JSON object, on one line, when the turn ends, even if it failed or was stopped.

    ``redact`` removes keys from everything but the answer. ``notices`` are those from before the turn; those of the
    turn are added.
    """

    def __init__(
        self,
        write: Callable[[str], object],
        redact: Callable[[str], str] = str,
        notices: list[Notice] | None = None,
    ) -> None:
        self._write = write
        self._redact = redact
        self._notices = [] if notices is None else notices

    async def __call__(self, event: Event) -> None:
        if isinstance(event, Notice):
            self._notices.append(event)
        elif isinstance(event, TurnFinished | TurnFailed | TurnCancelled):
            self._write(json_line(result_object(event.result, self._redact, self._notices)) + "\n")


class JsonLinesRenderer(JsonRenderer):
    """Writes each event as a JSON object on its own line; the last has the fields of ``-o json``.

    ``redact`` and ``notices`` as for ``JsonRenderer``. ``beside`` are further fields of each line, where it has none
    of that name.
    """

    def __init__(
        self,
        write: Callable[[str], object],
        redact: Callable[[str], str] = str,
        notices: list[Notice] | None = None,
        *,
        beside: Mapping[str, object] = MappingProxyType({}),
    ) -> None:
        super().__init__(write, redact, notices)
        self._beside = beside

    async def __call__(self, event: Event) -> None:
        if isinstance(event, Notice):
            self._notices.append(event)
        line = _event_object(event, self._redact, self._notices)
        if line is not None:
            self._write(
                json_line({**line, **{k: v for k, v in self._beside.items() if k not in line}}) + "\n"
            )


class ComparedJson:
    """Writes one JSON object when ``count`` turns have ended: that of the first, with those of all in ``compared``.

    ``redact`` and ``notices`` as for ``JsonRenderer``.
    """

    def __init__(
        self,
        count: int,
        write: Callable[[str], object],
        redact: Callable[[str], str] = str,
        notices: Sequence[Notice] = (),
    ) -> None:
        self._write = write
        self._redact = redact
        self._notices = notices
        self._of_turns: list[list[Notice]] = [[] for _ in range(count)]
        self._results: dict[int, TurnResult] = {}

    def turn(self, at: int) -> Observer:
        """Return the observer of the turn at this place."""
        return partial(self._see, at)

    async def _see(self, at: int, event: Event) -> None:
        if isinstance(event, Notice):
            self._of_turns[at].append(event)
        elif isinstance(event, TurnFinished | TurnFailed | TurnCancelled):
            self._results[at] = event.result
            if len(self._results) == len(self._of_turns):
                self._write(json_line(self._compared()) + "\n")

    def _compared(self) -> dict[str, Any]:
        first = result_object(self._results[0], self._redact, [*self._notices, *self._of_turns[0]])
        each = [
            result_object(self._results[at], self._redact, notices)
            for at, notices in enumerate(self._of_turns)
        ]
        return {**first, "compared": each}


def result_object(
    result: TurnResult, redact: Callable[[str], str] = str, notices: Sequence[Notice] = ()
) -> dict[str, Any]:
    """Return the object of ``-o json``, with the ``notices`` about the turn. Its fields and their order are part of the public surface.

    Times are in seconds, to the millisecond.
    """
    return {
        "text": result.text,
        "model": redact(result.model),
        "finish_reason": result.finish_reason,
        "usage": usage_fields(result.usage),
        "cost_usd": result.cost_usd,
        "latency_s": _to_milliseconds(result.latency_s),
        "ttft_s": _to_milliseconds(result.ttft_s),
        "session": result.session,
        "cached": result.cached,
        "attempts": result.attempts,
        "error": None if result.error is None else _error_object(result.error, redact, result.call_id),
        "refusal": result.refusal,
        "tool_calls": [tool_call_fields(call) for call in result.tool_calls],
        "sources": [source_fields(source) for source in result.sources],
        "notices": [{"code": notice.code, "message": redact(notice.message)} for notice in notices],
        "data": result.data,
    }


def failure_object(error: ChatcliError, kind: str, redact: Callable[[str], str] = str) -> dict[str, Any]:
    """Return the object of ``-o json`` or, if that is the ``kind``, the line of ``-o jsonl`` for an error before a turn."""
    own = result_object(TurnResult(text="", model="", error=error), redact)
    return {"type": _ENDS[TurnFailed], **own} if kind == "jsonl" else own


def _event_object(
    event: Event, redact: Callable[[str], str], notices: Sequence[Notice]
) -> dict[str, Any] | None:
    """Return the object of one line, ``None`` for an event that has none."""
    kind = type(event)
    if isinstance(event, TurnFinished | TurnFailed | TurnCancelled):
        return {"type": _ENDS[kind], **result_object(event.result, redact, notices)}
    if kind not in _PROGRESS:
        return None
    values = {name: getattr(event, name) for name in _FIELDS[kind]}
    for name, value in values.items():
        if name in _BESIDE_THE_ANSWER:
            values[name] = redact(value)
        elif name.endswith("_s"):
            values[name] = _to_milliseconds(value)
    return {"type": _PROGRESS[kind], **values}


def _error_object(error: ChatcliError, redact: Callable[[str], str], call_id: str) -> dict[str, Any]:
    """Return the fields of an error; ``call_id`` is that of the turn's last call, which may have been whole."""
    endpoint_error = error if isinstance(error, EndpointError) else None
    return {
        "code": error.code,
        "message": redact(error.message),
        "hint": error.hint and redact(error.hint),
        "status": endpoint_error.status if endpoint_error else None,
        "request_id": endpoint_error.request_id and redact(endpoint_error.request_id)
        if endpoint_error
        else None,
        "call_id": call_id or (endpoint_error and endpoint_error.call_id) or None,
    }


def _to_milliseconds(time_s: float | None) -> float | None:
    return None if time_s is None else round(time_s, 3)
