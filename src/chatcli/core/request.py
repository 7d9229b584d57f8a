"""What goes down to a model: the request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

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


@dataclass(frozen=True, slots=True)
class Request:
    """What a model is asked.

    ``without`` names fields of the request body that the endpoint refuses, and roles: they are left out, or spelled
    otherwise where there is another spelling. ``answer_so_far`` is the beginning of the answer, which only its rest is
    asked for; ``is_rest`` marks the request that asks for it. ``counted_tokens`` is how long the messages are by the
    model's vocabulary, where that was counted.
    """

    model: str
    messages: tuple[Message, ...]
    parameters: Parameters = field(default_factory=Parameters)
    without: frozenset[str] = frozenset()
    answer_so_far: str = ""
    is_rest: bool = False
    counted_tokens: int | None = field(default=None, compare=False)
