"""Emphasis beside Chinese, Japanese and Korean text.

CommonMark's rule for what may open and close emphasis looks for white space and punctuation, which those scripts use
otherwise: ``**「安全性」**であり`` stays literal. The amendment to it is https://github.com/tats-u/markdown-cjk-friendly
(specification.md): their punctuation counts as a letter, and punctuation of other scripts may stand beside theirs. Text
without such a character reads as CommonMark 0.31 §6.2 says.
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
"""What is wide and a symbol outside of these is an emoji."""


def with_cjk_emphasis(parser: MarkdownIt) -> MarkdownIt:
    """Make ``parser`` read emphasis beside wide scripts, and return it. Rules are added to it as usual."""
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
        opens = not isWhiteSpace(ord(after)) and (not _is_other_punctuation(after) or _gives_way(before))
        closes = not isWhiteSpace(ord(before)) and (not _is_other_punctuation(before) or _gives_way(after))
        return Scanned(
            opens and (canSplitWord or not closes or _is_punctuation(before)),
            closes and (canSplitWord or not opens or _is_punctuation(after)),
            end - start,
        )


def _gives_way(character: str) -> bool:
    """Whether punctuation on the other side of a mark leaves the mark its meaning."""
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
