"""``chatcli batch``: ask a model every row of a file."""

from __future__ import annotations

import asyncio
import gc
import json
from argparse import RawDescriptionHelpFormatter
from contextlib import aclosing
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from chatcli.app.batch_output import BatchOutput, OutputChoice
from chatcli.app.batch_wiring import PROVIDER_SHARE, OpenBatch, open_batch
from chatcli.app.run_context import ChatOptions
from chatcli.app.threads import in_thread, iterated_in_thread
from chatcli.batching.batch_run import BatchProgress, BatchRun
from chatcli.batching.concurrency import MOST_AT_ONCE, Concurrency
from chatcli.batching.input_rows import FORMATS, InputRecords
from chatcli.batching.row_requests import RowReader
from chatcli.cli.alert_lines import tell_alerts, tell_last_alerts
from chatcli.cli.batch_display import BatchDisplay
from chatcli.cli.batch_input import STDIN, is_at, opened_input
from chatcli.cli.batch_metrics import BatchMetrics, add_metrics_option
from chatcli.cli.option_groups import (
    add_model_options,
    add_sampling_options,
    add_schema_options,
    add_spending_options,
    add_system_option,
    add_template_options,
)
from chatcli.cli.questions import chosen_schema, chosen_template, hints_of
from chatcli.cli.row_prompts import RowPrompt
from chatcli.cli.setup import run_context, settings_of
from chatcli.cli.signals import until_signalled
from chatcli.core.errors import ChatcliError, ExitCode, UsageError
from chatcli.core.typed_paths import typed_path
from chatcli.render.status import error_lines, error_reference, for_the_shell
from chatcli.text.sanitizer import sanitize_line
from chatcli.text.wording import counted

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from chatcli.app.run_context import RunContext
    from chatcli.batching.result_file import ResultFile
    from chatcli.batching.row_requests import BatchRow
    from chatcli.cli.options import Parser
    from chatcli.cli.standard_streams import Terminal
    from chatcli.config.settings import Settings
    from chatcli.templates.template import Template

_EXAMPLES: Final = """\
examples:
  chatcli batch questions.jsonl --out answers.jsonl
  chatcli batch reviews.csv --prompt "Positive or negative? {review}" --out moods.jsonl
  chatcli batch words.txt --prompt "Translate into French: {text}" --out french.csv
  chatcli batch words.txt -T translate --var to=French --out french.jsonl
                                                      a template, with columns for its variables
  chatcli batch questions.jsonl --dry-run             tokens and cost; nothing is sent
  chatcli batch questions.jsonl --out answers.jsonl --resume
                                                      go on after a stop or a crash
  chatcli batch questions.jsonl --out answers.jsonl --retry-failed
                                                      ask the rows that failed again
  chatcli batch questions.jsonl --out answers.jsonl --via provider
                                                      the provider's batch API: slower, half the price
  chatcli batch reviews.txt --schema "mood good|bad, about list" --out moods.jsonl
                                                      JSON that fits, in "data"
  jq -r .text answers.jsonl                           the answers alone

a row of INPUT is {"prompt": "..."} or {"messages": [...]}, with an "id" and parameters (model,
temperature, top_p, max_tokens, seed, reasoning, options) if you like; a line of the OpenAI batch
format; or values for the {placeholders} of --prompt. Every row gets one line in the output.
Exit code 12: some rows failed. Ctrl-C finishes what is in flight; a second one stops at once.
"""
_AUTO: Final = "auto"
_PROVIDER: Final = "provider"


def add_arguments(parser: Parser) -> None:
    parser.add_argument("input", metavar="INPUT", help="JSON lines, CSV or text; - is stdin")
    group = parser.add_argument_group("rows")
    group.add_argument(
        "--out", metavar="FILE", help="write the results here: JSON lines, or a table in .csv or .tsv"
    )
    group.add_argument("--format", choices=FORMATS, help="of INPUT, where its name does not say it")
    group.add_argument("--encoding", metavar="NAME", help="of INPUT, if it is not UTF-8")
    group.add_argument("--prompt", metavar="TEXT", help="what to ask, with {column} for the values of a row")
    add_template_options(group)
    # What a template may set, and a batch has no options for.
    parser.set_defaults(output=None, extract=False)
    add_schema_options(group)
    group.add_argument("--unordered", action="store_true", help="leave the results as they came")
    group.add_argument(
        "--resume", action="store_true", help="go on: ask only rows that FILE has no result of"
    )
    group.add_argument("--retry-failed", action="store_true", help="go on, and ask failed rows again")
    group.add_argument("--force", action="store_true", help="overwrite FILE")
    group.add_argument(
        "--concurrency", metavar="N", default=_AUTO, help="requests at once; otherwise as many as go well"
    )
    group.add_argument(
        "--via",
        choices=[_PROVIDER],
        help="have the provider's batch API answer, within a day at half the price",
    )
    group.add_argument("--dry-run", action="store_true", help="count tokens and cost, send nothing")
    group.add_argument("--plain", action="store_true", default=None, help="plain lines without redrawing")
    add_metrics_option(group)
    add_model_options(parser)
    group = parser.add_argument_group("parameters of all rows that do not set their own")
    add_system_option(group)
    add_sampling_options(group)
    add_spending_options(group)
    parser.epilog = _EXAMPLES
    parser.formatter_class = RawDescriptionHelpFormatter


def run(options: Namespace, terminal: Terminal) -> ExitCode:
    resumes = options.resume or options.retry_failed
    if options.force and resumes:
        raise UsageError("--force and --resume cannot be combined", hint="--force starts over")
    if options.via == _PROVIDER:
        _refuse_unused(options)
    if options.out in {None, STDIN} and not options.dry_run:
        what = "--out is missing" if options.out is None else "the results need a file, to be put in order"
        raise UsageError(what, hint="name the file for the results: --out results.jsonl")
    gc.set_threshold(_COLLECT_AFTER)
    context = run_context(terminal)
    template, template_settings = None, None
    if options.templates or options.variables:
        if options.prompt is not None:
            raise UsageError("-T and --prompt cannot be combined", hint="leave out one of them")
        template, template_settings = chosen_template(options, context, terminal)
        if options.extract:
            terminal.warn("a batch keeps whole answers: extract in the template does not count")
            options.extract = False
    settings = settings_of(options, context, terminal, template=template_settings)
    with opened_input(options.input, terminal) as file:
        batch = _Batch(options, settings, context, terminal, file=file, template=template)
        try:
            return asyncio.run(until_signalled(batch.run(), interrupt=batch.interrupt))
        finally:
            tell_last_alerts(context, terminal, options)


class _Batch:
    """One run of the command over ``file``."""

    def __init__(
        self,
        options: Namespace,
        settings: Settings,
        context: RunContext,
        terminal: Terminal,
        *,
        file: BinaryIO,
        template: Template | None,
    ) -> None:
        self._options = options
        self._response_format = chosen_schema(options, context, template)
        self._prompt = RowPrompt(
            options.prompt, template, options.variables or (), settings.system, self._response_format
        )
        self._settings = settings
        self._context = context
        self._terminal = terminal
        self._file = file
        self._encoding = hints_of(terminal, options.encoding).given
        self._concurrency = Concurrency(_concurrency(options.concurrency))
        self._start = file.tell() if file.seekable() else None
        self._progress = BatchProgress()
        self._display = BatchDisplay(
            terminal, self._progress, plain=bool(settings.plain), quiet=options.quiet
        )
        self._metrics = BatchMetrics(options.metrics_port, self._progress, context.shared)
        self._run: BatchRun | None = None
        self._task: asyncio.Task[Any] | None = None
        self._interrupts = 0
        self._choice = OutputChoice(
            typed_path(options.out or ""),
            resumes=options.resume,
            retries_failed=options.retry_failed,
            replaces=options.force,
            in_order=not options.unordered,
            by_provider=options.via == _PROVIDER,
        )
        self._columns: tuple[str, ...] = ()

    def interrupt(self) -> None:
        """Finish what is in flight; at the second call, break it off."""
        self._interrupts += 1
        if self._run is None:
            if self._task is not None:
                self._task.cancel()
            return
        if self._interrupts > 1:
            self._run.abandon()
            return
        self._run.stop()
        in_flight = counted(self._progress.in_flight - self._progress.held, "request")
        self._display.say(f"finishing {in_flight} in flight; Ctrl-C again stops at once", always=True)

    async def run(self) -> ExitCode:
        self._task = asyncio.current_task()
        self._context.shared.alerts.listen(
            partial(tell_alerts, self._context, self._terminal, self._options, say=self._display.say)
        )
        try:
            return await self._asked()
        except asyncio.CancelledError:
            if not self._interrupts:
                raise
            return ExitCode.INTERRUPTED

    async def _asked(self) -> ExitCode:
        options = self._options
        chat_options = ChatOptions(
            embedded=options.embedded,
            insecure_http=options.insecure_http,
            dry=options.dry_run,
            response_format=self._response_format,
        )
        async with open_batch(
            self._settings, chat_options, self._context, lambda notice: self._display.say(notice.message)
        ) as batch:
            if options.dry_run:
                return self._estimated(batch)
            if is_at(self._choice.path, self._file):
                raise UsageError(f"{self._choice.path} is INPUT itself", hint="name another --out")
            # What is wrong with the options shows here, before a file is made.
            # A pipe may be silent for long: signals have their turn meanwhile.
            rows = await in_thread(partial(self._rows, batch))
            async with self._metrics.served(self._display.say):
                return await self._answered(batch, rows)

    async def _answered(self, batch: OpenBatch, rows: Iterator[BatchRow]) -> ExitCode:
        output = BatchOutput(
            batch,
            self._choice,
            columns=self._columns,
            notify=lambda text: self._display.say(sanitize_line(text), always=True),
        )
        output.open()
        try:
            if self._choice.by_provider:
                return await self._by_provider(batch, output)
            return await self._written(batch, rows, output)
        finally:
            output.close()

    def _records(self) -> InputRecords:
        if self._start is not None:
            self._file.seek(self._start)
        name = "" if self._options.input == STDIN else self._options.input
        return InputRecords(
            self._file,
            name,
            format_=self._options.format,
            encoding=self._encoding,
            salt=self._prompt.words,
        )

    def _rows(self, batch: OpenBatch) -> Iterator[BatchRow]:
        records = self._records()
        template = self._prompt.row_template(records)
        if self._choice.delimiter is not None:
            self._columns = records.columns or ()
        reader = RowReader(batch.defaults, template, columns=self._columns)
        return map(reader.row, records)

    def _estimated(self, batch: OpenBatch) -> ExitCode:
        share = PROVIDER_SHARE if self._options.via == _PROVIDER else Decimal(1)
        estimate = batch.estimate(self._rows(batch), share=share)
        resolved = batch.resolved
        shown = {
            "endpoint": resolved.endpoint.base_url,
            "model": resolved.model_name,
            "rows": estimate.rows,
            "invalid_rows": estimate.invalid,
            "input_tokens": estimate.input_tokens,
            "answer_tokens": estimate.answer_tokens,
            "longest_answer_tokens": estimate.longest_answer_tokens,
            "cost_usd": estimate.cost_usd,
            "cost_with_answers_usd": estimate.cost_with_answers_usd,
        }
        self._terminal.stdout.write(json.dumps(shown, ensure_ascii=False, indent=2) + "\n")
        return ExitCode.DONE

    async def _written(self, batch: OpenBatch, rows: Iterator[BatchRow], output: BatchOutput) -> ExitCode:
        progress, file = self._progress, output.file
        if self._start is not None:
            progress.total = await in_thread(partial(self._count_rows, file))
            rows = self._rows(batch)
        file.drop_failed()
        progress.earlier = file.done.count_within(progress.total)
        self._concurrency.fit_open_files(self._display.say)
        to_ask = filter(output.is_left, rows)
        gc.freeze()
        run = self._run = BatchRun(batch.resolved.model, self._concurrency, progress=progress)
        try:
            asking = run.results(to_ask if self._start is not None else iterated_in_thread(to_ask))
            async with aclosing(asking) as answered:
                with self._display.shown():
                    async for results in answered:
                        file.append(results)
        finally:
            file.append(run.drained())
            output.finish()
        return self._ended(run, file)

    async def _by_provider(self, batch: OpenBatch, output: BatchOutput) -> ExitCode:
        if self._start is None:
            raise UsageError(
                "--via provider reads its input several times", hint="write the rows to a file, and name that"
            )
        self._progress.total = await in_thread(partial(self._count_rows, output.file))
        self._progress.earlier = output.file.done.count_within(self._progress.total)
        run = output.provider_run(lambda: self._rows(batch), self._progress)
        try:
            with self._display.shown():
                await run.run()
        except (ChatcliError, asyncio.CancelledError) as error:
            if output.is_at_work and not isinstance(error, UsageError):
                self._display.say(
                    "→ the provider works on; the same command with --resume takes the results", always=True
                )
            raise
        finally:
            output.finish()
        return self._ended(None, output.file)

    def _count_rows(self, output: ResultFile) -> int:
        """Return the number of rows; raise ``UsageError`` if a result is of another input."""
        total = 0
        for record in self._records():
            total += 1
            output.done.is_done(record.position, record.digest)
        return total

    def _ended(self, run: BatchRun | None, output: ResultFile) -> ExitCode:
        display, progress = self._display, self._progress
        display.take_notices()
        display.say(display.summary())
        if more := output.done.count - output.done.count_within(progress.total):
            display.say(f"{output.path} has {counted(more, 'row')} more than the input")
        stopped_by = None if run is None else run.stopped_by
        if stopped_by is not None:
            for line in error_lines(stopped_by, verbose=self._options.verbose):
                if shown := for_the_shell(line, is_kept=False):
                    display.say(shown, always=True)
        if self._interrupts or stopped_by is not None:
            display.say(
                "→ the same command with --resume asks the rows that are left"
                if self._start is not None
                else "→ the same command with --resume and the same input asks the rows that are left",
                always=True,
            )
        if self._interrupts:
            return ExitCode.INTERRUPTED
        if stopped_by is not None:
            return stopped_by.exit_code
        if output.done.failed:
            failed = counted(output.done.failed, "row")
            display.say(f"{failed} failed; --retry-failed asks again", always=True)
            if progress.first_error is not None:
                many = "the first one: " if progress.failed > 1 else ""
                reference = error_reference(progress.first_error, verbose=self._options.verbose)
                display.say(sanitize_line(f"→ {many}{progress.first_error.message}{reference}"), always=True)
            return ExitCode.BATCH_ROWS_FAILED
        return ExitCode.DONE


def _refuse_unused(options: Namespace) -> None:
    """Raise ``UsageError`` for an option that means nothing where the provider's batch API answers."""
    for flag, is_given, reason in (
        (
            "--concurrency",
            options.concurrency != _AUTO,
            "the provider decides how many rows it answers at once",
        ),
        ("--retries", options.retries is not None, "--retry-failed sends failed rows again"),
        ("--cache", options.cache == "on", "no row is looked up in the cache"),
        ("--no-cache", options.cache == "off", "no row is looked up in the cache"),
    ):
        if is_given:
            raise UsageError(
                f"--via provider and {flag} cannot be combined", hint=f"leave out {flag}: {reason}"
            )


_COLLECT_AFTER: Final = 50_000
"""New objects between two passes of the collector. What is in flight is alive: passes over it find nothing."""


def _concurrency(given: str) -> int | None:
    if given == _AUTO:
        return None
    if not given.isdecimal() or not 1 <= int(given) <= MOST_AT_ONCE:
        raise UsageError(
            f"--concurrency must be a number from 1 to {MOST_AT_ONCE:,}, or {_AUTO}, not {given}",
            hint="leave it out: as many requests as go well are sent at once",
        )
    return int(given)
