"""``chatcli templates rm``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.cli.commands.templates.naming import add_template_argument, named_template
from chatcli.core.exit_codes import ExitCode
from chatcli.text.sanitizer import sanitize_line

if TYPE_CHECKING:
    from argparse import Namespace

    from chatcli.cli.options import Parser
    from chatcli.cli.standard_streams import Terminal
    from chatcli.templates.template_store import TemplateStore

NAME = "rm"
HELP = "remove one of your templates"


def add_arguments(parser: Parser) -> None:
    add_template_argument(parser)


def run(options: Namespace, store: TemplateStore, terminal: Terminal) -> ExitCode:
    name = named_template(options, NAME)
    terminal.warn(f"removed {sanitize_line(str(store.remove(name)))}")
    if any(entry.name == name and entry.is_shipped for entry in store.entries()):
        terminal.warn(f"{sanitize_line(name)} is the built-in one again")
    return ExitCode.DONE
