"""The run of a batch: many requests at once to one model, as many as it takes well.

Every row goes through the same pipeline as a question of a conversation, so that limits, budgets and retries hold here
too. What is added is only how many rows are in flight, and when no more are begun.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from chatcli.batching.results import BatchResult
from chatcli.batching.row_answers import RowAnswer
from chatcli.core.errors import (
    BudgetReached,
    ChatcliError,
    ConfigurationError,
    KeyRefused,
    NetworkError,
    QuotaExceeded,
    RateLimited,
    ServerFailed,
)
from chatcli.core.events import Completion, Notice, Retrying, TextDelta, TextReclassified, Waiting

if TYPE_CHECKING:
    from asyncio import Task
    from collections.abc import AsyncIterator, Callable, Iterator

    from chatcli.batching.row_requests import BatchRow
    from chatcli.core.ports import ChatModel

MOST_AT_ONCE: Final = 1_000
"""The highest ``--concurrency``."""
_ADAPTIVE_MOST: Final = 256
_FIRST: Final = 4
_SLOWER: Final = 1.5
"""Answers that take so many times the best time are a sign that requests queue up: no more are begun at once."""
_MUCH_SLOWER: Final = 3.0
_STEP_DOWN: Final = 0.8
_WINDOW_ROWS: Final = 1_000
"""How many rows may be answered ahead of a slow one where results are wanted in order."""
_READ_AHEAD_ROWS: Final = 100

_MOST_UNREACHED: Final = 20
"""So many rows in succession, each with all its retries, that could not reach the endpoint end the run."""

STOPPING: Final = (BudgetReached, KeyRefused, QuotaExceeded, ConfigurationError)
"""Failures that all further rows would have in common. The rows they hit are left for a later run."""


class Concurrency:
    """How many requests may be in flight: ``fixed``, or as many as the endpoint takes well.

    Additive increase, multiplicative decrease (as TCP: RFC 5681): the limit doubles with each round of answers at first,
    then grows by one a round, and is halved when the endpoint refuses or fails a request, once a round at most. Rounds that
    take much longer than the best stop the growth, and lower the limit. ``clock`` counts seconds.
    """

    def __init__(self, fixed: int | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.is_adaptive = fixed is None
        self.limit = _FIRST if fixed is None else fixed
        self._clock = clock
        self._is_starting = True
        self._best_s: float | None = None
        self._answered = 0
        self._answered_s = 0.0
        self._lowered_at_s: float | None = None

    def answered(self, latency_s: float, *, is_busy: bool) -> None:
        """Note an answer without a retry; ``is_busy``: the limit was reached, so that a higher one would be used."""
        if not self.is_adaptive:
            return
        self._answered += 1
        self._answered_s += latency_s
        if self._answered < self.limit:
            return
        round_s, self._answered, self._answered_s = self._answered_s / self._answered, 0, 0.0
        self._best_s = round_s if self._best_s is None else min(self._best_s, round_s)
        if round_s > self._best_s * _MUCH_SLOWER:
            self._is_starting = False
            self.limit = max(1, int(self.limit * _STEP_DOWN))
        elif round_s > self._best_s * _SLOWER:
            self._is_starting = False
        elif is_busy:
            self.limit = min(_ADAPTIVE_MOST, self.limit * 2 if self._is_starting else self.limit + 1)

    def refused(self) -> None:
        """Note that the endpoint refused or failed a request: a 429, a 5xx, a time-out."""
        if not self.is_adaptive:
            return
        now_s = self._clock()
        # All requests of one round fail together; they are one sign.
        if self._lowered_at_s is not None and now_s - self._lowered_at_s < max(1.0, self._best_s or 0.0):
            return
        self._lowered_at_s = now_s
        self._is_starting = False
        self.limit = max(1, self.limit // 2)


@dataclass(slots=True)
class BatchProgress:
    """The state of a run in numbers; ``total`` is ``None`` as long as nobody knows the number of rows.

    ``earlier`` rows were done by an earlier run, and are not in ``done``. ``retrying`` rows wait for another attempt,
    and ``held`` ones for the limit ``held_by``: they have not been sent.
    """

    total: int | None = None
    earlier: int = 0
    started: int = 0
    done: int = 0
    failed: int = 0
    cut_off: int = 0
    in_flight: int = 0
    retrying: int = 0
    held: int = 0
    held_by: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    has_unknown_price: bool = False
    limit: int = 0
    phase: str = ""
    first_error: ChatcliError | None = None
    notices: list[Notice] = field(default_factory=list)

    def count(self, result: BatchResult) -> None:
        self.done += 1
        self.failed += result.error is not None
        self.first_error = self.first_error or result.error
        self.cut_off += result.finish_reason == "length"
        self.input_tokens += result.usage.input_tokens or 0
        self.output_tokens += result.usage.output_tokens or 0
        if result.cost_usd is not None:
            self.cost_usd += result.cost_usd
        elif result.error is None:
            self.has_unknown_price = True


class BatchRun:
    """Asks ``model`` every row, ``concurrency.limit`` at once.

    ``stop`` begins no more rows, ``abandon`` breaks off those in flight. ``stopped_by`` is the failure that ended the
    run early, if one did. ``clock`` counts seconds.
    """

    def __init__(
        self,
        model: ChatModel,
        concurrency: Concurrency,
        *,
        progress: BatchProgress | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._model = model
        self._concurrency = concurrency
        self._clock = clock
        self.progress = BatchProgress() if progress is None else progress
        self.stopped_by: ChatcliError | None = None
        self.is_stopped = False
        self._tasks: set[Task[None]] = set()
        self._finished: list[tuple[int, BatchResult | None]] = []
        self._wake = asyncio.Event()
        self._noticed: set[str] = set()
        self._unreached = 0
        self._bug: BaseException | None = None

    def stop(self) -> None:
        """Begin no more rows; the results of those in flight are still yielded."""
        self.is_stopped = True
        self._wake.set()

    def abandon(self) -> None:
        """Break off the rows in flight: they get no results."""
        self.stop()
        for task in self._tasks:
            task.cancel()

    def drained(self) -> list[BatchResult]:
        """Return the results that were not yielded yet, as after a cancellation."""
        finished, self._finished = self._finished, []
        return [result for _, result in finished if result is not None]

    async def results(
        self, rows: Iterable[BatchRow] | AsyncIterator[BatchRow], *, in_order: bool = False
    ) -> AsyncGenerator[list[BatchResult]]:
        """Yield results as they come, several at a time; ``in_order`` of the rows, if that is wanted.

        Then at most ``_WINDOW_ROWS`` are answered ahead of the slowest. Rows that were not answered, because the run was
        stopped, have no result.
        """
        source = _Source(iter(rows)) if isinstance(rows, Iterable) else _AsyncSource(rows, self._wake)
        ordering = _Ordering() if in_order else None
        try:
            while True:
                if self._bug is not None:
                    raise self._bug
                self._begin_rows(source, ordering)
                if not self._finished:
                    if not self._tasks and (self.is_stopped or source.is_over):
                        return
                    await self._wake.wait()
                    self._wake.clear()
                finished, self._finished = self._finished, []
                results = [result for _, result in finished if result is not None]
                if ordering is not None:
                    results = ordering.placed(finished)
                for result in results:
                    self.progress.count(result)
                if results:
                    yield results
                # Rows that cannot be asked wait for nothing: signals and the display have their turn all the same.
                await asyncio.sleep(0)
        finally:
            self.abandon()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await source.close()

    def _begin_rows(self, source: _Source, ordering: _Ordering | None) -> None:
        progress, limit = self.progress, self._concurrency.limit
        progress.limit = limit
        while (
            not self.is_stopped
            and len(self._tasks) < limit
            and (ordering is None or ordering.begun - ordering.next < _WINDOW_ROWS)
            and (row := source.take()) is not None
        ):
            number = progress.started
            progress.started += 1
            if ordering is not None:
                ordering.begun += 1
            if row.error is not None:
                result = BatchResult(row.id, row.index, error=row.error, digest=row.digest, values=row.values)
                self._finished.append((number, result))
                if len(self._finished) >= _READ_AHEAD_ROWS:
                    break
                continue
            task = asyncio.create_task(self._ask(number, row))
            self._tasks.add(task)
            task.add_done_callback(self._ended)
        progress.in_flight = len(self._tasks)

    def _ended(self, task: Task[None]) -> None:
        self._tasks.discard(task)
        self._wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._bug = self._bug or error

    async def _ask(self, number: int, row: BatchRow) -> None:
        began_s, answer = self._clock(), RowAnswer()
        try:
            await self._receive(row, answer)
        except STOPPING as error:
            self.stopped_by = self.stopped_by or error
            self._finished.append((number, None))
            self.stop()
            return
        except ChatcliError as error:
            answer.error = error
            self._note_failure(error)
        except asyncio.CancelledError:
            self._finished.append((number, None))
            raise
        finally:
            self._note_sent(answer)
            self._note_held(answer, "")
        latency_s = self._clock() - began_s
        if answer.error is None:
            self._unreached = 0
        if answer.error is None and answer.attempts == 1:
            self._concurrency.answered(
                latency_s, is_busy=len(self._tasks) >= self._concurrency.limit and not self.is_stopped
            )
        self._finished.append((number, answer.result(row, latency_s)))

    async def _receive(self, row: BatchRow, answer: RowAnswer) -> None:
        assert row.request is not None  # noqa: S101 - rows without one have an error
        async with aclosing(self._model.stream(row.request)) as events:
            async for event in events:
                held_by = event.reason if isinstance(event, Waiting) and event.is_held else ""
                if held_by != answer.held_by:
                    self._note_held(answer, held_by)
                match event:
                    case TextDelta(text):
                        answer.text += text
                    case Completion():
                        answer.completion = event
                    case TextReclassified(text):
                        answer.text = answer.text.removesuffix(text)
                    case Retrying():
                        self._note_retry(event, answer)
                    case Notice():
                        self._note(event)
                    case _:
                        self._note_sent(answer)

    def _note_failure(self, error: ChatcliError) -> None:
        if isinstance(error, NetworkError | RateLimited | ServerFailed):
            self._concurrency.refused()
        if isinstance(error, NetworkError):
            self._unreached += 1
            if self._unreached >= _MOST_UNREACHED:
                self.stopped_by = self.stopped_by or error
                self.stop()

    def _note_retry(self, event: Retrying, answer: RowAnswer) -> None:
        answer.attempts = event.attempt
        if not answer.is_retrying:
            answer.is_retrying = True
            self.progress.retrying += 1
        self._concurrency.refused()

    def _note_sent(self, answer: RowAnswer) -> None:
        if answer.is_retrying:
            answer.is_retrying = False
            self.progress.retrying -= 1

    def _note_held(self, answer: RowAnswer, reason: str) -> None:
        """Count the rows that a limit holds, by the sort of limit: the time left changes from row to row."""
        self.progress.held += bool(reason) - bool(answer.held_by)
        answer.held_by = reason
        if reason:
            self.progress.held_by = reason.partition(" (")[0]

    def _note(self, notice: Notice) -> None:
        """Keep the first notice of each kind: a million rows would repeat it."""
        if notice.code not in self._noticed:
            self._noticed.add(notice.code)
            self.progress.notices.append(notice)


class _Ordering:
    """Puts results in the order in which their rows were begun."""

    def __init__(self) -> None:
        self.begun = 0
        self.next = 0
        self._held: dict[int, BatchResult | None] = {}

    def placed(self, finished: Iterable[tuple[int, BatchResult | None]]) -> list[BatchResult]:
        """Return the results whose turn it is, with ``finished`` ones."""
        self._held.update(finished)
        results = []
        while self.next in self._held:
            if (result := self._held.pop(self.next)) is not None:
                results.append(result)
            self.next += 1
        return results


class _Source:
    """The rows still to be begun, from an iterator that never waits long."""

    def __init__(self, rows: Iterator[BatchRow] | None) -> None:
        self._rows = rows
        self.is_over = False

    def take(self) -> BatchRow | None:
        """Return the next row, ``None`` if there is none now."""
        row = None if self._rows is None or self.is_over else next(self._rows, None)
        self.is_over = self.is_over or row is None
        return row

    async def close(self) -> None:
        return


class _AsyncSource(_Source):
    """The rows of an asynchronous iterator, read some ahead; ``wake`` is set when there are more."""

    def __init__(self, rows: AsyncIterator[BatchRow], wake: asyncio.Event) -> None:
        super().__init__(None)
        self._ahead: deque[BatchRow] = deque()
        self._has_room = asyncio.Event()
        self._wake = wake
        self._reading = asyncio.create_task(self._read(rows))

    def take(self) -> BatchRow | None:
        if self._ahead:
            self._has_room.set()
            return self._ahead.popleft()
        if self._reading.done():
            self.is_over = True
            self._reading.result()
        return None

    async def close(self) -> None:
        self._reading.cancel()
        await asyncio.wait({self._reading})

    async def _read(self, rows: AsyncIterator[BatchRow]) -> None:
        try:
            async for row in rows:
                self._ahead.append(row)
                self._wake.set()
                while len(self._ahead) >= _READ_AHEAD_ROWS:
                    self._has_room.clear()
                    await self._has_room.wait()
        finally:
            self._wake.set()
            if isinstance(rows, AsyncGenerator):
                await rows.aclose()
