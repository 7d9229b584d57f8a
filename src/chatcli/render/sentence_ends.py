"""Sentence ends in a line of Markdown that is still arriving, independent of how it was cut."""

from __future__ import annotations

import re
from typing import Final

# A mark ends a sentence only once the text after it is known: more marks, or another sentence.
_END: Final = re.compile(
    r"""[.!?…]+["'”’)\]*_]*(?=\s+(?P<next>\S))|[。！？…]+[”’」』）*_]*(?=[^。！？…”’」』）*_])"""
)
_WORD_BEFORE: Final = re.compile(r"[^\s(\[\"'“‘*_]+\Z")
_INITIALS: Final = re.compile(r"(?:[^\W\d_]{1,2}\.){2,}\Z|[^\W\d_]\.\Z")
_ABBREVIATIONS: Final = {
    *("dr", "mr", "mrs", "ms", "prof", "st", "sr", "jr", "gen", "col", "capt", "lt", "rev", "hon", "messrs"),
    *("vs", "cf", "viz", "approx", "al", "fig", "figs", "eq", "eqs", "sec", "ch", "vol", "ed", "eds", "pp"),
    *("no", "nos", "nr", "inc", "ltd", "co", "corp", "bros", "dept", "est", "mt", "ft", "ave", "blvd", "rd"),
    *("jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec"),
    *(
        "bzw",
        "ca",
        "vgl",
        "evtl",
        "ggf",
        "usw",
        "inkl",
        "zzgl",
        "abs",
        "art",
        "str",
        "tel",
        "mme",
        "mlle",
        "sra",
    ),
}
"""Words whose full stop ends no sentence before a name or a number; others are recognized by their form."""
_BEFORE_A_NUMBER: Final = {
    "no",
    "nos",
    "nr",
    "art",
    "abs",
    "ch",
    "sec",
    "vol",
    "pp",
    "fig",
    "figs",
    "eq",
    "eqs",
    "mar",
    "co",
}
"""Abbreviations that are also words: they count as abbreviations only before a number."""

_OPENING: Final = re.compile(
    r"\\\[(?!\\[^a-zA-Z{|,:;!])|\\\((?!\\[^a-zA-Z{|,:;!])|\\.|\$\$|\$(?=[^\s$\d])|`+|\[", re.DOTALL
)
_CLOSING: Final = {
    "\\[": re.compile(r"\\\]"),
    "\\(": re.compile(r"\\\)"),
    "$$": re.compile(r"\$\$"),
    # Unlike the others, it must be closed in the same line, and the character after it decides.
    "$": re.compile(r"(?<=[^\s\\$])\$(?![\d$])"),
    "[": re.compile(r"\](?:\([^()\s]*\))?"),
}
_DISPLAYED: Final = {"\\[", "$$"}
_FARTHEST: Final = 600
_LONGEST_DISPLAYED: Final = 4_000
"""The maximum distance of a mark from its end; beyond it the mark is text."""


class UnbreakableSpans:
    """The code, formulas and links in ``line``; each is one word, whatever it contains."""

    def __init__(self, line: str) -> None:
        self.spans: list[tuple[int, int]] = []
        self.first_open = len(line)
        """The start of the first mark whose end has not arrived, otherwise the end of the line."""
        self.formulas: list[tuple[int, int]] = []
        """The formulas that may span lines."""
        self.opens_formula = False
        at = 0
        while match := _OPENING.search(line, at):
            mark = match[0]
            at = match.end()
            if mark[0] == "\\" and mark not in _CLOSING:
                continue
            closing = re.compile(rf"(?<!`){mark}(?!`)") if mark[0] == "`" else _CLOSING[mark]
            is_displayed = mark in _DISPLAYED
            farthest = at + (_LONGEST_DISPLAYED if is_displayed else _FARTHEST)
            end = closing.search(line, at, farthest)
            if end is None:
                if len(line) <= farthest:
                    self.first_open = min(self.first_open, match.start())
                    self.opens_formula |= is_displayed
                if is_displayed:
                    break
            elif mark != "$" or "\n" not in line[at : end.start()]:
                span = match.start(), end.end()
                at = end.end()
                self.spans.append(span)
                if is_displayed:
                    self.formulas.append(span)


def sentence_end(line: str, start: int, *, is_whole: bool) -> int:
    """Return the end of the first sentence in ``line`` from ``start`` on, 0 if there is none yet.

    In a line that is not whole, an end counts only if no later text can change it.
    """
    unbreakable: UnbreakableSpans | None = None
    for match in _END.finditer(line, start):
        if not _is_end(line, match):
            continue
        unbreakable = unbreakable or UnbreakableSpans(line)
        end = match.end()
        if any(begin < end < close for begin, close in unbreakable.spans):
            continue
        if not is_whole and end > unbreakable.first_open:
            return 0
        return end
    return 0


def _is_end(line: str, match: re.Match[str]) -> bool:
    """Whether the marks end a sentence, rather than an abbreviation or a part of a sentence."""
    following = match["next"]
    if following is None:
        return True
    if following.islower():
        return False
    word = _WORD_BEFORE.search(line[: match.start()])
    if word is None or not match[0].startswith(".") or match[0].startswith(".."):
        return True
    if word[0] != "I" and _INITIALS.match(f"{word[0]}."):
        return False
    plain = word[0].lower()
    return plain not in _ABBREVIATIONS or (plain in _BEFORE_A_NUMBER and not following.isdecimal())
