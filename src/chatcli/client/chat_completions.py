"""``POST /chat/completions``: the request body, and parsing of the answer, streamed or whole.

Reference: https://platform.openai.com/docs/api-reference/chat.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from chatcli.client.answer_forms import TOOL, ToolAnswer, chat_fields, form_in_force, with_words
from chatcli.client.error_bodies import error_in
from chatcli.client.trailing_parts import ECHOED_BLOCKS, SOURCE_LISTS, TrailingParts
from chatcli.client.usage_fields import chat_usage, reported_cost_usd, usage_in
from chatcli.client.web_search import search_fields
from chatcli.client.wire_messages import (
    MESSAGES,
    MessageEncodings,
    as_json,
    chat_messages,
)
from chatcli.core.events import Completion, Notice, ReasoningDelta, TextDelta
from chatcli.core.json_values import as_object, objects_in, optional_text
from chatcli.core.request import LIMIT_FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from chatcli.client.endpoint import Endpoint
    from chatcli.core.events import Usage
    from chatcli.core.request import Request

# OpenRouter, vLLM and DeepSeek send a placeholder for a missing finish reason.
_BROKE_OFF: Final = {"error", "abort", "insufficient_system_resource"}

_CALLED: Final = {"tool_calls", "function_call"}

# OpenAI's terms for those of others: Mistral, Anthropic, Gemini
# (https://ai.google.dev/api/generate-content#FinishReason), Cohere, Together.
_OTHER_WORDS: Final = {
    "stop": "stop",
    "eos": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "complete": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_use": "tool_calls",
    "content_filter": "content_filter",
    "safety": "content_filter",
    "recitation": "content_filter",
    "blocklist": "content_filter",
    "prohibited_content": "content_filter",
    "spii": "content_filter",
    "sensitive": "content_filter",
}


class ChatCompletions:
    """The ``Dialect`` of every compatible server."""

    path: Final = "/chat/completions"

    def __init__(self) -> None:
        self._encodings = MessageEncodings()

    def body(self, request: Request, *, streamed: bool, endpoint: Endpoint) -> dict[str, Any]:
        return request_body(request, streamed=streamed, endpoint=endpoint)

    def encoded_body(self, request: Request, *, streamed: bool, endpoint: Endpoint) -> bytes:
        body = _body(request, MESSAGES, streamed=streamed, endpoint=endpoint)
        return self._encodings.body(body, _asked(request, endpoint), endpoint)

    def encode_messages(self, request: Request, *, endpoint: Endpoint) -> None:
        self._encodings.encoded(request, endpoint)

    def reader(self, request: Request) -> CompletionReader:
        return CompletionReader(request)

    def error_in(self, event: object) -> object | None:
        return error_in(event, "choices")


def request_body(request: Request, *, streamed: bool, endpoint: Endpoint) -> dict[str, Any]:
    """Return the JSON body of ``request``.

    OpenAI requires ``max_completion_tokens``; most other servers know the older ``max_tokens``, a few only
    ``max_output_tokens``. A server that refused one gets the next.
    """
    messages = chat_messages(_asked(request, endpoint), endpoint)
    return _body(request, messages, streamed=streamed, endpoint=endpoint)


def _asked(request: Request, endpoint: Endpoint) -> Request:
    return request if request.response_format is None else with_words(request, endpoint)


def _body(request: Request, messages: object, *, streamed: bool, endpoint: Endpoint) -> dict[str, Any]:
    parameters = request.parameters
    form = {} if request.response_format is None else chat_fields(request)
    search = search_fields(request, endpoint, "chat") if parameters.web_search else {}
    tools = [{"type": "function", "function": tool._asdict()} for tool in request.tools]
    named = {
        "temperature": parameters.temperature,
        "top_p": parameters.top_p,
        _name_of_limit(request, is_openai=endpoint.is_openai): parameters.max_tokens,
        "seed": parameters.seed,
        "reasoning_effort": parameters.reasoning,
        "verbosity": parameters.verbosity,
        "stream_options": {"include_usage": True} if streamed else None,
        **form,
        **search,
        "tools": [*tools, *form.get("tools", ()), *search.get("tools", ())] or None,
    }
    return {
        "model": request.model,
        "messages": messages,
        **({} if "stream" in request.without else {"stream": streamed}),
        **{name: value for name, value in named.items() if value is not None and name not in request.without},
        **{name: value for name, value in parameters.extra.items() if name not in request.without},
    }


def _name_of_limit(request: Request, *, is_openai: bool) -> str:
    names = ("max_completion_tokens", *LIMIT_FIELDS) if is_openai else LIMIT_FIELDS
    return next((name for name in names if name not in request.without), names[-1])


class CompletionReader:
    """Parses chunks or a whole completion (``client.dialect.AnswerReader``).

    Only the first choice is read, as chatcli never requests more. Fields of an unexpected type are ignored: a
    server that adds or breaks one must not cost the person the answer.
    """

    is_over: Final = False  # the usage follows the finish reason, then [DONE]

    def __init__(self, request: Request) -> None:
        self.chunks = 0
        self._request = request
        self._finish_reason: str | None = None
        self._broke_off = False
        self._model: str | None = None
        self._usage: Usage | None = None
        self._cost_usd: float | None = None
        self._trailing = TrailingParts(request)
        self._content_key: str | None = None
        wanted = request.response_format
        self._form = (
            None if wanted is None else ToolAnswer(wanted.name, is_forced=form_in_force(request) == TOOL)
        )

    def read_event(self, event: Mapping[str, Any]) -> Iterator[TextDelta | ReasoningDelta]:
        # Gateways that only simulate streaming send a whole message; those of the older API send its text.
        return self._read(event, ("delta", "message", "text"))

    def read_whole(self, answer: Mapping[str, Any]) -> Iterator[TextDelta | ReasoningDelta]:
        return self._read(answer, ("message", "delta", "text"))

    def lone_text(self, event: Mapping[str, Any]) -> str | None:
        choice = _first_choice(event)
        content = choice.get(self._content_key or "")
        if (
            not isinstance(content, dict)
            or choice.get("finish_reason")
            or usage_in(event, choice) is not None
        ):
            return None
        lists = SOURCE_LISTS | ECHOED_BLOCKS
        if self._form is not None or not (lists.isdisjoint(event) and lists.isdisjoint(content)):
            return None
        # Many servers repeat the role, and name what the delta does not have.
        is_alone = all(value is None or name in ("content", "role") for name, value in content.items())
        return optional_text(content.get("content")) if is_alone else None

    def take_text(self, text: str) -> TextDelta | None:
        self.chunks += 1
        return TextDelta(joined) if (joined := self._trailing.joiner.join(text)) else None

    def rest(self) -> Iterator[TextDelta | Notice]:
        if self._form is not None and (text := self._form.rest()):
            yield TextDelta(text)
        if self._form is not None and self._form.count > 1:
            yield Notice(
                "answers_left_out", f"the model gave {self._form.count} answers: only the first one is taken"
            )
        yield from self._trailing.rest()

    @property
    def held(self) -> int:
        return self._trailing.held + (self._form.held if self._form is not None else 0)

    @property
    def is_complete(self) -> bool:
        return self._finish_reason is not None

    def end_of_stream(self) -> bool:
        if self._finish_reason is not None or self._broke_off or not self.chunks:
            return False
        self._finish_reason = "stop"
        return True

    def completion(self) -> Completion | None:
        if self._finish_reason is None:
            return None
        is_form = self._form is not None and self._form.was_called and self._finish_reason in _CALLED
        usage = self._usage
        if usage is not None and usage.searches is None and self._request.parameters.web_search:
            # Search models report none, and bill one for each request.
            usage = replace(usage, searches=int(self._trailing.citations.has_any))
        return self._trailing.completing(
            Completion("stop" if is_form else self._finish_reason, self._model, usage, self._cost_usd)
        )

    def _read(
        self, data: Mapping[str, Any], content_keys: Sequence[str]
    ) -> Iterator[TextDelta | ReasoningDelta]:
        if isinstance(model := data.get("model"), str) and model:
            self._model = model
        choice = _first_choice(data)
        if (usage := usage_in(data, choice)) is not None:
            self._usage, self._cost_usd = chat_usage(usage), reported_cost_usd(usage)
        if not SOURCE_LISTS.isdisjoint(data):
            self._trailing.citations.read(data)
        if isinstance(reason := choice.get("finish_reason"), str) and reason:
            if reason in _BROKE_OFF:
                self._broke_off = True
            else:
                self._finish_reason = _finish_reason(reason)
                self.chunks += 1
        if self._content_key is not None:
            yield from self._content(choice, self._content_key)
            return
        chunks = self.chunks
        for key in content_keys:
            yield from self._content(choice, key)
            if self.chunks != chunks:
                # Now only in deltas: some servers repeat the whole message at the end.
                self._content_key = key
                return

    def _content(self, choice: Mapping[str, Any], key: str) -> Iterator[TextDelta | ReasoningDelta]:
        content = choice.get(key)
        if isinstance(content, dict):
            yield from self._deltas(content)
        elif key == "text" and isinstance(content, str):
            yield from self._deltas({"content": content})

    def _deltas(self, content: Mapping[str, Any]) -> Iterator[TextDelta | ReasoningDelta]:
        # DeepSeek and llama.cpp name it reasoning_content, OpenRouter and vLLM reasoning.
        reasoning = content.get("reasoning_content") or content.get("reasoning")
        text = content.get("content")
        if isinstance(text, list):
            self._note_parts(text)
            reasoning, text = reasoning or "".join(_thoughts(text)), "".join(_texts(text))
        if len(content) > 1 or "content" not in content:  # nearly every delta has only text
            text = self._note_others(content) or text
        if isinstance(reasoning, str) and reasoning:
            self.chunks += 1
            yield ReasoningDelta(reasoning)
        if self._form is not None:
            text = self._form.take(text if isinstance(text, str) else "")
        if isinstance(text, str) and text and (delta := self.take_text(text)) is not None:
            yield delta

    def _note_reasoning_field(self, content: Mapping[str, Any]) -> None:
        """Store the name of the reasoning field, even if empty: DeepSeek expects it back unchanged."""
        echoed = self._trailing.reasoning
        if echoed.field is None:
            echoed.field = next(
                (name for name in ("reasoning_content", "reasoning") if isinstance(content.get(name), str)),
                None,
            )

    def _note_others(self, content: Mapping[str, Any]) -> str | None:
        """Store parts beside the content; return the transcript of audio if that is the content."""
        self._note_reasoning_field(content)
        if isinstance(refusal := content.get("refusal"), str) and refusal:
            self.chunks += 1
            self._trailing.refuse(refusal)
        for call in objects_in(content.get("tool_calls")):
            if self._form is not None and self._form.is_answer(call):
                self.chunks += 1
                continue
            self._note_call(
                call.get("index"), call.get("id"), call.get("function"), call.get("extra_content")
            )
        if isinstance(function := content.get("function_call"), dict):  # the older name
            self._note_call("function_call", None, function)
        for image in objects_in(content.get("images")):
            self._note_picture(image)
        if not SOURCE_LISTS.isdisjoint(content):
            self.chunks += 1
            self._trailing.citations.read(content)
        if not ECHOED_BLOCKS.isdisjoint(content):
            self._trailing.read_reasoning_blocks(content)
        audio = content.get("audio")
        return self._audio_transcript(audio) if isinstance(audio, dict) else None

    def _note_call(
        self, place: object, identity: object, function: object, extra_content: object = None
    ) -> None:
        self.chunks += 1
        of = as_object(function)
        arguments = of.get("arguments")
        if isinstance(arguments, dict):
            arguments = as_json(arguments)
        self._trailing.call(
            place if isinstance(place, int | str) else None,
            identity=identity,
            name=of.get("name"),
            arguments=arguments,
            # Gemini's thought signatures: https://ai.google.dev/gemini-api/docs/thought-signatures.
            provider_data={"extra_content": extra_content} if isinstance(extra_content, dict) else None,
        )

    def _note_picture(self, part: Mapping[str, Any]) -> None:
        self.chunks += 1
        self._trailing.media.picture_at(part.get("image_url") or part.get("url"))

    def _note_parts(self, parts: list[Any]) -> None:
        """Store the parts of a content list that are not text."""
        for part in objects_in(parts):
            if isinstance(refusal := part.get("refusal"), str) and refusal:
                self.chunks += 1
                self._trailing.refuse(refusal)
            elif "image_url" in part:
                self._note_picture(part)
            elif part.get("type") == "tool_reference":
                self._trailing.citations.reference(part)

    def _audio_transcript(self, audio: Mapping[str, Any]) -> str | None:
        self.chunks += 1
        asked = self._request.parameters.extra.get("audio")
        self._trailing.media.sound(audio.get("data"), as_object(asked).get("format"))
        return optional_text(audio.get("transcript"))


def _finish_reason(word: str) -> str:
    """Return OpenAI's finish reason for those of other APIs: Mistral, Anthropic, Gemini with ``content_filter: SAFETY``."""
    return _OTHER_WORDS.get(word.partition(":")[0].lower(), word)


def _texts(parts: list[Any]) -> Iterator[str]:
    """Yield the text of a message whose content is a list of parts."""
    for part in parts:
        if isinstance(part, dict) and isinstance(text := part.get("text"), str):
            yield text


def _thoughts(parts: list[Any]) -> Iterator[str]:
    """Yield the reasoning that Mistral sends as content parts with parts of their own."""
    for part in parts:
        if isinstance(part, dict) and isinstance(thinking := part.get("thinking"), list):
            yield from _texts(thinking)


def _first_choice(data: Mapping[str, Any]) -> Mapping[str, Any]:
    for choice in objects_in(data.get("choices")):
        if choice.get("index", 0) in (0, None):
            return choice
    return {}
