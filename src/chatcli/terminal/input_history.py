"""The input history: kept across sessions, searched with Ctrl-R, suggested as the rest of a line.

A text matches if it contains all the words, anywhere and in any order. Width, case and the form of a letter
do not matter: ``ｷﾞﾀｰ`` finds ``ギター``.
"""

from __future__ import annotations

import json
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from prompt_toolkit.auto_suggest import AutoSuggest, Suggestion
from prompt_toolkit.filters import Condition, has_focus
from prompt_toolkit.history import History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout import ConditionalContainer, HSplit, Window
from prompt_toolkit.layout.controls import BufferControl, FormattedTextControl
from prompt_toolkit.layout.dimension import Dimension
from wcwidth import clip, width

from chatcli.core.frozen import frozen
from chatcli.core.json_values import as_object, optional_text
from chatcli.storage.json_lines import LineFollower, SharedJsonLines, encode_line
from chatcli.terminal.steady_widths import SteadyWidths, steady
from chatcli.terminal.word_motion import WordBuffer
from chatcli.text.sanitizer import sanitize_line
from chatcli.text.search_text import folded, places
from chatcli.text.shortening import ELLIPSIS, shortened
from chatcli.text.times import local_now, timestamp

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
    from pathlib import Path

    from prompt_toolkit.buffer import Buffer
    from prompt_toolkit.data_structures import Size
    from prompt_toolkit.document import Document
    from prompt_toolkit.formatted_text import StyleAndTextTuples
    from prompt_toolkit.key_binding import KeyPressEvent

    from chatcli.sessions.records import Clock


@frozen
class Limits:
    """The limits: a file over ``file_bytes`` keeps its newest ``texts`` within ``read_bytes``."""

    texts: int = 5_000
    read_bytes: int = 2_000_000
    file_bytes: int = 4_000_000


_LIMITS: Final = Limits()


def input_history(path: Path | None, notify: Callable[[str], None]) -> History:
    """Return the history stored in ``path``, or an in-memory one if nothing may be written."""
    return InMemoryHistory() if path is None else InputHistory(HistoryFile(path), notify)


class InputHistory(History):
    """The texts typed, the newest first. A text equal to the previous one is stored once.

    It is loaded again whenever the composer is cleared, and so includes what other instances added. If the
    file cannot be used, texts wait in memory for the next chance to be written, and ``notify`` is given the
    reason once.
    """

    def __init__(self, file: HistoryFile, notify: Callable[[str], None]) -> None:
        super().__init__()
        self._file = file
        self._notify = notify
        self._has_warned = False
        self._kept: Sequence[str] = ()
        self._unwritten: list[str] = []

    async def load(self) -> AsyncGenerator[str, None]:
        """Yield all texts.

        Reading 5,000 takes less than 10 ms after the first drawing, so no thread is needed.
        """
        texts = self._loaded_strings = list(self.load_history_strings())
        for text in texts:
            yield text

    def load_history_strings(self) -> Iterable[str]:
        try:
            self._kept = self._file.texts()
        except OSError as error:
            self._complain(error)
        # A file that stays too large does no harm: the next instance may shorten it.
        with suppress(OSError):
            self._file.shorten()
        return [*reversed(self._unwritten), *reversed(self._kept)]

    def append_string(self, string: str) -> None:
        if self._loaded_strings[:1] != [string]:
            super().append_string(string)

    def store_string(self, string: str) -> None:
        self._unwritten.append(string)
        try:
            self._file.append(self._unwritten)
        except OSError as error:
            self._complain(error)
        else:
            self._unwritten.clear()

    def _complain(self, error: OSError) -> None:
        if not self._has_warned:
            self._has_warned = True
            self._notify(
                f"cannot use the input history {self._file.path}: {error.strerror or error}; what you type is "
                "remembered until you leave. To keep it, make that file readable and writable."
            )


class HistoryFile:
    """A file of JSON lines, ``{"at": RFC 3339 in UTC, "text": ...}``, which any instance may append to.

    Torn and unknown lines are skipped, and a text that would fill half of the part that is read is not
    stored. Methods raise ``OSError``.
    """

    def __init__(self, path: Path, *, limits: Limits = _LIMITS, clock: Clock = local_now) -> None:
        self.path = path
        self._limits = limits
        self._clock = clock
        self._texts: deque[str] = deque(maxlen=limits.texts)
        self._file = SharedJsonLines(path)
        self._lines = LineFollower(path, self._texts.clear, newest_bytes=limits.read_bytes)

    def texts(self) -> Sequence[str]:
        """Return the newest texts, the oldest first; read only what was added since the last call."""
        for line in self._newest(self._lines):
            text = _text(line)
            if text and not (self._texts and self._texts[-1] == text):
                self._texts.append(text)
        return self._texts

    def append(self, texts: Iterable[str]) -> None:
        at = timestamp(self._clock())
        lines = (_line(at, text) for text in texts)
        self._file.append(b"".join(line for line in lines if len(line) <= self._limits.read_bytes // 2))

    def shorten(self) -> None:
        """Rewrite a file that has grown too large with its newest texts."""
        if self._is_large():
            self._file.compact(self._shortened)

    def _shortened(self) -> Iterable[bytes] | None:
        # Checked again: another instance may just have done it.
        if not self._is_large():
            return None
        newest = self._newest(LineFollower(self.path, newest_bytes=self._limits.read_bytes))
        return [line + b"\n" for line in newest if _text(line)]

    def _is_large(self) -> bool:
        try:
            return self.path.stat().st_size > self._limits.file_bytes
        except FileNotFoundError:
            return False

    def _newest(self, lines: LineFollower) -> Iterable[bytes]:
        return deque(lines.new_lines(), maxlen=self._limits.texts)


def _line(at: str, text: str) -> bytes:
    return encode_line({"at": at, "text": text})


def _text(line: bytes) -> str | None:
    try:
        fields = json.loads(line.decode())
    except (ValueError, RecursionError):
        return None
    return optional_text(as_object(fields).get("text"))


_MOST_ROWS: Final = 8
_OTHER_ROWS: Final = (
    6  # what is searched for, the footer, the toolbar, what is going on, and two of an answer
)
_ROOMY_COLUMNS: Final = 30  # with fewer, a row does not show how many lines a text has
_LEAD: Final = 3
"""A match that does not fit is shown after this fraction of the row."""
_LONGEST_CHARACTERS: Final = 4_000
"""Longer lines are not searched for the match to highlight; they are still found."""
_CANCEL: Final = "Esc cancels"
_KEYS: Final = ("Enter takes it", _CANCEL, "Ctrl-R older")


class HistorySuggestions(AutoSuggest):
    """Suggests the rest of the line from the newest text in the history with the same beginning.

    The ``proposals`` come first, and the likeliest is suggested while nothing is written.
    """

    def __init__(self, proposals: Callable[[], Sequence[str]] = lambda: ()) -> None:
        self._proposals = proposals

    def get_suggestion(self, buffer: Buffer, document: Document) -> Suggestion | None:
        text = document.text
        if not document.is_cursor_at_the_end:
            return None
        for proposal in self._proposals():
            if proposal.startswith(text) and proposal != text:
                return Suggestion(proposal[len(text) :])
        if not text.strip():
            return None
        for earlier in reversed(buffer.history.get_strings()):
            if earlier.startswith(text) and (rest := earlier[len(text) :].partition("\n")[0]):
                return Suggestion(rest)
        return None


class HistorySearch:
    """An input line with a list of results below it. ``typed`` returns all texts, the oldest first.

    ``take`` is given the chosen text; ``closed`` is called whenever the search ends.
    """

    def __init__(
        self,
        *,
        typed: Callable[[], Sequence[str]],
        take: Callable[[str], None],
        closed: Callable[[], None],
        size: Callable[[], Size],
        unicode: bool,
    ) -> None:
        self._typed = typed
        self._take = take
        self._closed = closed
        self._size = size
        self._pointer, self._cut_mark = ("❯ ", ELLIPSIS) if unicode else ("> ", "~")
        self._forms: dict[str, str] = {}
        self._words: Sequence[str] = ()
        self._matches: Sequence[str] = ()
        self._marked = self._first_shown = 0
        self.is_open = False
        self.buffer = WordBuffer(multiline=False, name="history search")
        self.buffer.on_text_changed += lambda _: self._search()
        self.line = Window(
            BufferControl(self.buffer, input_processors=[SteadyWidths()]),
            height=1,
            get_line_prefix=lambda _line, _wrapped: [("class:prompt", "search: ")],
        )
        rows = Window(
            FormattedTextControl(self._rows),
            height=lambda: Dimension.exact(max(1, min(len(self._matches), self._room))),
            dont_extend_height=True,
        )
        footer = Window(FormattedTextControl(self._footer), style="class:search-toolbar", height=1)
        self.container = ConditionalContainer(
            HSplit([self.line, rows, footer]), Condition(lambda: self.is_open)
        )

    def open(self) -> None:
        """Start a new search, with all texts."""
        texts = dict.fromkeys(reversed(self._typed()))
        self._forms = {text: self._forms.get(text) or folded(text) for text in texts}
        self.is_open = True
        self.buffer.reset()
        self._search()

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            self._closed()

    def bindings(self) -> KeyBindings:
        """Return the keys of the list; the input line has those of the line editor."""
        keys = KeyBindings()
        here = has_focus(self.buffer)

        @keys.add("enter", filter=here)
        @keys.add("c-j", filter=here)
        def _choose(_: KeyPressEvent) -> None:
            self._choose()

        @keys.add(Keys.BracketedPaste, filter=here)
        def _paste(event: KeyPressEvent) -> None:
            self.buffer.insert_text(
                " ".join(event.data.split())
            )  # of several lines only the last would be visible

        @keys.add("escape", filter=here)
        @keys.add("c-c", filter=here)
        @keys.add("c-g", filter=here)
        @keys.add(Keys.SIGINT, filter=here)
        def _close(_: KeyPressEvent) -> None:
            self.close()

        for names, step in (
            (("down", "c-n", "c-r"), 1),
            (("up", "c-p", "c-s"), -1),
            (("pagedown",), _MOST_ROWS),
            (("pageup",), -_MOST_ROWS),
        ):
            for name in names:
                keys.add(name, filter=here)(self._mover(step))
        return keys

    def _mover(self, step: int) -> Callable[[KeyPressEvent], None]:
        def move(_: KeyPressEvent) -> None:
            self._marked = max(0, min(self._marked + step, len(self._matches) - 1))

        return move

    def _choose(self) -> None:
        chosen = self._matches[self._marked] if self._matches else None
        self.close()
        if chosen is not None:
            self._take(chosen)

    def _search(self) -> None:
        self._words = folded(self.buffer.text).split()
        self._matches = [
            text for text, form in self._forms.items() if all(word in form for word in self._words)
        ]
        self._marked = self._first_shown = 0

    @property
    def _room(self) -> int:
        return max(1, min(_MOST_ROWS, self._size().rows - _OTHER_ROWS))

    @property
    def _columns(self) -> int:
        return max(1, self._size().columns - 1)

    def _rows(self) -> StyleAndTextTuples:
        if not self._matches:
            nothing = "nothing you typed matches" if self._forms else "nothing typed yet"
            return [("class:search-toolbar", shortened(nothing, self._columns, mark=self._cut_mark))]
        self._first_shown = min(max(self._first_shown, self._marked - self._room + 1), self._marked)
        shown = self._matches[self._first_shown : self._first_shown + self._room]
        rows: StyleAndTextTuples = []
        for at, text in enumerate(shown, self._first_shown):
            pointer = self._pointer if at == self._marked else " " * width(self._pointer)
            rows += [("", "\n" if rows else ""), ("class:prompt", pointer)]
            rows += self._row(text, self._columns - width(pointer))
        return rows

    def _row(self, text: str, columns: int) -> list[tuple[str, str]]:
        """Return the matching line of a text, as far as it fits, with the match visible."""
        lines = text.strip("\n").split("\n")
        line = next(filter(self._has_a_word, lines), lines[0])
        more = f" +{len(lines) - 1:,} line{'s' * (len(lines) > 2)}" if len(lines) > 1 else ""  # noqa: PLR2004 - one more is no plural
        if columns < _ROOMY_COLUMNS:
            more = ""
        room = max(1, columns - len(more))
        parts = list(self._parts(line))
        before = sum(width(part) for _, part in parts[:2])
        if len(parts) > 1 and before > room:
            style, lead = parts[0]
            kept = room // _LEAD
            parts[0] = (style, self._cut_mark + clip(lead, width(lead) - kept, width(lead)))
        row: list[tuple[str, str]] = []
        for style, part in parts:
            shown = shortened(part, room, mark=self._cut_mark)
            room -= width(shown)
            row.append((style, shown))
            if shown != part:
                break
        return [*row, ("class:search-toolbar", more)]

    def _has_a_word(self, line: str) -> bool:
        return any(word in folded(line) for word in self._words)

    def _parts(self, line: str) -> Iterable[tuple[str, str]]:
        """Yield the text before the first match, the match, the text after it, and so on."""
        line = line[:_LONGEST_CHARACTERS]
        at = 0
        for start, end in places(line, self._words):
            yield "", _shown(line[at:start])
            yield "class:search-toolbar.match", _shown(line[start:end])
            at = end
        yield "", _shown(line[at:])

    def _footer(self) -> str:
        if not self._matches:
            return shortened(_CANCEL, self._columns, mark=self._cut_mark)
        footer = shortened(
            f"{self._marked + 1:,} of {len(self._matches):,}", self._columns, mark=self._cut_mark
        )
        for hint in _KEYS:
            longer = f"{footer} · {hint}" if self._cut_mark == ELLIPSIS else f"{footer}, {hint}"
            footer = longer if width(longer) <= self._columns else footer
        return footer


def _shown(text: str) -> str:
    return steady(sanitize_line(text))
