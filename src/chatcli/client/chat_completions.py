"""``POST /chat/completions``: what is sent, and how the answer reads, streamed or in one piece.

Reference: https://platform.openai.com/docs/api-reference/chat.
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

_HIGHEST_COST_USD: Final = 1e6  # whatever is more is no price of an answer

_SPELLINGS: Final = ("max_tokens", "max_completion_tokens")

# OpenRouter, vLLM and DeepSeek say in the place of a finish reason that there is none.
_BROKE_OFF: Final = {"error", "abort", "insufficient_system_resource"}
_OTHER_WORDS: Final = {"max_tokens": "length", "model_length": "length", "safety": "content_filter"}


class ChatCompletions:
    """The ``Dialect`` every compatible server speaks."""

    def body(self, request: Request, *, streamed: bool, endpoint: Endpoint) -> dict[str, Any]:
        return request_body(request, streamed=streamed, is_openai=endpoint.is_openai)

    def create(self, client: AsyncOpenAI) -> Callable[..., Any]:
        # The package's own create() wants typed arguments; its overloads say nothing that body does not.
        create: Callable[..., Any] = client.chat.completions.with_streaming_response.create
        return create

    def reader(self) -> CompletionReader:
        return CompletionReader()

    def error_in(self, event: object) -> object | None:
        return error_in(event, "choices")


def request_body(request: Request, *, streamed: bool, is_openai: bool) -> dict[str, Any]:
    """Return the arguments of ``chat.completions.create`` for ``request``.

    OpenAI wants ``max_completion_tokens``; every other server knows the older ``max_tokens``. A server that refused
    the one gets the other.
    """
    parameters = request.parameters
    named = {
        "temperature": parameters.temperature,
        "top_p": parameters.top_p,
        _name_of_limit(request, is_openai=is_openai): parameters.max_tokens,
        "seed": parameters.seed,
        "reasoning_effort": parameters.reasoning,
        "stream_options": {"include_usage": True} if streamed else None,
    }
    body: dict[str, Any] = {
        "model": request.model,
        "messages": wire_messages(request),
        "stream": streamed,
        **{name: value for name, value in named.items() if value is not None and name not in request.without},
    }
    extra = {name: value for name, value in parameters.extra.items() if name not in request.without}
    if extra:
        body["extra_body"] = extra
    return body


def _name_of_limit(request: Request, *, is_openai: bool) -> str:
    first, second = reversed(_SPELLINGS) if is_openai else _SPELLINGS
    return second if first in request.without else first


class CompletionReader:
    """Reads chunks, or a whole completion (``client.dialect.AnswerReader``).

    Only the first choice is read: chatcli never asks for more. Fields of an unexpected type are passed over, as a
    server that adds or breaks one must not cost the person the answer.
    """

    is_over: Final = False  # the usage follows the finish reason, and then [DONE]

    def __init__(self) -> None:
        self.pieces = 0
        self._finish_reason: str | None = None
        self._model: str | None = None
        self._usage: Usage | None = None
        self._cost_usd: float | None = None
        self._remainder = Remainder()

    def read_event(self, event: Mapping[str, Any]) -> Iterator[TextDelta | ReasoningDelta]:
        return self._read(event, "delta")

    def read_whole(self, answer: Mapping[str, Any]) -> Iterator[TextDelta | ReasoningDelta]:
        return self._read(answer, "message")

    def rest(self) -> Iterator[TextDelta | Notice]:
        return self._remainder.told()

    def completion(self) -> Completion | None:
        if self._finish_reason is None:
            return None
        return Completion(self._finish_reason, self._model, self._usage, self._cost_usd)

    def _read(self, data: Mapping[str, Any], content_key: str) -> Iterator[TextDelta | ReasoningDelta]:
        if isinstance(model := data.get("model"), str) and model:
            self._model = model
        if isinstance(usage := data.get("usage"), dict):
            self._usage, self._cost_usd = _usage(usage), _cost_usd(usage)
        choice = _first_choice(data)
        if isinstance(reason := choice.get("finish_reason"), str) and reason and reason not in _BROKE_OFF:
            self._finish_reason = _finish_reason(reason)
            self.pieces += 1
        content = choice.get(content_key)
        if isinstance(content, dict):
            self._note_tools(content)
            yield from self._deltas(content)

    def _deltas(self, content: Mapping[str, Any]) -> Iterator[TextDelta | ReasoningDelta]:
        # DeepSeek and llama.cpp call it reasoning_content, OpenRouter and vLLM reasoning.
        reasoning = content.get("reasoning_content") or content.get("reasoning")
        said = content.get("content")
        if isinstance(said, list):
            reasoning, said = reasoning or "".join(_thoughts(said)), "".join(_texts(said))
        if isinstance(reasoning, str) and reasoning:
            self.pieces += 1
            yield ReasoningDelta(reasoning)
        refusal = content.get("refusal")
        self._remainder.is_refusal |= isinstance(refusal, str) and bool(refusal)
        text = said or refusal
        if isinstance(text, str) and text:
            self.pieces += 1
            if joined := self._remainder.joiner.join(text):
                yield TextDelta(joined)

    def _note_tools(self, content: Mapping[str, Any]) -> None:
        calls = content.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            self.pieces += 1
            function = call.get("function") if isinstance(call, dict) else None
            name = function.get("name") if isinstance(function, dict) else None
            self._remainder.note_tool(name if isinstance(name, str) else "")


def _finish_reason(word: str) -> str:
    """Return OpenAI's word for what other APIs say: Mistral, Anthropic, Gemini with its ``content_filter: SAFETY``."""
    first = word.partition(":")[0].lower()
    return first if first == "content_filter" else _OTHER_WORDS.get(first, word)


def _texts(parts: list[Any]) -> Iterator[str]:
    """Yield the text of a message whose content is a list of parts."""
    for part in parts:
        if isinstance(part, dict) and isinstance(text := part.get("text"), str):
            yield text


def _thoughts(parts: list[Any]) -> Iterator[str]:
    """Yield what a model thought, which Mistral sends as parts of the content that have parts of their own."""
    for part in parts:
        if isinstance(part, dict) and isinstance(thinking := part.get("thinking"), list):
            yield from _texts(thinking)


def _first_choice(data: Mapping[str, Any]) -> Mapping[str, Any]:
    choices = data.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict) and choice.get("index", 0) in (0, None):
            return choice
    return {}


def _cost_usd(usage: Mapping[str, Any]) -> float | None:
    """Return what OpenRouter says an answer cost (https://openrouter.ai/docs/use-cases/usage-accounting)."""
    cost = usage.get("cost")
    if isinstance(cost, bool) or not isinstance(cost, int | float):
        return None
    return float(cost) if 0 <= cost <= _HIGHEST_COST_USD else None


def _usage(usage: Mapping[str, Any]) -> Usage:
    reasoning_tokens = count(usage.get("completion_tokens_details"), "reasoning_tokens")
    return Usage(
        input_tokens=count(usage, "prompt_tokens"),
        output_tokens=_output_tokens(usage, reasoning_tokens),
        cached_tokens=count(usage.get("prompt_tokens_details"), "cached_tokens"),
        reasoning_tokens=reasoning_tokens,
    )


def _output_tokens(usage: Mapping[str, Any], reasoning_tokens: int | None) -> int | None:
    """Return the tokens of the answer with those of the thoughts, as OpenAI counts them.

    xAI counts the thoughts beside the answer, and Gemini names them nowhere: that only the total tells.
    """
    sent, answered, total = (count(usage, f"{of}_tokens") for of in ("prompt", "completion", "total"))
    if sent is None or answered is None or total is None:
        return answered
    beside = total - sent - answered
    return answered + beside if beside > 0 and reasoning_tokens in {None, beside} else answered
