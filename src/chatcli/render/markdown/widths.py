"""The width of text on a terminal, and where it may be broken."""

from __future__ import annotations

import re
from typing import Final

from wcwidth import iter_graphemes, width

from chatcli.text.lazy_pattern import lazy_pattern

# Characters that are not certainly one column wide.
_OTHER_WIDTH: Final = lazy_pattern(
    "[^\x20-\x7e\u00a1-\u00ac\u00ae-\u02ff\u0370-\u0482\u048a-\u058f\u2010-\u2015\u2018-\u201f\u2026\u2500-\u257f]"
)
# Wide characters a line may be broken between. Korean breaks at blanks.
_WIDE: Final = (
    "\u2e80-\u303e\u3041-\ua4cf\uf900-\ufaff\ufe30-\ufe4f\uff01-\uff60\uffe0-\uffe6\U00020000-\U0003fffd"
)
# Characters that no line begins with, and those that no line ends with, as far as single characters go
# (JIS X 4051 §§4.1, 6.1; GB/T 15834-2011 §5.1).
_CLOSING: Final = (
    "、。，．：；？！‼⁇⁈⁉）］｝｠〕〉》」』】〙〗〟’”»›…‥·・／～〜％‰℃°′″ーヽヾゝゞ々〻ぁぃぅぇぉっゃゅょゎゕゖ"
    "ァィゥェォッャュョヮヵヶㇰ-ㇿ゛゜｡｣､･ｰ,.:;?!/)\\]}%"
)
_OPENING_WIDE: Final = "（［｛｟〔〈《「『【〘〖〝｢￥＄￡＃"
_OPENING_NARROW: Final = "‘“«‹(\\[{"
_OPENING: Final = _OPENING_WIDE + _OPENING_NARROW
_WORD: Final = lazy_pattern(
    f" +"
    f"|[{_OPENING}]*(?:(?![{_OPENING}])[{_WIDE}][\ufe00-\ufe0f\u3099\u309a]*"
    f"|(?:[^ {_WIDE}{_OPENING}]|[{_OPENING_NARROW}]++(?![{_WIDE}]))+)[{_CLOSING}]*"
    f"|[{_OPENING}]+"
)
_WIDE_TEXT: Final = lazy_pattern(f"[{_WIDE}]")
_ALL_WIDE: Final = lazy_pattern(
    "[\u3041-\u3098\u309b-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3、。，！？：；（）「」]+"
)


def columns_of(text: str) -> int:
    """Return the width of a text without line ends and tabs."""
    if text.isascii() or _OTHER_WIDTH.search(text) is None:
        return len(text)
    return 2 * len(text) if _ALL_WIDE.fullmatch(text) else width(text)


def words_of(text: str) -> list[str]:
    """Cut ``text`` where a line may end: around blanks, and between Chinese and Japanese characters."""
    if _WIDE_TEXT.search(text) is None:
        return [chunk for chunk in re.split("( +)", text) if chunk]
    return _WORD.findall(text)


def chopped(text: str, columns: int, first_columns: int | None = None) -> list[str]:
    """Cut ``text`` into chunks of at most ``columns``, the first of at most ``first_columns``.

    Grapheme clusters stay whole; one that is wider than the room forms its own chunk.
    """
    room = columns if first_columns is None else first_columns
    if text.isascii():
        return [text[:room], *(text[at : at + columns] for at in range(room, len(text), columns))]
    chunks: list[str] = []
    chunk: list[str] = []
    used = 0
    for grapheme in iter_graphemes(text):
        taken = columns_of(grapheme)
        if used + taken > room and (chunk or room < columns):
            chunks.append("".join(chunk))
            chunk, used, room = [], 0, columns
        chunk.append(grapheme)
        used += taken
    return [*chunks, "".join(chunk)]
