"""``chatcli templates path``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.core.exit_codes import ExitCode

if TYPE_CHECKING:
    from argparse import Namespace

    from chatcli.cli.options import Parser
    from chatcli.cli.standard_streams import Terminal
    from chatcli.templates.template_store import TemplateStore

NAME = "path"
HELP = "print the folder of your templates"


def add_arguments(_: Parser) -> None:
    """Take nothing."""


def run(_: Namespace, store: TemplateStore, terminal: Terminal) -> ExitCode:
    terminal.stdout.write(f"{store.folder}\n")
    return ExitCode.DONE
