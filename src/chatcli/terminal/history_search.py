"""What was typed before: searched with Ctrl-R, as a list below the search, and suggested as the rest of a line.

A text is found when it has all the words, anywhere and in any order. Width, case and the form of a letter do not
matter: ``ｷﾞﾀｰ`` finds ``ギター``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prompt_toolkit.auto_suggest import AutoSuggest, Suggestion
from prompt_toolkit.filters import Condition, has_focus
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout import ConditionalContainer, HSplit, Window
from prompt_toolkit.layout.controls import BufferControl, FormattedTextControl
from prompt_toolkit.layout.dimension import Dimension
from wcwidth import clip, width

from chatcli.core.search_text import folded, places
from chatcli.terminal.steady_widths import SteadyWidths, steady
from chatcli.terminal.word_motion import WordBuffer
from chatcli.text.sanitizer import sanitize_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from prompt_toolkit.buffer import Buffer
    from prompt_toolkit.data_structures import Size
    from prompt_toolkit.document import Document
    from prompt_toolkit.formatted_text import StyleAndTextTuples
    from prompt_toolkit.key_binding import KeyPressEvent

_MOST_ROWS: Final = 8
_OTHER_ROWS: Final = (
    6  # what is searched for, the footer, the toolbar, what is going on, and two of an answer
)
_ROOMY_COLUMNS: Final = 30  # where there are fewer, a row does not say how many lines a text has
_LEAD: Final = 3
"""A match that does not fit stands behind so much of the row: one in so many parts of it."""
_LONGEST_CHARACTERS: Final = 4_000
"""A longer line is not looked through for what to highlight; it is found all the same."""
_CANCEL: Final = "Esc cancels"
_KEYS: Final = ("Enter takes it", _CANCEL, "Ctrl-R older")


class HistorySuggestions(AutoSuggest):
    """Suggests the rest of the line from the newest text in the buffer's history that begins like this one."""

    def get_suggestion(self, buffer: Buffer, document: Document) -> Suggestion | None:
        text = document.text
        if not text.strip() or not document.is_cursor_at_the_end:
            return None
        for earlier in reversed(buffer.history.get_strings()):
            if earlier.startswith(text) and (rest := earlier[len(text) :].partition("\n")[0]):
                return Suggestion(rest)
        return None


class HistorySearch:
    """A line to type into and a list below it. ``typed`` returns all texts, the oldest first.

    ``take`` is given the text that was chosen; ``closed`` is called whenever the search ends.
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
        self._pointer, self._cut_mark = ("❯ ", "…") if unicode else ("> ", "~")
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
        """Begin anew, with all texts."""
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
        """Return the keys of the list; those that edit the line are the line editor's."""
        keys = KeyBindings()
        here = has_focus(self.buffer)

        @keys.add("enter", filter=here)
        @keys.add("c-j", filter=here)
        def _choose(_: KeyPressEvent) -> None:
            self._choose()

        @keys.add(Keys.BracketedPaste, filter=here)
        def _paste(event: KeyPressEvent) -> None:
            self.buffer.insert_text(" ".join(event.data.split()))  # of more lines only the last would be seen

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
            return [("class:search-toolbar", self._cut(nothing, self._columns))]
        self._first_shown = min(max(self._first_shown, self._marked - self._room + 1), self._marked)
        shown = self._matches[self._first_shown : self._first_shown + self._room]
        rows: StyleAndTextTuples = []
        for at, text in enumerate(shown, self._first_shown):
            pointer = self._pointer if at == self._marked else " " * width(self._pointer)
            rows += [("", "\n" if rows else ""), ("class:prompt", pointer)]
            rows += self._row(text, self._columns - width(pointer))
        return rows

    def _row(self, text: str, columns: int) -> list[tuple[str, str]]:
        """Return the line of a text that has what is looked for, as far as it fits, the match in sight."""
        lines = text.strip("\n").split("\n")
        line = next(filter(self._has_a_word, lines), lines[0])
        more = f" +{len(lines) - 1:,} line{'s' * (len(lines) > 2)}" if len(lines) > 1 else ""  # noqa: PLR2004 - one more is no plural
        if columns < _ROOMY_COLUMNS:
            more = ""
        room = max(1, columns - len(more))
        pieces = list(self._pieces(line))
        before = sum(width(piece) for _, piece in pieces[:2])
        if len(pieces) > 1 and before > room:
            style, lead = pieces[0]
            kept = room // _LEAD
            pieces[0] = (style, self._cut_mark + clip(lead, width(lead) - kept, width(lead)))
        row: list[tuple[str, str]] = []
        for style, piece in pieces:
            shown = self._cut(piece, room)
            room -= width(shown)
            row.append((style, shown))
            if shown != piece:
                break
        return [*row, ("class:search-toolbar", more)]

    def _has_a_word(self, line: str) -> bool:
        return any(word in folded(line) for word in self._words)

    def _pieces(self, line: str) -> Iterable[tuple[str, str]]:
        """Yield what stands before the first match, the match, what follows it, and so on."""
        line = line[:_LONGEST_CHARACTERS]
        at = 0
        for start, end in places(line, self._words):
            yield "", _shown(line[at:start])
            yield "class:search-toolbar.match", _shown(line[start:end])
            at = end
        yield "", _shown(line[at:])

    def _footer(self) -> str:
        if not self._matches:
            return self._cut(_CANCEL, self._columns)
        footer = self._cut(f"{self._marked + 1:,} of {len(self._matches):,}", self._columns)
        for hint in _KEYS:
            longer = f"{footer} · {hint}" if self._cut_mark == "…" else f"{footer}, {hint}"
            footer = longer if width(longer) <= self._columns else footer
        return footer

    def _cut(self, text: str, columns: int) -> str:
        if width(text) <= columns:
            return text
        return clip(text, 0, columns - 1).rstrip() + self._cut_mark if columns > 0 else ""


def _shown(text: str) -> str:
    return steady(sanitize_line(text))
