"""Answers that arrive at the same time, drawn in columns; on a narrow terminal one below another."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final

from rich.control import Control
from rich.segment import Segment

from chatcli.core.errors import Cancelled
from chatcli.core.events import (
    ReasoningDelta,
    Retrying,
    TextDelta,
    TextReclassified,
    TurnCancelled,
    TurnFailed,
    TurnFinished,
    Waiting,
)
from chatcli.render.live_answer import FRAME_S, LONGEST_PAUSE_S
from chatcli.render.markdown.painting import has_disputed_width
from chatcli.render.markdown.stream import LINE_END, MarkdownStream
from chatcli.render.markdown.widths import chopped, columns_of
from chatcli.render.status import error_lines, for_several, measured, measurements
from chatcli.render.themes import theme as theme_of
from chatcli.render.word_wrap import wrapped
from chatcli.text.shortening import shortened
from chatcli.text.text_buffer import TextBuffer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from chatcli.core.events import Event, TurnResult
    from chatcli.core.ports import Observer
    from chatcli.render.live_answer import Canvas
    from chatcli.render.markdown.inline import LineBreaks
    from chatcli.render.printing import Painted
    from chatcli.render.themes import Role, Theme

LEAST_COLUMNS: Final = 37
"""The least width of a column: three on a terminal of 120 columns, two on one of 80."""

_BAR: Final = " │ "
_PAUSE_PER_DRAWING: Final = 24
"""Drawing takes at most a twenty-fifth of a core, as in ``LiveAnswer``."""
_TICK_S: Final = 1.0


def column_width(columns: int, count: int) -> int | None:
    """Return the width of each of ``count`` columns, ``None`` if they would be too narrow."""
    width = (columns - len(_BAR) * (count - 1)) // count
    return width if width >= LEAST_COLUMNS else None


class SideBySide:
    """Draws the turns of the models with these ``names``, which must be safe for a terminal.

    Rows that every column has, or ends before, are printed for good; the others are redrawn below them, the newest of
    each column. Below each answer stand its times and cost, if ``verbose`` also its tokens and the ids of its call. After a
    change of the width, all is drawn anew. ``reword`` returns the text to write for a line about a failure, empty for none.
    ``clock`` returns the time and ``cpu_clock`` the CPU time of this thread, both in seconds.
    """

    def __init__(
        self,
        canvas: Canvas,
        theme: Theme,
        names: Sequence[str],
        *,
        line_breaks: LineBreaks = "auto",
        verbose: bool = False,
        reword: Callable[[str], str] = for_several,
        clock: Callable[[], float] = time.monotonic,
        cpu_clock: Callable[[], float] = time.thread_time,
    ) -> None:
        self._canvas = canvas
        self._theme = theme
        self._clock = clock
        self._cpu_clock = cpu_clock
        about = measurements if verbose else measured
        self._columns = [
            _ModelColumn(name, theme, line_breaks, clock(), reword=reword, about=about) for name in names
        ]
        self._canvas_columns: int | None = None
        self._width: int | None = None
        self._printed_rows = 0
        self._below = 0  # the column being shown, where each stands below the one before
        self._due_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._failure: Exception | None = None

    def turn(self, at: int) -> Observer:
        """Return the observer of the turn at this place."""
        return partial(self._see, at)

    def clear(self) -> None:
        """Remove what is redrawn, for a question to the person."""
        self._cancel()
        self._canvas.draw((), ())

    async def _see(self, at: int, event: Event) -> None:
        if self._failure is not None:
            raise self._failure
        if not self._columns[at].see(event):
            return
        if all(column.has_ended for column in self._columns):
            self._draw()
        elif self._clock() < self._due_s or not self._canvas.is_ready():
            self._schedule(max(self._due_s - self._clock(), 0.0))
        else:
            self._draw()
            # A fast stream never waits for its next event; without this pause no key would be read.
            await asyncio.sleep(0)

    def _schedule(self, wait_s: float) -> None:
        if self._timer is None or self._timer.when() > asyncio.get_running_loop().time() + wait_s:
            self._cancel()
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._draw_on_time)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _draw_on_time(self) -> None:
        self._timer = None
        if not self._canvas.is_ready():
            self._schedule(FRAME_S)
            return
        try:
            self._draw()
        except Exception as error:  # noqa: BLE001 - raised again by the next event
            self._failure = error

    def _draw(self) -> None:
        self._cancel()
        began_s = self._cpu_clock()
        printed = list(self._fitted())
        has_ended = all(column.has_ended for column in self._columns)
        if self._width is None:
            printed += self._finished_below()
            tail = [] if has_ended else self._tail_below()
        else:
            printed += self._finished_beside(self._width)
            tail = [] if has_ended else self._tail_beside(self._width)
        self._canvas.draw(printed, tail)
        pause_s = _PAUSE_PER_DRAWING * (self._cpu_clock() - began_s)
        self._due_s = self._clock() + min(max(FRAME_S, pause_s), LONGEST_PAUSE_S)
        if not has_ended:
            # The time of each answer goes on, whether text arrives or not.
            self._schedule(_TICK_S)

    def _fitted(self) -> Iterator[Segment]:
        """Lay everything out for the width of the canvas, if that is another; yield what is printed above it."""
        columns = self._canvas.columns()
        if columns != self._canvas_columns:
            if self._canvas_columns is not None:
                yield LINE_END
            self._canvas_columns, self._printed_rows, self._below = columns, 0, 0
            self._width = column_width(columns, len(self._columns))
            for column in self._columns:
                column.lay_out(self._width or columns, is_beside=self._width is not None)
            if self._width is not None:
                heads = [[column.head(self._width)] for column in self._columns]
                yield from self._joined(heads, self._width)
        for column in self._columns:
            column.take_text()

    # Beside each other

    def _finished_beside(self, width: int) -> Iterator[Segment]:
        running = [len(column.rows) for column in self._columns if not column.has_ended]
        until = min(running) if running else max(len(column.rows) for column in self._columns)
        for at in range(self._printed_rows, until):
            yield from self._joined([column.rows[at : at + 1] for column in self._columns], width)
        self._printed_rows = max(self._printed_rows, until)
        if not running:
            yield from self._joined([[()] for _ in self._columns], width)
            yield from self._joined([column.foot() for column in self._columns], width)

    def _tail_beside(self, width: int) -> list[Painted]:
        room = max(1, self._canvas.rows() - 1)
        pending = [column.pending(self._printed_rows, room) for column in self._columns]
        height = max(map(len, pending))
        beside = [[*rows, *[()] * (height - len(rows))] for rows in pending]
        status = [column.status(self._clock(), width) for column in self._columns]
        rows: list[Painted] = [
            self._row(cells, width, is_redrawn=True) for cells in zip(*beside, strict=True)
        ]
        return [*rows, self._row(status, width, is_redrawn=True)][-self._canvas.rows() :]

    def _joined(self, cells: Sequence[Sequence[Painted]], width: int) -> Iterator[Segment]:
        for at in range(max(map(len, cells))):
            yield from self._row([rows[at] if at < len(rows) else () for rows in cells], width)
            yield LINE_END

    def _row(self, cells: Sequence[Painted], width: int, *, is_redrawn: bool = False) -> list[Segment]:
        """Return the cells of all columns as one row, without blanks at its end."""
        row: list[Segment] = []
        bar = self._theme.segment(_BAR, "border")
        for at, cell in enumerate(cells):
            if at:
                row.append(bar)
            row += cell
            if at == len(cells) - 1:
                break
            text = "".join([segment.text for segment in cell])
            row.append(Segment(" " * max(0, width - columns_of(text))))
            if self._theme.links and not is_redrawn and has_disputed_width(text):
                row.append(Control.move_to_column((width + len(_BAR)) * (at + 1) - len(_BAR)).segment)
        return row

    # One below another

    def _finished_below(self) -> Iterator[Segment]:
        while self._below < len(self._columns):
            column = self._columns[self._below]
            columns = self._canvas_columns or 1
            if self._printed_rows == 0 and (column.rows or column.has_ended):
                yield from (LINE_END,) if self._below else ()
                yield from (*column.head(columns), LINE_END, LINE_END)
                self._printed_rows = 1
            for row in islice(column.rows, max(0, self._printed_rows - 1), None):
                yield from (*row, LINE_END)
            if self._printed_rows:
                self._printed_rows = 1 + len(column.rows)
            if not column.has_ended:
                return
            for row in ((), *column.foot()):
                yield from (*row, LINE_END)
            self._below, self._printed_rows = self._below + 1, 0

    def _tail_below(self) -> list[Painted]:
        columns, rows = self._canvas_columns or 1, self._canvas.rows()
        now_s = self._clock()
        running = self._columns[self._below :]
        status = [
            [*column.head(columns // 2), Segment(" "), *column.status(now_s, columns - columns // 2 - 1)]
            for column in running
        ][: max(1, rows // 2)]
        shown = running[0].pending(max(0, self._printed_rows - 1), max(0, rows - len(status)))
        return [*shown, *status][-rows:]


class _ModelColumn:
    """One answer: its rows at the width in force, and the state of its turn."""

    def __init__(
        self,
        name: str,
        theme: Theme,
        line_breaks: LineBreaks,
        began_s: float,
        *,
        reword: Callable[[str], str],
        about: Callable[[TurnResult], str],
    ) -> None:
        self._name = name
        self._theme = theme
        self._line_breaks = line_breaks
        self._began_s = began_s
        self._reword = reword
        self._about = about
        self._text = TextBuffer()
        self._waiting: list[str] = []
        self._width = 1
        self._is_beside = False
        self._stream = self._begin_stream()
        self._doing = "waiting"
        self._result: TurnResult | None = None
        self._is_drawn_to_end = False
        self.rows: list[Painted] = []
        """The rows that are final at this width."""

    @property
    def has_ended(self) -> bool:
        return self._result is not None

    def see(self, event: Event) -> bool:
        """Take an event; return whether it changes what is shown."""
        match event:
            case TextDelta(text):
                self._doing = "writing"
                self._text.append(text)
                self._waiting.append(text)
            case ReasoningDelta():
                is_new, self._doing = self._doing != "thinking", "thinking"
                return is_new
            case TextReclassified(text):
                self._take_back(len(text))
            case Retrying(attempt, wait_s):
                self._doing = f"attempt {attempt} in {wait_s:.0f} s"
            case Waiting(is_held=is_held):
                self._doing = "held by a limit" if is_held else self._doing
            case TurnFinished(result) | TurnFailed(result) | TurnCancelled(result):
                self._result = result
            case _:
                return False
        return True

    def lay_out(self, width: int, *, is_beside: bool) -> None:
        """Draw the whole text anew; ``is_beside`` another column."""
        self._width, self._is_beside, self.rows = width, is_beside, []
        self._stream = self._begin_stream()
        self._waiting = [self._text.text]
        self._is_drawn_to_end = False

    def take_text(self) -> None:
        """Turn new text into rows."""
        text = "".join(self._waiting)
        self._waiting.clear()
        if text:
            self._add_rows(self._stream.feed(text, self._width))
        if self._result is not None and not self._is_drawn_to_end:
            self._is_drawn_to_end = True
            self._add_rows(self._stream.finish(self._width))
            self.rows += self._failure(self._result)

    def pending(self, printed: int, count: int) -> list[Painted]:
        """Return the last ``count`` rows that are not printed yet, a preview of the open end included."""
        open_end = [] if self.has_ended else self._stream.tail(self._width, count)
        return [*self.rows[max(printed, len(self.rows) - count) :], *open_end][-count:] if count else []

    def head(self, width: int) -> list[Segment]:
        return [self._theme.segment(shortened(self._name, width), "table.header")]

    def status(self, now_s: float, width: int) -> list[Segment]:
        """Return on one row what the turn is doing, and for how long."""
        words = "done" if self._result is not None else f"{self._doing} {now_s - self._began_s:.0f} s"
        return [self._theme.segment(shortened(words, width), "remark")]

    def foot(self) -> list[Painted]:
        """Return the line about the answer: its times and cost."""
        words = "" if self._result is None else self._about(self._result)
        return self._lines(words, "remark") if words else []

    def _failure(self, result: TurnResult) -> list[Painted]:
        if result.error is None:
            return []
        gap: list[Painted] = [()] if self.rows else []
        if isinstance(result.error, Cancelled):
            return [*gap, *self._lines("stopped", "remark")]
        message, *hints = filter(None, map(self._reword, error_lines(result.error)))
        return [*gap, *self._lines(message, "error"), *self._lines("\n".join(hints), "remark")]

    def _lines(self, text: str, role: Role) -> list[Painted]:
        lines = wrapped(text, self._width).split("\n") if text else []
        # A path or an address stays whole for copying, which a column has no room for.
        cut = [part for line in lines for part in chopped(line, self._width, self._width)]
        return [[self._theme.segment(line, role)] for line in cut]

    def _begin_stream(self) -> MarkdownStream:
        if not self._is_beside:
            return MarkdownStream(self._theme, self._line_breaks)
        # A link of two rows would take in the columns between them.
        theme = theme_of(self._theme.name, self._theme.color_system, links=False)
        return MarkdownStream(theme, self._line_breaks, moves_cursor=False)

    def _add_rows(self, segments: Painted) -> None:
        rows = _rows_of(segments)
        # A terminal wraps a long line of code so that it can be copied whole; in a column that is done here.
        self.rows += [part for row in rows for part in _folded(row, self._width)] if self._is_beside else rows

    def _take_back(self, length: int) -> None:
        """Begin the answer again without its last ``length`` characters, below the rows there are."""
        self.take_text()
        self._text.drop_last(length)
        mark = self._lines("the text above was reasoning", "reasoning")
        self._add_rows(self._stream.finish(self._width))
        self.rows += [*mark, ()]
        self._stream = self._begin_stream()
        self._waiting = [self._text.text]


def _rows_of(segments: Painted) -> list[Painted]:
    """Split segments at the line end behind each row."""
    rows: list[Painted] = []
    row: list[Segment] = []
    for segment in segments:
        if segment == LINE_END:
            rows.append(row)
            row = []
        else:
            row.append(segment)
    return [*rows, row] if row else rows


def _folded(row: Painted, columns: int) -> Iterator[Painted]:
    """Cut a row into rows of at most ``columns``."""
    part: list[Segment] = []
    used = 0
    for text, style, _ in row:
        blanks = text.replace("\t", "    ")
        for at, chunk in enumerate(chopped(blanks, columns, max(0, columns - used))):
            if at:
                yield part
                part, used = [], 0
            if chunk:
                part.append(Segment(chunk, style))
                used += columns_of(chunk)
    yield part
