"""Many requests, as scripts have them."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from chatcli.api.script_settings import asks_for_cache, checked_flag, file_name
from chatcli.api.script_words import error_for_script, for_script, shown
from chatcli.app.batch_output import BatchOutput, OutputChoice
from chatcli.app.batch_wiring import open_batch
from chatcli.app.threads import in_thread_to_its_end
from chatcli.batching.batch_run import BatchProgress, BatchRun
from chatcli.batching.concurrency import MOST_AT_ONCE, Concurrency
from chatcli.batching.provider_batch import ResultTaker
from chatcli.core.errors import ChatcliError, UsageError
from chatcli.core.event_log import WARNING
from chatcli.core.typed_paths import typed_path

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

    from chatcli.api.script_rows import ScriptRows
    from chatcli.api.script_settings import AskOptions
    from chatcli.app.batch_wiring import OpenBatch
    from chatcli.app.run_context import ChatOptions, RunContext
    from chatcli.batching.results import BatchResult
    from chatcli.config.settings import Settings
    from chatcli.schemas.python_types import TypedFormat

_PROVIDER: Final = "provider"
_MOST_UNREAD: Final = 10_000
"""So many results of the provider wait in memory for a slow reader, and those of the part that is being taken."""


def checked_concurrency(concurrency: object) -> int | None:
    """Return ``concurrency``. Raise ``UsageError`` if it is neither ``None`` nor a number of requests."""
    if concurrency is None:
        return None
    if type(concurrency) is not int or not 1 <= concurrency <= MOST_AT_ONCE:
        raise UsageError(
            f"concurrency must be a number from 1 to {MOST_AT_ONCE:,}, not {shown(concurrency)}",
            hint="leave it out: as many requests as go well are sent at once",
        )
    return concurrency


def output_choice(
    out: object, via: object, *, resume: object, retry_failed: object, ordered: bool
) -> OutputChoice | None:
    """Return where the results of a call are kept, ``None`` if they are only yielded. Raise ``UsageError``."""
    resumes, retries = checked_flag(resume, "resume"), checked_flag(retry_failed, "retry_failed")
    if via is not None and via != _PROVIDER:
        raise UsageError(
            f'via must be "{_PROVIDER}", not {shown(via)}', hint="leave it out, and each row is a request"
        )
    name = file_name(out, "out", "answers.jsonl")
    if name == "":
        raise UsageError("out is empty", hint='name a file: out="answers.jsonl"')
    if name is None:
        given = {"resume": resumes, "retry_failed": retries, "via": via is not None}
        if wanting := [each for each, is_given in given.items() if is_given]:
            raise UsageError(
                f"{wanting[0]} needs a file for the results", hint='name it: out="answers.jsonl"'
            )
        return None
    return OutputChoice(
        # Whatever folder the script goes to meanwhile.
        typed_path(name).absolute(),
        resumes=resumes,
        retries_failed=retries,
        in_order=ordered,
        by_provider=via is not None,
    )


def refuse_with_provider(rows: ScriptRows, concurrency: object, options: AskOptions) -> None:
    """Raise ``UsageError`` for what the provider's batch API does not have, or cannot be sent with."""
    if not rows.can_be_read_again:
        raise UsageError(
            f'via="{_PROVIDER}" reads the rows several times, and these can be read once',
            hint="pass a list: list(rows)",
        )
    if concurrency is not None:
        raise UsageError(
            f'concurrency and via="{_PROVIDER}" cannot be combined',
            hint="leave out concurrency: the provider decides how many it answers at once",
        )
    if asks_for_cache(options):
        raise UsageError(
            f'cache and via="{_PROVIDER}" cannot be combined',
            hint="leave out cache: the provider answers every row",
        )


class ScriptBatch:
    """One run over ``rows``, while it is entered, whose results are kept where ``choice`` says, with instances of what ``form`` makes."""

    def __init__(
        self,
        rows: ScriptRows,
        settings: Settings,
        context: RunContext,
        options: ChatOptions,
        *,
        choice: OutputChoice | None,
        concurrency: int | None,
        ordered: bool,
        form: TypedFormat | None,
    ) -> None:
        self._rows = rows
        self._settings = settings
        self._context = context
        self._options = options
        self._choice = choice
        self._concurrency = concurrency
        self._ordered = ordered
        self._form = form
        self._results: asyncio.Queue[BatchResult | None] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        # In a task of its own, which is cancelled as a whole: by closing, or as the loop ends.
        self._asking = asyncio.create_task(self._ask())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._asking.cancel()
        await asyncio.wait({self._asking})
        if not self._asking.cancelled():
            # Whoever leaves early is told nothing more: what was kept is kept, in whatever order.
            self._asking.exception()

    async def next(self) -> BatchResult | None:
        """Return the next result, ``None`` after the last. Raise the ``ChatcliError`` that ended the run early, after them.

        No generator: as a loop ends it closes all generators at once, and that of the call could not close this one then.
        """
        if (result := await self._results.get()) is not None:
            self._results.task_done()
            return self._for_script(result)
        await asyncio.wait({self._asking})
        try:
            self._asking.result()
        except ChatcliError as error:
            if (worded := error_for_script(error, self._context.redactor.redact)) is error:
                raise
            raise worded from None
        return None

    def _for_script(self, result: BatchResult) -> BatchResult:
        form = self._form
        if result.error is not None:
            return replace(result, error=error_for_script(result.error, self._context.redactor.redact))
        has_value = result.finish_reason == "stop" and result.refusal is None and not result.tool_calls
        return replace(result, data=form.build(result.data)) if form is not None and has_value else result

    async def _ask(self) -> None:
        try:
            async with open_batch(self._settings, self._options, self._context, lambda _: None) as opened:
                if self._choice is None:
                    await self._ask_each(opened)
                else:
                    await self._ask_kept(opened, self._choice)
        finally:
            self._results.put_nowait(None)

    async def _ask_each(self, opened: OpenBatch, output: BatchOutput | None = None) -> None:
        """Ask the rows that have no result in ``output``, and keep their results there."""
        model, concurrency = opened.resolved.model, Concurrency(self._concurrency)
        if output is None:
            run, source = BatchRun(model, concurrency), self._rows.read(opened.defaults)
        else:
            # At once: results wait for those before them, and for whoever reads them.
            run = BatchRun(model, concurrency, keep=lambda result: output.file.append((result,)))
            source = self._rows.left(opened.defaults, output.is_left)
        async with aclosing(run.results(source, in_order=self._ordered)) as answered:
            async for several in answered:
                self._take(several)
                await self._results.join()
        if run.stopped_by is not None:
            raise run.stopped_by

    async def _ask_kept(self, opened: OpenBatch, choice: OutputChoice) -> None:
        output = BatchOutput(opened, choice, worded=for_script, notify=self._note)
        try:
            await in_thread_to_its_end(output.open)
            await self._rows.refuse_changed(output.file.done)
            try:
                await self._ask_opened(opened, choice, output)
            finally:
                await in_thread_to_its_end(output.finish)
        finally:
            output.close()

    async def _ask_opened(self, opened: OpenBatch, choice: OutputChoice, output: BatchOutput) -> None:
        try:
            if choice.by_provider:
                rows = partial(self._rows.read_again, opened.defaults)
                taker = ResultTaker(self._take, self._room)
                await output.provider_run(rows, BatchProgress(), taker).run()
            else:
                output.file.drop_failed()
                await self._ask_each(opened, output)
        except UsageError:
            raise
        except ChatcliError as error:
            left = "resume=True asks the rows that are left"
            if output.is_at_work:
                left = "the provider works on, and resume=True takes the results"
            worded = error_for_script(error, self._context.redactor.redact)
            raise worded.reworded(hint=f"{worded.hint}; {left}" if worded.hint else left) from None

    def _take(self, several: Iterable[BatchResult]) -> None:
        for result in several:
            self._results.put_nowait(result)

    async def _room(self) -> None:
        if self._results.qsize() > _MOST_UNREAD:
            await self._results.join()

    def _note(self, text: str) -> None:
        self._context.log.note(WARNING, "results_moved", text=text)
