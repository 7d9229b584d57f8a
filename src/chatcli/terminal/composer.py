"""The composer, where the person writes, and the line for answers to the program's questions."""

from __future__ import annotations

from asyncio import get_running_loop
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final

from prompt_toolkit.application.current import get_app
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.layout.containers import Window
from prompt_toolkit.layout.controls import BufferControl
from prompt_toolkit.layout.dimension import Dimension
from prompt_toolkit.layout.processors import (
    AppendAutoSuggestion,
    DisplayMultipleCursors,
    HighlightIncrementalSearchProcessor,
    PasswordProcessor,
    Processor,
)
from prompt_toolkit.utils import get_cwidth
from prompt_toolkit.widgets import SearchToolbar

from chatcli.attachments.attached import MENTION, dropped_files, open_mention, quoted
from chatcli.repl.queue import Submission
from chatcli.terminal.composer_completion import Completing
from chatcli.terminal.pastes import PasteLabels, Pastes
from chatcli.terminal.row_stack import FittedWindow
from chatcli.terminal.steady_widths import SteadyWidths
from chatcli.terminal.word_motion import WordBuffer
from chatcli.text.sanitizer import sanitize_line

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable, Sequence

    from prompt_toolkit.auto_suggest import AutoSuggest, Suggestion
    from prompt_toolkit.completion import Completer
    from prompt_toolkit.formatted_text import StyleAndTextTuples
    from prompt_toolkit.history import History

COMMAND_MARK: Final = "/"
_NARROW_COLUMNS: Final = 20  # a prompt taking half of the line leaves no room to write


class Pasted(Enum):
    """The outcome of a paste."""

    AS_IT_IS = auto()
    FOLDED = auto()
    ATTACHED = auto()


class _FoldingBuffer(WordBuffer):
    """A buffer that folds long pastes in texts from the history, and has suggestions while it is empty, too."""

    def __init__(self, pastes: Pastes, **options: Any) -> None:
        self._pastes = pastes
        self._suggestion: Suggestion | None = None
        super().__init__(**options)

    @property
    def suggestion(self) -> Suggestion | None:
        """The rest of the text as suggested. The line editor asks for one only when something is typed."""
        if self.text or self.auto_suggest is None:
            return self._suggestion
        return self.auto_suggest.get_suggestion(self, self.document)

    @suggestion.setter
    def suggestion(self, suggestion: Suggestion | None) -> None:
        self._suggestion = suggestion

    def history_backward(self, count: int = 1) -> None:
        super().history_backward(count)
        self._fold()

    def history_forward(self, count: int = 1) -> None:
        super().history_forward(count)
        self._fold()

    def _fold(self) -> None:
        draft = self._pastes.folded_again(self.text)
        if draft != self.text:
            self.document = Document(draft)


class Composer:
    """An input of any number of lines.

    ``prompt`` is drawn before the first line; ``rows`` returns how many rows may be used. A draft displaced
    by text ``offered`` for editing goes to ``crowded_out``. A text that ``is_private`` is not stored in the history.
    """

    def __init__(
        self,
        *,
        prompt: str,
        history: History,
        suggestions: AutoSuggest,
        completer: Completer,
        rows: Callable[[], int],
        crowded_out: Callable[[Submission], None],
        is_private: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._prompt = prompt
        self.is_private = is_private
        self._pastes = Pastes()
        self._crowded_out = crowded_out
        self._taken = self._offered = Submission.plain("")
        self.buffer = _FoldingBuffer(
            self._pastes,
            multiline=True,
            history=history,
            auto_suggest=suggestions,
            completer=completer,
            complete_while_typing=Condition(lambda: self.can_complete),
            name="composer",
        )
        self.completing = Completing(self.buffer)
        self.search_line = SearchToolbar(
            ignore_case=True,
            backward_search_prompt="search: ",
            forward_search_prompt="search on: ",
        )
        self.control = BufferControl(
            self.buffer,
            search_buffer_control=self.search_line.control,
            preview_search=True,
            input_processors=[
                PasteLabels(self._pastes),
                SteadyWidths(),
                HighlightIncrementalSearchProcessor(),
                DisplayMultipleCursors(),
                AppendAutoSuggestion(),
            ],
        )
        self.window = FittedWindow(
            self.control,
            height=lambda: _at_most(rows()),
            get_line_prefix=self._line_prefix,
            wrap_lines=True,
        )

    @property
    def text(self) -> str:
        """The text as it would be sent: with line feeds as line ends, invalid characters replaced."""
        return _clean(self._pastes.whole(self.buffer.text))

    @property
    def shown(self) -> str:
        """The text as it is shown: folded pastes are placeholders."""
        return _clean(self._pastes.shown(self.buffer.text))

    @property
    def likely_tokens(self) -> int:
        """About how many tokens the draft has, including folded pastes."""
        return self._pastes.likely_tokens(self.buffer.text)

    @property
    def is_command(self) -> bool:
        return self.buffer.text.startswith(COMMAND_MARK)

    @property
    def is_question(self) -> bool:
        """Whether the draft would be asked; only its beginning is looked at."""
        return not self.is_empty and not self.is_command

    @property
    def submission(self) -> Submission:
        """The draft as it would be submitted now."""
        return Submission(self.text, self.shown, self.buffer.text)

    @property
    def can_complete(self) -> bool:
        """Whether the word before the cursor is a command or mentions a file."""
        return self.is_command or open_mention(self.buffer.document.text_before_cursor) is not None

    @property
    def is_empty(self) -> bool:
        return not self.buffer.text

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing to send."""
        return not self.buffer.text.strip() or not self.text.strip()

    @property
    def is_unchanged(self) -> bool:
        """Whether nothing was written since a text was offered for editing, or since it was empty."""
        return self.is_empty or self.buffer.text == self._offered.draft

    def take(self) -> Submission:
        """Return the text, store it in the history unless it is private, and clear the composer."""
        self._taken = written = self.submission
        history = self.buffer.history
        if history.get_strings()[-1:] != [written.text] and not self.is_private(written.text):
            history.append_string(written.text)
        self.buffer.reset()
        return written

    def accept_suggestion(self) -> bool:
        """Take what is suggested while nothing is written; return whether anything was."""
        suggestion = self.buffer.suggestion if self.is_empty else None
        if suggestion is not None:
            self.buffer.insert_text(suggestion.text)
        return suggestion is not None

    def put(self, text: str) -> None:
        """Offer ``text`` for editing, the cursor at its end; pastes sent with it are folded again."""
        written = self.as_taken(text)
        if self.is_empty:
            self.put_back(written)
        elif self.text != text:
            self._crowded_out(written)

    def as_taken(self, text: str) -> Submission:
        """Return ``text`` as last taken, or with its known pastes folded."""
        if text == self._taken.text:
            return self._taken
        draft = self._pastes.folded_again(text)
        return Submission(text, self._pastes.shown(draft), draft)

    def put_back(self, written: Submission) -> None:
        """Replace the text by what was taken last."""
        self._offered = written
        self.buffer.save_to_undo_stack()
        self.buffer.set_document(Document(written.draft), bypass_readonly=True)

    def recall(self, text: str) -> None:
        """Replace the text by one sent before; undo reverts that."""
        self.buffer.save_to_undo_stack()
        self.buffer.set_document(Document(self.as_taken(text).draft))

    def clear(self) -> None:
        self.buffer.reset()

    def paste(self, text: str) -> Pasted:
        """Insert ``text`` literally, and return the outcome."""
        text = _clean(text)
        if files := [] if self.is_command else dropped_files(text):
            self._drop(text, files)
            return Pasted.ATTACHED
        written = self._pastes.folded(text, beside=self.buffer.text)
        self.buffer.insert_text(written)
        return Pasted.AS_IT_IS if written == text else Pasted.FOLDED

    def _drop(self, text: str, files: Sequence[str]) -> None:
        """Insert mentions of dropped files; undo restores the text the terminal pasted."""
        buffer = self.buffer
        buffer.save_to_undo_stack()
        before = buffer.document
        buffer.insert_text(text)
        buffer.save_to_undo_stack()
        sign = "" if before.char_before_cursor == MENTION else MENTION
        mentions = f" {MENTION}".join(map(quoted, files)) + " "
        gap = "" if before.char_before_cursor in {"", " ", "\n", MENTION} else " "
        buffer.set_document(before)
        buffer.insert_text(gap + sign + mentions)

    def expand(self) -> bool:
        """Unfold the paste at the cursor, else the last one; return whether there was one."""
        before, after = self.buffer.document.text_before_cursor, self.buffer.document.text_after_cursor
        marks = [*reversed(self._pastes.marks(before)), *self._pastes.marks(after)]
        if not marks:
            return False
        mark = after[:1] if after[:1] in marks else marks[0]
        whole = self._pastes.whole(mark)
        at = self.buffer.text.index(mark)
        self.buffer.save_to_undo_stack()
        text = self.buffer.text
        self.buffer.set_document(Document(text[:at] + whole + text[at + 1 :], at + len(whole)))
        return True

    def edited(self, text: str) -> None:
        """Replace the text by one edited elsewhere; unchanged pastes are folded again."""
        draft = self._pastes.refolded(_clean(text), before=self.buffer.text)
        if draft != self.buffer.text:
            self.buffer.save_to_undo_stack()
            self.buffer.set_document(Document(draft))

    def _line_prefix(self, line: int, wrapped: int) -> StyleAndTextTuples:
        first = line == 0 and wrapped == 0
        return [("class:prompt", self._prompt if first else " " * _indent(self._prompt))]


class AnswerLine:
    """An input line for a question of the program. A secret is drawn as dots and never stored."""

    def __init__(self) -> None:
        self._label = ""
        self._is_secret = False
        self.was_left = False
        self._answer: Future[str | None] | None = None
        self.buffer = WordBuffer(multiline=False, name="answer")
        processors: list[Processor] = [SteadyWidths()]
        hidden = BufferControl(self.buffer, input_processors=[PasswordProcessor("•")])
        shown = BufferControl(self.buffer, input_processors=processors)
        self._windows = {
            secret: Window(
                control,
                height=_at_most(3),
                get_line_prefix=self._line_prefix,
                wrap_lines=True,
                dont_extend_height=True,
            )
            for secret, control in ((True, hidden), (False, shown))
        }

    @property
    def is_open(self) -> bool:
        return self._answer is not None

    @property
    def window(self) -> Window:
        return self._windows[self._is_secret]

    def open(self, label: str, *, secret: bool) -> Future[str | None]:
        """Show ``label``; the future yields the answer, ``None`` if the person declines."""
        self._label, self._is_secret = sanitize_line(label), secret
        self.was_left = False
        self.buffer.reset()
        self._answer = get_running_loop().create_future()
        return self._answer

    def close(self) -> None:
        self._answer = None
        self.buffer.reset()

    def give(self) -> None:
        self._settle(self.buffer.text)

    def turn_down(self, *, leaving: bool = False) -> None:
        self.was_left = leaving
        self._settle(None)

    def _settle(self, answer: str | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)

    def rows_before(self) -> str:
        """Return the rows of the label before the one the person writes in, without what would fill over half the screen."""
        return "\n".join(self._rows()[:-1][: get_app().output.get_size().rows // 2])

    def _rows(self) -> list[str]:
        """Return the label broken between words."""
        from chatcli.render.word_wrap import wrapped  # noqa: PLC0415 - the prompt comes first

        label = self._label.rstrip()
        *before, last = wrapped(label, get_app().output.get_size().columns).split("\n")
        return [*before, last + self._label[len(label) :]]

    def _line_prefix(self, line: int, wrapped: int) -> StyleAndTextTuples:
        return [("class:question", self._rows()[-1])] if line == 0 and wrapped == 0 else []


def _clean(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace").decode()


def _at_most(rows: int) -> Dimension:
    return Dimension(min=1, max=max(1, rows))


def _indent(prompt: str) -> int:
    """Return the indent of continuation lines: aligned with the first, if that leaves room."""
    columns = get_cwidth(prompt)
    return columns if get_app().output.get_size().columns >= _NARROW_COLUMNS else 0
