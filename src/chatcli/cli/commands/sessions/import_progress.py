"""The bar that shows how far an import is."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chatcli.cli.standard_streams import Stream, Terminal
    from chatcli.sessions.importing.imported_conversation import Progress
    from chatcli.sessions.importing.importer import ImportSummary


@contextmanager
def drawn(progress: Progress, terminal: Terminal) -> Iterator[Callable[[ImportSummary], None]]:
    """Draw a bar on stderr and give out what moves it on; nothing of it stays on the screen."""
    console = Console(
        file=_AsFile(terminal.stderr),  # type: ignore[arg-type]
        force_terminal=True,
        width=terminal.columns(),
        no_color=not terminal.colors_on(terminal.stderr),
    )
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("importing", total=None)

        def show(summary: ImportSummary) -> None:
            taken = f"{summary.imported + summary.here:,} conversations"
            bar.update(task, completed=progress.done, total=progress.total or None, description=taken)

        yield show


class _AsFile:
    """A stream of the terminal as rich wants one."""

    encoding = "utf-8"

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        return

    def isatty(self) -> bool:
        return True
