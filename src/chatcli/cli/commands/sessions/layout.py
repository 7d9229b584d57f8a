"""How sessions stand in lines on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.cells import cell_len, set_cell_size

from chatcli.safety.terminal import sanitize_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatcli.cli.terminal import Terminal
    from chatcli.sessions.store import SessionSummary


def write_table(summaries: Sequence[SessionSummary], terminal: Terminal) -> None:
    """Write a line a session: name, when it was used last, turns, title."""
    names = [sanitize_line(summary.name) for summary in summaries]
    name_columns = max(map(cell_len, names), default=0)
    for name, summary in zip(names, summaries, strict=True):
        turns = f"{summary.turns} turn{'' if summary.turns == 1 else 's'}"
        line = f"{set_cell_size(name, name_columns)}  {when(summary)}  {turns:>9}  {sanitize_line(summary.title)}"
        terminal.stdout.write(fitting(line, terminal) + "\n")


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
    }
