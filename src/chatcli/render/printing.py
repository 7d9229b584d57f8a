"""Writing styled segments to a terminal, through the run's one rich console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from rich.console import Console, RenderableType
    from rich.segment import Segment

    Painted: TypeAlias = Sequence[Segment]
    """Styled text; terminal commands in it are control segments."""

# Arbitrary, as nothing is wrapped or cropped; without a size, rich would query a terminal.
_ANY_SIZE: Final = (80, 25)


class SegmentPrinter:
    """Passes the terminal output for segments to ``write``, one call for all of them.

    The segments must have styles the terminal supports, and must be wrapped already.
    """

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._buffer = _Buffer()
        self._console: Console | None = None

    def __call__(self, segments: Painted) -> None:
        from rich.segment import Segments  # noqa: PLC0415 - as below

        if not segments:
            return
        console = self._console = self._console or _console(self._buffer)
        console.print(Segments(segments), end="", soft_wrap=True)
        self._write(self._buffer.drain())


def command(sequence: str) -> Segment:
    """Return a control segment: a terminal command rather than text."""
    from rich.segment import Segment  # noqa: PLC0415 - as below

    return Segment(sequence, None, ())


def as_written(segments: Painted) -> str:
    """Return the terminal output for ``segments``."""
    chunks: list[str] = []
    SegmentPrinter(chunks.append)(segments)
    return "".join(chunks)


def plain_lines(renderable: RenderableType, columns: int) -> list[str]:
    """Return ``renderable`` as lines of uncoloured text for a terminal of ``columns``."""
    console = _console(_Buffer())
    lines = console.render_lines(renderable, console.options.update_width(columns), pad=False)
    return ["".join(segment.text for segment in line).rstrip() for line in lines]


class _Buffer:
    """An in-memory file for rich, which would repeat its output after a failed write to a real one."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self._chunks: list[str] = []

    def write(self, text: str) -> int:
        self._chunks.append(text)
        return len(text)

    def flush(self) -> None:
        return

    def drain(self) -> str:
        text = "".join(self._chunks)
        self._chunks.clear()
        return text


def _console(file: _Buffer) -> Console:
    """Return a console independent of this process's streams and environment."""
    # Imported late, so that neither the first prompt nor a pipe waits for rich.
    from rich.console import Console  # noqa: PLC0415

    columns, lines = _ANY_SIZE
    return Console(
        file=file,  # type: ignore[arg-type]
        force_terminal=True,
        force_jupyter=False,
        color_system="truecolor",
        legacy_windows=False,
        width=columns,
        height=lines,
        _environ={},
    )
