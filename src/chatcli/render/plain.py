"""The answer as plain text: for pipes, files and ``-o text``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.core.events import TextDelta, TextReclassified, TurnCancelled, TurnFailed, TurnFinished
from chatcli.text.sanitizer import TerminalSanitizer

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatcli.core.events import Event


AFTER_REASONING: Final = "</think>\n\n"
"""Written after text that turns out to be reasoning, as models write it, so that scripts can detect it."""

REASONING_WRITTEN: Final = "the text before </think> is reasoning, not the answer"


class PlainRenderer:
    """Writes the answer as it arrives, and a final newline if it has none; nothing for no answer.

    ``sanitize=False`` is ``--raw``: every character as received. ``say`` receives a line if the text written
    turns out to be reasoning, as it cannot be erased.
    """

    def __init__(
        self, write: Callable[[str], object], *, sanitize: bool, say: Callable[[str], object] = lambda _: None
    ) -> None:
        self._write = write
        self._say = say
        self._sanitizes = sanitize
        self._sanitizer: TerminalSanitizer | None = None  # made with the first text
        self._last = ""

    async def __call__(self, event: Event) -> None:
        if isinstance(event, TextDelta):
            self._show(self._sanitized(event.text) if self._sanitizes else event.text)
        elif isinstance(event, TextReclassified):
            self._end()
            self._write(AFTER_REASONING)
            self._say(REASONING_WRITTEN)
        elif isinstance(event, TurnFinished | TurnFailed | TurnCancelled):
            self._end()

    def _sanitized(self, text: str) -> str:
        if self._sanitizer is None:
            self._sanitizer = TerminalSanitizer()
        return self._sanitizer.feed(text)

    def _show(self, text: str) -> None:
        if text:
            self._write(text)
            self._last = text[-1]

    def _end(self) -> None:
        if self._sanitizer:
            self._show(self._sanitizer.finish())
        if self._last not in {"", "\n"}:
            self._write("\n")
        self._last = ""


class WholeLines:
    """A ``write`` that passes on whole lines, with ``speaker`` before the first one that is not blank.

    A line is held back until its end arrives; the caller must end the last one.
    """

    def __init__(self, write: Callable[[str], object], *, speaker: str = "") -> None:
        self._write = write
        self._speaker = speaker
        self._begun: list[str] = []

    def __call__(self, text: str) -> None:
        lines, end, begun = text.rpartition("\n")
        if end:
            self._write(self._with_speaker("".join([*self._begun, lines, end])))
            self._begun.clear()
        self._begun.append(begun)

    def _with_speaker(self, lines: str) -> str:
        content = lines.lstrip("\n")
        if not content:
            return lines
        speaker, self._speaker = self._speaker, ""
        return lines[: len(lines) - len(content)] + speaker + content
