"""``chatcli templates show``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.cli.commands.templates.naming import add_template_argument, named_template
from chatcli.core.exit_codes import ExitCode
from chatcli.text.sanitizer import sanitize

if TYPE_CHECKING:
    from argparse import Namespace

    from chatcli.cli.options import Parser
    from chatcli.cli.standard_streams import Terminal
    from chatcli.templates.template_store import TemplateStore

NAME = "show"
HELP = "print a template's file"


def add_arguments(parser: Parser) -> None:
    add_template_argument(parser, metavar="NAME|PATH")


def run(options: Namespace, store: TemplateStore, terminal: Terminal) -> ExitCode:
    text = store.find(named_template(options, NAME)).text()
    terminal.stdout.write(sanitize(text) if text.endswith("\n") else f"{sanitize(text)}\n")
    return ExitCode.DONE
