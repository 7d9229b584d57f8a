"""A terminal that records the style and the link of each of its cells."""

from __future__ import annotations

import re
from typing import NamedTuple, TypeAlias

import pyte
from pyte import modes
from wcwidth import iter_graphemes, width

# OSC 8: https://gist.github.com/egmontkob/eb114294efbcd5adb1944c9f3cb5feda
_LINK = re.compile(r"\x1b\]8;[^;]*;([^\x1b\x07]*)(?:\x1b\\|\x07)")
_HEX = re.compile("[0-9a-f]{6}")
_ATTRIBUTES = ("bold", "dim", "italics", "underscore", "strikethrough", "reverse", "blink")
_NAMES = {"italics": "italic", "underscore": "underline", "strikethrough": "strike"}
_FOREGROUND_EXTENDED, _BACKGROUND_EXTENDED = 38, 48
_PARAMETERS = {5: 1, 2: 3}
"""How many numbers follow in an extended colour, by its kind."""


class Cell(NamedTuple):
    """The fields of ``pyte.screens.Char``, set by pyte under these names, and two of its own.

    A zero-width character is part of the cell before it, or of the first cell at the beginning of a row. The
    second cell of a wide character is empty.
    """

    data: str = " "
    fg: str = "default"
    bg: str = "default"
    bold: bool = False
    italics: bool = False
    underscore: bool = False
    strikethrough: bool = False
    reverse: bool = False
    blink: bool = False
    dim: bool = False
    link: str = ""

    @property
    def style(self) -> str:
        """The style of the cell in words."""
        if self[1:-1] == BLANK[1:-1]:
            return ""
        words = [_NAMES.get(name, name) for name in _ATTRIBUTES if getattr(self, name)]
        words += [_color(self.fg)] if self.fg != "default" else []
        words += [f"on {_color(self.bg)}"] if self.bg != "default" else []
        return " ".join(words)


BLANK = Cell()
Look: TypeAlias = tuple[str | bool, ...]
"""All of a cell but its character."""


def _color(name: str) -> str:
    return f"#{name}" if _HEX.fullmatch(name) else name.replace("brown", "yellow")


class Row(NamedTuple):
    """A row of a screen; ``wraps`` if it is full and its text continues in the next one."""

    cells: tuple[Cell, ...]
    wraps: bool

    @property
    def text(self) -> str:
        return "".join(cell.data for cell in self.cells)


class CellScreen(pyte.Screen):
    """pyte's screen, extended by dim text and links, with columns counted in graphemes."""

    def __init__(self, columns: int, lines: int) -> None:
        self._link = ""
        self._joins_next = ""
        self._wrapped: set[int] = set()
        super().__init__(columns, lines)
        self.set_mode(modes.LNM)  # as a terminal's driver does: a line feed begins a new row
        self._stream = pyte.Stream(self)

    @property
    def default_char(self) -> Cell:
        return BLANK

    def reset(self) -> None:
        super().reset()
        self.cursor.attrs = self.default_char

    def feed(self, text: str) -> None:
        # pyte's stream drops OSC 8.
        at = 0
        for match in _LINK.finditer(text):
            self._stream.feed(text[at : match.start()])
            self._link = match[1]
            at = match.end()
        self._stream.feed(text[at:])

    def rows(self) -> list[Row]:
        """Return the rows above the cursor, without trailing blanks."""
        return [self._row(y) for y in range(self.cursor.y + (self.cursor.x > 0))]

    def _row(self, y: int) -> Row:
        line = self.buffer[y]
        end = max((x for x, cell in line.items() if cell != BLANK), default=-1) + 1
        return Row(tuple(line[x] for x in range(end)), y in self._wrapped)

    def draw(self, data: str) -> None:
        # pyte would end the text at a character joined to an emoji, or without width.
        look = (*self.cursor.attrs[1:-1], self._link)
        for grapheme in data if data.isascii() else iter_graphemes(data):
            columns = 1 if grapheme.isascii() else width(grapheme)
            if columns <= 0:
                self._join(grapheme)
                continue
            if self.cursor.x + columns > self.columns:
                self._end_row(columns)
            self._put(grapheme, look, columns)

    def _end_row(self, columns: int) -> None:
        if modes.DECAWM in self.mode:
            self._wrapped.add(self.cursor.y)
            self.linefeed()
        else:
            self.cursor.x = max(0, self.columns - columns)

    def _put(self, grapheme: str, look: Look, columns: int) -> None:
        line = self.buffer[self.cursor.y]
        cell = Cell(self._joins_next + grapheme, *look)
        self._joins_next = ""
        line[self.cursor.x] = cell
        for x in range(self.cursor.x + 1, self.cursor.x + columns):
            line[x] = cell._replace(data="")
        self.cursor.x += columns

    def _join(self, grapheme: str) -> None:
        if not self.cursor.x:
            self._joins_next += grapheme
            return
        line, x = self.buffer[self.cursor.y], self.cursor.x - 1
        while x and not line[x].data:
            x -= 1
        line[x] = line[x]._replace(data=line[x].data + grapheme)

    def erase_in_line(self, how: int = 0, private: bool = False) -> None:
        self._wrapped.discard(self.cursor.y)
        super().erase_in_line(how, private)

    def select_graphic_rendition(self, *codes: int, **_: bool) -> None:
        is_dim = self.cursor.attrs.dim
        super().select_graphic_rendition(*codes)
        self.cursor.attrs = self.cursor.attrs._replace(dim=_is_dim_after(codes, is_dim))


def _is_dim_after(codes: tuple[int, ...], is_dim: bool) -> bool:
    rest = iter(codes or (0,))
    for code in rest:
        if code in (_FOREGROUND_EXTENDED, _BACKGROUND_EXTENDED):
            for _ in range(_PARAMETERS.get(next(rest, 0), 0)):
                next(rest, 0)
        elif code in (0, 22):
            is_dim = False
        elif code == 2:
            is_dim = True
    return is_dim
