"""Find orders to a model in a text of somebody else. A warning, not a wall: an attack in new words passes."""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from chatcli.safety.classifier import SENDS, Judgement, classifier
from chatcli.safety.findings import EXCERPT_CHARS, InjectionFinding
from chatcli.safety.meanings import sentences
from chatcli.safety.readings import decoded, read, undisguised

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_FINDINGS: Final = 50
MOST_LAYERS: Final = 2
"""Encodings inside each other that are decoded."""

HIDES_TEXT: Final = "it holds characters that cannot be seen and spell out a text"
TURNS_TEXT: Final = "it holds characters that show text in another order than it is read"
ENCODES: Final = "it holds an order to a model in encoded or disguised letters"


def scan(text: str) -> list[InjectionFinding]:
    """Return what looks like orders to a model, by place, without overlaps; at most 50."""
    kept: list[InjectionFinding] = []
    for finding in _findings(text):
        at = bisect_left(kept, finding.start, key=lambda other: other.start)
        is_apart = (at == 0 or kept[at - 1].end <= finding.start) and (
            at == len(kept) or finding.end <= kept[at].start
        )
        if is_apart and finding.start < finding.end:
            kept.insert(at, finding)
            if len(kept) == MOST_FINDINGS:
                break
    return kept


def _findings(text: str) -> Iterator[InjectionFinding]:
    yield from _hidden(text)
    yield from _pictures(text)
    reading = read(text)
    for start, end, judgement in _orders(reading.text):
        yield _finding(text, *reading.span(start, end), judgement.kind, judgement.reason)
    for start, end, other in undisguised(reading.text):
        if _holds_order(other, 0):
            yield _finding(text, *reading.span(start, end), "encoded", ENCODES)
    for start, end, other in decoded(text):
        if _holds_order(other, MOST_LAYERS - 1):
            yield _finding(text, start, end, "encoded", ENCODES)


def _orders(reading: str) -> Iterator[tuple[int, int, Judgement]]:
    judge = classifier()
    for sentence in sentences(reading, judge.is_promising):
        judgement = judge.judge(sentence)
        if judgement:
            yield sentence.start, sentence.end, judgement


def _holds_order(text: str, layers: int) -> bool:
    if any(True for _ in _orders(read(text).text)):
        return True
    return layers > 0 and any(_holds_order(other, layers - 1) for _, _, other in decoded(text))


def _finding(text: str, start: int, end: int, kind: str, reason: str) -> InjectionFinding:
    return InjectionFinding(start, end, kind, text[start : min(end, start + EXCERPT_CHARS)], reason)


_HIDDEN: Final = re.compile(
    "(?P<tags>(?<![\U0001f3f4\U000e0020-\U000e007e])[\U000e0020-\U000e007e]{3,})"
    "|(?P<selectors>[\U000e0100-\U000e01ef]{4,}|[\ufe00-\ufe0f]{4,})"
    "|(?P<zero>[\u200b-\u200f\u2060-\u2064\ufeff]{6,}|(?:[\u200b\u200c\u200d\u2060\ufeff]+[A-Za-z ]){4,})"
    "|(?P<turned>[\u202d\u202e][^\n\u202c]{3,300})"
)


_MAY_BE_HIDDEN: Final = re.compile(
    "[\u200b-\u200f\u202d\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff\U000e0020-\U000e007e\U000e0100-\U000e01ef]"
)
"""The characters that ``_HIDDEN`` needs: most texts have none."""


def _hidden(text: str) -> Iterator[InjectionFinding]:
    if text.isascii() or not _MAY_BE_HIDDEN.search(text):
        return
    for match in _HIDDEN.finditer(text):
        yield _finding(
            text, *match.span(), "hidden-unicode", TURNS_TEXT if match.lastgroup == "turned" else HIDES_TEXT
        )


_PICTURE: Final = re.compile(
    r"!\[[^\]\n]{0,200}\]\(https?://[^)\s]{1,300}?[?&=/#](?:\{{1,2}|\[{1,2}|<|%7[Bb]|%5[Bb]|\$\{?|__?)?"
    r"(?:data|conversation|chat|history|messages?|summary|secrets?|password|token|query|prompt|context|user_?\w{0,10}|content|text|input|session|email|answer)"
    r"(?:\}|\]|>|%7[Dd]|%5[Dd]|__?|(?=\)))",
    re.IGNORECASE,
)
_FILLED: Final = re.compile(r"[{\[<$]|%7[Bb]|%5[Bb]|[A-Z]{4,}|__")


def _pictures(text: str) -> Iterator[InjectionFinding]:
    """Yield pictures whose address has a blank for private data."""
    if "](http" not in text:
        return
    for match in _PICTURE.finditer(text):
        if _FILLED.search(match[0].partition("](")[2]):
            yield _finding(text, *match.span(), "data-out", SENDS)
