"""``chatcli templates new``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.attachments.texts import read_pipe
from chatcli.cli.commands.templates.naming import add_template_argument, named_template
from chatcli.cli.commands.templates.writing import keep, write_in_editor
from chatcli.core.errors import UsageError

if TYPE_CHECKING:
    from argparse import Namespace

    from chatcli.cli.options import Parser
    from chatcli.cli.standard_streams import Terminal
    from chatcli.core.exit_codes import ExitCode
    from chatcli.templates.template_store import TemplateStore

NAME = "new"
HELP = "write a new template in your editor, or read it from stdin"

_STARTER: Final = """\
+++
description = ""
+++
Say what is to be done with this, for {{ reader = "an experienced engineer" }}.

{{ input }}
"""


def add_arguments(parser: Parser) -> None:
    add_template_argument(parser)


def run(options: Namespace, store: TemplateStore, terminal: Terminal) -> ExitCode:
    name = named_template(options, NAME)
    store.path_for(name)
    if any(entry.name == name for entry in store.entries()):
        raise UsageError(f"the template {name} already exists", hint=f"chatcli templates edit {name}")
    if terminal.stdin is not None and not terminal.stdin_is_terminal:
        piped = read_pipe(terminal.stdin, terminal.warn, hints=terminal.encoding_hints()).text
        if piped.strip():
            return keep(name, piped, store, terminal)
    return write_in_editor(name, _STARTER, store, terminal)
