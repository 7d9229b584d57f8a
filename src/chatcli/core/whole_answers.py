"""Answers that nobody watches arrive: asked for by a coroutine, where a stream of events costs several times as much."""

from __future__ import annotations

from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeAlias

    from chatcli.core.events import ModelEvent
    from chatcli.core.ports import ChatModel
    from chatcli.core.request import Request

    Emit: TypeAlias = Callable[[ModelEvent], object]
    Ask: TypeAlias = Callable[[Request, Emit], Awaitable[None]]
    """Emits the events of ``ChatModel.stream``, in its order, and raises its errors. Cancelling closes the connection."""


def asker(model: ChatModel) -> Ask:
    """Return the function that asks ``model`` for whole answers: its own ``ask``, else one that reads its stream."""
    own: Any = getattr(model, "ask", None)
    return partial(ask_by_stream, model) if own is None else own


async def ask_by_stream(model: ChatModel, request: Request, emit: Emit) -> None:
    """Emit the events of the stream of ``model``."""
    async with aclosing(model.stream(request)) as events:
        async for event in events:
            emit(event)
