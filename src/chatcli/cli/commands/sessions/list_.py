"""``chatcli sessions list``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from chatcli.cli.commands.sessions.layout import json_fields, write_table
from chatcli.core.exit_codes import ExitCode

if TYPE_CHECKING:
    from argparse import Namespace

    from chatcli.cli.options import Parser
    from chatcli.cli.terminal import Terminal
    from chatcli.sessions.library import Library

NAME = "list"
HELP = "list the conversations, the one used last first"


def add_arguments(parser: Parser) -> None:
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(options: Namespace, library: Library, terminal: Terminal) -> ExitCode:
    library.refresh()
    summaries = library.sessions()
    if options.json:
        listed = [json_fields(summary) for summary in summaries]
        terminal.stdout.write(json.dumps(listed, ensure_ascii=False, indent=2) + "\n")
        return ExitCode.DONE
    write_table(summaries, terminal)
    if not summaries:
        terminal.warn("no sessions yet; every conversation is saved by itself")
    return ExitCode.DONE
