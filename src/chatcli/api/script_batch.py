"""Many requests, as scripts have them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from chatcli.api.script_chat import question_of
from chatcli.api.script_words import error_for_script
from chatcli.app.batch_wiring import open_batch
from chatcli.app.run_context import ChatOptions
from chatcli.batching.batch_run import BatchRun
from chatcli.batching.concurrency import MOST_AT_ONCE, Concurrency
from chatcli.batching.input_rows import Record
from chatcli.batching.results import BatchResult  # noqa: TC001 - found by whoever reads the annotations
from chatcli.batching.row_requests import BatchRow, RowReader
from chatcli.core.errors import ChatcliError, UsageError
from chatcli.core.messages import Message
from chatcli.core.request import Request
from chatcli.templates.template import INPUT

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator

    from chatcli.app.run_context import RunContext
    from chatcli.batching.row_requests import RequestDefaults, RowTemplate
    from chatcli.config.settings import Settings
    from chatcli.schemas.python_types import TypedFormat

RowForScript: TypeAlias = str | Message | Mapping[str, Any]
"""A prompt, a message of the user, or a mapping with the keys of a JSON row of ``chatcli batch``."""


def checked_concurrency(concurrency: object) -> int | None:
    """Return ``concurrency``. Raise ``UsageError`` if it is neither ``None`` nor a number of requests."""
    if concurrency is None:
        return None
    if type(concurrency) is not int or not 1 <= concurrency <= MOST_AT_ONCE:
        raise UsageError(
            f"concurrency must be a number from 1 to {MOST_AT_ONCE:,}, not {concurrency!r:.80}",
            hint="leave it out: as many requests as go well are sent at once",
        )
    return concurrency


async def answered_rows(
    rows: Iterable[RowForScript] | AsyncIterable[RowForScript],
    settings: Settings,
    context: RunContext,
    *,
    concurrency: int | None,
    ordered: bool,
    insecure_http: bool,
    caches_unsaved: bool,
    form: TypedFormat | None = None,
    template: RowTemplate | None = None,
) -> AsyncGenerator[BatchResult]:
    """Yield the results of ``rows``, which fill in ``template``, with instances of what ``form`` makes.

    Raise the ``ChatcliError`` that ended the run early, after the results.
    """
    results: asyncio.Queue[BatchResult | None] = asyncio.Queue()
    redact = context.redactor.redact

    async def ask() -> None:
        try:
            options = ChatOptions(
                insecure_http=insecure_http,
                becomes_last=False,
                caches_unsaved=caches_unsaved,
                response_format=None if form is None else form.response_format,
            )
            async with open_batch(settings, options, context, lambda _: None) as opened:
                run = BatchRun(opened.resolved.model, Concurrency(concurrency))
                source = _rows(rows, opened.defaults, template)
                async with aclosing(run.results(source, in_order=ordered)) as answered:
                    async for several in answered:
                        for result in several:
                            results.put_nowait(result)
                        await results.join()
                if run.stopped_by is not None:
                    raise run.stopped_by
        finally:
            results.put_nowait(None)

    # In a task of its own, which is cancelled as a whole: by closing, or as the loop ends.
    asking = asyncio.create_task(ask())
    try:
        while (result := await results.get()) is not None:
            results.task_done()
            yield _for_script(result, redact, form)
        await asyncio.wait({asking})
        try:
            asking.result()
        except ChatcliError as error:
            if (worded := error_for_script(error, redact)) is error:
                raise
            raise worded from None
    finally:
        asking.cancel()
        await asyncio.wait({asking})


def _for_script(result: BatchResult, redact: Callable[[str], str], form: TypedFormat | None) -> BatchResult:
    if result.error is not None:
        return replace(result, error=error_for_script(result.error, redact))
    has_value = result.finish_reason == "stop" and result.refusal is None and not result.tool_calls
    return replace(result, data=form.build(result.data)) if form is not None and has_value else result


def _rows(
    rows: Iterable[RowForScript] | AsyncIterable[RowForScript],
    defaults: RequestDefaults,
    template: RowTemplate | None,
) -> Iterator[BatchRow] | AsyncIterator[BatchRow]:
    reader = RowReader(defaults, template, place="row")

    def read(index: int, row: object) -> BatchRow:
        if isinstance(row, str):
            row = {"prompt" if template is None else INPUT: row}
        if isinstance(row, Mapping):
            return reader.row(Record(index, index, row, 0))
        try:
            message = question_of(row)
        except UsageError as error:
            return BatchRow(index, None, 0, error=error)
        if template is not None:
            return reader.row(Record(index, index, {INPUT: message.text}, 0))
        return BatchRow(
            index,
            None,
            0,
            defaults.completed(
                Request(defaults.model, (*defaults.before, message), defaults.parameters, is_cacheable=True)
            ),
        )

    async def arriving(source: AsyncIterable[RowForScript]) -> AsyncIterator[BatchRow]:
        index = 0
        async for row in source:
            yield read(index, row)
            index += 1

    if isinstance(rows, AsyncIterable):
        return arriving(rows)
    if isinstance(rows, str | Mapping | Message) or not isinstance(rows, Iterable):
        raise UsageError("rows are several prompts, messages or mappings", hint='as in batch(["Hi", "Bye"])')
    return (read(index, row) for index, row in enumerate(rows))
