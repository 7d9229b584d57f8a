"""The connection to the model, opened in the background while the person reads or types."""

from __future__ import annotations

import asyncio
import gc
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Final

from chatcli.app.resolver import ModelResolver, list_offered
from chatcli.app.windows import with_served_windows
from chatcli.core.errors import ChatcliError
from chatcli.repl.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence

    from chatcli.app.run_context import ChatOptions, Notify, RunContext
    from chatcli.chat import Conversation
    from chatcli.chat.resolved_model import ResolvedModel
    from chatcli.client.catalog import OfferedModel
    from chatcli.config.settings import Settings
    from chatcli.cost.budget import Approve


VOCABULARY_QUIET_S: Final = 1.5
"""How long no key must have come before the vocabulary is loaded: that holds the interpreter for a tenth of a second
at a stretch, and is needed only when a conversation comes near the size of its window."""


class Connection:
    """Finds what a conversation asks, once; a failure is told to whoever asks for it, and then tried again.

    ``draws`` says whether answers are drawn, so that what draws them is loaded too. ``opened`` is called when a model
    was found in the background. ``approve`` asks the person about what would exceed a budget.
    """

    def __init__(
        self,
        wish: ChatOptions,
        world: RunContext,
        tell: Notify,
        *,
        idle_s: Callable[[], float],
        draws: bool = True,
        opened: Callable[[], object] = lambda: None,
        approve: Approve | None = None,
    ) -> None:
        self.wish = wish
        self._world = world
        self._tell = tell
        self._idle_s = idle_s
        self._draws = draws
        self._opened = opened
        self._approve = approve
        self._stack = AsyncExitStack()
        self._offered: tuple[OfferedModel, ...] | None = None
        self._listed: dict[str, tuple[str, ...]] = {}
        self._warmup = Warmup((), idle_s=idle_s)
        self._opening: asyncio.Task[None] | None = None
        self._counting: asyncio.Task[None] | None = None

    def begin(self, chat: Conversation, settings: Settings) -> None:
        """Open it for ``chat`` as soon as nobody types."""
        self._warmup = Warmup(_steps(settings, draws=self._draws), idle_s=self._idle_s)
        self._opening = asyncio.create_task(self._open_warm(chat, settings))
        # Whoever asks is told why it failed; that nobody did is no news.
        self._opening.add_done_callback(lambda opening: opening.cancelled() or opening.exception())

    async def ready(self, chat: Conversation, settings: Settings) -> None:
        """Wait until ``chat`` is connected. Raise a ``ChatcliError`` where it cannot be."""
        if chat.target is not None:
            return
        opening = self._opening
        if opening is None or opening.done():
            self.begin(chat, settings)
        self._warmup.hurry()
        if self._opening is not None:
            # Stopped by the person, the wait ends; what is being opened is of use for the next question.
            await asyncio.shield(self._opening)

    async def replace(self, chat: Conversation, settings: Settings) -> ResolvedModel:
        """Open another connection, and close the one before when that is done. Raise a ``ChatcliError`` where it cannot be."""
        await self._stop(self._opening)
        await in_thread(lambda: _load(_steps(settings, draws=self._draws)))
        return await self._open(chat, settings)

    @asynccontextmanager
    async def beside(self, chat: Conversation, settings: Settings) -> AsyncIterator[ResolvedModel]:
        """Open another connection for a while; the one there is stays. Raise a ``ChatcliError`` where it cannot be."""
        async with AsyncExitStack() as stack:
            yield await self._resolver(settings, stack).resolve(chat)

    async def offered(self, chat: Conversation, settings: Settings) -> tuple[OfferedModel, ...]:
        """Return the models of the endpoint, asked for once. Raise a ``ChatcliError`` where it does not tell."""
        await self.ready(chat, settings)
        if self._offered is None:
            async with AsyncExitStack() as stack:
                entry = await self._resolver(settings, stack).connected(chat.turns.connected.endpoint)
                listed = await list_offered(entry)
                self._offered = await with_served_windows(entry, listed)
                self.learn(entry.endpoint.base_url, [model.id for model in listed])
        return self._offered

    def learn(self, base_url: str, names: Iterable[str]) -> None:
        """Remember which models an endpoint lists; what it lists now counts."""
        if names := tuple(names):
            self._listed[base_url] = names

    def listed(self, base_url: str) -> Sequence[str]:
        """Return the models an endpoint listed when it was asked last, nothing where it was not: nobody is asked now."""
        return self._listed.get(base_url, ())

    async def close(self) -> None:
        await self._stop(self._opening)
        await self._stop(self._counting)
        await self._stack.aclose()

    async def _open_warm(self, chat: Conversation, settings: Settings) -> None:
        await self._warmup.run()
        chat.turns.connect(await self._open(chat, settings))
        self._opened()
        vocabulary = Warmup([chat.turns.load_vocabulary], idle_s=self._idle_s, quiet_s=VOCABULARY_QUIET_S)
        self._counting = asyncio.create_task(_get_ready(vocabulary, chat))

    async def _open(self, chat: Conversation, settings: Settings) -> ResolvedModel:
        opened = AsyncExitStack()
        try:
            target = await self._resolver(settings, opened).resolve(chat)
        except BaseException:
            await opened.aclose()
            raise
        self.learn(target.endpoint.base_url, target.listed)
        before, self._stack, self._offered = self._stack, opened, None
        await before.aclose()
        return target

    def _resolver(self, settings: Settings, stack: AsyncExitStack) -> ModelResolver:
        return ModelResolver(settings, self.wish, self._world, self._tell, stack, approve=self._approve)

    async def _stop(self, task: asyncio.Task[None] | None) -> None:
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError, ChatcliError):
                await task


async def _get_ready(vocabulary: Warmup, chat: Conversation) -> None:
    await vocabulary.run()
    await chat.manager.look_ahead()


def _steps(settings: Settings, *, draws: bool) -> list[Callable[[], object]]:
    """Return what takes long to load, in pieces that hold the interpreter as shortly as can be."""
    steps: list[Callable[[], object]] = [_load_transport, _load_client]
    if draws:
        steps.append(_load_markdown)
    if settings.credential is not None:
        steps.append(_unlocked(settings.credential.secret.reveal))
    return steps


def _load(steps: list[Callable[[], object]]) -> None:
    for step in steps:
        step()


def _unlocked(reveal: Callable[[], str]) -> Callable[[], None]:
    """Return a step that gets the key out of a keyring, which may ask the person to unlock it."""

    def step() -> None:
        # Whoever needs the key is told why there is none.
        with suppress(ChatcliError):
            reveal()

    return step


def _load_transport() -> None:
    import httpx2  # noqa: F401, PLC0415


def _load_client() -> None:
    import chatcli.client.openai_client  # noqa: PLC0415
    import chatcli.client.openai_model  # noqa: PLC0415
    import chatcli.client.retry  # noqa: F401, PLC0415


def _load_markdown() -> None:
    import chatcli.render.live_answer  # noqa: F401, PLC0415
    from chatcli.render.markdown.stream import rendered  # noqa: PLC0415
    from chatcli.render.printing import as_written  # noqa: PLC0415
    from chatcli.render.text_columns import table  # noqa: PLC0415
    from chatcli.render.themes import theme  # noqa: PLC0415

    # Loads as well what only an answer with marks and one with code need, what prints them, and what makes tables.
    as_written(rendered("*an* answer\n\n```python\n1\n```\n", theme("dark", None), 80))
    table([("a table", "")], 80)


QUIET_S: Final = 0.3
"""How long no key must have come before the next step is loaded."""


class Warmup:
    """Runs ``steps`` one after the other in a thread, each when ``idle_s`` says that no key came for a while.

    A thread that imports holds the interpreter for up to a tenth of a second: a key that comes then is late, but
    the steps are small, and the next one waits until the typing pauses again.
    """

    def __init__(
        self, steps: Sequence[Callable[[], object]], *, idle_s: Callable[[], float], quiet_s: float = QUIET_S
    ) -> None:
        self._steps = steps
        self._idle_s = idle_s
        self._quiet_s = quiet_s
        self._hurried = asyncio.Event()

    def hurry(self) -> None:
        """Load the rest without waiting for a pause: somebody needs it now."""
        self._hurried.set()

    async def run(self) -> None:
        for step in self._steps:
            await self._pause()
            with _kept_for_good():
                await in_thread(step)

    async def _pause(self) -> None:
        while not self._hurried.is_set() and (left_s := self._quiet_s - self._idle_s()) > 0:
            try:
                await asyncio.wait_for(self._hurried.wait(), left_s)
            except TimeoutError:
                continue


@contextmanager
def _kept_for_good() -> Iterator[None]:
    # Left to itself the collector would soon look through all that was loaded, for a twentieth of a second and in
    # vain: modules stay.
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if running:
            gc.enable()
