"""The answer as rendered Markdown, block by block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.core.events import AnswerContinued, TextDelta, TurnCancelled, TurnFailed, TurnFinished
from chatcli.render.blocks import BlockSplitter
from chatcli.safety.terminal import TerminalSanitizer, sanitize

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatcli.core.events import Event
    from chatcli.render.rich_markdown import ColorSystem


_LONGEST_TAIL: Final = 4_000
"""How many characters of a block that is still coming are shown rendered; of a longer one the end as it is."""


class MarkdownRenderer:
    """Writes each block of the answer once, when it is complete, with one blank line between blocks.

    ``width`` is asked before each block, in terminal columns. ``color_system`` is what the terminal can show;
    ``None`` writes no escape sequence at all. A block that cannot be rendered is shown as its source.
    """

    def __init__(
        self, write: Callable[[str], object], *, width: Callable[[], int], color_system: ColorSystem | None
    ) -> None:
        self._write = write
        self._width = width
        self._color_system = color_system
        self._begin()

    def tail(self, rows: int) -> list[str]:
        """Return the last ``rows`` lines of the block that is still coming, as they would be written now."""
        source = self._splitter.unfinished
        if not source.strip():
            return []
        if len(source) > _LONGEST_TAIL:
            # Rendering all of a long block for every frame would take longer than a frame may.
            return _last_rows(source, rows, self._width())
        lines = self._rendered(source).split("\n")[:-1]
        return (lines if self._is_first else ["", *lines])[-rows:]

    async def __call__(self, event: Event) -> None:
        if isinstance(event, AnswerContinued):
            # What stands above it is not shown again, but the rest of a code block is code.
            self._splitter.feed(_opened_block(event.text))
        elif isinstance(event, TextDelta):
            self._show(self._splitter.feed(self._sanitizer.feed(event.text)))
        elif isinstance(event, TurnFinished | TurnFailed | TurnCancelled):
            self._show(self._splitter.feed(self._sanitizer.finish()))
            self._show(self._splitter.finish())
            self._begin()

    def _begin(self) -> None:
        self._sanitizer = TerminalSanitizer()
        self._splitter = BlockSplitter()
        self._is_first = True

    def _show(self, blocks: list[str]) -> None:
        for block in blocks:
            shown = self._rendered(block)
            if shown:
                self._write(shown if self._is_first else "\n" + shown)
                self._is_first = False

    def _rendered(self, block: str) -> str:
        # Here, so that nobody who does not render Markdown pays for rich.
        from chatcli.render.rich_markdown import rendered  # noqa: PLC0415

        try:
            return rendered(block, width=self._width(), color_system=self._color_system)
        except Exception:  # noqa: BLE001  # whatever a library does with odd input, the answer is shown
            source = block.strip("\n")
            return source and source + "\n"


def _opened_block(text: str) -> str:
    """Return the line that opened the code block ``text`` ends in, nothing where it ends in none."""
    splitter = BlockSplitter()
    splitter.feed(sanitize(text))
    first = splitter.unfinished.lstrip("\n").partition("\n")[0]
    return first + "\n" if first.lstrip(" ").startswith(("```", "~~~")) else ""


def _last_rows(source: str, rows: int, width: int) -> list[str]:
    from rich.cells import chop_cells  # noqa: PLC0415

    lines = source[-rows * width :].removesuffix("\n").split("\n")
    return [row for line in lines for row in chop_cells(line.expandtabs(4), width) or [""]][-rows:]
