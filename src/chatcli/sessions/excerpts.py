"""The line around a hit: where in a conversation the words stand that were looked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.core.search_text import locate
from chatcli.sessions.reading import read_records
from chatcli.sessions.utterances import utterances

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatcli.core.search_text import Term

_BEFORE_CHARACTERS: Final = 40
_AFTER_CHARACTERS: Final = 120
_PARTIAL: Final = b'{"type":"partial"'


def excerpt(content: bytes, terms: Sequence[Term]) -> tuple[str, tuple[int, int]]:
    """Return a line around the first place of the longest term in a session file, and where in it the term stands.

    ``("", (0, 0))`` where nothing of it was said. The line is cut out of what was said, control characters and all:
    a terminal gets it sanitized in three pieces, so that the place stays the right one.
    """
    for term in sorted(terms, key=lambda term: len(term.text), reverse=True):
        for lines in (_likely_lines(term, content), content):
            for text in utterances(read_records(lines)):
                if (place := locate(text, term)) is not None:
                    return _line(text, *place)
    return "", (0, 0)


def _likely_lines(term: Term, content: bytes) -> bytes:
    """Return the lines that hold ``term`` as it is: nearly always enough, and few of those there are.

    Parts of an interrupted answer are no lines to look at one by one: a word may stand in two of them.
    """
    needle = term.text.encode()
    lines = [line for line in content.split(b"\n") if needle in line.lower()]
    return b"\n".join(line for line in lines if not line.startswith(_PARTIAL))


def _line(text: str, start: int, end: int) -> tuple[str, tuple[int, int]]:
    begin = max(0, start - _BEFORE_CHARACTERS)
    before = _one_line(text[begin:start]).lstrip()
    hit = _one_line(text[start:end])
    after = _one_line(text[end : end + _AFTER_CHARACTERS]).rstrip()
    before = f"…{before}" if begin else before
    after = f"{after}…" if end + _AFTER_CHARACTERS < len(text) else after
    return before + hit + after, (len(before), len(before) + len(hit))


def _one_line(text: str) -> str:
    # Unlike split() and join() it keeps the space at either end, where the pieces meet.
    words = " ".join(text.split())
    if not words:
        return " " if text else ""
    return (" " if text[0].isspace() else "") + words + (" " if text[-1].isspace() else "")
