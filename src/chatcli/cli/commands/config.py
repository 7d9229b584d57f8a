"""``chatcli config``: what is set, and where it was set."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from chatcli.cli.options import add_model_options
from chatcli.cli.setup import settings_of, world_of
from chatcli.config.config_file import FILE_NAME
from chatcli.config.report import rows
from chatcli.core.exit_codes import ExitCode
from chatcli.safety.terminal import sanitize_line

if TYPE_CHECKING:
    from argparse import Namespace

    from chatcli.cli.options import Parser
    from chatcli.cli.terminal import Terminal


def add_arguments(parser: Parser) -> None:
    parser.add_argument(
        "action", choices=["show", "path"], help="show every setting, or where config.toml is"
    )
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    add_model_options(parser)


def run(options: Namespace, terminal: Terminal) -> ExitCode:
    world = world_of(terminal)
    if options.action == "path":
        terminal.stdout.write(f"{world.paths.config / FILE_NAME}\n")
        return ExitCode.DONE
    shown = rows(settings_of(options, world, terminal))
    if options.json:
        table = {row.name: {"value": row.value, "origin": row.origin} for row in shown}
        terminal.stdout.write(json.dumps(table, ensure_ascii=False, indent=2) + "\n")
        return ExitCode.DONE
    name_width = max(len(row.name) for row in shown)
    for row in shown:
        terminal.stdout.write(
            f"{row.name:<{name_width}}  {sanitize_line(row.value)}  ({sanitize_line(row.origin)})\n"
        )
    return ExitCode.DONE
