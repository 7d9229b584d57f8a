"""``POST /responses``: the request body, and parsing of the answer, streamed or whole.

Reference: https://platform.openai.com/docs/api-reference/responses. Nothing is stored on the server
(``store`` is off): every request carries the conversation, as with chat completions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from chatcli.client.answer_forms import response_fields, with_words
from chatcli.client.error_bodies import error_in
from chatcli.client.trailing_parts import MOST_CALLS, TrailingParts
from chatcli.client.usage_fields import count, reported_cost_usd, reported_searches
from chatcli.client.web_search import search_fields
from chatcli.client.wire_messages import (
    as_json,
    encoded,
    response_items,
)
from chatcli.core.events import Completion, ReasoningDelta, TextDelta, Usage
from chatcli.core.json_values import as_list, as_object, as_text, objects_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from chatcli.client.endpoint import Endpoint
    from chatcli.core.events import Notice
    from chatcli.core.request import Request

_TEXT_DELTA: Final = "response.output_text.delta"
_REFUSAL_DELTA: Final = "response.refusal.delta"
_REASONING_DELTAS: Final = {"response.reasoning_text.delta", "response.reasoning_summary_text.delta"}
_ENDS: Final = {"response.completed", "response.incomplete"}
_FAILURES: Final = {"error", "response.failed"}
_FINISH_REASONS: Final = {"max_output_tokens": "length", "content_filter": "content_filter"}
_WORDS: Final = {"message", "reasoning"}
_BETWEEN_MESSAGES: Final = "\n\n"

# Calls that only the client can answer. All other tools run on the server, and only if ``-O tools=…``
# requests them: web_search_call, file_search_call, code_interpreter_call, image_generation_call, mcp_call and
# later ones.
_CALLS_FOR_AN_ANSWER: Final = {
    "function_call",
    "custom_tool_call",
    "computer_call",
    "local_shell_call",
    "shell_call",
    "apply_patch_call",
    "mcp_approval_request",
}
_ARGUMENTS: Final = ("arguments", "input", "action", "operation")


class Responses:
    """The ``Dialect`` of OpenAI's newer API."""

    path: Final = "/responses"

    def body(self, request: Request, *, streamed: bool, endpoint: Endpoint) -> dict[str, Any]:
        parameters = request.parameters
        is_formed = request.response_format is not None
        asked = with_words(request, endpoint) if is_formed else request
        search = search_fields(request, endpoint, "responses") if parameters.web_search else {}
        tools = [{"type": "function", **tool._asdict()} for tool in request.tools]
        named = {
            "temperature": parameters.temperature,
            "top_p": parameters.top_p,
            "max_output_tokens": parameters.max_tokens,
            "reasoning": None if parameters.reasoning is None else {"effort": parameters.reasoning},
            "store": False,
            **search,
            "tools": [*tools, *search.get("tools", ())] or None,
            "text": _text_fields(request) or None,
        }
        # The API has no seed: it is sent nevertheless, so that the refusal tells the person.
        others = {"seed": parameters.seed, **parameters.extra}
        return {
            "model": request.model,
            "input": response_items(asked, endpoint),
            "stream": streamed,
            **_given(named, request.without),
            **_given(others, request.without),
        }

    def encoded_body(self, request: Request, *, streamed: bool, endpoint: Endpoint) -> bytes:
        return encoded(self.body(request, streamed=streamed, endpoint=endpoint))

    def encode_messages(self, request: Request, *, endpoint: Endpoint) -> None:
        pass

    def reader(self, request: Request) -> ResponseReader:
        return ResponseReader(request)

    def error_in(self, event: object) -> object | None:
        has_failed = isinstance(event, dict) and (
            _kind(event) in _FAILURES or event.get("status") == "failed"
        )
        return event if has_failed else error_in(event, "output")


class ResponseReader:
    """Parses the events of a response, or a whole one (``client.dialect.AnswerReader``)."""

    def __init__(self, request: Request) -> None:
        self.chunks = 0
        self.is_over = False
        self._completion: Completion | None = None
        self._trailing = TrailingParts(request)
        self._searched: set[object] = set()  # the output indexes of web searches
        self._called: list[object] = []  # the output indexes of the calls already stored
        self._message: object = None  # the output message the last text belonged to

    def read_event(self, event: Mapping[str, Any]) -> Iterator[TextDelta | ReasoningDelta]:
        kind = _kind(event)
        if isinstance(delta := event.get("delta"), str):
            if delta:
                self.chunks += 1
                yield from self._delta(kind, delta, event.get("output_index"))
        elif kind in _ENDS and isinstance(response := event.get("response"), dict):
            if not self.chunks:
                yield from self.read_whole(response)
            for place, item in enumerate(_items(response)):
                self._note_item(item, place)
            self._finish(response)
        else:
            self._note_event(kind, event)

    def read_whole(self, answer: Mapping[str, Any]) -> Iterator[TextDelta | ReasoningDelta]:
        for place, item in enumerate(_items(answer)):
            self._note_item(item, place)
            for part in _parts(item, "summary"):
                if isinstance(text := part.get("text"), str) and text:
                    yield ReasoningDelta(text)
            for part in _parts(item, "content") if _kind(item) == "message" else ():
                self._refuse(part)
                if isinstance(text := part.get("text"), str) and text:
                    yield from self._text(text, place)
        self._finish(answer)

    def lone_text(self, _event: Mapping[str, Any]) -> None:
        return None  # each event has a number

    def take_text(self, text: str) -> TextDelta:
        return TextDelta(text)

    def rest(self) -> Iterator[TextDelta | Notice]:
        return self._trailing.rest()

    @property
    def held(self) -> int:
        return self._trailing.held

    @property
    def is_complete(self) -> bool:
        return self._completion is not None

    def end_of_stream(self) -> bool:
        return False  # this API ends with the response itself, which has the status

    def completion(self) -> Completion | None:
        return None if self._completion is None else self._trailing.completing(self._completion)

    def _delta(self, kind: str, delta: str, place: object) -> Iterator[TextDelta | ReasoningDelta]:
        if kind == _TEXT_DELTA:
            yield from self._text(delta, place)
        elif kind in _REASONING_DELTAS:
            yield ReasoningDelta(delta)
        elif kind == _REFUSAL_DELTA:
            self._trailing.refuse(delta)

    def _note_event(self, kind: str, event: Mapping[str, Any]) -> None:
        """Handle an event that is not a text delta."""
        match kind:
            case "response.output_item.added" | "response.output_item.done":
                item = event.get("item")
                self.chunks += bool(_kind(item)) and _kind(item) not in _WORDS
                if kind == "response.output_item.done":
                    self._note_item(item, event.get("output_index"))
            case "response.output_text.annotation.added":
                self.chunks += 1
                self._trailing.citations.annotate(event.get("annotation"))
            case "response.refusal.done":
                self._refuse(event)
            case _:
                pass

    def _text(self, text: str, message: object) -> Iterator[TextDelta]:
        if self._message is not None and message != self._message:
            text = _BETWEEN_MESSAGES + text
        self._message = message
        if joined := self._trailing.joiner.join(text):
            yield TextDelta(joined)

    def _refuse(self, whole: Mapping[str, Any]) -> None:
        """Take a whole refusal, unless its deltas were received."""
        if isinstance(refusal := whole.get("refusal"), str) and refusal and not self._trailing.has_refused:
            self.chunks += 1
            self._trailing.refuse(refusal)

    def _note_item(self, item: object, place: object) -> None:
        """Store, once, the part of an output item that is not text; several events repeat it."""
        kind = _kind(item)
        for part in _parts(item, "content"):
            self._trailing.citations.annotate(part.get("annotations") or [])
        if kind == "reasoning" and isinstance(item, dict) and item.get("encrypted_content"):
            # Only present if ``-O include=…`` requests it.
            self._trailing.reasoning.item = item
        elif kind == "search_results" and isinstance(item, dict):  # Perplexity's
            self._trailing.citations.read({"search_results": item.get("results")})
        elif kind == "web_search_call" and isinstance(item, dict):
            # Pages that are opened, and looked through, belong to a search.
            if (
                as_object(item.get("action")).get("type", "search") == "search"
                and len(self._searched) < MOST_CALLS
            ):
                self._searched.add(place)
        elif kind == "image_generation_call" and isinstance(item, dict):
            self._trailing.media.generated(item)
        elif kind in _CALLS_FOR_AN_ANSWER and isinstance(item, dict) and self._is_new(place):
            self._called.append(place)
            identity = item.get("call_id") or item.get("id")
            written = next((item[name] for name in _ARGUMENTS if item.get(name)), None)
            arguments = written if written is None or isinstance(written, str) else as_json(written)
            self._trailing.call(
                len(self._called), identity=identity, name=item.get("name") or kind, arguments=arguments
            )

    def _is_new(self, place: object) -> bool:
        return len(self._called) < MOST_CALLS and place not in self._called

    def _finish(self, response: Mapping[str, Any]) -> None:
        status, model, usage = response.get("status"), response.get("model"), response.get("usage")
        if status not in ("completed", "incomplete"):
            return
        self.is_over = True
        details = response.get("incomplete_details")
        reason = _FINISH_REASONS.get(str(details.get("reason"))) if isinstance(details, dict) else None
        # Incomplete for an unknown reason: an answer without an end.
        if finish_reason := "stop" if status == "completed" else reason:
            self._completion = Completion(
                finish_reason,
                model if isinstance(model, str) and model else None,
                self._usage(usage) if isinstance(usage, dict) else None,
                reported_cost_usd(usage) if isinstance(usage, dict) else None,
            )

    def _usage(self, usage: Mapping[str, Any]) -> Usage:
        searches = reported_searches(usage)
        return Usage(
            input_tokens=count(usage, "input_tokens"),
            output_tokens=count(usage, "output_tokens"),
            cached_tokens=count(usage.get("input_tokens_details"), "cached_tokens"),
            reasoning_tokens=count(usage.get("output_tokens_details"), "reasoning_tokens"),
            searches=len(self._searched) or None if searches is None else searches,
        )


def _text_fields(request: Request) -> dict[str, Any]:
    """Return what the answer's text is to be like: its form, and its length."""
    form = {} if request.response_format is None else response_fields(request).get("text", {})
    verbosity = request.parameters.verbosity
    is_taken = verbosity is not None and "verbosity" not in request.without
    return {**form, "verbosity": verbosity} if is_taken else form


def _given(values: Mapping[str, Any], without: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None and name not in without}


def _kind(item: object) -> str:
    return as_text(as_object(item).get("type"))


def _items(response: Mapping[str, Any]) -> list[Any]:
    return as_list(response.get("output"))


def _parts(item: object, name: str) -> Iterator[Mapping[str, Any]]:
    return objects_in(as_object(item).get(name))
