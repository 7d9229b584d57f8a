"""Chatting: one answer, or a conversation line by line."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

from chatcli.cli.ask import ask, wish_of
from chatcli.cli.background_query import can_be_asked
from chatcli.cli.option_hints import word_hint
from chatcli.cli.questions import compose
from chatcli.cli.setup import settings_of, settings_reloader, with_a_place_to_keep, world_of
from chatcli.cli.signals import until_signalled
from chatcli.cli.templating import chosen_template
from chatcli.core.errors import ConfigurationError, UsageError
from chatcli.render.background import told_background
from chatcli.sessions.names import SUFFIX
from chatcli.sessions.store import SessionStore

if TYPE_CHECKING:
    from argparse import Namespace
    from pathlib import Path

    from chatcli.app.run_context import RunContext
    from chatcli.cli.standard_streams import Terminal
    from chatcli.config.settings import Settings
    from chatcli.core.exit_codes import ExitCode


def chat(options: Namespace, terminal: Terminal) -> ExitCode:
    """Answer what was asked; without a question and with a person at the keyboard, repl."""
    world = world_of(terminal)
    _check_which_conversation(options, world, terminal)
    template, set_by_template = chosen_template(options, world) or (None, None)
    settings = settings_of(options, world, terminal, template=set_by_template)
    question = compose(options, terminal, template)
    settings = with_a_place_to_keep(settings, options, world, terminal)
    if question is not None and options.resume:
        raise UsageError(
            "--resume opens the chat; it takes no prompt",
            hint="to ask one question in a session, use -s NAME or -c",
        )
    if question is not None:
        if not options.quiet and (hint := word_hint(options.only_word)):
            terminal.warn(hint)
        return ask(question, options, settings, world, terminal)
    for name in ("dry_run", "extract", "out", "output"):
        if getattr(options, name):
            raise UsageError(f"--{name.replace('_', '-')} needs a prompt", hint='chatcli [OPTIONS] "PROMPT"')
    if settings.plain or options.raw or terminal.is_dumb or not terminal.stdout.is_terminal:
        from chatcli.cli.line_loop import line_loop  # noqa: PLC0415 - one answer needs no commands

        return line_loop(options, settings, world, terminal)
    return _repl(options, settings, world, terminal)


def _check_which_conversation(options: Namespace, world: RunContext, terminal: Terminal) -> None:
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
    if not _has_session(SessionStore(world.paths.data).folder):
        raise ConfigurationError(
            "there are no sessions yet",
            hint="ask something first; every conversation is saved automatically",
        )


def _has_session(folder: Path) -> bool:
    # The first will do: a person may have ten thousand, and waits for their list.
    try:
        with os.scandir(folder) as entries:
            return any(entry.name.endswith(SUFFIX) for entry in entries)
    except OSError:
        return False


def _repl(options: Namespace, settings: Settings, world: RunContext, terminal: Terminal) -> ExitCode:
    from chatcli.terminal.start import Repl, TerminalInfo  # noqa: PLC0415 - a pipe needs no prompt_toolkit

    terminal_info = TerminalInfo(
        sys.stdin,
        sys.stdout,
        terminal.environment.get("TERM"),
        terminal.color_system(terminal.stdout),
        background=told_background(terminal.environment),
        can_be_asked=can_be_asked(terminal),
        is_remote=terminal.is_remote,
        encoding_hints=terminal.encoding_hints(options.encoding),
    )
    repl = Repl(
        settings,
        wish_of(options),
        world,
        terminal_info,
        reload_settings=settings_reloader(options, world, terminal),
        verbose=options.verbose,
        quiet=options.quiet,
        choosing=options.resume,
        everywhere=options.everywhere,
    )
    code = asyncio.run(until_signalled(repl.run(), interrupt=repl.interrupt, abandon=repl.abandon))
    if repl.farewell is not None:
        terminal.warn(repl.farewell)
    return code
