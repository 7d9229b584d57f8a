"""``--here``: only the conversations that began in this folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.cli.setup import world_of
from chatcli.core.errors import UsageError

if TYPE_CHECKING:
    from argparse import Namespace

    from chatcli.cli.options import Parser
    from chatcli.cli.standard_streams import Terminal


def add_here_option(parser: Parser) -> None:
    parser.add_argument("--here", action="store_true", help="only sessions that began in this folder")


def folder_of(options: Namespace, terminal: Terminal) -> str | None:
    """Return the folder the person is in, ``None`` where they did not ask for it."""
    if not options.here:
        return None
    folder = world_of(terminal).folder
    if folder is None:
        raise UsageError("this folder no longer exists", hint="change to another one, or leave out --here")
    return str(folder)
