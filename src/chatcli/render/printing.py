"""Segments of styled text on their way to a terminal: the one console of rich that a run prints with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from rich.console import Console, RenderableType
    from rich.segment import Segment

    Painted: TypeAlias = Sequence[Segment]
    """Styled text, commands to the terminal between it as control segments."""

_ANY_SIZE: Final = (
    80,
    25,
)  # nothing is wrapped or cropped; without a size rich would ask some terminal for one


class SegmentPrinter:
    """Gives ``write`` what a terminal is sent for segments, all of a call in one piece.

    The segments have styles that the terminal can show, and what wraps is wrapped.
    """

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._printed = _Printed()
        self._console: Console | None = None

    def __call__(self, segments: Painted) -> None:
        from rich.segment import Segments  # noqa: PLC0415 - as below

        if not segments:
            return
        console = self._console = self._console or _console(self._printed)
        console.print(Segments(segments), end="", soft_wrap=True)
        self._write(self._printed.taken())


def command(sequence: str) -> Segment:
    """Return what a terminal does rather than shows."""
    from rich.segment import Segment  # noqa: PLC0415 - as below

    return Segment(sequence, None, ())


def as_written(segments: Painted) -> str:
    """Return what a terminal is sent for ``segments``."""
    pieces: list[str] = []
    SegmentPrinter(pieces.append)(segments)
    return "".join(pieces)


def plain_lines(renderable: RenderableType, columns: int) -> list[str]:
    """Return what rich makes of ``renderable`` on a terminal of so many columns without colours, as lines of text."""
    console = _console(_Printed())
    lines = console.render_lines(renderable, console.options.update_width(columns), pad=False)
    return ["".join(segment.text for segment in line).rstrip() for line in lines]


class _Printed:
    """A file that keeps what is printed: a write that fails inside of rich would be printed again the next time."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self._pieces: list[str] = []

    def write(self, text: str) -> int:
        self._pieces.append(text)
        return len(text)

    def flush(self) -> None:
        return

    def taken(self) -> str:
        text = "".join(self._pieces)
        self._pieces.clear()
        return text


def _console(file: _Printed) -> Console:
    """Return a console that knows nothing of this process: neither its streams nor its environment."""
    # Here, so that the first prompt and a pipe need not wait for it.
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
