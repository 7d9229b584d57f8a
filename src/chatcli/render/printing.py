"""Terminal output of rich: styled segments as escape sequences, and renderables as lines of text."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from rich.console import RenderableType
    from rich.segment import Segment

    Painted: TypeAlias = Sequence[Segment]
    """Styled text; terminal commands in it are control segments."""

_ANY_LINES: Final = 25  # without a size, rich would query a terminal


def command(sequence: str) -> Segment:
    """Return a control segment: a terminal command rather than text."""
    # Imported late, so that neither the first prompt nor a pipe waits for rich.
    from rich.segment import Segment  # noqa: PLC0415

    return Segment(sequence, None, ())


def as_written(segments: Painted) -> str:
    """Return the terminal output for ``segments``, which have styles the terminal supports and fit already.

    It is what a rich console would print. The console is left out because it takes four times as long for a
    single row.
    """
    return "".join([style.render(text) if style else text for text, style, _ in segments])


def plain_lines(renderable: RenderableType, columns: int) -> list[str]:
    """Return ``renderable`` as lines of uncoloured text for a terminal of ``columns``."""
    from rich.console import Console  # noqa: PLC0415 - as above

    # Independent of this process's streams and environment.
    console = Console(
        file=io.StringIO(),
        force_terminal=True,
        force_jupyter=False,
        color_system=None,
        legacy_windows=False,
        width=columns,
        height=_ANY_LINES,
        _environ={},
    )
    lines = console.render_lines(renderable, pad=False)
    return ["".join([segment.text for segment in line]).rstrip() for line in lines]
