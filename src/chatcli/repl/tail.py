"""The live tail: the end of a text that is still coming."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prompt_toolkit.formatted_text import ANSI, to_formatted_text
from prompt_toolkit.layout.containers import Window
from prompt_toolkit.layout.controls import UIContent, UIControl

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from prompt_toolkit.layout.controls import GetLinePrefixCallable


class TailControl(UIControl):
    """Shows the last of the ``rows``, ANSI text of one line each, that there is room for."""

    def __init__(self, rows: Callable[[], Sequence[str]]) -> None:
        self._rows = rows

    def preferred_height(
        self,
        width: int,  # noqa: ARG002 - the base class's
        max_available_height: int,
        wrap_lines: bool,  # noqa: ARG002
        get_line_prefix: GetLinePrefixCallable | None,  # noqa: ARG002
    ) -> int:
        return min(len(self._rows()), max_available_height)

    def create_content(self, width: int, height: int | None) -> UIContent:  # noqa: ARG002
        rows = self._rows()
        shown = [to_formatted_text(ANSI(row)) for row in rows[max(0, len(rows) - (height or 0)) :]]
        return UIContent(get_line=lambda at: shown[at], line_count=len(shown), show_cursor=False)


def tail_window(rows: Callable[[], Sequence[str]]) -> Window:
    return Window(TailControl(rows), dont_extend_height=True, wrap_lines=False)
