"""Emphasis next to Chinese, Japanese and Korean text.

CommonMark decides by white space and punctuation whether a mark opens or closes emphasis. Those scripts use
both differently: ``**「安全性」**であり`` stays literal. This module follows the amendment in
https://github.com/tats-u/markdown-cjk-friendly (specification.md): CJK punctuation counts as a letter, and
other punctuation may be next to a CJK character. Text without CJK characters is read as in CommonMark 0.31
§6.2.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final
from unicodedata import category, east_asian_width

from markdown_it.common.utils import isMdAsciiPunct, isPunctChar, isWhiteSpace
from markdown_it.parser_inline import ParserInline
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.state_inline import Scanned

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token
    from markdown_it.utils import EnvType

_IDEOGRAPHIC_VARIANTS: Final = range(0xE0100, 0xE01F0)
_SYMBOLS_OF_THEIR_OWN: Final = range(0x2E80, 0x1F000)
"""A wide symbol outside this range is an emoji."""


def with_cjk_emphasis(parser: MarkdownIt) -> MarkdownIt:
    """Make ``parser`` read emphasis next to wide scripts, and return it. Rules can still be added to it."""
    inline = _InlineParser()
    inline.ruler, inline.ruler2 = parser.inline.ruler, parser.inline.ruler2
    parser.inline = inline
    return parser


class _InlineParser(ParserInline):
    def parse(self, src: str, md: MarkdownIt, env: EnvType, tokens: list[Token]) -> list[Token]:
        state = _State(src, md, env, tokens)
        self.tokenize(state)
        for rule in self.ruler2.getRules(""):
            rule(state)
        return state.tokens


class _State(StateInline):
    def scanDelims(self, start: int, canSplitWord: bool) -> Scanned:  # noqa: N802, N803 - the names of markdown-it
        end, marker = start, self.src[start]
        while end < self.posMax and self.src[end] == marker:
            end += 1
        before = self.src[start - 1] if start else " "
        after = self.src[end] if end < self.posMax else " "
        opens = not isWhiteSpace(ord(after)) and (
            not _is_other_punctuation(after) or _permits_punctuation(before)
        )
        closes = not isWhiteSpace(ord(before)) and (
            not _is_other_punctuation(before) or _permits_punctuation(after)
        )
        return Scanned(
            opens and (canSplitWord or not closes or _is_punctuation(before)),
            closes and (canSplitWord or not opens or _is_punctuation(after)),
            end - start,
        )


def _permits_punctuation(character: str) -> bool:
    """Whether a mark keeps its meaning with punctuation on its other side."""
    return isWhiteSpace(ord(character)) or _is_punctuation(character) or _is_cjk(character)


def _is_other_punctuation(character: str) -> bool:
    return _is_punctuation(character) and not _is_cjk(character)


def _is_punctuation(character: str) -> bool:
    return isMdAsciiPunct(ord(character)) or isPunctChar(character)


@lru_cache(maxsize=4096)
def _is_cjk(character: str) -> bool:
    if character.isascii():
        return False
    point = ord(character)
    if east_asian_width(character) in "WFH":
        return category(character) != "So" or point in _SYMBOLS_OF_THEIR_OWN
    return point in _IDEOGRAPHIC_VARIANTS or 0x1100 <= point <= 0x11FF  # noqa: PLR2004 - Hangul's letters
