"""A request to a model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from chatcli.core.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from chatcli.core.messages import Message

LIMIT_FIELDS: Final = ("max_tokens", "max_completion_tokens", "max_output_tokens")
"""Names of ``Parameters.max_tokens`` in request bodies, the best known first."""


@frozen
class Parameters:
    """Parameters of an answer; ``None`` leaves the choice to the endpoint.

    ``max_tokens`` limits the answer. ``extra`` holds the values of ``-O KEY=VALUE``: JSON values copied into
    the request body, where they win over the named ones.
    """

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    reasoning: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)


class Tool(NamedTuple):
    """A function the model may ask to call; ``parameters`` is the JSON Schema of its arguments."""

    name: str
    description: str
    parameters: Mapping[str, Any]


class ResponseFormat(NamedTuple):
    """The JSON Schema the answer must match; ``name`` is its name for the endpoint."""

    name: str
    schema: Mapping[str, Any]


@dataclass(eq=False, slots=True)
class Receipt:
    """The costs booked for one turn in US dollars, attempts that broke off included; ``None`` is an unknown cost."""

    costs_usd: list[Decimal | None] = field(default_factory=list)

    @property
    def cost_usd(self) -> float | None:
        """The sum of the known costs, ``None`` if no cost is known."""
        known = [cost_usd for cost_usd in self.costs_usd if cost_usd is not None]
        return float(sum(known)) if known else None


@frozen
class Request:
    """A request to a model.

    ``without`` names features the endpoint refuses: fields of the request body, which are omitted or spelled
    differently, roles, and answers without their reasoning. ``partial_answer`` is the beginning of the
    answer, of which only the remainder is requested; ``is_continuation`` marks such a request. ``counted_tokens`` is
    the length of the messages by the model's vocabulary, if counted. ``tools`` are the tools offered,
    ``response_format`` is the required form of the answer. ``is_capped``: ``max_tokens`` is what a budget
    leaves, and says nothing about the length of the answer. ``receipt`` collects what is booked for it.
    ``is_cacheable``: the answer may come from a cache and be stored in it.
    """

    model: str
    messages: tuple[Message, ...]
    parameters: Parameters = field(default_factory=Parameters)
    without: frozenset[str] = frozenset()
    partial_answer: str = ""
    is_continuation: bool = False
    counted_tokens: int | None = field(default=None, compare=False)
    tools: tuple[Tool, ...] = field(default=(), hash=False)
    response_format: ResponseFormat | None = field(default=None, hash=False)
    is_capped: bool = False
    receipt: Receipt | None = field(default=None, compare=False, repr=False)
    is_cacheable: bool = field(default=False, compare=False)
