"""Pictures of numbers in characters: sparklines, bars, and columns over time.

They need no colours to be read, and no legend: axes and bars name their values. A value above nothing is never drawn as nothing.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from wcwidth import ljust, rjust, width, wrap

from chatcli.core.frozen import frozen
from chatcli.text.sanitizer import sanitize_line
from chatcli.text.shortening import shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TypeAlias

    from chatcli.render.themes import Role, StyledRow

    Value: TypeAlias = float | None
    """``None`` where nothing was measured."""

_HEIGHTS: Final = " ▁▂▃▄▅▆▇█"
_LENGTHS: Final = " ▏▎▍▌▋▊▉█"
_EIGHTHS: Final = 8
_FULL: Final = "█"
_SHADE: Final = "░"
_NOTHING: Final = "·"
_UNBROKEN: Final = "\N{NO-BREAK SPACE}"
_HEADING: Final = "strong"
_FAINT: Final = "remark"

_WIDEST_LABEL: Final = 30
_SHORTEST_BAR: Final = 4
_LONGEST_BAR: Final = 50
_BESIDE_AMOUNT: Final = 4
_WIDEST_COLUMN: Final = 6
_BESIDE_AXIS: Final = 2
_BESIDE_LABEL: Final = _BESIDE_AXIS + 1
_ROUND: Final = (1, 1.2, 1.5, 2, 3, 4, 5, 6, 8, 10)
"""What the numbers begin with that an axis ends with; half of them is round as well."""


def headed(heading: str, columns: int, *legend: str) -> Iterator[StyledRow]:
    """Yield a heading with its legend, below it if there is too little room."""
    explained = "  ".join(filter(None, legend))
    if not explained:
        yield [(shortened(heading, columns), _HEADING)]
    elif width(heading) + 2 + width(explained) <= columns:
        yield [(heading, _HEADING), (f"  {explained}", _FAINT)]
    else:
        yield [(shortened(heading, columns), _HEADING)]
        # What belongs together stays on one line, if it fits.
        parts = (part.replace(" ", _UNBROKEN) if width(part) <= columns else part for part in legend if part)
        for line in wrap("  ".join(parts), max(1, columns)):
            yield [(line.replace(_UNBROKEN, " "), _FAINT)]


def sparkline(values: Sequence[Value], columns: int) -> str:
    """Return the last ``columns`` of ``values`` as one row of columns, up to the highest; without a value it is a dot."""
    shown = values[-columns:] if columns > 0 else ()
    highest = max((value for value in shown if value is not None), default=0)
    return "".join(
        _NOTHING if value is None else _HEIGHTS[max(1, _eighths(value, highest, 1))] for value in shown
    )


class TextBar(NamedTuple):
    """A bar with a label before it and its amount in words behind it."""

    label: str
    value: float
    amount: str


def bars(rows: Sequence[TextBar], columns: int, role: Role = "") -> list[StyledRow]:
    """Return a row of at most ``columns`` for each of ``rows``: the longest bar fills the room between labels and amounts."""
    labels = [sanitize_line(row.label) for row in rows]
    amounts = [shortened(row.amount, columns - _BESIDE_AMOUNT) for row in rows]
    amount_columns = max(map(width, amounts), default=0)
    label_columns = max(map(width, labels), default=0)
    label_columns = min(label_columns, _WIDEST_LABEL, max(1, columns - amount_columns - _SHORTEST_BAR - 2))
    room = min(_LONGEST_BAR, max(0, columns - label_columns - amount_columns - 2))
    highest = max((row.value for row in rows), default=0)
    drawn: list[StyledRow] = []
    for label, amount, row in zip(labels, amounts, rows, strict=True):
        bar = _bar(row.value, highest, room)
        drawn.append(
            [
                (rjust(shortened(label, label_columns), label_columns) + " ", ""),
                (bar, role),
                (f" {amount}" if bar else amount, _FAINT if not row.value else ""),
            ]
        )
    return drawn


def _bar(value: float, highest: float, room: int) -> str:
    eighths = _eighths(value, highest, room)
    return _FULL * (eighths // _EIGHTHS) + _LENGTHS[eighths % _EIGHTHS].strip()


def _eighths(value: float, highest: float, cells: int) -> int:
    """Return the part of ``cells`` that a value takes of them, in eighths; at least one, if it is above 0."""
    if value <= 0 or highest <= 0 or not cells:
        return 0
    return max(1, round(min(1.0, value / highest) * cells * _EIGHTHS))


@frozen
class Axis:
    """The values from the bottom to the top of a picture, and a function that words them."""

    lowest: float
    highest: float
    in_words: Callable[[float], str]

    @classmethod
    def up_to(cls, highest: float, in_words: Callable[[float], str]) -> Axis:
        """Return an axis from 0 to the next round number."""
        return cls(0.0, round_above(highest), in_words)

    @property
    def span(self) -> float:
        return self.highest - self.lowest


def round_above(value: float) -> float:
    """Return the smallest number at or above ``value`` that begins with one of ``_ROUND`` and has only zeros behind."""
    if value <= 0 or not math.isfinite(value):
        return 1.0
    # A tiny number has no power of ten below it.
    magnitude = 10.0 ** max(-300, math.floor(math.log10(value)))
    return next((digit * magnitude for digit in _ROUND if digit * magnitude >= value), value)


class TimeColumn(NamedTuple):
    """A column: solid up to ``value``, shaded from there up to ``upper``. ``label`` may stand below it."""

    label: str
    value: Value
    upper: Value = None
    role: Role = ""


def columns_over_time(
    drawn: Sequence[TimeColumn], axis: Axis, columns: int, *, height: int
) -> list[StyledRow]:
    """Return ``drawn``, of which there are no more than ``room_for_columns``, as rows of at most ``columns``, with axes."""
    marks = {
        height: axis.highest,
        height // 2: axis.lowest + axis.span * (height // 2) / height,
        0: axis.lowest,
    }
    words = {row: shortened(axis.in_words(value), columns - _BESIDE_LABEL) for row, value in marks.items()}
    if axis.highest == axis.lowest or len(set(words.values())) < len(words):
        words.pop(height // 2, None)
    head = max(map(width, words.values()))
    room = max(1, columns - head - _BESIDE_AXIS)
    pitch = max(1, min(_WIDEST_COLUMN + 1, room // max(1, len(drawn))))
    bar_columns = max(1, pitch - 1)
    rows: list[StyledRow] = []
    for row in range(height, 0, -1):
        label = words.get(row, "")
        line: list[tuple[str, Role]] = [(rjust(label, head) + (" ┤" if label else " │"), _FAINT)]
        for column in drawn:
            sign, role = _cell(column, axis, row - 1, height)
            line.append((ljust(sign * bar_columns, pitch), role))
        rows.append(_joined(line))
    line_below = "─" * min(room, pitch * len(drawn))
    rows.append([(rjust(words[0], head) + " ┴" + line_below, _FAINT)])
    labels = _labels([column.label for column in drawn], pitch, room)
    if labels:
        rows.append([(" " * (head + _BESIDE_AXIS) + labels, _FAINT)])
    return rows


def _cell(column: TimeColumn, axis: Axis, row: int, height: int) -> tuple[str, Role]:
    """Return what a column shows in ``row``, from 0 at the bottom, and its role."""
    if column.value is None:
        return (_NOTHING, _FAINT) if row == 0 else (" ", "")
    solid = max(1, _eighths(column.value - axis.lowest, axis.span, height)) - row * _EIGHTHS
    if solid > 0:
        return _HEIGHTS[min(_EIGHTHS, solid)], column.role
    if column.upper is not None and row < round(
        _eighths(column.upper - axis.lowest, axis.span, height) / _EIGHTHS
    ):
        return _SHADE, _FAINT
    return " ", ""


def _joined(parts: Sequence[tuple[str, Role]]) -> StyledRow:
    """Return a row whose neighbours of one role are one text, without blanks at its end."""
    row: list[tuple[str, Role]] = []
    for text, role in parts:
        if row and (row[-1][1] == role or not text.strip()):
            row[-1] = (row[-1][0] + text, row[-1][1])
        else:
            row.append((text, role))
    row[-1] = (row[-1][0].rstrip(), row[-1][1])
    return row


def _labels(labels: Sequence[str], pitch: int, room: int) -> str:
    """Return as many of the labels, at even distances, as fit below their columns."""
    widest = max(map(width, labels), default=0)
    step = max(1, math.ceil((widest + 1) / pitch))
    line = ""
    for at in range(0, len(labels), step):
        if at * pitch + width(labels[at]) <= room:
            line = ljust(line, at * pitch) + labels[at]
    return line


def room_for_columns(axis: Axis, columns: int) -> int:
    """Return how many columns fit beside an axis."""
    widest = max(
        width(axis.in_words(value)) for value in (axis.lowest, (axis.lowest + axis.highest) / 2, axis.highest)
    )
    return max(1, columns - min(widest, max(0, columns - _BESIDE_LABEL)) - _BESIDE_AXIS)
