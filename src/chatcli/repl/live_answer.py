"""The answer while it comes: what is finished is printed, the rest is shown below it, a frame at a time."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, Protocol

from chatcli.core.events import TextDelta, TurnCancelled, TurnFailed, TurnFinished
from chatcli.render.markdown import MarkdownRenderer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chatcli.core.events import Event
    from chatcli.render.rich_markdown import ColorSystem

FRAME_S: Final = 1 / 30
_SHARE_FOR_DRAWING: Final = 3
"""Drawing takes at most a third of the time, however slow it is."""


class Canvas(Protocol):
    """Where an answer is drawn."""

    def columns(self) -> int: ...

    def rows(self) -> int:
        """Return how many rows a tail may have."""
        ...

    def draw(self, printed: str, tail: Sequence[str]) -> None:
        """Print whole lines for good and show ``tail`` below them, in one frame."""
        ...


class LiveAnswer:
    """An observer that draws the first text and the last at once and what comes between in frames."""

    def __init__(
        self,
        canvas: Canvas,
        *,
        color_system: ColorSystem | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._canvas = canvas
        self._clock = clock
        self._finished: list[str] = []
        self._renderer = MarkdownRenderer(
            self._finished.append, width=canvas.columns, color_system=color_system
        )
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0

    async def __call__(self, event: Event) -> None:
        await self._renderer(event)
        if isinstance(event, TurnFinished | TurnFailed | TurnCancelled):
            self._draw()
        elif isinstance(event, TextDelta):
            if self._clock() >= self._due_s:
                self._draw()
                # A fast stream never waits for its next event: without this no key would be read.
                await asyncio.sleep(0)
            elif self._timer is None:
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(self._due_s - self._clock(), self._draw)

    def _draw(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        began_s = self._clock()
        printed = "".join(self._finished)
        self._finished.clear()
        self._canvas.draw(printed, self._renderer.tail(self._canvas.rows()))
        now_s = self._clock()
        self._due_s = now_s + max(FRAME_S, _SHARE_FOR_DRAWING * (now_s - began_s))
