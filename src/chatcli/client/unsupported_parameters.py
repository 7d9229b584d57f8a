"""Leaving out what an endpoint does not take: the layer that asks once more without it, and remembers."""

from __future__ import annotations

import re
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from chatcli.client.system_role import ROLES, refused_role, system_prompt_moved
from chatcli.client.wire_messages import ANSWER_ALONE, refuses_answer_alone
from chatcli.core.errors import EndpointError, RequestRefused
from chatcli.core.events import Notice, ReasoningDelta, TextDelta

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from chatcli.client.endpoint_facts import Facts
    from chatcli.core.events import ModelEvent
    from chatcli.core.ports import ChatModel
    from chatcli.core.request import Request

_STATUSES: Final = {200, 400, 422}
"""With 200 come the errors that stand in the body."""
_OPTIONAL: Final = frozenset(
    {
        "temperature",
        "top_p",
        "max_tokens",
        "max_completion_tokens",
        "max_output_tokens",
        "seed",
        "reasoning_effort",
        "reasoning",
        "stream_options",
        "store",
    }
)
_STREAM: Final = "stream"
_KEPT: Final = _OPTIONAL | ROLES | {_STREAM, ANSWER_ALONE}
_NEEDED: Final = frozenset({"model", "messages", "input"})
_OTHER_SPELLING: Final = {
    "max_tokens": "max_completion_tokens",
    "max_completion_tokens": "max_tokens",
}
# The last: Moonshot's "invalid temperature: only 1 is allowed for this model".
_NOT_TAKEN: Final = re.compile(
    r"un(?:supported|recognized|recognised|known|expected)|not (?:supported|permitted|allowed)|not support"
    r"|should be false|extra(?:_forbidden| inputs| fields)|only \S{1,20} is (?:allowed|supported)",
    re.IGNORECASE,
)
_WORD: Final = re.compile(r"[A-Za-z_]\w*")
_OTHER_WORDS: Final = {"streaming": _STREAM, "streamed": _STREAM}
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class UnsupportedParametersModel:
    """A ``ChatModel`` that asks ``inner`` again without a field of the request that the endpoint refuses to take.

    So it does with ``stream``, with the role of the system prompt, see ``client.system_role``, and with answers that are
    sent without their reasoning, see ``client.wire_messages``.
    Each field is left out, or spelled otherwise, once; that is told when it happens and then remembered. What every
    request needs is never left out. ``refused`` keeps it for all who ask the endpoint.
    """

    def __init__(self, inner: ChatModel, refused: Facts) -> None:
        self._inner = inner
        self._refused = refused
        self._without: dict[str, frozenset[str]] = {}

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent]:
        without, began = request.without | self._recalled(request.model), False
        while True:
            try:
                async with aclosing(self._inner.stream(replace(request, without=without))) as events:
                    async for event in events:
                        began = began or isinstance(event, TextDelta | ReasoningDelta)
                        yield event
            except EndpointError as error:
                refused = None if began else _refused(error, request, without)
                if refused is None:
                    raise
            else:
                return
            without |= {refused}
            self._remember(request.model, without - request.without)
            yield _notice(request.model, refused, without)

    def _recalled(self, model: str) -> frozenset[str]:
        if model not in self._without:
            self._without[model] = refused_before(self._refused, model)
        return self._without[model]

    def _remember(self, model: str, without: frozenset[str]) -> None:
        self._without[model] = without
        self._refused.remember(model, sorted(without))


def _refused(error: EndpointError, request: Request, without: frozenset[str]) -> str | None:
    if refuses_answer_alone(error, request, without):
        return ANSWER_ALONE
    role = refused_role(error, request, without)
    if role is None and isinstance(error, RequestRefused):
        return refused_field(error, request, without)
    return role


def refused_before(refused: Facts, model: str) -> frozenset[str]:
    """Return the fields and roles that ``model`` is known not to take."""
    _, names = refused.recall(model)
    return frozenset(map(str, names) if isinstance(names, list) else ()) & _KEPT


def refused_field(error: RequestRefused, request: Request, without: frozenset[str]) -> str | None:
    """Return the field of the request body that ``error`` is about, ``None`` where it is about something else."""
    said = error.provider_message or error.message
    if error.status not in _STATUSES or not _NOT_TAKEN.search(f"{error.provider_code} {said}"):
        return None
    optional = (
        (_OPTIONAL | {_STREAM} | set(request.parameters.extra)) - _not_asked_for(request) - _NEEDED - without
    )
    named = (word for text in (error.parameter or "", said) for word in _WORD.findall(text))
    return next((name for word in named for name in (word, _in_snake_case(word)) if name in optional), None)


def _in_snake_case(word: str) -> str:
    """Return ``reasoningEffort``, as xAI names it, and ``Streaming`` in the spelling of the request."""
    name = _HUMP.sub("_", word).lower()
    return _OTHER_WORDS.get(name, name)


def _not_asked_for(request: Request) -> set[str]:
    """Return the fields that ``request`` leaves to the endpoint: leaving them out again changes nothing."""
    parameters = request.parameters
    fields = {
        ("temperature",): parameters.temperature,
        ("top_p",): parameters.top_p,
        ("max_tokens", "max_completion_tokens", "max_output_tokens"): parameters.max_tokens,
        ("seed",): parameters.seed,
        ("reasoning", "reasoning_effort"): parameters.reasoning,
    }
    absent = {name for names, value in fields.items() if value is None for name in names}
    return absent - set(parameters.extra)


def _notice(model: str, refused: str, without: frozenset[str]) -> Notice:
    if refused in ROLES:
        return Notice(
            "system_role_refused", f"{model} does not accept the {refused}: {system_prompt_moved(refused)}"
        )
    if refused == ANSWER_ALONE:
        return Notice(
            "reasoning_sent_back", f"{model} wants the reasoning of earlier answers back; sending it"
        )
    if refused == _STREAM:
        return Notice("parameter_dropped", f"{model} does not stream its answers: they come whole")
    other = _OTHER_SPELLING.get(refused)
    how = f"retried with {other}" if other and other not in without else "retried without it"
    return Notice("parameter_dropped", f"{model} does not accept {refused}; {how}")
