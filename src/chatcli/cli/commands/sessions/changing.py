"""``chatcli sessions rename|rm|prune``."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from chatcli.attachments.encodings import as_typed
from chatcli.cli.actions import Action, add_examples
from chatcli.cli.commands.sessions.listing import add_sessions_argument, named_sessions, refresh, write_table
from chatcli.cli.typed_lines import agrees
from chatcli.core.errors import ExitCode, UsageError
from chatcli.text.sanitizer import sanitize_line
from chatcli.text.wording import counted

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from chatcli.cli.options import Parser
    from chatcli.cli.standard_streams import Terminal
    from chatcli.sessions.library import Library
    from chatcli.sessions.store import SessionSummary


_AGE: Final = re.compile(r"([0-9]{1,5})([dwmy])")
_DAYS: Final = {"d": 1, "w": 7, "m": 30, "y": 365}


def _rename_arguments(parser: Parser) -> None:
    parser.add_argument("session", nargs="?", metavar="NAME|PATH", help="which session")
    parser.add_argument("title", nargs="*", metavar="TITLE", help="what the list shows")
    parser.add_argument("--name", metavar="NEW", help="what -s takes from now on")
    add_examples(
        parser,
        ("chatcli sessions rename 2026-11-23-2105-a1b2 Trains to Rome", "the title"),
        ("chatcli sessions rename 2026-11-23-2105-a1b2 --name rome", "then: chatcli -s rome"),
    )


def _rename(options: Namespace, library: Library, terminal: Terminal) -> ExitCode:
    title = as_typed(" ".join(options.title))
    if not options.session:
        raise UsageError(
            "which session? chatcli sessions rename NAME TITLE",
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


def _remove_arguments(parser: Parser) -> None:
    add_sessions_argument(parser)
    add_examples(
        parser,
        ("chatcli sessions rm rome paris", "permanently; this cannot be undone"),
        ("chatcli sessions prune --older-than 1y", "those not used for a year"),
    )


def _remove(options: Namespace, library: Library, terminal: Terminal) -> ExitCode:
    for file in library.remove_all(named_sessions(options, "rm")):
        terminal.warn(f"removed {sanitize_line(file.name)}")
    return ExitCode.DONE


def _prune_arguments(parser: Parser) -> None:
    parser.add_argument("--older-than", metavar="AGE", help="as 90d, 12w, 6m(onths) or 1y")
    parser.add_argument("--dry-run", action="store_true", help="only list them")
    parser.add_argument("--yes", action="store_true", help="remove them without asking")
    add_examples(
        parser,
        ("chatcli sessions prune --older-than 90d", "lists them and asks"),
        ("chatcli sessions prune --older-than 1y --dry-run", "lists them"),
        ("chatcli sessions prune --older-than 1y --yes", "for scripts"),
    )


def _prune(options: Namespace, library: Library, terminal: Terminal) -> ExitCode:
    age = _age(options.older_than)
    if not (terminal.is_attended or options.yes or options.dry_run):
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
    return f"{counted(count, 'session')}"


def _size_bytes(summary: SessionSummary) -> int:
    try:
        return summary.path.stat().st_size
    except OSError:
        return 0


RENAME: Final = Action("rename", "change the title or the name of a conversation", _rename, _rename_arguments)
REMOVE: Final = Action("rm", "remove conversations and their attachments", _remove, _remove_arguments)
PRUNE: Final = Action(
    "prune", "remove conversations that have not been used for a while", _prune, _prune_arguments
)
