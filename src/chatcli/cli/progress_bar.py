"""A progress bar on stderr, drawn by rich."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, TypeAlias

from chatcli.cli.standard_streams import ClosedPipe
from chatcli.core.errors import LocalIOError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from chatcli.cli.standard_streams import Stream, Terminal

    Show: TypeAlias = Callable[[str, int, int], None]
    """Shows an activity, its progress and its total, 0 if unknown."""

_WIDEST_BAR: Final = 40


def can_be_redrawn(terminal: Terminal) -> bool:
    return terminal.stderr.is_terminal and not terminal.is_dumb


def console_on_stderr(terminal: Terminal) -> Console:
    from rich.console import Console  # noqa: PLC0415 - nothing is drawn in a pipe

    return Console(
        file=_AsFile(terminal.stderr),  # type: ignore[arg-type]
        force_terminal=True,
        width=terminal.stderr_columns(),
        color_system=terminal.stderr_colors,
        _environ={},
    )


@contextmanager
def progress_bar(terminal: Terminal, *, in_bytes: bool = False) -> Iterator[Show]:
    """Draw a bar, in percent or ``in_bytes``; yield the function that advances it, and erase it after."""
    # Nothing is drawn in a pipe.
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.table import Column  # noqa: PLC0415

    console = console_on_stderr(terminal)
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(None, table_column=Column(max_width=_WIDEST_BAR)),
        (DownloadColumn if in_bytes else TaskProgressColumn)(table_column=Column(no_wrap=True)),
        TimeRemainingColumn(compact=True, table_column=Column(no_wrap=True)),
        console=console,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    ) as bar:
        task = bar.add_task("", total=None)

        def show(what: str, done: int, total: int) -> None:
            bar.update(task, completed=done, total=total or None, description=what)

        yield show


class _AsFile:
    """A stream of the terminal with rich's interface; a failing progress bar loses nothing."""

    encoding = "utf-8"

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(ClosedPipe, LocalIOError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        return

    def isatty(self) -> bool:
        return True
