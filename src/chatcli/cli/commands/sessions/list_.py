"""``chatcli sessions list``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from chatcli.cli.commands.sessions.examples import add_examples
from chatcli.cli.commands.sessions.here import add_here_option, folder_of
from chatcli.cli.commands.sessions.layout import (
    json_fields,
    warn_of_damage,
    warn_of_unreadable,
    write_table,
)
from chatcli.cli.commands.sessions.refreshing import refresh
from chatcli.core.exit_codes import ExitCode

if TYPE_CHECKING:
    from argparse import Namespace

    from chatcli.cli.options import Parser
    from chatcli.cli.standard_streams import Terminal
    from chatcli.sessions.library import Library

NAME = "list"
HELP = "list conversations, most recent first"


def add_arguments(parser: Parser) -> None:
    add_here_option(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_examples(
        parser,
        ("chatcli sessions list | head", "those used last"),
        ("chatcli sessions list --here", "those that began in this folder"),
        ("chatcli -s NAME", "go on with one"),
    )


def run(options: Namespace, library: Library, terminal: Terminal) -> ExitCode:
    folder = folder_of(options, terminal)
    refresh(library, options, terminal)
    summaries = library.sessions(folder=folder)
    if options.json:
        listed = [json_fields(summary) for summary in summaries]
        terminal.stdout.write(json.dumps(listed, ensure_ascii=False, indent=2) + "\n")
        return ExitCode.DONE
    write_table(summaries, terminal)
    warn_of_damage({summary.name: summary.damaged_records for summary in summaries}, terminal)
    warn_of_unreadable(library, terminal)
    if not summaries:
        began = " that began here" if folder else ""
        terminal.warn(f"no sessions{began} yet; every conversation is saved automatically")
    return ExitCode.DONE
