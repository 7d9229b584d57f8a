"""``chatcli cache``: the cache of answers."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from chatcli.app.answer_caching import AheadCounters, place_of, statistics_rows, store_opener, unavailable
from chatcli.app.run_context import ChatOptions
from chatcli.cli.actions import Action, Family, add_examples
from chatcli.cli.alert_lines import tell_last_alerts
from chatcli.cli.option_groups import add_model_options, add_parameter_options
from chatcli.cli.progress_bar import can_be_redrawn, progress_bar
from chatcli.cli.setup import opened_run_context, settings_of
from chatcli.cli.signals import until_signalled
from chatcli.core.errors import ConfigurationError, ExitCode, LocalIOError, UsageError
from chatcli.render.status import error_reference
from chatcli.render.text_columns import table
from chatcli.storage.answer_store import StoreUnavailable
from chatcli.storage.private_files import read_regular_or_pipe
from chatcli.text.sanitizer import sanitize_line
from chatcli.text.wording import counted, dollars

if TYPE_CHECKING:
    from argparse import Namespace

    from chatcli.app.cache_warming import Warming
    from chatcli.app.run_context import RunContext
    from chatcli.cli.options import Parser
    from chatcli.cli.standard_streams import Terminal
    from chatcli.config.settings import Settings
    from chatcli.storage.answer_store import AnswerStore

_PATIENCE_S: Final = 60.0
_MOST_BYTES: Final = 100_000_000
_CONCURRENCY: Final = 4
_MOST_AT_ONCE: Final = 64
_MOST_FAILURES_SHOWN: Final = 10


def _settings(options: Namespace, context: RunContext, terminal: Terminal) -> Settings:
    """Return the settings; a cache that is off is meant as ``--cache`` would have it."""
    settings = settings_of(options, context, terminal)
    if settings.cache == "memory":
        raise UsageError(
            "a cache in memory ends with each run", hint='set cache = "sqlite", or the URL of a Redis server'
        )
    return replace(settings, cache="sqlite") if settings.cache == "off" else settings


def _add_cache_option(parser: Parser) -> None:
    parser.add_argument("-p", "--profile", metavar="NAME", help="a [profiles.NAME] of config.toml")
    parser.add_argument("--env-file", metavar="PATH", help="read settings from this file")
    parser.add_argument("--json", action="store_true", help="as a JSON object")


def _opened(settings: Settings, context: RunContext) -> AnswerStore:
    try:
        return store_opener(settings, context)()
    except StoreUnavailable as error:
        raise unavailable(error) from error


def _stats(options: Namespace, context: RunContext, terminal: Terminal) -> ExitCode:
    settings = _settings(options, context, terminal)
    place = place_of(settings, context)
    with closing(_opened(settings, context)) as store:
        try:
            statistics = store.statistics()
        except StoreUnavailable as error:
            raise unavailable(error) from error
    if options.json:
        fields = {
            "cache": place,
            "answers": statistics.answers,
            "size_bytes": statistics.size_bytes,
            "hits": int(statistics.counters.get("hits", 0)),
            "misses": int(statistics.counters.get("misses", 0)),
            "saved_input_tokens": int(statistics.counters.get("saved_input_tokens", 0)),
            "saved_output_tokens": int(statistics.counters.get("saved_output_tokens", 0)),
            "saved_usd": round(statistics.counters.get("saved_usd", 0.0), 6),
            "ahead": AheadCounters.of(statistics.counters)._asdict(),
        }
        terminal.stdout.write(json.dumps(fields, ensure_ascii=False, indent=2) + "\n")
        return ExitCode.DONE
    rows = statistics_rows(statistics, sanitize_line(place), settings)
    terminal.stdout.write(table(rows, terminal.listing_columns()) + "\n")
    return ExitCode.DONE


def _clear(options: Namespace, context: RunContext, terminal: Terminal) -> ExitCode:
    settings = _settings(options, context, terminal)
    with closing(_opened(settings, context)) as store:
        try:
            cleared = store.clear()
        except StoreUnavailable as error:
            raise unavailable(error) from error
    if options.json:
        terminal.stdout.write(json.dumps({"cleared": cleared}) + "\n")
    elif not options.quiet:
        terminal.warn(f"cleared {counted(cleared, 'answer')}")
    return ExitCode.DONE


def _warm_arguments(parser: Parser) -> None:
    parser.add_argument("file", metavar="FILE", help="a question a line, or JSON lines; - is stdin")
    parser.add_argument(
        "--concurrency", metavar="N", default=str(_CONCURRENCY), help="how many at a time, by default 4"
    )
    parser.add_argument("--json", action="store_true", help="the summary as a JSON object")
    parser.add_argument("-S", "--system", metavar="TEXT|@FILE", help="the system prompt")
    add_model_options(parser)
    add_parameter_options(parser)
    add_examples(
        parser,
        ("chatcli cache warm questions.txt", "a question a line"),
        ("chatcli cache warm -m gpt-5-mini faq.jsonl", 'rows {"prompt": …} or {"messages": […]}'),
    )


def _warm(options: Namespace, context: RunContext, terminal: Terminal) -> ExitCode:
    from chatcli.app.cache_warming import Warming, read_questions  # noqa: PLC0415 - the other actions ask nothing

    if options.cache == "off":
        raise UsageError("--no-cache would keep none of the answers", hint="leave --no-cache out")
    settings = _settings(options, context, terminal)
    if not settings.save:
        raise ConfigurationError(
            "what is not saved is not cached",
            hint="save = false is set; chatcli config show tells where",
        )
    warming = Warming(read_questions(_content(options.file, terminal)))
    if not options.concurrency.isdecimal() or not 1 <= int(options.concurrency) <= _MOST_AT_ONCE:
        raise UsageError(
            f"--concurrency {options.concurrency} is not possible",
            hint=f"give a number from 1 to {_MOST_AT_ONCE}",
        )
    # A store that cannot be used would waste every answer.
    with closing(_opened(settings, context)) as store:
        try:
            store.statistics()
        except StoreUnavailable as error:
            raise unavailable(error) from error
    try:
        work = _asking(warming, options, settings, context, terminal)
        return asyncio.run(until_signalled(work))
    finally:
        _report(warming, options, terminal)
        tell_last_alerts(context, terminal, options)


async def _asking(
    warming: Warming, options: Namespace, settings: Settings, context: RunContext, terminal: Terminal
) -> ExitCode:
    from chatcli.app.resolver import ModelResolver  # noqa: PLC0415 - as in ``_warm``
    from chatcli.chat import Conversation  # noqa: PLC0415 - as in ``_warm``
    from chatcli.sessions.log import SessionLog  # noqa: PLC0415 - as in ``_warm``
    from chatcli.sessions.store import SessionStore  # noqa: PLC0415 - as in ``_warm``

    seen: set[str] = set()

    def notify(code: str, message: str) -> None:
        # A notice about every question is enough once.
        if not options.quiet and code not in seen:
            seen.add(code)
            terminal.warn(sanitize_line(message))

    async with AsyncExitStack() as stack:
        chat = stack.enter_context(
            closing(
                Conversation(
                    SessionLog(None, app="warm"), SessionStore(context.paths.data), system=settings.system
                )
            )
        )
        resolver = ModelResolver(
            # A turn would rather go on than wait; here the store matters more than some milliseconds.
            replace(settings, cache_patience_ms=10_000),
            ChatOptions(embedded=options.embedded, insecure_http=options.insecure_http),
            context,
            lambda notice: notify(notice.code, notice.message),
            stack,
        )
        chat.turns.connect(await resolver.resolve(chat))
        shows_bar = can_be_redrawn(terminal) and not options.quiet
        show = stack.enter_context(progress_bar(terminal)) if shows_bar else _no_bar
        total = len(warming.questions)
        await warming.run(
            chat.turns,
            concurrency=int(options.concurrency),
            report=lambda: show(f"{warming.done:,} of {total:,}", warming.done, total),
            notify=lambda notice: notify(notice.code, notice.message),
        )
    if warming.stopped_by is not None:
        raise warming.stopped_by
    return ExitCode.BATCH_ROWS_FAILED if warming.failed else ExitCode.DONE


def _no_bar(_what: str, _done: int, _total: int) -> None:
    return


def _content(file: str, terminal: Terminal) -> str:
    try:
        if file == "-":
            content = b"" if terminal.stdin is None else terminal.stdin.read(_MOST_BYTES)
        else:
            content = read_regular_or_pipe(Path(file), most_bytes=_MOST_BYTES, patience_s=_PATIENCE_S)
        return content.decode("utf-8-sig")
    except OSError as error:
        raise LocalIOError(
            f"{file} cannot be read: {error.strerror or error}", hint="check the path and its permissions"
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not UTF-8", hint="convert it, as with iconv -t UTF-8") from error


def _report(warming: Warming, options: Namespace, terminal: Terminal) -> None:
    left = len(warming.questions) - warming.done
    if options.json:
        fields = {
            "questions": len(warming.questions),
            "asked": warming.asked,
            "already_cached": warming.cached,
            "not_stored": warming.unstored,
            "failed": [{"line": line, "error": error.message} for line, error in warming.failed],
            "left": left,
            "input_tokens": warming.input_tokens,
            "output_tokens": warming.output_tokens,
            "cost_usd": warming.cost_usd,
        }
        terminal.stdout.write(json.dumps(fields, ensure_ascii=False, indent=2) + "\n")
        return
    for line, error in warming.failed[:_MOST_FAILURES_SHOWN]:
        if error is not warming.stopped_by:
            reference = error_reference(error, verbose=options.verbose)
            terminal.warn(f"line {line}: {sanitize_line(error.message)}{reference}")
    if len(warming.failed) > _MOST_FAILURES_SHOWN:
        terminal.warn(f"and {len(warming.failed) - _MOST_FAILURES_SHOWN:,} more failed")
    if options.quiet:
        return
    cost = "at an unknown price" if warming.cost_usd is None else dollars(warming.cost_usd)
    facts = [
        f"{counted(warming.asked, 'answer')} added",
        f"{warming.cached:,} already cached" if warming.cached else "",
        f"{warming.unstored:,} incomplete and not stored" if warming.unstored else "",
        f"{len(warming.failed):,} failed" if warming.failed else "",
        f"{left:,} not asked" if left else "",
        f"{warming.input_tokens + warming.output_tokens:,} tokens, {cost}" if warming.asked else "",
    ]
    terminal.warn(" · ".join(filter(None, facts)))


_FAMILY: Final = Family(
    "cache",
    (
        Action("stats", "what it holds, and what it saved", _stats, _add_cache_option),
        Action("clear", "delete every answer and the statistics", _clear, _add_cache_option),
        Action("warm", "ask the questions of a file ahead of time", _warm, _warm_arguments),
    ),
    "stats, clear, warm",
    opened_run_context,
)
actions = _FAMILY.actions
add_arguments = _FAMILY.add_arguments
run = _FAMILY.run
