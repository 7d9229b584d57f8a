"""``chatcli sessions show``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from chatcli.cli.commands.sessions.layout import warn_of_damage
from chatcli.cli.commands.sessions.naming import add_sessions_argument, named_sessions
from chatcli.core.exit_codes import ExitCode
from chatcli.text.sanitizer import sanitize, sanitize_line

if TYPE_CHECKING:
    from argparse import Namespace

    from chatcli.cli.options import Parser
    from chatcli.cli.standard_streams import Terminal
    from chatcli.sessions.library import Library
    from chatcli.sessions.session import Session

NAME = "show"
HELP = "print a conversation"


def add_arguments(parser: Parser) -> None:
    add_sessions_argument(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(options: Namespace, library: Library, terminal: Terminal) -> ExitCode:
    write = _write_json if options.json else _write
    for name in named_sessions(options, NAME):
        session = library.store.load(library.store.existing(name))
        write(session, terminal)
        warn_of_damage({name: session.damaged_records}, terminal)
    return ExitCode.DONE


def _write_json(session: Session, terminal: Terminal) -> None:
    listed = [
        {"id": record.id, "at": record.at, "role": record.message.role, "text": record.message.text}
        for record in session.path()
    ]
    terminal.stdout.write(json.dumps(listed, ensure_ascii=True, indent=2) + "\n")


def _write(session: Session, terminal: Terminal) -> None:
    for record in session.path():
        text = sanitize(record.message.text)
        end = "" if text.endswith("\n") else "\n"
        terminal.stdout.write(f"── {record.message.role} · {sanitize_line(record.at)}\n{text}{end}\n")
