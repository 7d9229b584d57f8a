"""What differs between two texts: word by word in colours, line by line without."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Final

from wcwidth import wrap

from chatcli.render.markdown.widths import chopped, columns_of
from chatcli.text.lazy_pattern import lazy_pattern
from chatcli.text.sanitizer import sanitize
from chatcli.text.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import TypeAlias

    from chatcli.render.themes import StyledRow

    Piece: TypeAlias = tuple[str, str]
    """A text and its role."""

REMOVED: Final = "diff.removed"
ADDED: Final = "diff.added"
_SAME: Final = ""
_REMARK: Final = "remark"

# Chinese and Japanese have no blanks between words: each of their characters is a word.
_CJK: Final = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORD: Final = lazy_pattern(rf"[{_CJK}]|\n|[^\S\n]+|(?:(?![{_CJK}])\w)+|[^\w\s]")
_MOST_PAIRS: Final = 4_000_000
"""More pairs of words than this would take too long to compare; then whole lines count as changed."""
_CONTEXT_LINES: Final = 2
_LEAST_HIDDEN_LINES: Final = 3


def diff_of_words(heads: Sequence[Piece], before: str, after: str, columns: int) -> list[StyledRow]:
    """Return ``after`` with the words it does not share with ``before``, and those of ``before`` that it lacks."""
    rows: list[StyledRow] = [[(_cut(text, columns), role)] for text, role in heads]
    for tag, old, new in _stretches(before, after):
        if tag == "equal":
            rows += _wrapped(((f"{line}\n", role) for line, role in _shortened(old)), columns)
        else:
            rows += _wrapped(_words("\n".join(old), "\n".join(new)), columns)
    return rows


def diff_of_lines(heads: Sequence[Piece], before: str, after: str, columns: int) -> list[StyledRow]:
    """Return the lines of both texts: ``-`` precedes those that only ``before`` has, ``+`` those of ``after``."""
    rows: list[StyledRow] = [[(_cut(text, columns), role)] for text, role in heads]
    for tag, old, new in _stretches(before, after):
        if tag == "equal":
            rows += _marked("  ", _shortened(old), columns)
        else:
            rows += _marked("- ", ((line, REMOVED) for line in old), columns)
            rows += _marked("+ ", ((line, ADDED) for line in new), columns)
    return rows


def _stretches(before: str, after: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield the lines of both texts in stretches: equal ones, or those replaced by others."""
    old, new = sanitize(before).strip("\n").split("\n"), sanitize(after).strip("\n").split("\n")
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        yield tag, old[i1:i2], new[j1:j2]


def _shortened(lines: Sequence[str]) -> Iterator[Piece]:
    """Yield equal lines, those far from any difference as a count."""
    hidden = len(lines) - 2 * _CONTEXT_LINES
    if hidden < _LEAST_HIDDEN_LINES:
        yield from ((line, _SAME) for line in lines)
        return
    yield from ((line, _SAME) for line in lines[:_CONTEXT_LINES])
    yield f"… {counted(hidden, 'equal line')}", _REMARK
    yield from ((line, _SAME) for line in lines[-_CONTEXT_LINES:])


def _words(before: str, after: str) -> Iterator[Piece]:
    """Yield the words of both texts, in stretches of one role; a line end follows."""
    old, new = _WORD.findall(before), _WORD.findall(after)
    if len(old) * len(new) > _MOST_PAIRS:
        yield from ((f"{before}\n", REMOVED), (f"{after}\n", ADDED))
        return
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            yield "".join(old[i1:i2]), _SAME
        else:
            yield "".join(old[i1:i2]), REMOVED
            yield "".join(new[j1:j2]), ADDED
    yield "\n", _SAME


def _wrapped(pieces: Iterable[Piece], columns: int) -> list[StyledRow]:
    """Return pieces as rows of at most ``columns``, broken between words; a line end in a piece ends a row."""
    rows: list[list[Piece]] = [[]]
    used, is_continued = 0, False
    for text, role in pieces:
        for word in _WORD.findall(text):
            if word == "\n":
                rows.append([])
                used, is_continued = 0, False
                continue
            for chunk in chopped(word.replace("\t", "    "), columns):
                taken = columns_of(chunk)
                if used + taken > columns:
                    rows.append([])
                    used, is_continued = 0, True
                if used or not is_continued or not chunk.isspace():
                    rows[-1].append((chunk, role))
                    used += taken
    return list(rows if rows[-1] else rows[:-1])


def _marked(mark: str, lines: Iterable[Piece], columns: int) -> list[StyledRow]:
    rows: list[StyledRow] = []
    for line, role in lines:
        parts = wrap(line, max(1, columns - len(mark)), replace_whitespace=False, drop_whitespace=False) or [
            ""
        ]
        rows += [[(f"{mark}{part}".rstrip(), role)] for part in parts]
    return rows


def _cut(text: str, columns: int) -> str:
    return chopped(sanitize(text), columns)[0]
