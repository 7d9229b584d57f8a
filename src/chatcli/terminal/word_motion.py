"""Words of the line editor: where Ctrl-W, Alt-B, Alt-F, Alt-D and Alt-Backspace, and vi's motions, stop.

Chinese and Japanese have no blanks between words. Finding them all would need a dictionary; these rules do
without, and the boundaries depend on the text alone, never on the cursor:

* a run of one script is a word: hiragana, katakana, Hangul, or letters and digits of any other script;
* kanji form a word with the hiragana after them, as in Emacs: 学校へ, 食べる;
* Han characters are split into pairs from the start of their run, as most Chinese words have two: 今天 天气 很好;
* a run of punctuation is a word, so that no deletion crosses a Chinese or Japanese punctuation mark;
* a folded paste is a word.

Ctrl-W and vi's WORDs are longer in text with blanks: they take ``src/main.py`` whole, and follow the same rules
in Chinese and Japanese.
"""

# ruff: noqa: N803 - WORD is prompt_toolkit's name
from __future__ import annotations

import re
import unicodedata
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Final

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.cache import FastDictCache
from prompt_toolkit.document import Document
from prompt_toolkit.filters import emacs_insert_mode, emacs_mode
from prompt_toolkit.key_binding import KeyBindings

from chatcli.text.scripts import CJK_PUNCTUATION, HAN, HANGUL, HIRAGANA, KATAKANA

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from prompt_toolkit.key_binding import KeyPressEvent

    Span = tuple[int, int]

_MARKS: Final = f"{CJK_PUNCTUATION}“”…—"
_FOLDED: Final = "\ud800-\udbff"  # each is the placeholder of a paste
_VARIANTS: Final = "[\ufe00-\ufe0f\U000e0100-\U000e01ef]*"
_CJK_WORD: Final = f"(?:[{HAN}]{_VARIANTS}){{1,2}}[{HIRAGANA}]*|[{HIRAGANA}][{HIRAGANA}ー]*|[{KATAKANA}\u3099\u309a]+|[{HANGUL}]+"
_CJK: Final = f"{HAN}{HIRAGANA}{KATAKANA}{HANGUL}"


class WordDocument(Document):
    """A ``Document`` whose words are those of this module."""

    __slots__ = ()

    def find_start_of_previous_word(
        self, count: int = 1, WORD: bool = False, pattern: re.Pattern[str] | None = None
    ) -> int | None:
        if pattern is not None:
            return super().find_start_of_previous_word(count, WORD, pattern)
        return self.find_previous_word_beginning(count, WORD)

    def find_previous_word_beginning(self, count: int = 1, WORD: bool = False) -> int | None:
        if count < 0:
            return self.find_next_word_beginning(-count, WORD)
        return self._relative((start for start, _ in self._backwards(big=WORD)), count)

    def find_previous_word_ending(self, count: int = 1, WORD: bool = False) -> int | None:
        if count < 0:
            return self.find_next_word_ending(count=-count, WORD=WORD)
        at = self.cursor_position
        return self._relative((end for _, end in self._backwards(big=WORD) if end <= at), count)

    def find_next_word_beginning(self, count: int = 1, WORD: bool = False) -> int | None:
        if count < 0:
            return self.find_previous_word_beginning(-count, WORD)
        at = self.cursor_position
        return self._relative((start for start, _ in self._forwards(big=WORD) if start > at), count)

    def find_next_word_ending(
        self, include_current_position: bool = False, count: int = 1, WORD: bool = False
    ) -> int | None:
        if count < 0:
            return self.find_previous_word_ending(-count, WORD)
        after = self.cursor_position + (not include_current_position)
        return self._relative((end for _, end in self._forwards(big=WORD) if end > after), count)

    def find_boundaries_of_current_word(
        self,
        WORD: bool = False,
        include_leading_whitespace: bool = False,
        include_trailing_whitespace: bool = False,
    ) -> Span:
        at = self.cursor_position
        line_start = at - len(self.current_line_before_cursor)
        line_end = at + len(self.current_line_after_cursor)
        beside = (*islice(self._forwards(big=WORD), 1), *islice(self._backwards(big=WORD), 1))
        start, end = next((span for span in beside if span[0] <= at <= span[1]), (at, at))
        if include_leading_whitespace:
            start = line_start + len(self.text[line_start:start].rstrip())
        if include_trailing_whitespace:
            end = line_end - len(self.text[end:line_end].lstrip())
        return start - at, end - at

    def _relative(self, places: Iterator[int], count: int) -> int | None:
        place = next(islice(places, max(count, 1) - 1, None), None)
        return None if place is None else place - self.cursor_position

    def _forwards(self, *, big: bool) -> Iterator[Span]:
        """Yield the words that end after the cursor."""
        line_start = self.text.rfind("\n", 0, self.cursor_position) + 1
        for word in _words(big=big).finditer(self.text, line_start):
            if word.end() > self.cursor_position:
                yield word.span()

    def _backwards(self, *, big: bool) -> Iterator[Span]:
        """Yield the words that begin before the cursor, the nearest first."""
        end = self.text.find("\n", self.cursor_position)
        end = len(self.text) if end < 0 else end
        while end >= 0:
            line_start = self.text.rfind("\n", 0, end) + 1
            words = [word.span() for word in _words(big=big).finditer(self.text, line_start, end)]
            yield from (span for span in reversed(words) if span[0] < self.cursor_position)
            end = line_start - 1


class WordBuffer(Buffer):
    """A ``Buffer`` of ``WordDocument``s."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._document_cache = FastDictCache(WordDocument, size=10)


def word_keys() -> KeyBindings:
    """Return Alt-F, Alt-D and the like: prompt_toolkit's own skip one-character words, as vi's ``e``."""
    keys = KeyBindings()

    @keys.add("c-right", filter=emacs_mode)
    @keys.add("escape", "f", filter=emacs_mode)
    def _forward(event: KeyPressEvent) -> None:
        event.current_buffer.cursor_position += _end_of_word(event)

    @keys.add("c-delete", filter=emacs_insert_mode)
    @keys.add("escape", "d", filter=emacs_insert_mode)
    def _delete(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        count = _end_of_word(event)
        deleted = buffer.delete(count) if count > 0 else buffer.delete_before_cursor(-count)
        if deleted and event.is_repeat:
            deleted = event.app.clipboard.get_data().text + deleted
        if deleted:
            event.app.clipboard.set_text(deleted)

    return keys


def _end_of_word(event: KeyPressEvent) -> int:
    end = event.current_buffer.document.find_next_word_ending(include_current_position=True, count=event.arg)
    return end or 0


@cache
def _words(*, big: bool) -> re.Pattern[str]:
    """Return the pattern that finds words; blanks are in none. Compiled on first use."""
    if big:
        others = f"[^\\s{_CJK}{_MARKS}{_FOLDED}]+"
    else:
        combining = re.escape(
            "".join(mark for mark in map(chr, range(0x300, 0x20000)) if unicodedata.category(mark)[0] == "M")
        )
        letter = f"[^\\W{_CJK}]"
        others = f"{letter}(?:{letter}|[{combining}\u200c\u200d])*|[^\\w\\s{_CJK}{_MARKS}{_FOLDED}]+"
    return re.compile(f"{_CJK_WORD}|[{_MARKS}]+|[{_FOLDED}]|{others}")
