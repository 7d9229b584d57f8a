"""``chatcli sessions prune``."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from chatcli.cli.agreeing import agrees, can_be_asked
from chatcli.cli.commands.sessions.examples import add_examples
from chatcli.cli.commands.sessions.layout import write_table
from chatcli.cli.commands.sessions.refreshing import refresh
from chatcli.core.errors import UsageError
from chatcli.core.exit_codes import ExitCode

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from chatcli.cli.options import Parser
    from chatcli.cli.standard_streams import Terminal
    from chatcli.sessions.library import Library
    from chatcli.sessions.store import SessionSummary

NAME = "prune"
HELP = "remove conversations that have not been used for a while"

_AGE: Final = re.compile(r"([0-9]{1,5})([dwmy])")
_DAYS: Final = {"d": 1, "w": 7, "m": 30, "y": 365}


def add_arguments(parser: Parser) -> None:
    parser.add_argument("--older-than", metavar="AGE", help="as 90d, 12w, 6m(onths) or 1y")
    parser.add_argument("--dry-run", action="store_true", help="only list them")
    parser.add_argument("--yes", action="store_true", help="remove them without asking")
    add_examples(
        parser,
        ("chatcli sessions prune --older-than 90d", "lists them and asks"),
        ("chatcli sessions prune --older-than 1y --dry-run", "lists them"),
        ("chatcli sessions prune --older-than 1y --yes", "for scripts"),
    )


def run(options: Namespace, library: Library, terminal: Terminal) -> ExitCode:
    age = _age(options.older_than)
    if not (can_be_asked(terminal) or options.yes or options.dry_run):
        raise UsageError(
            "prune asks before it removes anything, and there is no terminal to ask on",
            hint="--yes removes, --dry-run only lists",
        )
    refresh(library, options, terminal)
    old = library.older_than(age)
    if not old:
        terminal.warn(f"no session has been unused for {options.older_than}")
        return ExitCode.DONE
    if options.dry_run:
        write_table(old, terminal)
        terminal.warn(f"{_total(old)} would be removed")
        return ExitCode.DONE
    if not options.yes:
        write_table(old, terminal)
        if not agrees(f"remove {_total(old)} for good?", terminal):
            terminal.warn("nothing was removed")
            return ExitCode.DONE
    removed = sum(1 for _ in library.remove_all(summary.name for summary in old))
    terminal.warn(f"removed {_counted(removed)}")
    return ExitCode.DONE


def _age(text: str | None) -> timedelta:
    read = _AGE.fullmatch(text or "")
    if read is None:
        raise UsageError(
            "how old? chatcli sessions prune --older-than AGE"
            if text is None
            else f"--older-than {text!r} is not an age",
            hint="give a number with d, w, m or y: 90d, 12w, 6m, 1y",
        )
    return timedelta(days=int(read[1]) * _DAYS[read[2]])


def _total(summaries: Sequence[SessionSummary]) -> str:
    return f"{_counted(len(summaries))}, {sum(map(_size_bytes, summaries)) / 1e6:,.1f} MB,"


def _counted(count: int) -> str:
    return f"{count:,} session{'' if count == 1 else 's'}"


def _size_bytes(summary: SessionSummary) -> int:
    try:
        return summary.path.stat().st_size
    except OSError:
        return 0
