"""Chat: one question and its answer, or a conversation."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from chatcli.app.run_context import INTERACTIVE
from chatcli.cli.background_query import answers_queries
from chatcli.cli.options import word_hint
from chatcli.cli.setup import NO_PLACE, chat_options, run_context, settings_of
from chatcli.cli.signals import until_signalled
from chatcli.config.paths import obstacle
from chatcli.core.errors import ChatcliError, ConfigurationError, EndpointError, ExitCode, UsageError
from chatcli.render.background import background_from_environment
from chatcli.text.sanitizer import sanitize_line

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from chatcli.app.run_context import RunContext
    from chatcli.attachments.encodings import EncodingHints
    from chatcli.attachments.web_texts import WebText
    from chatcli.cli.standard_streams import Terminal
    from chatcli.config.settings import Settings, TemplateSettings
    from chatcli.core.messages import Message
    from chatcli.core.request import ResponseFormat
    from chatcli.templates.template import Template

_REPORT_EVERY_S: Final = 10.0


def chat(options: Namespace, terminal: Terminal) -> ExitCode:
    """Answer the question given; without one and with a person at the keyboard, start the REPL."""
    context = run_context(terminal)
    _check_which_conversation(options, context, terminal)
    template, set_by_template = None, None
    if options.templates or options.variables:
        from chatcli.cli.questions import chosen_template  # noqa: PLC0415 - most conversations use none

        template, set_by_template = chosen_template(options, context, terminal)
    options.response_format = _response_format(options, context, template)
    settings = settings_of(options, context, terminal, template=set_by_template)
    try:
        question = _question(options, settings, context, terminal, template)
    except ChatcliError as error:
        # What cannot be attached is reported like a model that cannot be reached, as JSON where that is wanted.
        if not isinstance(error, EndpointError) and options.output not in {"json", "jsonl"}:
            raise
        from chatcli.cli.one_shot import fail  # noqa: PLC0415 - a conversation asks otherwise

        return asyncio.run(fail(error, options, settings, context, terminal))
    settings = _with_a_place_to_keep(settings, options, context, terminal)
    try:
        return _held(question, options, settings, context, terminal, template=set_by_template)
    finally:
        if context.shared.has_alerts:
            from chatcli.cli.alert_lines import tell_last_alerts  # noqa: PLC0415 - where no call is made, none is told

            say = None
            if settings.plain:
                from chatcli.cli.outputs import line_writer  # noqa: PLC0415 - the prompt needs none of it

                say = line_writer(terminal, plain=True)
            tell_last_alerts(context, terminal, options, say=say)


def _held(
    question: Message | None,
    options: Namespace,
    settings: Settings,
    context: RunContext,
    terminal: Terminal,
    *,
    template: TemplateSettings | None,
) -> ExitCode:
    """Answer the question, or hold a conversation."""
    if question is not None and options.resume:
        raise UsageError(
            "--resume opens the chat; it takes no prompt",
            hint="to ask one question in a session, use -s NAME or -c",
        )
    if question is not None:
        return _answer(question, options, settings, context, terminal, template=template)
    for name in ("dry_run", "extract", "out", "output", "compare"):
        if getattr(options, name):
            raise UsageError(f"--{name.replace('_', '-')} needs a prompt", hint='chatcli [OPTIONS] "PROMPT"')
    if options.load and not (terminal.stdin_is_terminal and terminal.stdout.is_terminal):
        # A script: what it pipes is not for the conversation, and nobody answers questions.
        terminal = replace(terminal, stdin=None)
    if (
        settings.plain
        or options.raw
        or terminal.stdin is None
        or terminal.is_dumb
        or not terminal.stdout.is_terminal
    ):
        from chatcli.cli.line_frontend import line_loop  # noqa: PLC0415 - one answer needs no commands

        return line_loop(
            options,
            settings,
            context,
            terminal,
            chat_options=chat_options(options, priority=INTERACTIVE),
            reload_settings=_settings_reloader(options, context, terminal),
        )
    return _repl(options, settings, context, terminal)


def _answer(
    question: Message,
    options: Namespace,
    settings: Settings,
    context: RunContext,
    terminal: Terminal,
    *,
    template: TemplateSettings | None,
) -> ExitCode:
    if options.only_word and not options.quiet and (hint := word_hint(options.only_word)):
        terminal.warn(hint)
    if options.compare is not None:
        from chatcli.cli.comparing import compare  # noqa: PLC0415 - most questions go to one model

        return compare(question, options, settings, context, terminal, template=template)
    from chatcli.cli.one_shot import ask  # noqa: PLC0415 - as above

    asking = ask(question, options, settings, context, terminal)
    return asyncio.run(until_signalled(asking, on_signal=terminal.give_up_on_readers))


def _asks_nothing(options: Namespace, terminal: Terminal) -> bool:
    """Whether there is surely no question: then nothing is imported that reads one."""
    given = (options.prompt, options.prompt_option, options.files, options.templates, options.variables)
    # What is given beside a conversation is checked where a question is composed.
    beside = (options.system, options.encoding)
    return terminal.stdin_is_terminal and not any(given) and all(each is None for each in beside)


def _question(
    options: Namespace,
    settings: Settings,
    context: RunContext,
    terminal: Terminal,
    template: Template | None,
) -> Message | None:
    """Return the question given, ``None`` if there is none and a person can type one."""
    if options.load:
        _check_load(options)
        return None
    if _asks_nothing(options, terminal):
        return None
    from chatcli.cli.questions import compose  # noqa: PLC0415 - a conversation may begin without

    read_page = _page_reader(settings, context, options, terminal)
    return compose(options, terminal, template, read_page=read_page)


def _check_load(options: Namespace) -> None:
    given = {
        "a prompt": options.prompt or options.prompt_option is not None,
        "-T": options.templates,
        "-f": options.files,
    }
    for name, is_given in given.items():
        if is_given:
            raise UsageError(f"--load and {name} cannot be combined", hint="write the question into the file")


def _page_reader(
    settings: Settings, context: RunContext, options: Namespace, terminal: Terminal
) -> Callable[[str, EncodingHints], WebText]:
    """Return a function that reads a web page, and reports on stderr now and then while it waits."""
    reported_s: list[float] = []

    def doing(what: str) -> None:
        now_s = time.monotonic()
        if not options.quiet and (not reported_s or now_s - reported_s[-1] >= _REPORT_EVERY_S):
            reported_s.append(now_s)
            terminal.warn(sanitize_line(what))

    def read(address: str, hints: EncodingHints) -> WebText:
        from chatcli.app.web_reader import read_page  # noqa: PLC0415 - most questions read no page

        return asyncio.run(read_page(address, settings, context, hints, doing=doing))

    return read


def _response_format(
    options: Namespace, context: RunContext, template: Template | None
) -> ResponseFormat | None:
    is_named = options.schema is not None or options.schema_multi is not None
    if not is_named and (template is None or template.matter.schema is None):
        return None
    from chatcli.cli.questions import chosen_schema  # noqa: PLC0415 - most conversations use none

    return chosen_schema(options, context, template)


def _check_which_conversation(options: Namespace, context: RunContext, terminal: Terminal) -> None:
    named = {
        "--session": options.session is not None,
        "--continue": options.resume_last,
        "--resume": options.resume,
    }
    given = [option for option, is_given in named.items() if is_given]
    if len(given) > 1:
        raise UsageError(f"{given[0]} and {given[1]} cannot be combined", hint="use one of them")
    if options.everywhere and not options.resume:
        raise UsageError("--all only works with --resume", hint="chatcli --resume --all")
    if not options.resume:
        return
    if not (terminal.stdin_is_terminal and terminal.stdout.is_terminal):
        raise UsageError(
            "--resume needs a terminal",
            hint="use -c for the session used last, or -s NAME; chatcli sessions list shows the names",
        )
    from chatcli.sessions.store import SessionStore  # noqa: PLC0415 - only the list looks for some

    if not _has_session(SessionStore(context.paths.data).folder):
        raise ConfigurationError(
            "there are no sessions yet",
            hint="ask something first; every conversation is saved automatically",
        )


def _has_session(folder: Path) -> bool:
    from chatcli.sessions.folder import SUFFIX  # noqa: PLC0415 - as above

    # One is enough: listing ten thousand sessions would take too long.
    try:
        with os.scandir(folder) as entries:
            return any(entry.name.endswith(SUFFIX) for entry in entries)
    except OSError:
        return False


def _repl(options: Namespace, settings: Settings, context: RunContext, terminal: Terminal) -> ExitCode:
    from chatcli.terminal.start import Repl  # noqa: PLC0415 - a pipe needs no prompt_toolkit
    from chatcli.terminal.terminal_info import Start, TerminalInfo  # noqa: PLC0415

    terminal_info = TerminalInfo(
        sys.stdin,
        sys.stdout,
        terminal.environment.get("TERM"),
        terminal.stdout_colors,
        background=background_from_environment(terminal.environment),
        answers_queries=answers_queries(terminal),
        is_remote=terminal.is_remote,
        encoding_hints=partial(_hints, terminal, options.encoding),
    )
    start = Start(
        settings,
        chat_options(options, priority=INTERACTIVE),
        context,
        terminal_info,
        reload_settings=_settings_reloader(options, context, terminal),
        verbose=options.verbose,
        quiet=options.quiet,
        choosing=options.resume,
        everywhere=options.everywhere,
        loaded=_files_to_load(options),
    )
    repl = Repl(start)
    code = asyncio.run(until_signalled(repl.run(), interrupt=repl.interrupt, abandon=repl.abandon))
    if repl.farewell is not None:
        terminal.warn(repl.farewell)
    return code


def _files_to_load(options: Namespace) -> tuple[str, ...]:
    if not options.load:
        return ()
    from chatcli.attachments.encodings import as_typed  # noqa: PLC0415 - the prompt decodes no file

    return tuple(map(as_typed, options.load))


def _hints(terminal: Terminal, encoding: str | None) -> EncodingHints:
    from chatcli.cli.questions import hints_of  # noqa: PLC0415 - the prompt decodes no file

    return hints_of(terminal, encoding)


def _settings_reloader(
    options: Namespace, context: RunContext, terminal: Terminal
) -> Callable[[Mapping[str, object]], Settings]:
    """Return a function that resolves the settings again, with changes that override every other source."""

    def reload_settings(changes: Mapping[str, object]) -> Settings:
        settings = settings_of(options, context, terminal, changes=changes, mentions_untrusted=False)
        return settings if obstacle(context.paths.data) is None else _unkept(settings)

    return reload_settings


def _with_a_place_to_keep(
    settings: Settings, options: Namespace, context: RunContext, terminal: Terminal
) -> Settings:
    """Return ``settings`` with saving turned off, and warn once, if there is no place to save."""
    reason = obstacle(context.paths.data) if settings.save and not options.dry_run else None
    if reason is None:
        return settings
    if not options.quiet:
        terminal.warn(sanitize_line(f"this conversation cannot be saved in {context.paths.data}: {reason}"))
        terminal.warn("→ set HOME or CHATCLI_DATA_DIR to a writable folder, or use --no-save")
    return _unkept(settings)


def _unkept(settings: Settings) -> Settings:
    return replace(settings, save=False, origins={**settings.origins, "save": NO_PLACE})
