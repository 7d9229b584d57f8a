"""The run of a batch: many requests at once to one model, as many as it takes well.

Every row goes through the same pipeline as a question of a conversation, so that limits, budgets and retries hold here
too. What is added is only how many rows are in flight, and when no more are begun.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from chatcli.batching.results import BatchResult
from chatcli.batching.row_answers import RowAnswer
from chatcli.batching.row_sources import READ_AHEAD_ROWS, AsyncRowSource, ResultOrder, RowSource
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
from chatcli.core.whole_answers import asker

if TYPE_CHECKING:
    from asyncio import Task
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from chatcli.batching.concurrency import Concurrency
    from chatcli.batching.row_requests import BatchRow
    from chatcli.core.events import ModelEvent
    from chatcli.core.ports import ChatModel

_WINDOW_ROWS: Final = 1_000
"""How many rows may be answered ahead of a slow one where results are wanted in order."""
_MOST_UNREACHED: Final = 20
"""So many rows in succession, each with all its retries, that could not reach the endpoint end the run."""

STOPPING: Final = (BudgetReached, KeyRefused, QuotaExceeded, ConfigurationError)
"""Failures that all further rows would have in common. The rows they hit are left for a later run."""


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
    run early, if one did. ``keep`` gets each result as soon as it is there, whoever waits for it; what it raises ends the run.
    ``clock`` counts seconds.
    """

    def __init__(
        self,
        model: ChatModel,
        concurrency: Concurrency,
        *,
        progress: BatchProgress | None = None,
        keep: Callable[[BatchResult], object] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = asker(model)
        self._concurrency = concurrency
        self._keep = keep
        self._clock = clock
        self.progress = BatchProgress() if progress is None else progress
        self.stopped_by: ChatcliError | None = None
        self.is_stopped = False
        self._tasks: set[Task[None]] = set()
        self._finished: list[tuple[int, BatchResult | None]] = []
        self._wake = asyncio.Event()
        self._source = RowSource(None)
        self._ordering: ResultOrder | None = None
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
        source = self._source = (
            RowSource(iter(rows)) if isinstance(rows, Iterable) else AsyncRowSource(rows, self._wake)
        )
        ordering = self._ordering = ResultOrder() if in_order else None
        try:
            while True:
                if self._bug is not None:
                    raise self._bug
                self._begin_rows()
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

    def _begin_rows(self) -> None:
        limit = self.progress.limit = self._concurrency.limit
        while len(self._tasks) < limit and (begun := self._next_row()) is not None:
            task = asyncio.create_task(self._work(*begun))
            self._tasks.add(task)
            task.add_done_callback(self._ended)
        self.progress.in_flight = len(self._tasks)

    def _next_row(self) -> tuple[int, BatchRow] | None:
        """Begin a row and return it with its number, ``None`` if none can be begun now."""
        progress, ordering = self.progress, self._ordering
        while (
            not self.is_stopped
            # Results that nobody has taken yet are not to pile up.
            and len(self._finished) < READ_AHEAD_ROWS
            and (ordering is None or ordering.begun - ordering.next < _WINDOW_ROWS)
            and (row := self._source.take()) is not None
        ):
            number = progress.started
            progress.started += 1
            if ordering is not None:
                ordering.begun += 1
            if row.error is None:
                return number, row
            result = BatchResult(row.id, row.index, error=row.error, digest=row.digest, values=row.values)
            self._finish(number, result)
        return None

    def _finish(self, number: int, result: BatchResult | None) -> None:
        self._finished.append((number, result))
        self._wake.set()
        if result is not None:
            self._keep(result)

    def _ended(self, task: Task[None]) -> None:
        self._tasks.discard(task)
        self._wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._bug = self._bug or error

    async def _work(self, number: int, row: BatchRow) -> None:
        """Ask a row, and then others, as long as so many may be in flight: a task for each would cost more."""
        while True:
            await self._ask_row(number, row)
            if len(self._tasks) > self._concurrency.limit or (begun := self._next_row()) is None:
                return
            number, row = begun

    async def _ask_row(self, number: int, row: BatchRow) -> None:
        assert row.request is not None  # noqa: S101 - rows without one have an error
        began_s, answer = self._clock(), RowAnswer()
        try:
            await self._ask(row.request, partial(self._take, answer))
        except STOPPING as error:
            self.stopped_by = self.stopped_by or error
            self._finish(number, None)
            self.stop()
            return
        except ChatcliError as error:
            answer.error = error
            self._note_failure(error)
        except asyncio.CancelledError:
            self._finish(number, None)
            raise
        finally:
            self._note_sent(answer)
            self._note_held(answer, "")
        latency_s = self._clock() - began_s
        if answer.error is None:
            self._unreached = 0
            if answer.attempts == 1:
                is_busy = len(self._tasks) >= self._concurrency.limit and not self.is_stopped
                self._concurrency.answered(latency_s, is_busy=is_busy)
        self._finish(number, answer.result(row, latency_s))

    def _take(self, answer: RowAnswer, event: ModelEvent) -> None:
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
                answer.answers_before += event.code == "schema_repair"
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
