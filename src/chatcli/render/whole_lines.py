"""Text a line at a time, for who has it read aloud."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class WholeLines:
    """A ``write`` that passes text on in whole lines, ``speaker`` before the first that says something.

    A line is held back until its end comes; who writes to it ends the last one.
    """

    def __init__(self, write: Callable[[str], object], *, speaker: str = "") -> None:
        self._write = write
        self._speaker = speaker
        self._begun: list[str] = []

    def __call__(self, text: str) -> None:
        lines, end, begun = text.rpartition("\n")
        if end:
            self._write(self._spoken("".join([*self._begun, lines, end])))
            self._begun.clear()
        self._begun.append(begun)

    def _spoken(self, lines: str) -> str:
        said = lines.lstrip("\n")
        if not said:
            return lines
        speaker, self._speaker = self._speaker, ""
        return lines[: len(lines) - len(said)] + speaker + said
