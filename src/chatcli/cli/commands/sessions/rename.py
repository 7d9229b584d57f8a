"""``chatcli sessions rename``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.attachments.encodings import as_typed
from chatcli.cli.commands.sessions.examples import add_examples
from chatcli.core.errors import UsageError
from chatcli.core.exit_codes import ExitCode
from chatcli.text.sanitizer import sanitize_line

if TYPE_CHECKING:
    from argparse import Namespace

    from chatcli.cli.options import Parser
    from chatcli.cli.standard_streams import Terminal
    from chatcli.sessions.library import Library

NAME = "rename"
HELP = "change the title or the name of a conversation"


def add_arguments(parser: Parser) -> None:
    parser.add_argument("session", nargs="?", metavar="NAME|PATH", help="which session")
    parser.add_argument("title", nargs="*", metavar="TITLE", help="what the list shows")
    parser.add_argument("--name", metavar="NEW", help="what -s takes from now on")
    add_examples(
        parser,
        ("chatcli sessions rename 2026-11-23-2105-a1b2 Trains to Rome", "the title"),
        ("chatcli sessions rename 2026-11-23-2105-a1b2 --name rome", "then: chatcli -s rome"),
    )


def run(options: Namespace, library: Library, terminal: Terminal) -> ExitCode:
    title = as_typed(" ".join(options.title))
    if not options.session:
        raise UsageError(
            f"which session? chatcli sessions {NAME} NAME TITLE",
            hint="chatcli sessions list shows the names",
        )
    if not title.strip() and options.name is None:
        raise UsageError("rename it to what?", hint="give a title, or --name NEW", code="empty_title")
    shown = sanitize_line(options.session)
    if title.strip():
        library.rename(options.session, title)
        terminal.warn(f"{shown} has the title {sanitize_line(title)}")
    if options.name is not None:
        terminal.warn(f"{shown} is now {sanitize_line(library.move(options.session, options.name).name)}")
    return ExitCode.DONE
