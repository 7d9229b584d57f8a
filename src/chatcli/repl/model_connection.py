"""The connection to the model, opened in the background while the person reads or types."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

from chatcli.app.model_lists import ModelLists, list_offered
from chatcli.app.resolver import ModelResolver
from chatcli.app.threads import in_thread
from chatcli.app.windows import with_served_windows
from chatcli.core.errors import ChatcliError
from chatcli.sessions.session import exempt_from_garbage_collection, garbage_collection_paused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence

    from chatcli.app.run_context import ChatOptions, Notify, RunContext
    from chatcli.chat import Conversation
    from chatcli.chat.resolved_model import ResolvedModel
    from chatcli.client.catalog import OfferedModel
    from chatcli.config.settings import Settings
    from chatcli.cost.budget import Approve


VOCABULARY_QUIET_S: Final = 1.5
"""The pause in typing before the vocabulary is loaded.

Loading holds the interpreter for a tenth of a second at a time, and it is needed only near the limit of the
context window.
"""


class Connection:
    """Connects a conversation to its model once; a failure is raised to the caller, then retried.

    ``draws`` says whether answers are drawn, so that the drawing modules are loaded too. ``opened`` is called
    when a model was found in the background, ``counting`` once its vocabulary is loaded. ``approve`` asks the person about exceeding a budget.
    """

    def __init__(
        self,
        options: ChatOptions,
        context: RunContext,
        notify: Notify,
        *,
        idle_s: Callable[[], float],
        draws: bool = True,
        opened: Callable[[], object] = lambda: None,
        counting: Callable[[], object] = lambda: None,
        approve: Approve | None = None,
    ) -> None:
        self.options = options
        self._context = context
        self._notify = notify
        self._idle_s = idle_s
        self._draws = draws
        self._opened = opened
        self._can_count = counting
        self._approve = approve
        self._stack = AsyncExitStack()
        self._offered: tuple[OfferedModel, ...] | None = None
        self._listed: dict[str, tuple[str, ...]] = {}
        self._warmup = Warmup((), idle_s=idle_s)
        self._opening: asyncio.Task[None] | None = None
        self._preparing: asyncio.Task[None] | None = None

    def begin(self, chat: Conversation, settings: Settings) -> None:
        """Start connecting ``chat`` as soon as the person pauses typing."""
        self._warmup = Warmup(_steps(settings), idle_s=self._idle_s)
        self._opening = asyncio.create_task(self._open_warm(chat, settings))
        # The caller gets the error; without a caller it is not worth reporting.
        self._opening.add_done_callback(lambda opening: opening.cancelled() or opening.exception())

    async def ready(self, chat: Conversation, settings: Settings) -> None:
        """Wait until ``chat`` is connected. Raise a ``ChatcliError`` if it cannot be."""
        if chat.resolved is not None:
            return
        opening = self._opening
        if opening is None or opening.done():
            self.begin(chat, settings)
        self._warmup.finish_now()
        if self._opening is not None:
            # Stopping ends the wait only; the connection will serve the next question.
            await asyncio.shield(self._opening)

    async def replace(self, chat: Conversation, settings: Settings) -> ResolvedModel:
        """Open another connection, then close the previous one. Raise a ``ChatcliError`` on failure."""
        await self._stop(self._opening)
        await in_thread(lambda: _load(_steps(settings)))
        return await self._open(chat, settings)

    @asynccontextmanager
    async def beside(self, chat: Conversation, settings: Settings) -> AsyncIterator[ResolvedModel]:
        """Open a temporary connection and keep the current one. Raise a ``ChatcliError`` on failure."""
        async with AsyncExitStack() as stack:
            yield await self._resolver(settings, stack).resolve(chat)

    async def offered(self, chat: Conversation, settings: Settings) -> tuple[OfferedModel, ...]:
        """Return the models of the endpoint, requested once. Raise a ``ChatcliError`` if it has no list."""
        await self.ready(chat, settings)
        if self._offered is None:
            async with AsyncExitStack() as stack:
                entry = await self._resolver(settings, stack).connected(chat.turns.connected.endpoint)
                listed = await list_offered(
                    entry, ModelLists(self._context.paths.cache, is_kept=settings.save)
                )
                self._offered = await with_served_windows(entry, listed)
                self.learn(entry.endpoint.base_url, [model.id for model in listed])
        return self._offered

    def learn(self, base_url: str, names: Iterable[str]) -> None:
        """Store the models an endpoint lists, in place of an earlier list."""
        if names := tuple(names):
            self._listed[base_url] = names

    def listed(self, base_url: str) -> Sequence[str]:
        """Return the models an endpoint listed last, none if it was never asked; send no request."""
        return self._listed.get(base_url, ())

    async def close(self) -> None:
        await self._stop(self._opening)
        await self._stop(self._preparing)
        await self._stack.aclose()

    async def _open_warm(self, chat: Conversation, settings: Settings) -> None:
        await self._warmup.run()
        if _runs_command(settings):
            # It may ask the person, who asked nothing yet.
            await self._warmup.needed()
        chat.turns.connect(await self._open(chat, settings))
        self._opened()
        self._preparing = asyncio.create_task(self._prepare(chat))

    async def _prepare(self, chat: Conversation) -> None:
        """Load what an answer needs once its request has left, and what a long conversation does."""
        if self._draws:
            # Not beside a request that is just being sent: both would take twice as long.
            await asyncio.sleep(QUIET_S)
            await Warmup([_load_markdown], idle_s=self._idle_s).run()
        await Warmup([chat.turns.load_vocabulary], idle_s=self._idle_s, quiet_s=VOCABULARY_QUIET_S).run()
        await chat.manager.look_ahead()
        self._can_count()

    async def _open(self, chat: Conversation, settings: Settings) -> ResolvedModel:
        opened = AsyncExitStack()
        try:
            resolved = await self._resolver(settings, opened).resolve(chat)
        except BaseException:
            await opened.aclose()
            raise
        self.learn(resolved.endpoint.base_url, resolved.listed)
        before, self._stack, self._offered = self._stack, opened, None
        await before.aclose()
        return resolved

    def _resolver(self, settings: Settings, stack: AsyncExitStack) -> ModelResolver:
        return ModelResolver(
            settings, self.options, self._context, self._notify, stack, approve=self._approve
        )

    async def _stop(self, task: asyncio.Task[None] | None) -> None:
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError, ChatcliError):
                await task


def _steps(settings: Settings) -> list[Callable[[], object]]:
    """Return what a request waits for, in steps that hold the interpreter as briefly as possible."""
    steps: list[Callable[[], object]] = [_load_transport, _load_client, _load_layers]
    if settings.credential is not None and not settings.credential.secret.command:
        steps.append(_unlocked(settings.credential.secret.reveal))
    return steps


def _runs_command(settings: Settings) -> bool:
    """Whether connecting runs a command that prints the key."""
    secret = None if settings.credential is None else settings.credential.secret
    return secret is not None and bool(secret.command) and secret.revealed() is None


def _load(steps: list[Callable[[], object]]) -> None:
    for step in steps:
        step()


def _unlocked(reveal: Callable[[], str]) -> Callable[[], None]:
    """Return a step that fetches the key from a keyring, which may ask the person to unlock it."""

    def step() -> None:
        # Whoever needs the key gets the error.
        with suppress(ChatcliError):
            reveal()

    return step


def _load_transport() -> None:
    import httpx2  # noqa: F401, PLC0415


def _load_client() -> None:
    import chatcli.client.openai_client  # noqa: F401, PLC0415


def _load_layers() -> None:
    import chatcli.client.pipeline  # noqa: PLC0415
    import chatcli.cost.charge  # noqa: PLC0415
    import chatcli.cost.model_table  # noqa: F401, PLC0415


def _load_markdown() -> None:
    import chatcli.render.live_answer  # noqa: PLC0415
    import chatcli.render.reasoning  # noqa: F401, PLC0415
    from chatcli.render.markdown.stream import rendered  # noqa: PLC0415
    from chatcli.render.printing import as_written  # noqa: PLC0415
    from chatcli.render.text_columns import table  # noqa: PLC0415
    from chatcli.render.themes import theme  # noqa: PLC0415

    # Loads as well what only an answer with marks and one with code need, what prints them, and what makes tables.
    as_written(rendered("*an* answer\n\n```python\n1\n```\n", theme("dark", None), 80))
    table([("a table", "")], 80)


QUIET_S: Final = 0.3
"""The pause in typing before the next step is loaded."""


class Warmup:
    """Runs ``steps`` one after the other in a thread, each once ``idle_s`` reports a pause in typing.

    An importing thread holds the interpreter for up to a tenth of a second and delays a key pressed then. The
    steps are small, and the next one waits for the next pause.
    """

    def __init__(
        self, steps: Sequence[Callable[[], object]], *, idle_s: Callable[[], float], quiet_s: float = QUIET_S
    ) -> None:
        self._steps = steps
        self._idle_s = idle_s
        self._quiet_s = quiet_s
        self._is_needed = asyncio.Event()

    def finish_now(self) -> None:
        """Run the remaining steps without waiting for pauses."""
        self._is_needed.set()

    async def needed(self) -> None:
        """Wait until ``finish_now`` is called."""
        await self._is_needed.wait()

    async def run(self) -> None:
        for step in self._steps:
            await self._pause()
            with garbage_collection_paused():
                try:
                    await in_thread(step)
                finally:
                    # Scanning all loaded modules would take a twentieth of a second, and modules are never freed.
                    exempt_from_garbage_collection()

    async def _pause(self) -> None:
        while not self._is_needed.is_set() and (left_s := self._quiet_s - self._idle_s()) > 0:
            try:
                await asyncio.wait_for(self._is_needed.wait(), left_s)
            except TimeoutError:
                continue
