"""The rows above the composer that show what is queued."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wcwidth import clip, width

from chatcli.terminal.steady_widths import steady
from chatcli.text.terminal import sanitize_line

if TYPE_CHECKING:
    from chatcli.repl.queue import MessageQueue
    from chatcli.repl.written import Written

_MOST_ROWS: Final = 3
_FEW_ROWS: Final = 16
_NEXT: Final = "next: "
_THEN: Final = "then: "
_NOT_SENT: Final = "not sent: "


def queue_rows(queue: MessageQueue, columns: int, screen_rows: int, *, sign: str) -> list[str]:
    """Return a row for each of the first texts, and how many more there are; on a low screen a single row.

    ``sign`` stands before the first.
    """
    shown = list(queue)[: _MOST_ROWS if screen_rows > _FEW_ROWS else 1]
    if not shown:
        return []
    first = sign + (_NOT_SENT if queue.is_held else _NEXT)
    labels = [first, *(" " * (len(first) - len(_THEN)) + _THEN for _ in shown[1:])]
    more = len(queue) - len(shown)
    ends = ["" for _ in shown[1:]] + [f" ({more} more)" if more else ""]
    return [
        _row(label, written, end, columns) for label, written, end in zip(labels, shown, ends, strict=True)
    ]


def _row(label: str, written: Written, end: str, columns: int) -> str:
    first, *others = written.shown.strip().split("\n")
    lines = f" ({len(others) + 1} lines)" if others else ""
    text = steady(sanitize_line(first[:columns]))
    room = max(0, columns - width(label + lines + end))
    if width(text) > room or len(first) > columns:
        text = clip(text, 0, max(0, room - 1)) + "…"
    return clip(label + text + lines + end, 0, columns)
