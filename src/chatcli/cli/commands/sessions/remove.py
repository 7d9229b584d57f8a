"""``chatcli sessions rm``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.cli.commands.sessions.examples import add_examples
from chatcli.cli.commands.sessions.naming import add_sessions_argument, named_sessions
from chatcli.core.exit_codes import ExitCode
from chatcli.text.sanitizer import sanitize_line

if TYPE_CHECKING:
    from argparse import Namespace

    from chatcli.cli.options import Parser
    from chatcli.cli.standard_streams import Terminal
    from chatcli.sessions.library import Library

NAME = "rm"
HELP = "remove conversations and their attachments"


def add_arguments(parser: Parser) -> None:
    add_sessions_argument(parser)
    add_examples(
        parser,
        ("chatcli sessions rm rome paris", "permanently; this cannot be undone"),
        ("chatcli sessions prune --older-than 1y", "those not used for a year"),
    )


def run(options: Namespace, library: Library, terminal: Terminal) -> ExitCode:
    for file in library.remove_all(named_sessions(options, NAME)):
        terminal.warn(f"removed {sanitize_line(file.name)}")
    return ExitCode.DONE
