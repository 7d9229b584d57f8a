"""``POST /responses``: what is sent, and how the answer reads, streamed or in one piece.

Reference: https://platform.openai.com/docs/api-reference/responses. Nothing is left with the server (``store`` is
off): every request carries the conversation, as with chat completions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from chatcli.client.error_bodies import error_in
from chatcli.client.remainder import Remainder
from chatcli.client.system_role import wire_messages
from chatcli.client.wire_text import count
from chatcli.core.events import Completion, ReasoningDelta, TextDelta
from chatcli.core.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from openai import AsyncOpenAI

    from chatcli.client.endpoint import Endpoint
    from chatcli.core.events import Notice
    from chatcli.core.request import Request

_TEXT_DELTAS: Final = {"response.output_text.delta", "response.refusal.delta"}
_REASONING_DELTAS: Final = {"response.reasoning_text.delta", "response.reasoning_summary_text.delta"}
_ENDS: Final = {"response.completed", "response.incomplete"}
_FAILURES: Final = {"error", "response.failed"}
_FINISH_REASONS: Final = {"max_output_tokens": "length", "content_filter": "content_filter"}
_BETWEEN_MESSAGES: Final = "\n\n"


class Responses:
    """The ``Dialect`` of OpenAI's newer API."""

    def body(self, request: Request, *, streamed: bool, endpoint: Endpoint) -> dict[str, Any]:  # noqa: ARG002 - of the port
        parameters = request.parameters
        named = {
            "temperature": parameters.temperature,
            "top_p": parameters.top_p,
            "max_output_tokens": parameters.max_tokens,
            "reasoning": None if parameters.reasoning is None else {"effort": parameters.reasoning},
            "store": False,
        }
        # The API knows no seed: sent all the same, its refusal tells the person that it does not count.
        others = {"seed": parameters.seed, **parameters.extra}
        extra = _given(others, request.without)
        return {
            "model": request.model,
            "input": wire_messages(request),
            "stream": streamed,
            **_given(named, request.without),
            **({"extra_body": extra} if extra else {}),
        }

    def create(self, client: AsyncOpenAI) -> Callable[..., Any]:
        create: Callable[..., Any] = client.responses.with_streaming_response.create
        return create

    def reader(self) -> ResponseReader:
        return ResponseReader()

    def error_in(self, event: object) -> object | None:
        has_failed = isinstance(event, dict) and (
            _kind(event) in _FAILURES or event.get("status") == "failed"
        )
        return event if has_failed else error_in(event, "output")


class ResponseReader:
    """Reads the events of a response, or a whole one (``client.dialect.AnswerReader``)."""

    def __init__(self) -> None:
        self.pieces = 0
        self.is_over = False
        self._completion: Completion | None = None
        self._remainder = Remainder()
        self._message: object = None  # which of the output's messages the last text was of

    def read_event(self, event: Mapping[str, Any]) -> Iterator[TextDelta | ReasoningDelta]:
        kind, delta = _kind(event), event.get("delta")
        if kind in _ENDS and isinstance(response := event.get("response"), dict):
            if not self.pieces:
                yield from self.read_whole(response)
            self._finish(response)
        elif kind == "response.output_item.added":
            self._note_tool(event.get("item"))
        elif isinstance(delta, str) and delta:
            self.pieces += 1
            if kind in _REASONING_DELTAS:
                yield ReasoningDelta(delta)
            elif kind in _TEXT_DELTAS:
                self._remainder.is_refusal |= kind == "response.refusal.delta"
                yield from self._text(delta, event.get("output_index"))

    def read_whole(self, answer: Mapping[str, Any]) -> Iterator[TextDelta | ReasoningDelta]:
        output = answer.get("output")
        for place, item in enumerate(output if isinstance(output, list) else ()):
            self._note_tool(item)
            for part in _parts(item, "summary"):
                if isinstance(text := part.get("text"), str) and text:
                    yield ReasoningDelta(text)
            for part in _parts(item, "content") if _kind(item) == "message" else ():
                self._remainder.is_refusal |= bool(part.get("refusal"))
                text = part.get("text") or part.get("refusal")
                if isinstance(text, str) and text:
                    yield from self._text(text, place)
        self._finish(answer)

    def rest(self) -> Iterator[TextDelta | Notice]:
        return self._remainder.told()

    def completion(self) -> Completion | None:
        return self._completion

    def _text(self, text: str, message: object) -> Iterator[TextDelta]:
        if self._message is not None and message != self._message:
            text = _BETWEEN_MESSAGES + text
        self._message = message
        if joined := self._remainder.joiner.join(text):
            yield TextDelta(joined)

    def _note_tool(self, item: object) -> None:
        if isinstance(item, dict) and _kind(item).endswith("_call"):
            self.pieces += 1
            self._remainder.note_tool(str(item.get("name") or _kind(item)))

    def _finish(self, response: Mapping[str, Any]) -> None:
        status, model, usage = response.get("status"), response.get("model"), response.get("usage")
        if status not in ("completed", "incomplete"):
            return
        self.is_over = True
        details = response.get("incomplete_details")
        reason = _FINISH_REASONS.get(str(details.get("reason"))) if isinstance(details, dict) else None
        # Incomplete for a reason nobody knows: an answer without its end.
        if finish_reason := "stop" if status == "completed" else reason:
            self._completion = Completion(
                finish_reason,
                model if isinstance(model, str) and model else None,
                _usage(usage) if isinstance(usage, dict) else None,
            )


def _given(values: Mapping[str, Any], without: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None and name not in without}


def _kind(item: object) -> str:
    kind = item.get("type") if isinstance(item, dict) else None
    return kind if isinstance(kind, str) else ""


def _parts(item: object, name: str) -> Iterator[Mapping[str, Any]]:
    parts = item.get(name) if isinstance(item, dict) else None
    return (part for part in (parts if isinstance(parts, list) else ()) if isinstance(part, dict))


def _usage(usage: Mapping[str, Any]) -> Usage:
    return Usage(
        input_tokens=count(usage, "input_tokens"),
        output_tokens=count(usage, "output_tokens"),
        cached_tokens=count(usage.get("input_tokens_details"), "cached_tokens"),
        reasoning_tokens=count(usage.get("output_tokens_details"), "reasoning_tokens"),
    )
