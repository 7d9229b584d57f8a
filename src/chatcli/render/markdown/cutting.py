"""Cutting a paragraph that is too long to hold back."""

from __future__ import annotations

import re
from typing import Final

_MARK: Final = re.compile(r"\\.|`+|[*_]+|~~|!?\[|\]\(|\]|\)|<[^<>\s]+>|\s+", re.DOTALL)
# The opener a closing mark belongs to; all other marks close themselves.
_OPENERS: Final = {"](": "[", "]": "[", ")": "("}


def cut_at(text: str) -> int:
    """Return the end of the first part: after the last white space outside all marks.

    If all white space is inside marks, cut at the last of it, otherwise at the end. Each part is parsed by
    itself, so marks that a cut separates are shown as written.
    """
    outside = spaces = at = 0
    marks = _OpenMarks()
    while match := _MARK.search(text, at):
        at = match.end()
        if match[0].isspace():
            spaces = at
            outside = outside if marks.open else at
        elif match[0][0] == "`":
            at = _end_of_code(text, match[0], at) or at
            if at == match.end():
                marks.open.append(match[0])  # it may be closed by later text
        else:
            marks.track(match[0], before=text[match.start() - 1 : match.start()], after=text[at : at + 1])
    return outside or spaces or len(text)


class _OpenMarks:
    def __init__(self) -> None:
        self.open: list[str] = []

    def track(self, mark: str, *, before: str, after: str) -> None:
        if mark[0] in "*_~":
            self._track_emphasis(mark, before.strip(), after.strip())
        elif mark in {"[", "!["}:
            self.open.append("[")
        elif self._close(_OPENERS.get(mark, mark)) and mark == "](":
            self.open.append("(")

    def _track_emphasis(self, mark: str, before: str, after: str) -> None:
        """Open or close emphasis by the characters around its mark (CommonMark 0.31 §6.2, roughly)."""
        if before and self._close(mark):
            return
        if after and not (mark[0] == "_" and before.isalnum()):
            self.open.append(mark)

    def _close(self, mark: str) -> bool:
        if mark not in self.open:
            return False
        del self.open[len(self.open) - 1 - self.open[::-1].index(mark) :]
        return True


def _end_of_code(text: str, mark: str, at: int) -> int | None:
    end = re.compile(rf"(?<!`){mark}(?!`)").search(text, at)
    return end.end() if end else None
