"""An answer for reading aloud: sentence by sentence, with visual structure put into words."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING, Final

from chatcli.core.events import (
    ReasoningDelta,
    TextDelta,
    TextReclassified,
    TurnCancelled,
    TurnFailed,
    TurnFinished,
)
from chatcli.render.markdown.inline import Inline
from chatcli.render.markdown.open_ends import with_emphasis_closed
from chatcli.render.markdown.syntax import FENCE, RULE, cells_of, columns_of, heading_in, is_closing_fence
from chatcli.render.sentence_ends import UnbreakableSpans, sentence_end
from chatcli.text.sanitizer import TerminalSanitizer
from chatcli.text.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatcli.core.events import Event

SPOKEN_AFTER_S: Final = 3.0
"""The maximum time words wait for the end of their sentence."""

_SILENT_AFTER_S: Final = 5.0
_LEAD: Final = re.compile(r"\A(?:(?:[ \t]*>)+[ \t]?|[ \t]+)")
_ITEM: Final = re.compile(r"[ \t]*(?P<marker>[-*+]|\d{1,9}[.)])[ \t]+(?:\[(?P<task>[ xX])\][ \t]+)?")
_MARKS: Final = re.compile(r"\*\*|__(?=\w)|(?<=\w)__|`")


class SpokenAnswer:
    """An observer that writes an answer as lines for a screen reader.

    Text is written sentence by sentence; an unfinished sentence is written after ``SPOKEN_AFTER_S``. Code is
    announced with its language and number of lines, a table is read as records, marks are dropped. ``remark``
    receives a line while nothing new arrives or the model only reasons. ``speaker`` goes before the first
    words.
    """

    def __init__(
        self,
        write: Callable[[str], object],
        remark: Callable[[str], object],
        *,
        speaker: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write = write
        self._remark = remark
        self._speaker = speaker
        self._has_spoken = False
        self._clock = clock
        self._sanitizer = TerminalSanitizer()
        self._inline = Inline({}, shows_marks=False)
        self._line = ""  # the unwritten part of the current line
        self._is_begun = False  # whether part of the current line was written
        self._indents: list[int] = []  # of the text in the open list items
        self._waiting_header: str | None = None
        self._header: list[str] | None = None
        self._rows = 0
        self._fence = ""
        self._language = ""
        self._code: list[str] | None = None
        self._code_lines = 0
        self._spoken_s = clock()
        self._heard_s = clock()
        self._thinking_since_s: float | None = None
        self._remarked_after_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def speak(self, text: str) -> None:
        """Write a whole earlier answer."""
        self._take(self._sanitizer.feed(text))
        self._end(is_whole=True)

    async def __call__(self, event: Event) -> None:
        match event:
            case TextDelta(text):
                self._thinking_since_s = None
                self._hear()
                self._take(self._sanitizer.feed(text))
                self._watch()
            case ReasoningDelta():
                self._hear()
                if self._thinking_since_s is None:
                    self._thinking_since_s = self._clock()
                self._watch()
            case TextReclassified():
                self._end(is_whole=False)
                self._remark("the text before is reasoning, the answer follows")
            case TurnFinished() | TurnFailed() | TurnCancelled():
                self._end(is_whole=isinstance(event, TurnFinished))
            case _:
                pass

    def _hear(self) -> None:
        self._heard_s = self._clock()
        if self._thinking_since_s is None:
            self._remarked_after_s = 0.0

    def _watch(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SPOKEN_AFTER_S / 3, self.look)

    def look(self) -> None:
        """Write text that has waited too long, or a remark that nothing arrives."""
        self._timer = None
        self._watch()
        now_s = self._clock()
        if now_s - self._spoken_s >= SPOKEN_AFTER_S:
            self._say_begun_words()
            self._say_begun_code()
        since_s = self._heard_s if self._thinking_since_s is None else self._thinking_since_s
        waited_s = now_s - since_s
        after_s = _SILENT_AFTER_S if self._thinking_since_s is None else SPOKEN_AFTER_S
        if waited_s >= max(after_s, 2 * self._remarked_after_s):
            self._remarked_after_s = waited_s
            what = "nothing new" if self._thinking_since_s is None else "thinking"
            self._remark(f"{what} for {waited_s:.0f} seconds")

    def _take(self, text: str) -> None:
        *lines, rest = text.split("\n")
        for line in lines:
            self._line += line
            self._end_line()
        self._line += rest
        if self._code is None and not self._fence and self._header is None:
            self._say_sentences()

    def _end_line(self) -> None:
        if self._is_in_formula():
            self._line += "\n"
            return
        line, self._line = self._line, ""
        is_begun, self._is_begun = self._is_begun, False
        if self._fence:
            self._add_code(line)
        elif "\n" in line and (unbreakable := UnbreakableSpans(line)).opens_formula:
            # The formula was never closed.
            self._say_text(line[: unbreakable.first_open])
            for row in line[unbreakable.first_open :].splitlines():
                self._write_line(row)
        elif is_begun:
            self._say_text(line)
        else:
            self._read_line(line)

    def _is_in_formula(self) -> bool:
        """Whether a formula is open at the end of the line, so that it continues. A blank line ends one."""
        if self._fence or self._header is not None:
            return False
        return bool(self._line.rpartition("\n")[2].strip()) and UnbreakableSpans(self._line).opens_formula

    def _read_line(self, line: str) -> None:
        waiting, self._waiting_header = self._waiting_header, None
        if waiting is not None:
            if columns_of(line) and len(columns_of(line)) == len(cells_of(waiting)):
                self._header, self._rows = [self._plain(cell) for cell in cells_of(waiting)], 0
                self._write_line(f"Table, {counted(len(self._header), 'column')}: {', '.join(self._header)}.")
                return
            self._say_line(waiting)
        text = _LEAD.sub("", line, count=1)
        if (item := _ITEM.match(text)) and text.startswith("|", item.end()):
            text = text[item.end() :]
        if self._header is not None:
            if text.strip().startswith("|") or ("|" in text and text.strip()):
                self._say_row(text)
                return
            self._end_table()
        if fence := FENCE.match(text):
            self._fence, self._code, self._code_lines = fence["fence"], [], 0
            self._language = fence["info"].strip().partition(" ")[0]
        elif text.startswith("|"):
            self._waiting_header = text
        elif heading := heading_in(text):
            self._indents.clear()
            self._say(f"Heading: {heading[1]}" if heading[1] else "")
        elif not RULE.match(text):
            self._say_line(line)

    def _say_row(self, line: str) -> None:
        self._rows += 1
        header = self._header or []
        cells = [self._plain(cell) for cell in cells_of(line)]
        named = [
            f"{name}: {cell}" if name else cell for name, cell in zip(header, cells, strict=False) if cell
        ]
        self._write_line(f"Row {self._rows}: {'; '.join(named) or 'empty'}.")

    def _end_table(self) -> None:
        if self._header is not None:
            self._header = None
            self._write_line(f"End of table, {counted(self._rows, 'row')}.")

    def _add_code(self, line: str) -> None:
        if is_closing_fence(line.strip(), self._fence):
            self._end_code()
            return
        self._code_lines += 1
        if self._code is None:
            self._write_line(line)
        else:
            self._code.append(line)

    def _end_code(self) -> None:
        name = f"Code, {self._language}" if self._language else "Code"
        if self._code is not None:
            self._write_line(f"{name}, {counted(self._code_lines, 'line')}:")
            for line in self._code:
                self._write_line(line)
            self._write_line("End of code.")
        else:
            self._write_line(f"End of code, {counted(self._code_lines, 'line')}.")
        self._fence, self._code = "", None

    def _say_begun_code(self) -> None:
        """Start writing code whose number of lines is still unknown."""
        if self._code:
            self._write_line(f"Code, {self._language}:" if self._language else "Code:")
            for line in self._code:
                self._write_line(line)
            self._code = None

    def _say_sentences(self) -> None:
        """Write the complete sentences of an incomplete line."""
        if not self._is_begun and not self._may_be_begun():
            return
        start = self._text_start()
        while end := sentence_end(self._line, start, is_whole=False):
            self._say_beginning(end)
            start = 0

    def _say_begun_words(self) -> None:
        if self._fence or self._header is not None or not (self._is_begun or self._may_be_begun()):
            return
        end = self._line.rfind(" ", 0, UnbreakableSpans(self._line).first_open)
        if end > 0 and self._line[self._text_start() : end].strip():
            self._say_beginning(end)

    def _say_beginning(self, end: int) -> None:
        """Write the line up to ``end``, while its rest is still arriving."""
        say = self._say if self._is_begun else self._say_item
        words, self._line, self._is_begun = self._line[:end], self._line[end:].lstrip(" "), True
        say(words)

    def _text_start(self) -> int:
        """Return the start of the line's text, after the mark of a list item."""
        if self._is_begun:
            return 0
        lead = _LEAD.match(self._line)
        start = lead.end() if lead else 0
        item = _ITEM.match(self._line, start)
        return item.end() if item else start

    def _may_be_begun(self) -> bool:
        """Whether the line is text, however it continues."""
        text = self._line[self._text_start() :]
        return not text.startswith(("|", "`", "~", "#")) and self._waiting_header is None

    def _say_line(self, line: str) -> None:
        """Write a line, none of which was written, sentence by sentence."""
        self._line = line
        if end := sentence_end(line, self._text_start(), is_whole=True):
            self._say_beginning(end)
            rest, self._line, self._is_begun = self._line, "", False
            self._say_text(rest)
        else:
            self._line = ""
            self._say_item(line)

    def _say_text(self, text: str) -> None:
        while end := sentence_end(text, 0, is_whole=True):
            self._say(text[:end])
            text = text[end:].lstrip(" ")
        self._say(text)

    def _say_item(self, line: str) -> None:
        """Write the start of a line, with the mark and level of a list item in words."""
        indent = len(line) - len(line.lstrip(" \t"))
        text = _LEAD.sub("", line, count=1)
        item = _ITEM.match(text)
        if item is None:
            if line.strip() and indent < min(self._indents, default=0):
                self._indents.clear()
            self._say(text)
            return
        while self._indents and indent < self._indents[-1]:
            self._indents.pop()
        level = f"Level {len(self._indents) + 1}: " if self._indents else ""
        self._indents.append(indent + len(item["marker"]) + 1)
        done = {"x": "Done: ", "X": "Done: ", " ": "To do: "}.get(item["task"] or "", "")
        number = f"{item['marker']} " if item["marker"][0].isdigit() else "" if done else "• "
        self._say(text[item.end() :], before=number + level + done)

    def _say(self, text: str, *, before: str = "") -> None:
        text = before + self._plain(text)
        if text.strip():
            self._write_line(text.strip())

    def _plain(self, text: str) -> str:
        """Return ``text`` without marks; links keep text and address, code and formulas stay as they are."""
        parts: list[str] = []
        start = 0
        for begin, end in UnbreakableSpans(text).formulas:
            parts += self._without_marks(text[start:begin]), text[begin:end]
            start = end
        return "".join([*parts, self._without_marks(text[start:])]).strip()

    def _without_marks(self, text: str) -> str:
        runs = self._inline.runs(with_emphasis_closed(text))
        as_it_is = {"code", "math"}
        return "".join(run.text if as_it_is & {*run.roles} else _MARKS.sub("", run.text) for run in runs)

    def _end(self, *, is_whole: bool) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._take(self._sanitizer.finish())
        if self._line or self._is_begun:
            self._end_line()
        if self._waiting_header is not None:
            self._read_line("")
        self._end_table()
        if self._fence:
            self._end_code()
        if is_whole and self._has_spoken:
            self._write_line("End of answer.")
        self._has_spoken = self._is_begun = False
        self._thinking_since_s = None

    def _write_line(self, line: str) -> None:
        self._write(f"{'' if self._has_spoken else self._speaker}{line}\n")
        self._has_spoken = True
        self._spoken_s = self._clock()
