"""What goes down to a model: the request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chatcli.core.messages import Message


@dataclass(frozen=True, slots=True)
class Parameters:
    """How to answer. ``None`` leaves the choice to the endpoint.

    ``max_tokens`` caps the answer, in tokens. ``extra`` holds what ``-O KEY=VALUE`` set: JSON values that go
    into the request body as they are and win over the named ones.
    """

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    reasoning: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)


class Tool(NamedTuple):
    """A function a model may ask to have called; ``parameters`` is the JSON Schema of its arguments."""

    name: str
    description: str
    parameters: Mapping[str, Any]


class ResponseFormat(NamedTuple):
    """The JSON Schema an answer has to fit; ``name`` is what the endpoint calls it."""

    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """What a model is asked.

    ``without`` names what the endpoint refuses: fields of the request body, which are left out or spelled otherwise where
    there is another spelling, roles, and answers without their reasoning. ``partial_answer`` is the beginning of the answer,
    of which only the rest is asked for; ``is_rest`` marks the request that asks for it. ``counted_tokens`` is how long the
    messages are by the model's vocabulary, where that was counted. ``tools`` are those the model may have called,
    ``response_format`` is the form its answer must have.
    """

    model: str
    messages: tuple[Message, ...]
    parameters: Parameters = field(default_factory=Parameters)
    without: frozenset[str] = frozenset()
    partial_answer: str = ""
    is_rest: bool = False
    counted_tokens: int | None = field(default=None, compare=False)
    tools: tuple[Tool, ...] = field(default=(), hash=False)
    response_format: ResponseFormat | None = field(default=None, hash=False)
