"""Chatting: one answer, or a conversation line by line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.cli.ask import ask
from chatcli.cli.line_loop import line_loop
from chatcli.cli.questions import compose
from chatcli.cli.setup import settings_of, world_of
from chatcli.core.errors import UsageError

if TYPE_CHECKING:
    from argparse import Namespace

    from chatcli.cli.terminal import Terminal
    from chatcli.core.exit_codes import ExitCode


def chat(options: Namespace, terminal: Terminal) -> ExitCode:
    """Answer what was asked; without a question and with a person at the keyboard, talk."""
    if options.session is not None and options.resume_last:
        raise UsageError("--session and --continue name two conversations", hint="give one of them")
    world = world_of(terminal)
    settings = settings_of(options, world, terminal)
    question = compose(options, terminal)
    if question is None:
        return line_loop(options, settings, world, terminal)
    return ask(question, options, settings, world, terminal)
