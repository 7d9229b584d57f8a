"""The access to a store of answers: in a thread of its own, and never for longer than a turn can wait.

A store that fails or is slow is passed over for a while; the person is notified once in a run.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from chatcli.core.events import Notice, Waiting
from chatcli.storage.answer_store import StoreBusy, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
    from contextlib import AsyncExitStack
    from typing import TypeAlias

    from chatcli.client.similar_answers import SimilarAnswers
    from chatcli.storage.answer_store import AnswerStore, StoredAnswer

    Operation: TypeAlias = Callable[[AnswerStore], "_T"]
    Finished: TypeAlias = Callable[[BaseException | None, object], None]
    _Job: TypeAlias = tuple[Operation[object], Finished]

PATIENCE_S: Final = 0.05
"""How long all operations of one turn may take together."""

LEASE_S: Final = 10.0
"""How long a claim outlives its owner's process."""

_RESTS_S: Final = 30.0
"""How long a store is left alone after a failure."""

_MOST_LEADERS: Final = 3
"""How many owners of a claim a follower waits for, one after the other: each may fail after minutes of retries."""

_EARLY_S: Final = 30.0
"""How long an answer looked up early is used."""

_WAITING_EVERY_S: Final = 1.0
_FIRST_POLL_S: Final = 0.02
_LONGEST_POLL_S: Final = 0.25
_REASON: Final = "waiting for the answer to the same question"

_T = TypeVar("_T")


class Caching(NamedTuple):
    """A cache of answers; ``similar`` searches it for similar questions, ``None`` if nobody wants it.

    ``is_ahead``: nobody has asked the questions yet, so that they count neither as hits nor as misses.
    """

    cache: AnswerCache
    similar: SimilarAnswers | None
    is_ahead: bool = False


class AnswerCache:
    """A store for the turns of a run. ``open_store`` is called in the thread, and again after ``close``.

    ``is_local``: a look-up does not leave this machine. ``patience_s`` is what one turn may wait for the store. ``clock`` counts seconds, ``sleep`` pauses between two looks
    for the answer of somebody else.
    """

    def __init__(
        self,
        open_store: Callable[[], AnswerStore],
        *,
        is_local: bool = True,
        patience_s: float = PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.is_local = is_local
        self.patience_s = patience_s
        self.clock = clock
        self.sleep = sleep
        self._thread = _StoreThread(open_store)
        self._users = 0
        self._early: _EarlyAnswer | None = None
        self._overdue: asyncio.Future[Any] | None = None
        self._rests_until_s = 0.0
        self._was_notified = False
        self._notice: Notice | None = None

    def open_until(self, stack: AsyncExitStack) -> None:
        """Open the store in the thread, before the first turn needs it; the last stack to end closes it."""
        self._users += 1
        stack.push_async_callback(self._leave)
        self.post(lambda _: None)

    async def _leave(self) -> None:
        self._users -= 1
        if not self._users:
            await self.close()

    def post(self, operation: Operation[object]) -> None:
        """Run an operation later, and ignore its result and its failure."""
        self._thread.put(operation, lambda _error, _result: None)

    def count(self, amounts: Mapping[str, float]) -> None:
        self.post(lambda store: store.count(amounts))

    async def run(self, operation: Operation[_T], *, patience_s: float) -> _T:
        """Return the result of an operation that the person asked for. Raise ``StoreUnavailable``."""
        self._early = None  # it may clear the store
        future = self._submit(operation)
        await asyncio.wait({future}, timeout=patience_s)
        if not future.done():
            raise StoreUnavailable(f"it does not answer within {patience_s:g} s")
        return future.result()

    async def attempt(self, operation: Operation[_T], patience_s: float) -> _T | None:
        """Return the result of an operation, ``None`` if the store is passed over."""
        if self.rests:
            return None
        if self._overdue is not None and not self._overdue.done():
            self._pass_over(self._slowness)
            return None
        future = self._submit(operation)
        await asyncio.wait({future}, timeout=max(0.0, patience_s))
        if not future.done():
            self._overdue = future
            # A first question may come before the store is open: the next one finds it.
            if self._thread.is_open:
                self._pass_over(self._slowness)
            return None
        try:
            return future.result()
        except StoreBusy:
            return None
        except StoreUnavailable as error:
            self._pass_over(str(error))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a cache, it fails no turn
            self._pass_over(f"{type(error).__name__}: {error}")
        return None

    @property
    def rests(self) -> bool:
        """Whether the store is left alone after a failure."""
        return self.clock() < self._rests_until_s

    @property
    def _slowness(self) -> str:
        return f"it took longer than {self.patience_s * 1000:.0f} ms"

    async def look_up_early(self, key: str) -> None:
        """Look up the answer to a question that is still being written; nothing is claimed, and nothing leaves the machine."""
        if self.is_local:
            self._early = None
            content = await self.attempt(lambda store: store.get(key), self.patience_s)
            self._early = None if content is None else _EarlyAnswer(key, content, self.clock() + _EARLY_S)

    def take_early(self, key: str) -> bytes | None:
        """Return the content that ``look_up_early`` found for ``key``, once and not for long."""
        early, self._early = self._early, None
        if early is None or early.key != key or early.until_s < self.clock():
            return None
        return early.content

    def take_notice(self) -> Notice | None:
        """Return the notice that the store is passed over, once."""
        notice, self._notice = self._notice, None
        return notice

    def visit(self, key: str) -> CacheVisit:
        return CacheVisit(self, key)

    async def close(self) -> None:
        """Let what was begun end, as far as a turn would wait for it, and close the store."""
        if self._thread.is_started:
            await asyncio.wait({self._submit(lambda _: None)}, timeout=self.patience_s)
            self._thread.close()

    def _submit(self, operation: Operation[_T]) -> asyncio.Future[_T]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_T] = loop.create_future()
        # A failure is reported to whoever still waits.
        future.add_done_callback(lambda done: done.cancelled() or done.exception())

        def settle(error: BaseException | None, result: object) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(result)  # type: ignore[arg-type]  # without an error it is a _T
            else:
                future.set_exception(error)

        def finished(error: BaseException | None, result: object) -> None:
            # The loop may have ended meanwhile, with nobody waiting.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(settle, error, result)

        self._thread.put(operation, finished)
        return future

    def _pass_over(self, reason: str) -> None:
        self._rests_until_s = self.clock() + _RESTS_S
        if not self._was_notified:
            self._was_notified = True
            self._notice = Notice("cache_passed_over", f"the cache of answers is not used: {reason}")


class _EarlyAnswer(NamedTuple):
    key: str
    content: bytes
    until_s: float


class CacheVisit:
    """What one turn does with one key: it looks the answer up, waits for that of somebody else, or stores its own.

    Every visit ends with ``leave``.
    """

    def __init__(self, cache: AnswerCache, key: str) -> None:
        self.key = key
        self.is_passed_over = False
        self._cache = cache
        self._owner = uuid.uuid4().hex
        self._left_s = cache.patience_s
        self._may_have_claim = False
        self._renewing: asyncio.Task[None] | None = None

    async def look_up(self) -> AsyncGenerator[Waiting | bytes]:
        """Yield the stored answer, last; while another owner is asking for it, yield ``Waiting``."""
        if (early := self._cache.take_early(self.key)) is not None:
            yield early
            return
        clock, began_s = self._cache.clock, self._cache.clock()
        reported_s, poll_s = began_s - _WAITING_EVERY_S, _FIRST_POLL_S
        leaders: set[str] = set()
        while len(leaders) <= _MOST_LEADERS:
            self._may_have_claim = True
            found = await self.attempt(lambda store: store.look_up(self.key, self._owner, LEASE_S))
            if isinstance(found, bytes):
                yield found
                return
            if found is None or found == self._owner:
                self.is_passed_over = found is None
                break
            leaders.add(found)
            if clock() - reported_s >= _WAITING_EVERY_S:
                reported_s = clock()
                yield Waiting(reported_s - began_s, _REASON)
            await self._cache.sleep(poll_s)
            poll_s = min(poll_s * 1.5, _LONGEST_POLL_S)
            self._left_s = self._cache.patience_s  # the wait is for an answer, not for the store
        self._renewing = asyncio.create_task(self._renew())

    async def attempt(self, operation: Operation[_T]) -> _T | None:
        """Return the result of an operation within what is left of the turn's patience, ``None`` without one."""
        began_s = self._cache.clock()
        try:
            return await self._cache.attempt(operation, self._left_s)
        finally:
            self._left_s -= self._cache.clock() - began_s

    async def put(self, answer: StoredAnswer) -> None:
        """Store an answer. If the look-up has used up the patience, nothing waits for that: a store can be slow to open."""
        if self._left_s > 0:
            await self.attempt(lambda store: store.put(answer))
        elif not self._cache.rests:
            self._cache.post(lambda store: store.put(answer))

    def leave(self) -> None:
        """Release the claim. An operation still under way comes first."""
        if self._renewing is not None:
            self._renewing.cancel()
        if self._may_have_claim:
            self._cache.post(lambda store: store.release(self.key, self._owner))

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(LEASE_S / 3)
            self._cache.post(lambda store: store.renew(self.key, self._owner, LEASE_S))


class _StoreThread:
    """Runs operations one after the other in a thread for which no exit waits; ``close`` ends it, ``put`` starts another."""

    def __init__(self, open_store: Callable[[], AnswerStore]) -> None:
        self._open_store = open_store
        self._queue: SimpleQueue[_Job | None] | None = None
        self.is_open = False

    @property
    def is_started(self) -> bool:
        return self._queue is not None

    def put(self, operation: Operation[object], finished: Finished) -> None:
        if self._queue is None:
            self._queue = SimpleQueue()
            # Python 3.12 and later start no thread once they shut down.
            with suppress(RuntimeError):
                Thread(target=self._run, args=(self._queue,), daemon=True).start()
        self._queue.put((operation, finished))

    def close(self) -> None:
        """Close the store once everything before is done."""
        queue, self._queue = self._queue, None
        self.is_open = False
        if queue is not None:
            queue.put(None)

    def _run(self, queue: SimpleQueue[_Job | None]) -> None:
        store: AnswerStore | None = None
        while (job := queue.get()) is not None:
            operation, finished = job
            error: BaseException | None = None
            result: object = None
            try:
                store = store or self._open_store()
                self.is_open = True
                result = operation(store)
            except BaseException as raised:  # noqa: BLE001 - passed to the waiting task
                error = raised
            finished(error, result)
        if store is not None:
            with suppress(StoreUnavailable):
                store.close()
