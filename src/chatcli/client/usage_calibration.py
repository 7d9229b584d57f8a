"""The layer that compares counts: what the endpoint tells of a prompt with what was counted."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from chatcli.core.errors import ContextOverflow
from chatcli.core.events import Completion, Notice

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from chatcli.client.endpoint import Endpoint
    from chatcli.client.endpoint_facts import Facts, LearnedCounts
    from chatcli.core.events import ModelEvent
    from chatcli.core.ports import ChatModel
    from chatcli.core.request import Request
    from chatcli.core.usage import Usage

CUT_SHARE: Final = 0.6
CUT_TOKENS: Final = 500
"""No vocabulary takes so much less of a prompt: a server that tells of less has cut it."""


class UsageCalibrationModel:
    """A ``ChatModel`` that learns from ``inner`` how the endpoint counts, and how large its window is.

    ``counts`` is told of each answer, ``windows`` keeps the size of a window that a refusal names. A prompt that the
    server has cut, as Ollama does without a word, is told of once for each model.
    """

    def __init__(
        self,
        inner: ChatModel,
        endpoint: Endpoint,
        counts: LearnedCounts,
        windows: Facts,
    ) -> None:
        self._inner = inner
        self._endpoint = endpoint
        self._counts = counts
        self._windows = windows
        self._told: set[str] = set()

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent]:
        try:
            async with aclosing(self._inner.stream(request)) as events:
                async for event in events:
                    if isinstance(event, Completion) and (notice := self._compare(request, event)):
                        yield notice
                    yield event
        except ContextOverflow as error:
            if error.window_tokens is not None:
                self._windows.remember(request.model, error.window_tokens)
            raise

    def _compare(self, request: Request, completion: Completion) -> Notice | None:
        counted, usage = request.counted_tokens, completion.usage
        is_comparable = not (completion.cached or request.answer_so_far)
        if counted is None or usage is None or usage.estimated or not is_comparable:
            return None
        told = usage.input_tokens
        if told is None:
            return None
        if not _is_cut(counted, told, usage):
            self._counts.learn(request.model, counted, told)
            return None
        if request.model in self._told:
            return None
        self._told.add(request.model)
        return Notice("prompt_cut_by_server", self._words(counted, told))

    def _words(self, counted: int, told: int) -> str:
        return (
            f"{self._endpoint.name} reports {told:,} tokens where {counted:,} were sent: it seems to leave out the "
            f"beginning; let the server have a larger context (Ollama: num_ctx), or set context_window to what it has"
        )


def _is_cut(counted: int, told: int, usage: Usage) -> bool:
    # Some servers do not count what they had in their cache.
    read = told + (usage.cached_tokens or 0)
    return read < counted * CUT_SHARE and counted - read > CUT_TOKENS
