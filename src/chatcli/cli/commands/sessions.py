"""``chatcli sessions``: the saved conversations."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size

from chatcli.cli.setup import world_of
from chatcli.core.errors import UsageError
from chatcli.core.exit_codes import ExitCode
from chatcli.safety.terminal import sanitize, sanitize_line
from chatcli.sessions.store import SessionStore

if TYPE_CHECKING:
    from argparse import Namespace

    from chatcli.cli.options import Parser
    from chatcli.cli.terminal import Terminal


def add_arguments(parser: Parser) -> None:
    parser.add_argument("action", choices=["list", "show", "rm"], help="what to do")
    parser.add_argument("sessions", nargs="*", metavar="NAME|PATH", help="which sessions, for show and rm")
    parser.add_argument("--json", action="store_true", help="list and show: as JSON")


def run(options: Namespace, terminal: Terminal) -> ExitCode:
    store = SessionStore(world_of(terminal).paths.data)
    if options.action == "list":
        _list(store, options, terminal)
        return ExitCode.DONE
    if not options.sessions:
        raise UsageError(
            f"which session? chatcli sessions {options.action} NAME",
            hint="chatcli sessions list shows those there are",
        )
    for name in options.sessions:
        if options.action == "rm":
            terminal.warn(f"removed {sanitize_line(store.remove(name).name)}")
        else:
            _show(store, name, options, terminal)
    return ExitCode.DONE


def _list(store: SessionStore, options: Namespace, terminal: Terminal) -> None:
    summaries = store.summaries()
    if options.json:
        listed = [
            {
                "name": summary.name,
                "path": str(summary.path),
                "title": summary.title,
                "turns": summary.turns,
                "last_used": summary.last_used.isoformat(timespec="seconds"),
            }
            for summary in summaries
        ]
        terminal.stdout.write(json.dumps(listed, ensure_ascii=False, indent=2) + "\n")
        return
    names = [sanitize_line(summary.name) for summary in summaries]
    name_columns = max(map(cell_len, names), default=0)
    for name, summary in zip(names, summaries, strict=True):
        when = summary.last_used.astimezone().strftime("%Y-%m-%d %H:%M")
        turns = f"{summary.turns} turn{'' if summary.turns == 1 else 's'}"
        line = f"{set_cell_size(name, name_columns)}  {when}  {turns:>9}  {sanitize_line(summary.title)}"
        terminal.stdout.write(_fitting(line, terminal) + "\n")
    if not summaries:
        terminal.warn("no sessions yet; every conversation is saved by itself")


def _fitting(line: str, terminal: Terminal) -> str:
    """Cut a line at the edge of the terminal; a pipe gets all of it."""
    if not terminal.stdout.is_terminal or cell_len(line) <= terminal.columns():
        return line
    return set_cell_size(line, terminal.columns() - 1).rstrip() + "…"


def _show(store: SessionStore, name: str, options: Namespace, terminal: Terminal) -> None:
    session = store.load(store.existing(name))
    if options.json:
        listed = [
            {"id": record.id, "at": record.at, "role": record.message.role, "text": record.message.text}
            for record in session.path()
        ]
        terminal.stdout.write(json.dumps(listed, ensure_ascii=True, indent=2) + "\n")
        return
    for record in session.path():
        text = sanitize(record.message.text)
        end = "" if text.endswith("\n") else "\n"
        terminal.stdout.write(f"── {record.message.role} · {sanitize_line(record.at)}\n{text}{end}\n")
