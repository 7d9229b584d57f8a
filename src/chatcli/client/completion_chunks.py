"""The meaning of chat completion JSON: one chunk of a stream, or a whole completion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chatcli.core.events import Completion, ReasoningDelta, TextDelta
from chatcli.core.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class CompletionReader:
    """Turns chunks into events and remembers what the stream said about its end.

    Only the first choice is read: chatcli never asks for more. Fields of an unexpected type are passed over, as a
    server that adds or breaks one must not cost the person the answer.
    """

    def __init__(self) -> None:
        self.finish_reason: str | None = None
        self.model: str | None = None
        self.usage: Usage | None = None
        self._held_back = ""

    def read_chunk(self, chunk: Mapping[str, Any]) -> Iterator[TextDelta | ReasoningDelta]:
        return self._read(chunk, "delta")

    def read_completion(self, completion: Mapping[str, Any]) -> Iterator[TextDelta | ReasoningDelta]:
        return self._read(completion, "message")

    def rest(self) -> Iterator[TextDelta]:
        """Yield what was held back for a second half that did not come."""
        if self._held_back:
            yield TextDelta(self._held_back)
            self._held_back = ""

    def completion(self) -> Completion | None:
        """Return the end of the answer, ``None`` while no finish reason has come."""
        if self.finish_reason is None:
            return None
        return Completion(self.finish_reason, self.model, self.usage)

    def _read(self, data: Mapping[str, Any], content_key: str) -> Iterator[TextDelta | ReasoningDelta]:
        if isinstance(model := data.get("model"), str) and model:
            self.model = model
        if isinstance(usage := data.get("usage"), dict):
            self.usage = _usage(usage)
        choice = _first_choice(data)
        if isinstance(reason := choice.get("finish_reason"), str) and reason:
            self.finish_reason = reason
        content = choice.get(content_key)
        if isinstance(content, dict):
            yield from self._deltas(content)

    def _deltas(self, content: Mapping[str, Any]) -> Iterator[TextDelta | ReasoningDelta]:
        # DeepSeek and llama.cpp call it reasoning_content, OpenRouter and vLLM reasoning.
        reasoning = content.get("reasoning_content") or content.get("reasoning")
        if isinstance(reasoning, str) and reasoning:
            yield ReasoningDelta(reasoning)
        text = content.get("content") or content.get("refusal")
        if isinstance(text, str) and text and (joined := self._joined(text)):
            yield TextDelta(joined)

    def _joined(self, text: str) -> str:
        """Join a character that JSON spells as two surrogates when a server cut between them."""
        if self._held_back:
            text = (
                (self._held_back + text).encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
            )
            self._held_back = ""
        if "\ud800" <= text[-1] <= "\udbff":
            text, self._held_back = text[:-1], text[-1]
        return text


def _first_choice(data: Mapping[str, Any]) -> Mapping[str, Any]:
    choices = data.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict) and choice.get("index", 0) in (0, None):
            return choice
    return {}


def _usage(usage: Mapping[str, Any]) -> Usage:
    return Usage(
        input_tokens=_count(usage, "prompt_tokens"),
        output_tokens=_count(usage, "completion_tokens"),
        cached_tokens=_count(usage.get("prompt_tokens_details"), "cached_tokens"),
        reasoning_tokens=_count(usage.get("completion_tokens_details"), "reasoning_tokens"),
    )


def _count(counts: object, name: str) -> int | None:
    value = counts.get(name) if isinstance(counts, dict) else None
    return value if isinstance(value, int) else None
