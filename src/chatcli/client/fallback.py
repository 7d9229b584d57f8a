"""Asking another model when one fails: the outermost layer but the one that joins answers."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from chatcli.core.errors import ChatcliError, EndpointError, NetworkError, RateLimited, ServerFailed
from chatcli.core.events import Completion, Notice, ReasoningDelta, TextDelta

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from chatcli.core.events import ModelEvent
    from chatcli.core.ports import ChatModel
    from chatcli.core.request import Request


@dataclass(frozen=True, slots=True)
class Fallback:
    """Another model that can be asked. ``open`` returns it and what it is called there; it is called when it is needed."""

    name: str
    open: Callable[[], Awaitable[tuple[ChatModel, str]]]


class FallbackModel:
    """A ``ChatModel`` that asks ``first``, and the next of ``others`` where one fails before it said anything.

    It fails over where another model may do better: no connection, a time-out, a server error, overload, a rate
    limit. When all fail, the last failure is raised and tells what the others said. Every question begins with
    ``first`` again.
    """

    def __init__(self, first: ChatModel, others: Sequence[Fallback]) -> None:
        self._first = first
        self._others = others

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent]:
        model, asked = self._first, request
        others = list(self._others)
        earlier: list[str] = []
        while True:
            said = False
            try:
                async with aclosing(model.stream(asked)) as events:
                    async for event in events:
                        said = said or isinstance(event, TextDelta | ReasoningDelta)
                        yield _named(event, asked)
            except EndpointError as error:
                if said or not others or not _may_fail_over(error):
                    if not earlier:
                        raise
                    raise _after(earlier, error) from error
                failure: ChatcliError = error
            else:
                return
            opened = None
            while opened is None:
                fallback = others.pop(0)
                earlier.append(failure.clause)
                yield Notice("fallback", f"{failure.clause}; asking {fallback.name} instead")
                try:
                    opened = await fallback.open()
                except ChatcliError as error:
                    if not others:
                        raise _after(earlier, error) from error
                    failure = error
            model, asked = opened[0], replace(request, model=opened[1])


def _may_fail_over(error: EndpointError) -> bool:
    return error.retryable or isinstance(error, NetworkError | RateLimited | ServerFailed)


def _after(earlier: Sequence[str], error: ChatcliError) -> ChatcliError:
    """Return the last failure, with what the others said before it."""
    return error.reworded(f"{error.clause} (before that: {'; '.join(earlier)})")


def _named(event: ModelEvent, asked: Request) -> ModelEvent:
    """Say which model answered where the endpoint does not."""
    if isinstance(event, Completion) and event.model is None:
        return replace(event, model=asked.model)
    return event
