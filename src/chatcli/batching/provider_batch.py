"""A batch run by the provider itself, within a day and at half the price: files up, wait, files down.

The run may be interrupted at any time and goes on with ``--resume``. A batch is started from a file that is noted before, by
which it is found among the provider's batches if the run is killed before its id is noted.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from contextlib import aclosing, suppress
from dataclasses import dataclass
from dataclasses import replace as replace_fields
from typing import TYPE_CHECKING, Any, Final

from chatcli.batching.result_file import other_input
from chatcli.batching.results import BatchResult
from chatcli.batching.row_answers import RowAnswer
from chatcli.batching.sent_parts import GatheredPart
from chatcli.core.errors import (
    BadResponse,
    ChatcliError,
    EndpointError,
    KeyRefused,
    LocalIOError,
    RequestRefused,
    UsageError,
)
from chatcli.core.events import Completion, Notice, TextDelta
from chatcli.core.json_values import as_object, as_text
from chatcli.core.request import Request
from chatcli.storage.private_files import replace
from chatcli.text.wording import counted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator
    from pathlib import Path

    from chatcli.batching.batch_run import BatchProgress
    from chatcli.batching.result_file import ResultFile
    from chatcli.batching.row_requests import BatchRow
    from chatcli.batching.sent_parts import SentPart, SentParts
    from chatcli.core.events import Usage
    from chatcli.core.ports import ProviderBatches, ProviderBatchState

MOST_ROWS: Final = 50_000
MOST_BYTES: Final = 200_000_000
"""The limits of one input file at OpenAI (https://platform.openai.com/docs/guides/batch)."""

_FIRST_POLL_S: Final = 5.0
_SLOWEST_POLL_S: Final = 60.0
_SLOWER: Final = 1.3
_RESULTS_AT_ONCE: Final = 200
_MOST_UNKNOWN: Final = 20
"""So many times in succession a status that is not known is taken for one of waiting: a quarter of an hour.

So often files that lack results which the provider counts are asked for, too.
"""
_MOST_MISSED: Final = 3
"""So many times in succession a batch may be missing, as one may be that has just begun."""
_NOT_FOUND: Final = 404
_OK: Final = range(200, 300)
_CUSTOM_ID: Final = re.compile(r"([0-9]{1,18})-[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class ProviderTerms:
    """What sending costs: ``admit`` raises ``BudgetReached`` for rows that may not be sent, ``book`` returns a cost in dollars."""

    admit: Callable[[Request], Awaitable[None]]
    book: Callable[[str, Usage], float | None]


@dataclass(frozen=True, slots=True)
class ResultTaker:
    """Who gets the results that were written: ``take`` them, and ``room`` waits until they are dealt with, after each part."""

    take: Callable[[list[BatchResult]], object]
    room: Callable[[], Awaitable[object]]


class ProviderRun:
    """Has the rows that ``rows()`` yields answered by ``provider``, and writes ``output``.

    ``rows`` is called several times, and always yields the same. Of the rows, at most one part is in memory. If it ``retries_failed``,
    it sends the rows of a batch anew that the provider does not know.
    """

    def __init__(
        self,
        provider: ProviderBatches,
        rows: Callable[[], Iterator[BatchRow]],
        output: ResultFile,
        sent: SentParts,
        *,
        progress: BatchProgress,
        terms: ProviderTerms,
        retries_failed: bool = False,
        taker: ResultTaker | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        most_rows: int = MOST_ROWS,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._provider = provider
        self._rows = rows
        self._output = output
        self._sent = sent
        self._progress = progress
        self._terms = terms
        self._taker = taker
        self._sleep = sleep
        self._most_rows = most_rows
        self._most_bytes = most_bytes
        self._retries_failed = retries_failed
        self._unknown: Counter[str] = Counter()
        self._missed: Counter[str] = Counter()
        self._short: Counter[str] = Counter()

    async def run(self) -> None:
        """Send what was not sent, wait, and write the results. Raise a ``ChatcliError``; calling it again goes on."""
        self._sent.check(self._rows())
        self._output.drop_failed()
        await self._settle()
        await self._send()
        poll_s = _FIRST_POLL_S
        while self._sent.parts:
            for part in list(self._sent.parts):
                is_taken = await self._is_taken(part)
                is_lost = not is_taken and self._is_lost(part)
                if is_taken or is_lost:
                    self._sent.parts.remove(part)
                    self._sent.save()
                    poll_s = _FIRST_POLL_S
                if is_lost:
                    await self._send()
                if self._taker is not None:
                    await self._taker.room()
            if self._sent.parts:
                await self._sleep(poll_s)
                poll_s = min(_SLOWEST_POLL_S, poll_s * _SLOWER)
        self._sent.delete()

    async def _settle(self) -> None:
        """Find the batch that an earlier run may have begun without noting its id; begin it if there is none."""
        for part in [part for part in self._sent.parts if not part.id]:
            try:
                found = await self._provider.find(part.input_file)
            except RequestRefused as error:
                raise RequestRefused(
                    f"cannot find out whether {part.words} {'was' if part.first == part.last else 'were'} sent: {error.clause}",
                    hint=f"look for a batch of the file {part.input_file} at the provider; "
                    f"delete {self._sent.path} to send them again",
                    status=error.status,
                    request_id=error.request_id,
                ) from error
            try:
                part.id = found or await self._provider.create(part.input_file)
            except RequestRefused:
                # The file may be gone by now. The rows are sent anew.
                self._sent.parts.remove(part)
            self._sent.save()

    async def _send(self) -> None:
        """Send the rows that have no result and were not sent: all, or those that were added, or failed and are to be asked again."""
        upload = self._output.path.with_name(f".{self._output.path.name}.upload.jsonl")
        part = GatheredPart()
        try:
            for row in self._rows():
                if self._output.done.is_done(row.index, row.digest):
                    continue
                was_sent = row.request is not None and self._sent.holds(row.index)
                line = None if was_sent else await self._line(row)
                if line is None:
                    continue
                is_full = len(part.lines) >= self._most_rows or part.size_bytes + len(line) > self._most_bytes
                if part.lines and is_full:
                    await self._submit(upload, part)
                    part = GatheredPart()
                part.add(row, line)
            if part.lines:
                await self._submit(upload, part)
        finally:
            with suppress(OSError):
                upload.unlink()

    async def _line(self, row: BatchRow) -> bytes | None:
        """Return the line of a row to be sent; write the result of one that cannot be sent, and return ``None``."""
        error: ChatcliError | None = row.error
        if row.request is not None:
            try:
                await self._terms.admit(row.request)
                return self._provider.line(_custom_id(row), row.request)
            except (UsageError, RequestRefused) as refusal:
                error = refusal
        self._write([BatchResult(row.id, row.index, error=error, digest=row.digest, values=row.values)])
        return None

    async def _submit(self, upload: Path, gathered: GatheredPart) -> None:
        self._progress.phase = f"sending {counted(len(gathered.lines), 'row')}"
        try:
            replace(upload, b"".join(gathered.lines))
        except OSError as error:
            raise LocalIOError(
                f"cannot write {upload}: {error.strerror or error}", hint="check the disk"
            ) from error
        part = gathered.sent_as(await self._provider.upload(upload))
        self._sent.parts.append(part)
        self._sent.save()
        try:
            part.id = await self._provider.create(part.input_file)
        except (RequestRefused, KeyRefused):
            self._sent.parts.remove(part)
            self._sent.save()
            raise
        self._sent.save()

    async def _is_taken(self, part: SentPart) -> bool:
        """Return whether the results of a part are written; it is not over, or out of reach for now, otherwise."""
        try:
            state = await self._state(part)
            return state is not None and state.is_over and await self._take(part, state)
        except EndpointError as error:
            if not error.retryable:
                raise
            self._progress.phase = f"{error.clause}, asking again"
            return False

    def _is_lost(self, part: SentPart) -> bool:
        """Return whether the rows of a batch the provider does not know are to be sent anew. Raise ``RequestRefused`` if not.

        With another key it may know it: nothing that may have been paid for is given up unasked.
        """
        if self._missed[part.id] <= _MOST_MISSED:
            return False
        if not self._retries_failed:
            raise RequestRefused(
                f"the provider does not know its batch {part.id}, of {part.words}",
                hint="use the key and the project it was sent with; --retry-failed sends these rows anew",
                status=_NOT_FOUND,
            )
        return True

    async def _state(self, part: SentPart) -> ProviderBatchState | None:
        """Return the state of a part, ``None`` if the provider does not know it."""
        try:
            state = await self._provider.state(part.id)
        except RequestRefused as error:
            if error.status != _NOT_FOUND:
                raise
            self._missed[part.id] += 1
            self._progress.phase = f"the provider does not know its batch {part.id}, asking again"
            return None
        del self._missed[part.id]
        self._bear(state, part)
        many = (
            f", {counted(len(self._sent.parts), 'batch', 'batches')} left"
            if len(self._sent.parts) > 1
            else ""
        )
        answered = f"{state.completed:,} of {state.total:,} answered, " if state.total else ""
        self._progress.phase = f"{answered}{state.status.replace('_', ' ')} at the provider{many}"
        return state

    def _bear(self, state: ProviderBatchState, part: SentPart) -> None:
        """Mention a status that is not known. Raise ``BadResponse`` if the wait with it has no end."""
        if state.is_known:
            del self._unknown[part.id]
            return
        words = f"the provider says its batch {part.id} is {state.status or 'without a status'}"
        if not self._unknown:
            self._progress.notices.append(
                Notice("unknown_status", f"{words}, which chatcli does not know; waiting")
            )
        self._unknown[part.id] += 1
        if self._unknown[part.id] > _MOST_UNKNOWN:
            raise BadResponse(
                f"{words}, which chatcli does not know", hint="ask the provider what became of the batch"
            )

    async def _take(self, part: SentPart, state: ProviderBatchState) -> bool:
        """Write the results of a part, and an error for every row that has none.

        Return whether that is all: the files may lack results that the provider counts, for a while or where a connection broke unnoticed.
        """
        # Of the rows only what their results need: prompts may be long.
        waiting = {
            row.index: replace_fields(
                row,
                request=Request(
                    row.request.model,
                    (),
                    row.request.parameters,
                    response_format=row.request.response_format,
                ),
            )
            for row in self._rows()
            if part.holds(row.index)
            and row.request is not None
            and not self._output.done.is_done(row.index, row.digest)
        }
        problem = state.problem or f"the provider's batch is {state.status}, and has no result of this row"
        found: Counter[bool] = Counter()
        is_missing = False
        for file in state.files:
            try:
                found += await self._take_file(file, waiting)
            except RequestRefused as error:
                if error.status != _NOT_FOUND:
                    raise
                is_missing = True
                problem = f"the provider does not have the results of its batch {part.id} any more"
        # Some providers count failures among what is completed.
        is_short = found[True] < state.completed and found.total() < min(
            state.completed + state.failed, state.total or state.completed
        )
        if waiting and (is_missing or is_short) and self._short[part.id] < _MOST_UNKNOWN:
            self._short[part.id] += 1
            self._progress.phase = f"{found[True]:,} of {state.completed:,} results are there, asking again"
            return False
        results = [
            BatchResult(
                row.id,
                row.index,
                error=EndpointError(problem, hint="--retry-failed asks again", code=f"batch_{state.status}"),
                model=None if row.request is None else row.request.model,
                digest=row.digest,
                values=row.values,
            )
            for row in waiting.values()
        ]
        self._write(results)
        return True

    async def _take_file(self, file: str, waiting: dict[int, BatchRow]) -> Counter[bool]:
        """Write the results in a file, and remove their rows from ``waiting``.

        Return how many there are, also of other rows, by whether they are answers.

        Raise ``UsageError`` for the result of a row that was another one when it was sent.
        """
        results: list[BatchResult] = []
        found_by_success: Counter[bool] = Counter()
        try:
            async with aclosing(self._provider.lines(file)) as lines:
                async for line in lines:
                    fields = _object(line)
                    custom_id = as_text(fields.get("custom_id"))
                    if custom_id:
                        status = as_object(fields.get("response")).get("status_code")
                        found_by_success[not fields.get("error") and status in _OK] += 1
                    found = waiting.get(_index_in(custom_id))
                    if found is None:
                        continue
                    if custom_id != _custom_id(found):
                        raise other_input(found.index)
                    del waiting[found.index]
                    results.append(await self._result(found, fields))
                    if len(results) >= _RESULTS_AT_ONCE:
                        self._write(results)
                        results = []
        finally:
            self._write(results)
        return found_by_success

    async def _result(self, row: BatchRow, fields: dict[str, Any]) -> BatchResult:
        answer, request = RowAnswer(), row.request
        assert request is not None  # noqa: S101 - rows without one are not sent
        error, response = as_object(fields.get("error")), as_object(fields.get("response"))
        try:
            if error or not response:
                raise EndpointError(
                    as_text(error.get("message")) or "the provider answered without a response",
                    hint="--retry-failed asks again",
                    code=as_text(error.get("code")) or "batch_failed",
                )
            async with aclosing(self._provider.answer(request, response)) as events:
                async for event in events:
                    if isinstance(event, TextDelta):
                        answer.text += event.text
                    elif isinstance(event, Completion):
                        answer.completion = event
        except ChatcliError as failure:
            answer.error = failure
        cost_usd = None
        if answer.completion is not None and answer.completion.usage is not None:
            cost_usd = self._terms.book(answer.completion.model or request.model, answer.completion.usage)
        return answer.result(row, None, cost_usd=cost_usd)

    def _write(self, results: Iterable[BatchResult]) -> None:
        written = list(results)
        self._output.append(written)
        self._sent.follow(self._output.path)
        for result in written:
            self._progress.count(result)
        if self._taker is not None:
            self._taker.take(written)


def _custom_id(row: BatchRow) -> str:
    return f"{row.index}-{row.digest:016x}"


def _index_in(custom_id: str) -> int:
    """Return the index of the row that was sent with ``custom_id``, -1 if that is none of this program's."""
    match = _CUSTOM_ID.fullmatch(custom_id)
    return int(match[1]) if match else -1


def _object(line: bytes) -> dict[str, Any]:
    try:
        return as_object(json.loads(line))
    except (ValueError, RecursionError):
        return {}
