"""The one template an action is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.attachments.encodings import as_typed
from chatcli.core.errors import UsageError

if TYPE_CHECKING:
    from argparse import Namespace

    from chatcli.cli.options import Parser


def add_template_argument(parser: Parser, *, metavar: str = "NAME") -> None:
    parser.add_argument("template", nargs="?", metavar=metavar, help="which template")


def named_template(options: Namespace, action: str) -> str:
    """Return what the person named; raise ``UsageError`` where they named nothing."""
    if not options.template:
        raise UsageError(
            f"which template? chatcli templates {action} NAME",
            hint="chatcli templates list shows the names",
        )
    return as_typed(options.template)
