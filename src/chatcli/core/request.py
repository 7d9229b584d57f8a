"""A request to a model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from chatcli.core.errors import SchemaMismatch
from chatcli.core.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from decimal import Decimal

    from chatcli.core.call_records import CallTrace
    from chatcli.core.messages import Message

LIMIT_FIELDS: Final = ("max_tokens", "max_completion_tokens", "max_output_tokens")
"""Names of ``Parameters.max_tokens`` in request bodies, the best known first."""


@frozen
class Parameters:
    """Parameters of an answer; ``None`` leaves the choice to the endpoint.

    ``max_tokens`` limits the answer. ``extra`` holds the values of ``-O KEY=VALUE``: JSON values copied into
    the request body, where they win over the named ones. ``web_search`` says how the provider is asked to search the web,
    as the setting does; empty for not at all.
    """

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    reasoning: str | None = None
    verbosity: str | None = None
    web_search: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)


class Tool(NamedTuple):
    """A function the model may ask to call; ``parameters`` is the JSON Schema of its arguments."""

    name: str
    description: str
    parameters: Mapping[str, Any]


_LONGEST_PROBLEM: Final = 1_000


class CheckedAnswer(NamedTuple):
    """The value in an answer that fits its schema; else the ``problem``, in words for the model and the person."""

    data: Any = None
    problem: str = ""


class ResponseFormat(NamedTuple):
    """The JSON Schema the answer must match; ``name`` is its name for the endpoint.

    ``strict`` is the schema as OpenAI's strict mode takes it, ``None`` if it cannot be written so; ``basic`` has only
    the keywords every provider knows. The roots of both are objects. ``words`` ask for the form where an endpoint takes
    no schema. ``check`` returns the value in a whole answer. Endpoints take objects only: another value is the property
    ``wrapped_in`` of one.
    """

    name: str
    schema: Mapping[str, Any]
    strict: Mapping[str, Any] | None = None
    basic: Mapping[str, Any] | None = None
    words: str = ""
    check: Callable[[str], CheckedAnswer] | None = None
    wrapped_in: str = ""

    def data_in(self, text: str) -> Any:
        """Return the value in a whole answer; raise ``SchemaMismatch`` if it does not fit."""
        data, problem = CheckedAnswer() if self.check is None else self.check(text)
        if problem:
            raise mismatch(problem)
        return data


def mismatch(problem: str, beside: str = "") -> SchemaMismatch:
    """Return the error of an answer with a ``problem``, ``beside`` which something else failed."""
    return SchemaMismatch(
        f"the answer does not fit the schema: {problem[:_LONGEST_PROBLEM]}{beside and f'; {beside}'}",
        hint="simplify the schema, describe its fields, or try another model",
    )


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
    ``is_cacheable``: the answer may come from a cache and be stored in it. ``prompt_cache`` says what shares its
    beginning with later requests, where the provider is told what to cache (``client.prompt_caching``). ``operation`` is what
    it is for (``core.call_records``), and ``trace`` collects what is measured of it. ``follows`` is the id of the call it goes on from:
    one that failed, was cut or did not fit.
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
    prompt_cache: str = ""
    operation: str = field(default="answer", compare=False)
    trace: CallTrace | None = field(default=None, compare=False, repr=False)
    follows: str = field(default="", compare=False)
