"""The picker on the screen: the search line, the list and the footer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from prompt_toolkit.application.current import get_app
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.filters import Condition
from prompt_toolkit.layout import ConditionalContainer, HSplit, Window
from prompt_toolkit.layout.controls import BufferControl, FormattedTextControl
from prompt_toolkit.layout.dimension import Dimension
from wcwidth import clip, width

from chatcli.terminal.picker.picker_state import Doing
from chatcli.terminal.screen_rows import fragments
from chatcli.terminal.steady_widths import SteadyWidths, steady
from chatcli.text.sanitizer import sanitize_line
from chatcli.text.shortening import ELLIPSIS, shortened
from chatcli.text.times import LONGEST_AGE_COLUMNS, age
from chatcli.text.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from prompt_toolkit.formatted_text import AnyFormattedText
    from prompt_toolkit.key_binding import KeyBindingsBase

    from chatcli.render.themes import Role, StyledRow
    from chatcli.sessions.library import SearchHit
    from chatcli.sessions.store import SessionSummary
    from chatcli.terminal.picker.picker_state import PickerState


_LINE_END: Final = ("", "\n")
ROOMY_COLUMNS: Final = 60
ROOMY_ROWS: Final = 12
"""From this height on every session has two rows; below it only the marked one has."""
_BETWEEN: Final = " · "
_GAP: Final = "  "
_INDENT: Final = 2
_INDENTATION: Final = (" " * _INDENT, "")
_TURNS_COLUMNS: Final = len("1,234 turns")
_TITLE_COLUMNS: Final = 8  # a shorter title says nothing, so the age is left out instead
_LEAD: Final = 3
"""A hit that does not fit is shown after this fraction of the row."""
_LINK: Final = re.compile(r"!?\[([^\[\]]*)\]\([^()\s]*\)")
_HEADING: Final = re.compile(r"(?:(?<=\s)|\A)#{1,6} ")
_FENCE: Final = re.compile(r"```+\w*|~~~+\w*")
_MARKED: Final = re.compile(
    r"(?<!`)(`{1,2})(?!`)(.+?)(?<!`)\1(?!`)|(?<![\w*_])(\*\*\*|\*\*|\*|_)(?=[^\s*_])(.+?)(?<=[^\s*_])\3(?![\w*_])"
)
# Longer than any row; text beyond it is never processed.
_LONGEST_CHARACTERS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Drawn:
    """The rows of the list; row ``edited_at`` leaves room for the title being edited."""

    rows: tuple[StyledRow, ...]
    edited_at: int | None = None


@dataclass(frozen=True, slots=True)
class Glyphs:
    """Characters that not every terminal can show. ``pointer`` is as wide as an indent."""

    pointer: str
    cut: str


UNICODE: Final = Glyphs("❯ ", ELLIPSIS)
ASCII: Final = Glyphs("> ", "~")


@dataclass(frozen=True, slots=True)
class PickerDrawing:
    """Draws at most ``rows`` of sessions in ``columns``. ``now`` is the local time, with its zone."""

    glyphs: Glyphs
    columns: int
    rows: int
    now: datetime
    current: str | None = None

    def sessions(self, state: PickerState) -> Drawn:
        """Return the rows of the list."""
        if state.listing is None:
            return Drawn(())
        if not state.count:
            return Drawn(tuple([_dim(self._cut(row))] for row in _nothing(state)))
        rows: list[StyledRow] = []
        edited_at = None
        for at in state.window(self._fitting()):
            session, is_marked = state.listing.sessions[at], at == state.place
            if is_marked and state.doing is Doing.RENAMING:
                edited_at = len(rows)
            rows.append(self._title(session, is_marked=is_marked))
            if is_marked or self._is_roomy:
                rows.append(self._below(state, session, state.listing.hits.get(session.name), is_marked))
        return Drawn(tuple(rows[: self.rows]), edited_at)

    def footer(self, state: PickerState) -> tuple[StyledRow, StyledRow]:
        """Return the number of sessions, or an error, and the keys."""
        error = (self._cut(f"error: {state.error}"), "code.error") if state.error else None
        return [error or _dim(self._joined(_counts(state)))], [_dim(self._keys(state))]

    @property
    def pointer(self) -> tuple[str, Role]:
        """The sign before the marked session."""
        return self.glyphs.pointer, "marker"

    @property
    def _is_roomy(self) -> bool:
        return self.columns >= ROOMY_COLUMNS and self.rows >= ROOMY_ROWS

    def _fitting(self) -> int:
        """Return how many sessions fit."""
        return self.rows // 2 if self._is_roomy else self.rows - 1

    def _title(self, session: SessionSummary, *, is_marked: bool) -> StyledRow:
        age_columns = LONGEST_AGE_COLUMNS + len(_GAP)
        right = f"{age(session.last_used, self.now):>{age_columns}}"
        if self._is_roomy:
            right = f"{_turns(session):>{_TURNS_COLUMNS}}{right}"
        columns = self.columns - _INDENT - len(right)
        if columns < _TITLE_COLUMNS:
            columns, right = self.columns - _INDENT, ""
        note = " (current)" if session.name == self.current else ""
        is_current = session.name == self.current
        note = f"{note} (answering)" if not is_current and session.is_being_answered(self.now) else note
        note = f"{note} (damaged)" if session.damaged_records else note
        title = self._cut(session.title or session.name, columns - len(note))
        blanks = " " * (columns - width(title) - len(note))
        before = self.pointer if is_marked else _INDENTATION
        return [before, (title, "heading1" if is_marked else ""), _dim(note + blanks + right)]

    def _below(
        self, state: PickerState, session: SessionSummary, hit: SearchHit | None, is_marked: bool
    ) -> StyledRow:
        columns = self.columns - _INDENT
        if is_marked and state.doing is Doing.REMOVING:
            question = self._cut("delete permanently? y/n", columns)
            return [_INDENTATION, (question, "code.error")]
        turns = "" if self._is_roomy else _turns(session) + _BETWEEN
        name = session.name + (f" (copy of {session.forked_from})" if session.forked_from else "")
        # If the name is the title already, only a copy's number adds something.
        named = f"{name}{_BETWEEN}" if session.title or session.forked_from else ""
        before = self._cut(turns + named, columns)
        return [_INDENTATION, _dim(before), *self._excerpt(session, hit, columns - width(before))]

    def _excerpt(self, session: SessionSummary, hit: SearchHit | None, columns: int) -> StyledRow:
        """Return an excerpt: around the hit, else from the beginning."""
        if hit is None or not hit.excerpt:
            return [_dim(self._cut(unmarked(session.preview), columns))]
        start, end = hit.at
        before, found, after = (
            _shown(unmarked(part))
            for part in (hit.excerpt[:start], hit.excerpt[start:end], hit.excerpt[end:])
        )
        if width(before) + width(found) > columns:
            # Only the end of the text before the hit, which is what matters.
            lead = max(0, columns // _LEAD)
            before = self.glyphs.cut + _last(before, lead)
        found = self._cut(found, columns - width(before))
        after = self._cut(after, columns - width(before) - width(found))
        return [_dim(before), (found, "found"), _dim(after)]

    def _keys(self, state: PickerState) -> str:
        match state.doing:
            case Doing.RENAMING:
                return self._joined(("Enter saves the title", "Esc cancels"))
            case Doing.REMOVING:
                return self._joined(("Delete? y = yes", "any other key = no"))
        scope = ("Tab all folders" if state.is_here else "Tab this folder",) if state.has_folder else ()
        escape = "Esc clears" if state.words else "Esc closes"
        return self._joined(("Enter opens", escape, *scope, "Ctrl-R renames", "Ctrl-D deletes"))

    def _joined(self, parts: Iterable[str]) -> str:
        """Return as many parts as fit, the most important first."""
        line = ""
        for part in parts:
            longer = line + _BETWEEN + part if line else self._cut(part)
            if width(longer) <= self.columns:
                line = longer
        return line

    def _cut(self, text: str, columns: int | None = None) -> str:
        """Return ``text`` sanitized and cut to fit."""
        columns = self.columns if columns is None else max(0, columns)
        return shortened(_shown(text), columns, mark=self.glyphs.cut)


def _dim(text: str) -> tuple[str, Role]:
    return text, "label"


def unmarked(text: str) -> str:
    """Return a line of Markdown without its marks of emphasis, code, headings and links."""
    text = _LINK.sub(r"\1", _HEADING.sub("", text))
    return _FENCE.sub("", _MARKED.sub(lambda marked: marked[2] or marked[4], text))


def _shown(text: str) -> str:
    return steady(sanitize_line(text[:_LONGEST_CHARACTERS]))


def _last(text: str, columns: int) -> str:
    return clip(text, max(0, width(text) - columns), width(text))


def _turns(session: SessionSummary) -> str:
    return f"{counted(session.turns, 'turn')}"


def _counts(state: PickerState) -> Sequence[str]:
    parts = []
    if (listing := state.listing) is not None:
        where = " in this folder" if listing.is_here else ""
        if listing.words.strip():
            parts.append(f"{listing.found:,} of {listing.total:,}{where}")
        else:
            parts.append(f"{counted(listing.total, 'session')}{where}")
    if state.progress is not None:
        parts.append("indexing {:,} of {:,}".format(*state.progress))
    return parts


def _nothing(state: PickerState) -> Sequence[str]:
    """Return the hint for an empty list."""
    listing = state.listing
    if listing is None or state.progress is not None:
        return ("reading the sessions …",)
    if not listing.found_everywhere and not listing.words.strip():
        return ("no sessions yet: every conversation is saved automatically", "Esc closes this list")
    if listing.found_everywhere:
        many = f"{listing.found_everywhere:,} in other folders"
        return (
            f"nothing in this folder, but {many}: Tab shows {'it' if listing.found_everywhere == 1 else 'them'}",
        )
    return (f"no session contains {listing.words.strip()}", "Esc clears the search")


class PickerPanel:
    """Shows ``state`` as drawn by ``drawing``; ``looked_for`` is given the words whenever they change.

    ``search`` is the input for the words, ``title`` the one for a session's new title.
    """

    def __init__(
        self,
        state: PickerState,
        drawing: Callable[[], PickerDrawing],
        *,
        bindings: KeyBindingsBase,
        looked_for: Callable[[str], None],
    ) -> None:
        self._state = state
        self._drawing = drawing
        # The list never shrinks: a footer that jumps with every letter could not be read.
        self._tallest = 0
        self._frame: int | None = None
        self._last_drawn = Drawn(())
        self._footer: Sequence[StyledRow] = ()
        self.search = Buffer(multiline=False, name="session search")
        self.search.text = state.words
        self.search.cursor_position = len(state.words)
        self.search.on_text_changed += lambda buffer: looked_for(buffer.text)
        self.title = Buffer(multiline=False, name="session title")
        self.search_window = self._line(self.search, lambda: [("class:prompt", "search: ")])
        self.title_window = self._line(self.title, lambda: fragments([self._drawing().pointer]))
        self.container = HSplit(
            [
                self.search_window,
                _window_of(self._above),
                ConditionalContainer(self.title_window, Condition(lambda: state.doing is Doing.RENAMING)),
                _window_of(self._below),
                _window_of(self._blank),
                _window_of(self._footer_rows),
            ],
            key_bindings=bindings,
        )

    def _drawn(self) -> Drawn:
        # prompt_toolkit asks for heights and rows a dozen times per frame.
        frame = get_app().render_counter
        if self._frame != frame:
            drawing = self._drawing()
            self._frame = frame
            self._last_drawn = drawing.sessions(self._state)
            self._footer = drawing.footer(self._state)
            self._tallest = min(drawing.rows, max(self._tallest, len(self._last_drawn.rows)))
        return self._last_drawn

    def _footer_rows(self) -> Sequence[StyledRow]:
        self._drawn()
        return self._footer

    def _above(self) -> Sequence[StyledRow]:
        drawn = self._drawn()
        return drawn.rows[: drawn.edited_at]

    def _below(self) -> Sequence[StyledRow]:
        drawn = self._drawn()
        return () if drawn.edited_at is None else drawn.rows[drawn.edited_at + 1 :]

    def _blank(self) -> Sequence[StyledRow]:
        rows = len(self._drawn().rows)
        return ((),) * (self._tallest - rows)

    def _line(self, buffer: Buffer, before: Callable[[], AnyFormattedText]) -> Window:
        return Window(
            BufferControl(buffer, input_processors=[SteadyWidths()]),
            height=1,
            get_line_prefix=lambda _line, _wrapped: before(),
            wrap_lines=False,
        )


def _window_of(rows: Callable[[], Sequence[StyledRow]]) -> Window:
    return Window(
        FormattedTextControl(lambda: [part for row in rows() for part in (*fragments(row), _LINE_END)][:-1]),
        height=lambda: Dimension(min=0, max=len(rows()), preferred=len(rows())),
        dont_extend_height=True,
    )
