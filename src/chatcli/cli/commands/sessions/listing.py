"""``chatcli sessions list|show|search``."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from wcwidth import ljust, width

from chatcli.attachments.encodings import as_typed
from chatcli.cli.actions import Action, add_examples
from chatcli.cli.setup import run_context
from chatcli.cli.standard_streams import ClosedPipe
from chatcli.core.errors import ConfigurationError, ExitCode, LocalIOError, UsageError
from chatcli.render.themes import ANY_BACKGROUND, theme
from chatcli.sessions.folder import SUFFIX
from chatcli.sessions.reading import damage
from chatcli.text.sanitizer import sanitize, sanitize_line
from chatcli.text.search_text import terms
from chatcli.text.shortening import shortened, shortened_before
from chatcli.text.times import local_now
from chatcli.text.wording import counted

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Mapping, Sequence

    from chatcli.cli.options import Parser
    from chatcli.cli.standard_streams import Terminal
    from chatcli.sessions.library import Library, SearchHit
    from chatcli.sessions.session import Session
    from chatcli.sessions.store import SessionSummary


_INDENTATION: Final = "    "
_SHOWN_NAMES: Final = 3
_LEAST_ROOM: Final = 20
"""Minimum columns for a title."""
_SILENT_S: Final = 1.0
_REDRAW_AFTER_S: Final = 0.1
_SEARCH_LIMIT: Final = 20


def write_table(summaries: Sequence[SessionSummary], terminal: Terminal) -> None:
    """Write a row per session: name, last use, turns, and the title, below the row if there is no room."""
    names = [sanitize_line(summary.name) for summary in summaries]
    name_columns = max(map(width, names), default=0)
    for name, summary in zip(names, summaries, strict=True):
        turns = f"{counted(summary.turns, 'turn')}"
        title = sanitize_line(f"{_remarks(summary)}{summary.title}")
        head = f"{ljust(name, name_columns)}  {when(summary)}  {turns:>9}"
        if terminal.stdout.is_terminal and width(head) + _LEAST_ROOM > terminal.columns():
            lines = [head.rstrip(), f"{_INDENTATION}{title}"]
        else:
            lines = [f"{head}  {title}"]
        terminal.stdout.write("".join(f"{fitting(line, terminal)}\n" for line in lines))


def warn_of_damage(damaged: Mapping[str, int], terminal: Terminal) -> None:
    """Report the number of sessions with damaged records, and their names, if there are any."""
    for name, count in damaged.items():
        if count:
            terminal.warn(f"{sanitize_line(name)} has {damage(count)}")
    if any(damaged.values()):
        terminal.warn("→ damaged records are skipped and stay in the file; the rest works as before")


def warn_of_unreadable(library: Library, terminal: Terminal) -> None:
    """Report files among the sessions that are not sessions, with a hint."""
    names = library.unreadable()
    for name in names[:_SHOWN_NAMES]:
        file = library.store.resolve(str(library.store.folder / f"{name}{SUFFIX}"))
        try:
            library.store.load(file)
        except ConfigurationError as error:
            terminal.warn(f"not listed: {sanitize_line(error.message)}")
    if len(names) > _SHOWN_NAMES:
        terminal.warn(f"not listed: {len(names) - _SHOWN_NAMES:,} more that cannot be read")
    if names:
        terminal.warn("→ repair these files, or move them away; chatcli does not change them")


def write_found(found: SearchHit, terminal: Terminal) -> None:
    """Write a search hit: name, last use and title, and the excerpt below."""
    summary = found.summary
    line = (
        f"{sanitize_line(summary.name)}  {when(summary)}  {sanitize_line(_remarks(summary) + summary.title)}"
    )
    terminal.stdout.write(fitting(line, terminal) + "\n")
    if found.excerpt:
        terminal.stdout.write(f"{_INDENTATION}{_excerpt(found, terminal)}\n")


def _excerpt(found: SearchHit, terminal: Terminal) -> str:
    """Return the excerpt as far as it fits, the hit in bold if there are colours."""
    start, end = found.at
    # Each part separately: sanitizing lengthens text.
    before, hit, after = map(
        sanitize_line, (found.excerpt[:start], found.excerpt[start:end], found.excerpt[end:])
    )
    if terminal.stdout.is_terminal:
        columns = terminal.columns() - len(_INDENTATION) - 1
        hit = shortened(hit, columns)
        before = shortened_before(before, (columns - width(hit)) // 2)
        after = shortened(after, columns - width(before) - width(hit))
    return before + theme(ANY_BACKGROUND, terminal.stdout_colors).paint(hit, "strong") + after


def _remarks(summary: SessionSummary) -> str:
    """Return the remarks before the title of an unusual session."""
    answering = "(answering) " if summary.is_being_answered(local_now()) else ""
    return answering + ("(damaged) " if summary.damaged_records else "")


def when(summary: SessionSummary) -> str:
    return summary.last_used.astimezone().strftime("%Y-%m-%d %H:%M")


def fitting(line: str, terminal: Terminal) -> str:
    """Cut a line at the edge of the terminal; a pipe gets all of it."""
    return shortened(line, terminal.columns()) if terminal.stdout.is_terminal else line


def json_fields(summary: SessionSummary) -> dict[str, Any]:
    """Return a session's fields for scripts; keys may be added, never changed."""
    return {
        "name": summary.name,
        "path": str(summary.path),
        "title": summary.title,
        "turns": summary.turns,
        "last_used": summary.last_used.isoformat(timespec="seconds"),
        "folder": summary.folder,
        "damaged_records": summary.damaged_records,
        "is_being_answered": summary.is_being_answered(local_now()),
    }


def add_here_option(parser: Parser) -> None:
    parser.add_argument("--here", action="store_true", help="only sessions that began in this folder")


def folder_of(options: Namespace, terminal: Terminal) -> str | None:
    """Return the working folder, ``None`` unless it was asked for."""
    if not options.here:
        return None
    folder = run_context(terminal).folder
    if folder is None:
        raise UsageError("this folder no longer exists", hint="change to another one, or leave out --here")
    return str(folder)


def refresh(
    library: Library,
    options: Namespace,
    terminal: Terminal,
    *,
    monotonic_s: Callable[[], float] = time.monotonic,
) -> None:
    """Refresh the library; after a second, show a count of files read on a terminal."""
    is_shown = terminal.stderr.is_terminal and not terminal.is_dumb and not options.quiet
    counter = _Counter(terminal, monotonic_s, is_shown=is_shown)
    try:
        library.refresh(counter.count)
    finally:
        counter.erase()


class _Counter:
    def __init__(self, terminal: Terminal, monotonic_s: Callable[[], float], *, is_shown: bool) -> None:
        self._terminal = terminal
        self._monotonic_s = monotonic_s
        self._is_shown = is_shown
        self._due_s = monotonic_s() + _SILENT_S
        self._columns = 0

    def count(self, done: int, total: int) -> None:
        if self._is_shown and self._monotonic_s() >= self._due_s:
            self._due_s = self._monotonic_s() + _REDRAW_AFTER_S
            line = f"reading conversations: {done:,} of {total:,}"[: self._terminal.columns() - 1]
            self._write(f"\r{line:<{self._columns}}")
            self._columns = len(line)

    def erase(self) -> None:
        if self._columns:
            self._write(f"\r{'':<{self._columns}}\r")

    def _write(self, text: str) -> None:
        # The list must not fail because of its progress line.
        with suppress(ClosedPipe, LocalIOError):
            self._terminal.stderr.write(text)


def _list_arguments(parser: Parser) -> None:
    add_here_option(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_examples(
        parser,
        ("chatcli sessions list | head", "those used last"),
        ("chatcli sessions list --here", "those that began in this folder"),
        ("chatcli -s NAME", "go on with one"),
    )


def _list(options: Namespace, library: Library, terminal: Terminal) -> ExitCode:
    folder = folder_of(options, terminal)
    refresh(library, options, terminal)
    summaries = library.sessions(folder=folder)
    if options.json:
        listed = [json_fields(summary) for summary in summaries]
        terminal.stdout.write(json.dumps(listed, ensure_ascii=False, indent=2) + "\n")
        return ExitCode.DONE
    write_table(summaries, terminal)
    warn_of_damage({summary.name: summary.damaged_records for summary in summaries}, terminal)
    warn_of_unreadable(library, terminal)
    if not summaries:
        began = " that began here" if folder else ""
        terminal.warn(f"no sessions{began} yet; every conversation is saved automatically")
    return ExitCode.DONE


def _search_arguments(parser: Parser) -> None:
    parser.add_argument(
        "words", nargs="*", metavar="WORDS", help="all words must occur; the last may be incomplete"
    )
    parser.add_argument(
        "--limit",
        type=int,
        default=_SEARCH_LIMIT,
        metavar="N",
        help=f"how many to show at most ({_SEARCH_LIMIT})",
    )
    add_here_option(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_examples(
        parser,
        ("chatcli sessions search train rome", "both words, anywhere in a conversation"),
        ("chatcli sessions search 北京", "also part of a word, in languages without spaces"),
        ("chatcli sessions search --here todo", "only what began in this folder"),
    )


def _search(options: Namespace, library: Library, terminal: Terminal) -> ExitCode:
    words = as_typed(" ".join(options.words))
    if not words.strip():
        raise UsageError(
            "search for what? chatcli sessions search WORDS", hint="chatcli sessions list shows all"
        )
    if options.limit < 1:
        raise UsageError(f"--limit {options.limit} is too small", hint="use 1 or more")
    folder = folder_of(options, terminal)
    refresh(library, options, terminal)
    # Without a search word the library would list everything, which was not asked for here.
    found = library.search(words, folder=folder, limit=options.limit) if terms(words) else []
    if options.json:
        listed = [{**json_fields(hit.summary), "excerpt": hit.excerpt, "at": list(hit.at)} for hit in found]
        terminal.stdout.write(json.dumps(listed, ensure_ascii=False, indent=2) + "\n")
        return ExitCode.DONE
    for hit in found:
        write_found(hit, terminal)
    if not found:
        terminal.warn(f"no session contains {sanitize_line(words)}")
    elif len(found) == options.limit and (total := library.count(words, folder=folder)) > len(found):
        terminal.warn(f"{len(found)} of {total:,}; --limit N shows more")
    return ExitCode.DONE


def add_sessions_argument(parser: Parser) -> None:
    parser.add_argument("sessions", nargs="*", metavar="NAME|PATH", help="which sessions")


def named_sessions(options: Namespace, action: str) -> list[str]:
    """Return the named sessions; raise ``UsageError`` if there are none."""
    if not options.sessions:
        raise UsageError(
            f"which session? chatcli sessions {action} NAME",
            hint="chatcli sessions list shows the names",
        )
    return list(options.sessions)


def _show_arguments(parser: Parser) -> None:
    add_sessions_argument(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")


def _show(options: Namespace, library: Library, terminal: Terminal) -> ExitCode:
    write = _write_json if options.json else _write_transcript
    for name in named_sessions(options, "show"):
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


def _write_transcript(session: Session, terminal: Terminal) -> None:
    for record in session.path():
        text = sanitize(record.message.text)
        end = "" if text.endswith("\n") else "\n"
        terminal.stdout.write(f"── {record.message.role} · {sanitize_line(record.at)}\n{text}{end}\n")


LIST: Final = Action("list", "list conversations, most recent first", _list, _list_arguments)
SHOW: Final = Action("show", "print a conversation", _show, _show_arguments)
SEARCH: Final = Action("search", "search all conversations, in any language", _search, _search_arguments)
