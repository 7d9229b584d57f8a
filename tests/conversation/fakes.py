"""Small real implementations of the ports of a conversation."""

from __future__ import annotations

import asyncio
from collections import deque
from inspect import isawaitable
from typing import TYPE_CHECKING

from chatcli.core.errors import LocalIOError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from typing import TypeAlias

    from chatcli.core.events import ModelEvent, TurnResult
    from chatcli.core.messages import Message
    from chatcli.core.request import Request

    Step: TypeAlias = ModelEvent | Exception | Callable[[], Awaitable[None] | None]


class CharacterCounter:
    """Counts one token per character, and records the texts counted."""

    def __init__(self, *, loaded: bool = True) -> None:
        self.loaded = loaded
        self.counted: list[str] = []

    def count(self, text: str) -> int:
        self.loaded = True
        self.counted.append(text)
        return len(text)


class ManualClock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s

    def passing(self, seconds: float) -> Callable[[], None]:
        """Return a step that lets ``seconds`` pass."""

        def move() -> None:
            self.now_s += seconds

        return move


class Stall:
    """A step that never ends; ``reached`` is set when it begins."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()

    async def __call__(self) -> None:
        self.reached.set()
        await asyncio.Event().wait()


class ScriptedModel:
    """A ``ChatModel`` that plays one script a request: yields events, raises errors, calls functions."""

    def __init__(self, *scripts: tuple[Step, ...], happened: list[str] | None = None) -> None:
        self.requests: list[Request] = []
        self.happened = [] if happened is None else happened
        self._scripts = deque(scripts)

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent]:
        self.requests.append(request)
        self.happened.append("model asked")
        try:
            for step in self._scripts.popleft():
                if isinstance(step, Exception):
                    raise step
                if not callable(step):
                    yield step
                elif isawaitable(waiting := step()):
                    await waiting
        finally:
            self.happened.append("model closed")


class ScriptedJournal:
    """A ``Journal`` in memory that fails at the steps named in ``failing``: message, extend, finish, refused."""

    name = "trip"

    def __init__(self, *, failing: tuple[str, ...] = (), happened: list[str] | None = None) -> None:
        self.failing = set(failing)
        self.happened = [] if happened is None else happened
        self.messages: list[tuple[str, str | None, Message]] = []
        self.replies: list[ScriptedReply] = []
        self.refusals: list[tuple[str, str]] = []

    def message(self, message: Message, *, parent: str | None) -> str:
        self.fail_at("message")
        identity = f"message {len(self.messages) + 1}"
        self.messages.append((identity, parent, message))
        self.happened.append(f"{message.role} stored")
        return identity

    def begin_reply(self, *, parent: str | None) -> ScriptedReply:
        reply = ScriptedReply(self, f"reply {len(self.replies) + 1}", parent)
        self.replies.append(reply)
        return reply

    def refused(self, message_id: str, reason: str) -> None:
        self.fail_at("refused")
        self.refusals.append((message_id, reason))

    def fail_at(self, step: str) -> None:
        if step in self.failing:
            raise LocalIOError("the disk is full", hint="free some space")


class ScriptedReply:
    def __init__(self, journal: ScriptedJournal, identity: str, parent: str | None) -> None:
        self.id = identity
        self.parent = parent
        self.texts: list[str] = []
        self.finished: list[tuple[Message, TurnResult]] = []
        self._journal = journal

    def extend(self, text: str) -> None:
        self._journal.fail_at("extend")
        self.texts.append(text)

    def begin_again(self, text: str) -> None:
        self.texts = [text]

    def finish(self, message: Message, result: TurnResult) -> None:
        self._journal.fail_at("finish")
        self.finished.append((message, result))
        self._journal.happened.append("reply stored")
