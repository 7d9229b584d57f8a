"""Reasoning inside the text of an answer, separated while the text streams.

Servers without a reasoning parser leave it there in three forms: between ``<think>`` and ``</think>``; without the
opening tag, where the chat template has put that into the prompt; and in the channels of gpt-oss
(https://cookbook.openai.com/articles/openai-harmony). Tags count only at the beginning of the answer: further on, and
in code, they are text. A nested opening tag inside the reasoning may be closed by a second closing tag; the text before that is
reasoning too. A message to a tool in the channels is a tool call, see ``tool_calls``. The result depends only on the
text, never on how it is cut into chunks.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal

from chatcli.client.reasoning_marks import (
    CHANNEL,
    CLOSING,
    CLOSING_TAGS,
    ENDS_OF_MESSAGE,
    HARMONY,
    HEADER,
    HELD,
    LONGEST_HEADER,
    OPENING,
    OPENING_TAGS,
    RECIPIENT,
    START,
    WATCHED,
    Marks,
    is_begun,
    is_header_begun,
)
from chatcli.core.events import ReasoningDelta, TextDelta, TextReclassified
from chatcli.text.lazy_pattern import lazy_pattern
from chatcli.text.text_buffer import TextBuffer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from typing import TypeAlias

    Delta: TypeAlias = ReasoningDelta | TextDelta | TextReclassified
    ReasoningStyle: TypeAlias = Literal["opened", "unopened"]
    Step: TypeAlias = Callable[["InlineReasoning", bool], bool]

_MAY_BE_MARK: Final = lazy_pattern(r"<(?:/?t|\||/?\Z)", re.IGNORECASE)

_FENCE: Final = lazy_pattern(r"^[ \t>]*(`{3,}|~{3,})(.*)$", re.MULTILINE)
_BACKTICKS: Final = lazy_pattern("`+")
_QUOTES: Final = frozenset("\"'`“”‘’«»‹›「」『』([{")

_LOOK_AHEAD: Final = 200
"""How many characters after a tag may decide whether it is in inline code."""

_MOST_BLANKS: Final = 1_000
"""How many blank characters may precede an opening tag."""

_MOST_TAGS_IN_TEXT: Final = 64
"""After so many tags that are text, none is looked for any more: each check takes longer in a longer text."""


class InlineReasoning:
    """Separates the text of one answer, in chunks, into deltas of reasoning and of the answer.

    With ``holds_text`` the model is known to begin with reasoning without an opening tag: text is reasoning
    until the closing tag, and if the answer ends without one, all of it is the answer. Otherwise such text is
    returned immediately, and a ``TextReclassified`` follows if it turns out to be reasoning. Reasoning is
    returned without surrounding blanks, and blank lines between it and the answer are dropped.
    """

    def __init__(self, *, holds_text: bool = False) -> None:
        self.style: ReasoningStyle | None = None
        """How the reasoning was marked, ``None`` if there was none."""
        self.has_reasoning = self.has_text = False
        self._holds_text = holds_text
        self._is_native = self._has_nested_tag = False
        self._calls: list[tuple[str, _Section]] = []
        self._is_shown = False
        self._buffer = ""
        self._begins_reasoning = True
        self._blanks: list[str] = []  # inside the reasoning if more of it follows
        self._out: list[Delta] = []
        self._section = _Section()
        self._closing = Marks()
        # A bound method would refer back to this object, which would then stay, with its text, until garbage is collected.
        self._step: Step = InlineReasoning._begin

    @property
    def tool_calls(self) -> list[tuple[str, str]]:
        """The names and inputs of the tools called in the channels."""
        return [(name, arguments.text.strip()) for name, arguments in self._calls]

    def passes(self, chunk: str) -> bool:
        """Return whether ``chunk`` is plain text, as nearly every one is. It is then taken, and must not be fed."""
        if self._buffer:
            return False
        if self._step is InlineReasoning._pass:
            return True
        if self._step is not InlineReasoning._watch or not chunk:
            return False
        if "<" in chunk and _MAY_BE_MARK.search(chunk):
            return False
        self._section.append(chunk)
        self.has_text = self._is_shown = True
        return True

    def feed(self, chunk: str) -> list[Delta]:
        """Return the deltas that are certain now."""
        if self.passes(chunk):
            return [TextDelta(chunk)] if chunk else []
        self._buffer += chunk
        return self._run(is_end=False)

    def finish(self, *, is_complete: bool) -> list[Delta]:
        """Return the remaining deltas. ``is_complete``: the model ended the answer itself."""
        out = self._run(is_end=True)
        if is_complete and self._step in (InlineReasoning._think, InlineReasoning._hold):
            self._out = out
            if self._section.text_behind_fenced_tag:
                self._add_delta(TextDelta, self._section.text_behind_fenced_tag.lstrip())
            elif self._step is InlineReasoning._hold:
                self._add_delta(TextDelta, self._section.text)
        return out

    def note_native_reasoning(self) -> None:
        """Note that the server sends reasoning in a field of its own; text without a tag is then not reasoning."""
        self._is_native = True
        if self._step is InlineReasoning._watch:
            self._step = InlineReasoning._pass

    def _run(self, *, is_end: bool) -> list[Delta]:
        self._out = []
        while self._step(self, is_end):
            pass
        self._is_shown |= any(isinstance(delta, TextDelta) for delta in self._out)
        return self._out

    # A step takes text from the buffer and returns whether another step may continue.

    def _begin(self, is_end: bool) -> bool:
        """Handle the beginning of the answer, or of the text after reasoning."""
        start = self._buffer.lstrip()
        if self.style is not None:
            self._buffer = _last_line_of(self._buffer[: len(self._buffer) - len(start)]) + start
        if len(self._buffer) - len(start) <= _MOST_BLANKS:
            if self._enter_reasoning(start):
                return True
            if not is_end and (not start or is_begun(start)):
                return False
            if is_end and is_header_begun(start) and (self.style is not None or CHANNEL in start):
                self._buffer = ""
                return False
        return self._enter_answer()

    def _enter_reasoning(self, start: str) -> bool:
        if (opening := OPENING.pattern.match(start)) is not None:
            name = opening[0].lower()
            self._closing = Marks(name.replace("<", "</"), name)
            return self._enter(InlineReasoning._think, start[len(name) :], "opened")
        if (closing := CLOSING.pattern.match(start)) is not None:
            return self._enter(InlineReasoning._begin, start[closing.end() :], "unopened")
        if (header := HEADER.match(start)) is not None:
            recipient = RECIPIENT.search(header[0])
            if recipient is not None:
                self._enter(InlineReasoning._call_in_channel, start[header.end() :], "opened")
                self._calls.append((recipient[1], self._section))
                return True
            is_answer = header[1] == "final"
            step = InlineReasoning._answer_in_channel if is_answer else InlineReasoning._think_in_channel
            return self._enter(step, start[header.end() :], "opened")
        return False

    def _enter(self, step: Step, rest: str, style: ReasoningStyle) -> bool:
        self.style = self.style or style
        self._buffer, self._section, self._step = rest, _Section(), step
        self._blanks, self._begins_reasoning = [], True
        return True

    def _enter_answer(self) -> bool:
        self._section = _Section()
        if self.style is not None:
            # The first line keeps its indentation.
            start = self._buffer.lstrip()
            self._buffer = self._buffer.removeprefix("\n") if start and self._buffer[0] == "\n" else start
        if self._has_nested_tag:
            self._step = InlineReasoning._watch
        elif self.style is not None or self._is_native:
            self._step = InlineReasoning._pass
        else:
            self._step = InlineReasoning._hold if self._holds_text else InlineReasoning._watch
        return True

    def _pass(self, is_end: bool) -> bool:  # noqa: ARG002 - as every step
        self._emit_text(self._take(len(self._buffer)))
        return False

    def _watch(self, is_end: bool) -> bool:
        """Emit the answer, looking for the end of reasoning without an opening tag."""
        mark = self._next_mark(WATCHED, self._emit_text, is_end)
        if mark is None:
            return False
        if mark in OPENING_TAGS:
            # An answer about such tags, which also contains the closing one.
            self._step = InlineReasoning._pass
            return True
        if mark in CLOSING_TAGS:
            is_over = self._section.ends_at_tag(self._buffer[len(mark) :][:1], is_end)
        else:
            is_over = self._is_before_header(mark, is_end)
        if is_over is None:
            return False
        if not is_over:
            return self._keep_mark(mark, self._emit_text)
        self._reclassify()
        return self._enter(InlineReasoning._begin, self._behind(mark), "unopened")

    def _think(self, is_end: bool) -> bool:
        mark = self._next_mark(self._closing, self._emit_reasoning, is_end)
        if mark in OPENING_TAGS:
            # The answer will show whether it is also closed or only mentioned.
            self._has_nested_tag = True
            self._closing = Marks(mark.replace("<", "</"))
            return self._keep_mark(mark, self._emit_reasoning)
        return mark is not None and self._enter(InlineReasoning._begin, self._behind(mark), "opened")

    def _hold(self, is_end: bool) -> bool:
        return self._pass_section(HELD, CLOSING_TAGS, self._emit_reasoning, is_end, "unopened")

    def _think_in_channel(self, is_end: bool) -> bool:
        return self._pass_section(HARMONY, ENDS_OF_MESSAGE, self._emit_reasoning, is_end, "opened")

    def _call_in_channel(self, is_end: bool) -> bool:
        return self._pass_section(HARMONY, ENDS_OF_MESSAGE, self._section.append, is_end, "opened")

    def _pass_section(
        self,
        marks: Marks,
        ends: Collection[str],
        emit: Callable[[str], None],
        is_end: bool,
        style: ReasoningStyle,
    ) -> bool:
        """Emit what is not part of the answer, up to one of ``ends`` or the header of a harmony message."""
        mark = self._next_mark(marks, emit, is_end)
        if mark is None:
            return False
        is_over = mark in ends or self._is_before_header(mark, is_end)
        if is_over is None:
            return False
        if not is_over:
            return self._keep_mark(mark, emit)
        return self._enter(InlineReasoning._begin, self._behind(mark), style)

    def _answer_in_channel(self, is_end: bool) -> bool:
        mark = self._next_mark(HARMONY, self._emit_text, is_end)
        if mark is None:
            return False
        if is_end and mark in ENDS_OF_MESSAGE and not self._buffer[len(mark) :].strip():
            self._buffer = ""
            return False
        is_over = self._is_before_header(mark, is_end)
        if is_over is None:
            return False
        if not is_over:
            return self._keep_mark(mark, self._emit_text)
        return self._enter(InlineReasoning._begin, self._behind(mark), "opened")

    def _next_mark(self, marks: Marks, emit: Callable[[str], None], is_end: bool) -> str | None:
        """Emit the text before the next mark outside of code and return the mark, which then begins the buffer."""
        while self._section.tags_in_text < _MOST_TAGS_IN_TEXT and (
            match := marks.pattern.search(self._buffer)
        ):
            emit(self._take(match.start()))
            mark = match[0].lower()
            is_code = self._section.is_code(self._buffer[len(mark) :][:_LOOK_AHEAD], is_end)
            if is_code is None:
                return None
            if not is_code:
                return mark
            self._keep_mark(mark, emit)
        emit(self._take(len(self._buffer) if is_end else marks.begun_in(self._buffer)))
        return None

    def _keep_mark(self, mark: str, emit: Callable[[str], None]) -> bool:
        """Emit a mark as text."""
        self._section.note_tag(mark)
        emit(self._take(len(mark)))
        return True

    def _is_before_header(self, mark: str, is_end: bool) -> bool | None:
        """Return whether another harmony message begins at or after ``mark``, ``None`` while undecided."""
        window = self._buffer[len(mark) if mark in ENDS_OF_MESSAGE else 0 :][:LONGEST_HEADER]
        header = window.lstrip()
        if HEADER.match(header):
            return True
        is_open = is_header_begun(header) and len(window) < LONGEST_HEADER
        if is_end:
            return is_open and self.style is not None and bool(header)
        return None if is_open else False

    def _behind(self, mark: str) -> str:
        return self._buffer if mark in (START, CHANNEL) else self._buffer[len(mark) :]

    def _take(self, count: int) -> str:
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def _reclassify(self) -> None:
        shown = self._section.text
        if self._is_shown or self.has_reasoning:
            self._out.append(TextReclassified(shown))
            self.has_reasoning |= bool(shown.strip())
        else:
            # It arrived in one chunk with the tag.
            self._out.clear()
            self._add_reasoning(shown)
        self.has_text = self._is_shown = False

    def _emit_text(self, text: str) -> None:
        if self._step is not InlineReasoning._pass:
            self._section.append(text)
        self._add_delta(TextDelta, text)

    def _emit_reasoning(self, text: str) -> None:
        self._section.append(text)
        self._add_reasoning(text)

    def _add_reasoning(self, text: str) -> None:
        if self._begins_reasoning:
            text = text.lstrip()
            self._blanks = ["\n\n"] if self.has_reasoning else []
        words = text.rstrip()
        if words:
            self._add_delta(ReasoningDelta, "".join([*self._blanks, words]))
            self._blanks = []
            self._begins_reasoning = False
            self.has_reasoning = True
        if blanks := text[len(words) :]:
            self._blanks.append(blanks)

    def _add_delta(self, kind: type[ReasoningDelta | TextDelta], text: str) -> None:
        if not text:
            return
        self.has_text |= kind is TextDelta
        if self._out and type(last := self._out[-1]) is kind:
            text = last.text + text
            self._out.pop()
        self._out.append(kind(text))


def answer_in(text: str) -> str:
    """Return a whole answer without its reasoning; unchanged if nothing else would remain."""
    if not (OPENING.pattern.search(text) or CLOSING.pattern.search(text) or CHANNEL in text):
        return text
    reasoning = InlineReasoning()
    answer = ""
    for delta in (*reasoning.feed(text), *reasoning.finish(is_complete=True)):
        if isinstance(delta, TextDelta):
            answer += delta.text
        elif isinstance(delta, TextReclassified):
            answer = answer[: len(answer) - len(delta.text)]
    return answer or text


class _Section:
    """A section of reasoning or answer, and the code blocks in it."""

    def __init__(self) -> None:
        self.tags_in_text = 0
        self._gathered = TextBuffer()
        self._fence = ""
        self._read_to = 0  # the line up to which fences were looked for
        self._behind_fenced_tag: int | None = None

    def append(self, text: str) -> None:
        if text:
            self._gathered.append(text)

    @property
    def text(self) -> str:
        return self._gathered.text

    @property
    def text_behind_fenced_tag(self) -> str:
        """The text after the first tag on its own line in a code block.

        A model may end its reasoning without closing a code block in it.
        """
        return "" if self._behind_fenced_tag is None else self.text[self._behind_fenced_tag :]

    def note_tag(self, mark: str) -> None:
        """Count a tag, about to be appended, that is text."""
        self.tags_in_text += 1
        if (
            self._fence
            and mark in CLOSING_TAGS
            and self._behind_fenced_tag is None
            and not self._line().strip()
        ):
            self._behind_fenced_tag = len(self.text) + len(mark)

    def is_code(self, behind: str, is_end: bool) -> bool | None:
        """Return whether a tag at the end, before ``behind``, is in code; ``None`` while undecided."""
        line = self._line()
        if self._fence:
            return True
        opened = 0
        for run in _BACKTICKS.finditer(line):
            opened = 0 if len(run[0]) == opened else opened or len(run[0])
        if not opened:
            return False
        same_line, line_end, _ = behind.partition("\n")
        is_whole = bool(line_end) or is_end or len(behind) >= _LOOK_AHEAD
        for run in _BACKTICKS.finditer(same_line):
            if len(run[0]) == opened and (is_whole or run.end() < len(same_line)):
                return True
        return False if is_whole else None

    def ends_at_tag(self, behind: str, is_end: bool) -> bool | None:
        """Return whether a closing tag at the end, without an opening one, ends reasoning; ``None`` while undecided.

        Such a tag is on its own line, or directly after text; a mentioned tag has blanks or quotes around it.
        """
        line = self._line()
        if not line.strip():
            return True
        if line[-1].isspace() or line[-1] in _QUOTES:
            return False
        if not behind and not is_end:
            return None
        return behind[:1] not in _QUOTES or not behind

    def _line(self) -> str:
        """Return the last line of the text, after looking for fences in the lines before."""
        text = self.text
        begin = text.rfind("\n") + 1
        for match in _FENCE.finditer(text, self._read_to, begin):
            mark, info = match[1], match[2]
            if not self._fence:
                self._fence = mark if mark[0] == "~" or "`" not in info else ""
            elif mark.startswith(self._fence) and not info.strip():
                self._fence = ""
        self._read_to = begin
        return text[begin:]


def _last_line_of(blanks: str) -> str:
    """Return the last of several blank lines with the end of the line before."""
    _, line_end, line = blanks.rpartition("\n")
    return line_end + line[1 - _MOST_BLANKS :]
