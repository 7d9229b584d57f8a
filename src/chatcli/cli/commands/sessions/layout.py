"""How sessions stand in lines on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich.cells import cell_len, set_cell_size

from chatcli.core.errors import ConfigurationError
from chatcli.sessions.names import SUFFIX
from chatcli.sessions.reading import damage
from chatcli.sessions.records import local_now
from chatcli.text.sanitizer import sanitize_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from chatcli.cli.standard_streams import Terminal
    from chatcli.sessions.library import Library, SearchHit
    from chatcli.sessions.store import SessionSummary

_INDENTATION: Final = "    "
_SHOWN_NAMES: Final = 3
_LEAST_ROOM: Final = 20
"""How many columns must be left for a title."""


def write_table(summaries: Sequence[SessionSummary], terminal: Terminal) -> None:
    """Write a line a session: name, when it was used last, turns, title, which is below where there is no room."""
    names = [sanitize_line(summary.name) for summary in summaries]
    name_columns = max(map(cell_len, names), default=0)
    for name, summary in zip(names, summaries, strict=True):
        turns = f"{summary.turns} turn{'' if summary.turns == 1 else 's'}"
        title = sanitize_line(f"{_remarks(summary)}{summary.title}")
        head = f"{set_cell_size(name, name_columns)}  {when(summary)}  {turns:>9}"
        if terminal.stdout.is_terminal and cell_len(head) + _LEAST_ROOM > terminal.columns():
            lines = [head.rstrip(), f"{_INDENTATION}{title}"]
        else:
            lines = [f"{head}  {title}"]
        terminal.stdout.write("".join(f"{fitting(line, terminal)}\n" for line in lines))


def warn_of_damage(damaged: Mapping[str, int], terminal: Terminal) -> None:
    """Tell which sessions have damaged records, and how many; without any, nothing."""
    for name, count in damaged.items():
        if count:
            terminal.warn(f"{sanitize_line(name)} has {damage(count)}")
    if any(damaged.values()):
        terminal.warn("→ damaged records are skipped and stay in the file; the rest works as before")


def warn_of_unreadable(library: Library, terminal: Terminal) -> None:
    """Tell of the files beside the sessions that are none, and what to do with them."""
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
    """Write a hit of a search: name, when it was used last and title, and below it the words around."""
    summary = found.summary
    line = (
        f"{sanitize_line(summary.name)}  {when(summary)}  {sanitize_line(_remarks(summary) + summary.title)}"
    )
    terminal.stdout.write(fitting(line, terminal) + "\n")
    if found.excerpt:
        terminal.stdout.write(f"{_INDENTATION}{_excerpt(found, terminal)}\n")


def _excerpt(found: SearchHit, terminal: Terminal) -> str:
    """Return the excerpt as far as it fits, the hit in bold where there are colours."""
    start, end = found.at
    # Each piece by itself: what is made visible is longer than what it was.
    before, hit, after = map(
        sanitize_line, (found.excerpt[:start], found.excerpt[start:end], found.excerpt[end:])
    )
    if terminal.stdout.is_terminal:
        columns = terminal.columns() - len(_INDENTATION) - 1
        hit = _beginning(hit, columns)
        before = _end(before, (columns - cell_len(hit)) // 2)
        after = _beginning(after, columns - cell_len(before) - cell_len(hit))
    return before + (f"\x1b[1m{hit}\x1b[22m" if terminal.colors_on(terminal.stdout) else hit) + after


def _beginning(text: str, columns: int) -> str:
    if cell_len(text) <= columns:
        return text
    return set_cell_size(text, columns - 1).rstrip() + "…" if columns > 0 else ""


def _end(text: str, columns: int) -> str:
    if cell_len(text) <= columns:
        return text
    while text and cell_len(text) >= columns:
        text = text[1:]
    return f"…{text.lstrip()}" if columns > 0 else ""


def _remarks(summary: SessionSummary) -> str:
    """Return what stands before a title of a session that is not as all others are."""
    answering = "(answering) " if summary.is_being_answered(local_now()) else ""
    return answering + ("(damaged) " if summary.damaged_records else "")


def when(summary: SessionSummary) -> str:
    return summary.last_used.astimezone().strftime("%Y-%m-%d %H:%M")


def fitting(line: str, terminal: Terminal) -> str:
    """Cut a line at the edge of the terminal; a pipe gets all of it."""
    if not terminal.stdout.is_terminal or cell_len(line) <= terminal.columns():
        return line
    return set_cell_size(line, terminal.columns() - 1).rstrip() + "…"


def json_fields(summary: SessionSummary) -> dict[str, Any]:
    """Return what scripts get of a session; keys may be added, never changed."""
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
