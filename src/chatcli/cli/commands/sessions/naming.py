"""The words that say which sessions an action is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.core.errors import UsageError

if TYPE_CHECKING:
    from argparse import Namespace

    from chatcli.cli.options import Parser


def add_sessions_argument(parser: Parser) -> None:
    parser.add_argument("sessions", nargs="*", metavar="NAME|PATH", help="which sessions")


def named_sessions(options: Namespace, action: str) -> list[str]:
    """Return the sessions that were named; raise ``UsageError`` where none was."""
    if not options.sessions:
        raise UsageError(
            f"which session? chatcli sessions {action} NAME",
            hint="chatcli sessions list shows the names",
        )
    return list(options.sessions)
