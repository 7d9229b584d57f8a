"""``chatcli templates edit``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.cli.commands.templates.naming import add_template_argument, named_template
from chatcli.cli.commands.templates.writing import write_in_editor

if TYPE_CHECKING:
    from argparse import Namespace

    from chatcli.cli.options import Parser
    from chatcli.cli.standard_streams import Terminal
    from chatcli.core.exit_codes import ExitCode
    from chatcli.templates.template_store import TemplateStore

NAME = "edit"
HELP = "edit a template; a built-in one is copied first"


def add_arguments(parser: Parser) -> None:
    add_template_argument(parser)


def run(options: Namespace, store: TemplateStore, terminal: Terminal) -> ExitCode:
    name = named_template(options, NAME)
    store.path_for(name)
    return write_in_editor(name, store.find(name).text(), store, terminal)
