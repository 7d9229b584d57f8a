"""The thread that writes the records of calls: no turn waits for it, and none fails with it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from chatcli.core.errors import LocalIOError
from chatcli.text.times import local_now

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AsyncExitStack
    from datetime import datetime
    from typing import TypeAlias

    from chatcli.core.call_records import CallContent, CallRecord
    from chatcli.telemetry.call_store import CallStore

_Item = TypeVar("_Item")
_Taken_contra = TypeVar("_Taken_contra", contravariant=True)

_TOGETHER_S: Final = 0.25
"""How long records wait for others, to be written with them."""
_MOST_TOGETHER: Final = 5_000
_PATIENCE_S: Final = 0.5
_LONG_PATIENCE_S: Final = 3.0


class CallSink(Protocol[_Taken_contra]):
    """Keeps records, or passes them on. Used in one thread."""

    def append(self, calls: Sequence[_Taken_contra], /) -> None:
        """Take records; any exception costs them, and nothing else."""
        ...

    def close(self) -> None: ...


OpenSink: TypeAlias = "Callable[[], CallSink[_Item]]"


class WriterThread(Generic[_Item]):
    """Hands records to sinks, in a thread of its own.

    The functions of ``open_sinks`` are called in that thread when there is a first record, and again while they fail. ``lost``
    counts records that a sink did not take, ``problem`` is the last reason. The end of a run waits up to ``patience_s`` for the thread, and
    ``long_patience_s`` more if the first sink has not had all records by then: on a busy machine the thread hardly runs.
    """

    def __init__(
        self,
        open_sinks: Sequence[OpenSink[_Item]],
        *,
        patience_s: float = _PATIENCE_S,
        long_patience_s: float = _LONG_PATIENCE_S,
    ) -> None:
        self._patience_s, self._long_patience_s = patience_s, long_patience_s
        self.lost = 0
        self.problem: str | None = None
        self._open_sinks = open_sinks
        self._queue: SimpleQueue[_Item | None] | None = None
        self._thread: Thread | None = None
        self._is_ending = Event()
        self._is_written = Event()
        self._users = 0

    def put(self, item: _Item) -> None:
        if self._queue is None:
            self._queue, self._is_ending, self._is_written = SimpleQueue(), Event(), Event()
            inputs = self._queue, self._is_ending, self._is_written
            self._thread = Thread(target=self._run, args=inputs, name="records of calls", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:  # Python 3.12 and later start no thread once they shut down
                self._thread = None
        self._queue.put(item)

    def open_until(self, stack: AsyncExitStack) -> None:
        """Be in use until ``stack`` is closed; the last user waits a moment until everything is written."""
        self._users += 1
        stack.push_async_callback(self._leave)

    async def _leave(self) -> None:
        self._users -= 1
        if not self._users and (thread := self.end()) is not None:
            await asyncio.to_thread(self._wait, thread)

    def _wait(self, thread: Thread) -> None:
        thread.join(self._patience_s)
        if thread.is_alive():
            self._is_written.wait(self._long_patience_s)

    def end(self) -> Thread | None:
        """Have the thread end once everything is written, and return it; a later record starts another."""
        queue, self._queue = self._queue, None
        thread, self._thread = self._thread, None
        if queue is not None:
            queue.put(None)
            self._is_ending.set()
        return thread

    def _run(self, queue: SimpleQueue[_Item | None], is_ending: Event, is_written: Event) -> None:
        opened: dict[OpenSink[_Item], CallSink[_Item]] = {}
        is_over = False
        while not is_over:
            calls, is_over = _next(queue, is_ending)
            for open_sink in self._open_sinks if calls else ():
                try:
                    if open_sink not in opened:
                        opened[open_sink] = open_sink()
                    opened[open_sink].append(calls)
                except Exception as error:  # noqa: BLE001 - whatever is wrong with what is measured, it fails no turn
                    self.lost += len(calls)
                    self.problem = str(error) or type(error).__name__
                if is_over:
                    is_written.set()
        is_written.set()
        for sink in opened.values():
            with suppress(Exception):
                sink.close()


class CallWriter(WriterThread["CallRecord"]):
    """A ``CallRecorder`` whose sinks are given records, and no word of what was said."""

    def record(self, call: CallRecord, _content: CallContent | None = None) -> None:
        self.put(call)


class CallKeeper:
    """A sink that stores calls, and adds up what has closed: a minute after the first ones, then every hour, so that no short run does."""

    def __init__(self, store: CallStore, now: Callable[[], datetime] = local_now) -> None:
        self._store = store
        self._now = now
        self._due: datetime | None = None

    def append(self, calls: Sequence[CallRecord]) -> None:
        self._store.append(calls)
        now = self._now()
        if self._due is None:
            self._due = now + timedelta(minutes=1)
        elif now >= self._due:
            from chatcli.telemetry.call_statistics import keep_sums  # noqa: PLC0415 - short runs do without

            self._due = now + timedelta(hours=1)
            # These calls are stored, and a report adds up what it misses.
            with suppress(LocalIOError):
                keep_sums(self._store, now)

    def close(self) -> None:
        self._store.close()


def _next(queue: SimpleQueue[_Item | None], is_ending: Event) -> tuple[list[_Item], bool]:
    """Return the next records, and whether they are the last."""
    item = queue.get()
    # Not woken by each record: in a large batch that would cost its rows more than writing them.
    if item is not None:
        is_ending.wait(_TOGETHER_S)
    items: list[_Item] = []
    while item is not None:
        items.append(item)
        if len(items) == _MOST_TOGETHER:
            return items, False
        try:
            item = queue.get_nowait()
        except Empty:
            return items, False
    return items, True
